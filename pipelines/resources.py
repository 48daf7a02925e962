"""What each step asks of a cluster, and how often it is tried again.

Local runs ignore CPU and memory, and shorten the waits between attempts.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True)
class Needs:
    """Kubernetes quantities of one step, and its retries (waits double from ``backoff``)."""

    cpu: tuple[str, str]
    memory: tuple[str, str]
    retries: int = 1
    backoff: str = "30s"
    cached: bool = True

    def apply(self, task: Any) -> Any:
        """Set requests, limits, retries and caching on a pipeline task and return it."""
        task.set_cpu_request(self.cpu[0]).set_cpu_limit(self.cpu[1])
        task.set_memory_request(self.memory[0]).set_memory_limit(self.memory[1])
        task.set_retry(
            num_retries=self.retries,
            backoff_duration=self.backoff,
            backoff_factor=2.0,
            backoff_max_duration="600s",
        )
        task.set_caching_options(enable_caching=self.cached)
        return task


_SMALL: Final = Needs(cpu=("250m", "1"), memory=("512Mi", "2Gi"), retries=2, cached=False)

NEEDS: Final = MappingProxyType(
    {
        "open_run": _SMALL,
        "ingest": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi"), retries=3),
        "collect": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi"), retries=3),
        "validate": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi")),
        "drift": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi"), cached=False),
        "split": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi")),
        "open_parent": Needs(cpu=("250m", "1"), memory=("512Mi", "2Gi"), retries=3),
        "split_since": Needs(cpu=("1", "4"), memory=("2Gi", "8Gi")),
        "train_two_tower": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi"), retries=2, backoff="60s"),
        "update_two_tower": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi"), retries=2, backoff="60s"),
        # It waits; those that train are asked for by the section `workers`.
        "train_on_workers": Needs(cpu=("250m", "1"), memory=("1Gi", "4Gi"), retries=2, backoff="60s"),
        "build_index": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi")),
        "train_ranker": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi"), retries=2, backoff="60s"),
        "update_ranker": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi"), retries=2, backoff="60s"),
        "evaluate": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi")),
        "precompute": Needs(cpu=("2", "8"), memory=("4Gi", "16Gi"), retries=3, cached=False),
        "finish_precompute": _SMALL,
        "gate": _SMALL,
        "track": _SMALL,
        "push_release": _SMALL,
        "register_release": _SMALL,
        "start_rollout": _SMALL,
        "record_outcome": _SMALL,
    }
)
"""By step. Steps that decide, record or publish are never cached: their answer depends on what is outside."""
