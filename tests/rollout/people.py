"""Users of a simulated cluster: they see what its gateway says, and leave a log as the consumer writes it."""

import random
import threading
from dataclasses import dataclass, field

from slate.clock import SystemClock
from slate.hashing import bucket
from slate.release.channels import read_channel
from slate.rollout.traffic.driver import Split
from slate.storage import ObjectStore
from tests.rollout.bench import exposure, outcome, write_log
from tests.rollout.traffic.kubernetes.cluster import Cluster, Series

_ROUND_SECONDS = 1.0
_EACH_ROUND = 200
_BOUNDS = (10.0, 25.0, 50.0, 100.0)


@dataclass
class People:
    """``candidate`` is ``better`` than stable, ``worse``, or ``broken``: its requests fail.

    Every round some new users come, ask, like or not, and are counted by the gateway. Stable's servers follow
    their channel.
    """

    cluster: Cluster
    store: ObjectStore
    clock: SystemClock
    seed: int
    candidate: str = "better"
    users: int = 0
    files: int = 0
    counts: dict[str, list[float]] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.cluster.series = self.series
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.stop.wait(_ROUND_SECONDS):
            self.round()

    def round(self) -> None:
        context = self.cluster.context
        split = Split(context["salt"], context["step"], context["threshold"])
        stable = read_channel(self.store, "stable")
        assert stable is not None
        self.cluster.pods["stable"] = [stable.release_id]
        if split.rollout_id == "none":
            return
        at, self.users = self.clock.now(), self.users + _EACH_ROUND
        users = [f"u{number}" for number in range(self.users - _EACH_ROUND, self.users)]
        on = {user: bucket(split.rollout_id, user) < split.threshold for user in users}
        self.count("0", sum(not each for each in on.values()), failed=False)
        self.count("1", sum(on.values()), failed=self.candidate == "broken")
        shown = [exposure(user, at, split, 0) for user in users]
        likes = {True: 0.9 if self.candidate == "better" else 0.05, False: 0.4}
        liked = [outcome(user, at, split, 0) for user in users if self.random.random() < likes[on[user]]]
        self.files += 1
        now = self.clock.now()
        write_log(self.store, "exposures", shown, now, self.files)
        write_log(self.store, "outcomes", liked, now, self.files)
        if split.step == "shadow":
            write_log(self.store, "shadow_exposures", shown, now, self.files)

    def forget(self) -> None:
        """Remove the log: another rollout would only read past it."""
        for folder in ("exposures/", "shadow_exposures/", "outcomes/"):
            for key in self.store.list(folder):
                self.store.delete(key)

    def count(self, rule: str, requests: int, failed: bool) -> None:
        """As Envoy does: by class of status, and cumulatively by duration."""
        counts = self.counts.setdefault(rule, [0.0] * (3 + len(_BOUNDS)))
        for _ in range(requests):
            counts[1 if failed else 0] += 1
            took = self.random.choice((8.0, 12.0, 30.0))
            for place, bound in enumerate((*_BOUNDS, float("inf"))):
                counts[2 + place] += took <= bound

    def series(self) -> list[Series]:
        """What Prometheus has of it."""
        found: list[Series] = []
        for rule, counts in self.counts.items():
            base = {"envoy_cluster_name": f"httproute/slate/slate-recommender/rule/{rule}", "pod": "p0"}
            for name, value in zip(("2", "5"), counts, strict=False):
                found.append(
                    (
                        {
                            "__name__": "envoy_cluster_upstream_rq_xx",
                            "envoy_response_code_class": name,
                            **base,
                        },
                        value,
                    )
                )
            for bound, value in zip(("10", "25", "50", "100", "+Inf"), counts[2:], strict=True):
                found.append(
                    ({"__name__": "envoy_cluster_upstream_rq_time_bucket", "le": bound, **base}, value)
                )
        return found
