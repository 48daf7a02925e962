"""The processes that train one model in step: TensorFlow's ``MultiWorkerMirroredStrategy`` under a TF_CONFIG.

Every worker has a copy of the model and a part of each batch, and adds its gradients to the others', so the
copies stay equal. What is decided between epochs is decided by the chief and told to all: workers that did
not agree on whether to go on would wait for each other for ever.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.errors import ConfigError
from slate.retrieval.batches import WHOLE, Share

Array = npt.NDArray[Any]

#: A worker that waits longer than this for the others gives up; the chief validates and saves meanwhile.
_PATIENCE_S: Final = 1800.0


class Team:
    """One process's place among those that train together; :data:`ALONE` without others.

    Args:
        strategy: None for a process alone, which then trains exactly as without this module.
        rank: this process's number, 0 being the chief.
    """

    def __init__(self, strategy: "tf.distribute.Strategy | None" = None, rank: int = 0) -> None:
        self._strategy = strategy
        self._rank = rank

    @classmethod
    def of(cls, tf_config: str | None) -> "Team":
        """Join the others that ``tf_config`` names, the content of the variable TF_CONFIG.

        Must be called before TensorFlow computes anything, and returns when all of them have joined.

        Raises:
            ConfigError: it is no TF_CONFIG of workers.
        """
        cluster, kind, index = _parsed(tf_config) if tf_config else ({}, "", 0)
        addresses = [*cluster.get("chief", ()), *cluster.get("worker", ())]
        if len(addresses) < 2:
            return ALONE
        accelerators = {"GPU": len(tf.config.list_physical_devices("GPU"))}
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster), "", kind, index, num_accelerators=accelerators, rpc_layer="grpc"
        )
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=_PATIENCE_S)
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
        return cls(strategy, index + (len(cluster.get("chief", ())) if kind == "worker" else 0))

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self._strategy is None

    @property
    def chief(self) -> bool:
        """Whether this process decides, and writes what is written."""
        return self._rank == 0

    @property
    def replicas(self) -> int:
        """Into how many parts a batch is cut: a worker has one, or one for each of its GPUs."""
        return 1 if self._strategy is None else int(self._strategy.num_replicas_in_sync)

    @property
    def share(self) -> Share:
        """This process's parts of every batch."""
        if self._strategy is None:
            return WHOLE
        own = len(self._strategy.extended.worker_devices)
        return Share(self._rank * own, (self._rank + 1) * own, self.replicas)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where variables are made that all have in common."""
        return contextlib.nullcontext() if self._strategy is None else self._strategy.scope()

    def stream(self, make: Callable[[], "tf.data.Dataset"]) -> Any:
        """What ``make`` gives, for ``fit``: the batches of this process's share."""
        if self._strategy is None:
            return make()

        def endless(_: Any) -> "tf.data.Dataset":
            # A stream without an end needs no agreement, step by step, on whether it has ended.
            stream = make()
            empty = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), stream.element_spec)
            return stream.concatenate(tf.data.Dataset.from_tensors(empty).repeat())

        return self._strategy.distribute_datasets_from_function(endless)

    def chiefs(self, arrays: Sequence[Array]) -> list[Array]:
        """The chief's arrays, for everybody; all call it at once, with arrays of the same shapes."""
        if self._strategy is None:
            return list(arrays)

        def told() -> Any:
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            mine = [tf.where(first, array, tf.zeros_like(array)) for array in map(tf.constant, arrays)]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        (answer, *_) = self._strategy.experimental_local_results(self._strategy.run(told))
        return [tensor.numpy() for tensor in answer]

    def wait(self) -> None:
        """Go on when everybody is here."""
        self.chiefs([np.zeros(1, np.float32)])


#: A process that trains by itself.
ALONE: Final = Team()


def _parsed(text: str) -> tuple[dict[str, list[str]], str, int]:
    """Cluster, and this task's kind and index.

    Raises:
        ConfigError: it is no TF_CONFIG of workers.
    """
    try:
        told = json.loads(text)
        cluster = {kind: [str(address) for address in places] for kind, places in told["cluster"].items()}
        kind, index = str(told["task"]["type"]), int(told["task"]["index"])
        known = set(cluster) <= {"chief", "worker"} and 0 <= index < len(cluster[kind])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"TF_CONFIG {text!r}: cannot be read ({error!r}); it has the form "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if not known:
        raise ConfigError(
            f"TF_CONFIG {text!r}: names a task that is none of the cluster's, or parameter servers and "
            "evaluators, which this training has not; name workers alone"
        )
    return cluster, kind, index
