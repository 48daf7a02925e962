"""The driver of a cluster's gateway: patches two objects, asks the pods, and reads Prometheus."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

from slate.config import GatewayConfig
from slate.errors import GatewayError
from slate.release.channels import CANDIDATE, SHADOW, STABLE
from slate.rollout.blocks import BlockLog, Counted
from slate.rollout.judge.evidence import Block, Requests, Step
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.kubernetes.api import Api, Pod
from slate.rollout.traffic.kubernetes.figures import Prometheus, requests_of, risen
from slate.rollout.traffic.kubernetes.moves import (
    check_rules,
    context_patch,
    mirror_patch,
    mirror_place,
    rule_places,
    split_of,
)
from slate.rollout.traffic.kubernetes.names import POLICY, ROUTE
from slate.rollout.traffic.kubernetes.printed import printed
from slate.storage import ObjectStore

_TIMEOUT: Final = (2.0, 5.0)
#: Figures that are older, in real seconds, are not those of the block that ends now.
_STALE_SECONDS: Final = 120.0

_COUNTERS: Final = "counters"
_AT: Final = "at"


class KubernetesDriver:
    """See :class:`slate.rollout.traffic.driver.Driver`.

    Args:
        store: where the gateway's figures are kept.
    """

    def __init__(self, config: GatewayConfig, api: Api, store: ObjectStore) -> None:
        self._config, self._api, self._store = config, api, store
        self._log: BlockLog | None = None

    @classmethod
    def connect(cls, config: GatewayConfig, store: ObjectStore) -> Self:
        """The driver of the cluster that this process runs in, or that its kubeconfig names."""
        return cls(config, Api(config.namespace), store)

    def apply(self, split: Split) -> None:
        """Patch what differs: users first, then the mirror."""
        route, policy = self._api.get(ROUTE), self._api.get(POLICY)
        check_rules(split, route)
        if replace(split_of(policy, route), mirror_percent=split.mirror_percent) != split:
            self._api.patch(POLICY, context_patch(split))
        mirror = mirror_patch(split, route)
        if mirror:
            self._api.patch(ROUTE, mirror)

    def applied(self) -> Split | None:
        """What the objects say."""
        return split_of(self._api.get(POLICY), self._api.get(ROUTE))

    def answering(self, variant: str) -> frozenset[str]:
        """Of every pod that is ready."""
        return frozenset(_release_of(pod) for pod in self._api.ready_pods(variant))

    def blocks(self, step: Step, now: datetime) -> Sequence[Block]:
        """Those of this step, with one more where its time is over."""
        log = self._log_of(step)
        self._count(log, now)
        return log.blocks()

    def shadow(self, step: Step, now: datetime) -> Requests:
        """Of the mirror's cluster."""
        log = self._log_of(step)
        self._count(log, now)
        return log.shadow()

    def printed(self, split: Split) -> str:
        """Commands of kubectl, and manifests."""
        return printed(split, self._config.namespace)

    def _log_of(self, step: Step) -> BlockLog:
        if self._log is None or (self._log.rollout_id, self._log.step) != (step.rollout_id, step.name):
            self._log = BlockLog.of(self._store, step)
        return self._log

    def _count(self, log: BlockLog, now: datetime) -> None:
        mark = log.mark()
        began = datetime.fromisoformat(mark[_AT]) if mark else None
        if began is not None and now - began < timedelta(seconds=self._config.block_s):
            return
        clusters = self._clusters()
        found = Prometheus(self._config.prometheus).stand([name for name in clusters.values() if name])
        age = time.time() - found.scraped  # Real seconds, as Prometheus counts them.
        if age > _STALE_SECONDS:
            raise GatewayError(
                f"Prometheus at {self._config.prometheus}: asked the gateway {age:.0f} s ago; see its targets"
            )
        after: dict[str, Any] = {_COUNTERS: found.counters, _AT: now.isoformat()}
        if began is None:
            log.begin(now, after)
            return
        rose = risen(mark[_COUNTERS], found.counters)

        def of(variant: str) -> Requests:
            name = clusters[variant]
            return requests_of(name, rose) if name else Requests(0, 0, None)

        block = Block(began, (now - began).total_seconds(), of(STABLE), of(CANDIDATE))
        log.add(Counted(block, of(SHADOW)), after)

    def _clusters(self) -> dict[str, str]:
        """The gateway's clusters by variant; empty where the route has none of it."""
        route = self._api.get(ROUTE)
        places, mirror = rule_places(route), mirror_place(route)
        base = f"httproute/{self._config.namespace}/{ROUTE.name}/rule"
        candidate = places.get(CANDIDATE)
        return {
            STABLE: f"{base}/{places[STABLE]}",
            CANDIDATE: "" if candidate is None else f"{base}/{candidate}",
            SHADOW: "" if mirror is None else f"{base}/{places[STABLE]}-mirror-{mirror}",
        }


def _release_of(pod: Pod) -> str:
    """What a server says of itself, in the Open Inference Protocol: its model's version is the release."""
    import requests

    try:
        answer = requests.get(f"http://{pod.address}:{pod.port}/v2/models/recommender", timeout=_TIMEOUT)
        answer.raise_for_status()
        (release,) = answer.json()["versions"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise GatewayError(f"pod {pod.name}: does not say which release it has ({error})") from error
    return str(release)
