"""The batch pipeline: slates of active users, computed ahead for the rung below the personalised one.

Wiring only; the steps are in ``slate.steps.precompute``, their shells in ``components``.
"""

from typing import Any, Final

from kfp import dsl, kubernetes

from components.finish_precompute import finish_precompute
from components.precompute import precompute
from components.record_outcome import record_outcome
from pipelines.resources import NEEDS

#: Where the address of the servers' Redis is, as the manifests name it.
_REDIS: Final = "slate-redis"
_KEYS: Final = {"url": "SLATE_REDIS_URL"}
#: How many partitions' pods there are at once.
_PODS: Final = 16


def _with_state(task: Any) -> None:
    """Where the secret is missing, the step says so itself."""
    kubernetes.use_secret_as_env(task, _REDIS, _KEYS, optional=True)


@dsl.pipeline(name="batch", description="Compute the slates of active users ahead.")
def batch(
    batch: dict[str, Any],
    feedback: dict[str, Any],
    tracking: dict[str, Any],
    store: str,
    partitions: list[str],
    shared: bool,
    run_id: str,
) -> None:
    """Parameters are configuration sections as plain dicts, and what identifies the run.

    ``partitions`` are the parts of all users, each ``i/n``, that run one beside the other on a cluster.
    ``shared`` says that the state must be one that the servers of a cluster see.
    """
    ended = NEEDS["record_outcome"].apply(
        record_outcome(store=store, run_id=run_id, job=dsl.PIPELINE_JOB_ID_PLACEHOLDER, tracking=tracking)
    )
    with dsl.ExitHandler(ended, name="outcome"):
        with dsl.ParallelFor(partitions, name="partitions", parallelism=_PODS) as partition:
            computed = NEEDS["precompute"].apply(
                precompute(batch=batch, feedback=feedback, store=store, partition=partition, shared=shared)
            )
            _with_state(computed)
        finished = NEEDS["finish_precompute"].apply(
            finish_precompute(feedback=feedback, store=store, figures=dsl.Collected(computed.output))
        )
        _with_state(finished)
