"""Pipeline step: what the partitions of a batch run did, and outdated slates removed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slate.config import FeedbackConfig, parse_section
from slate.feedback.open import describe, open_state
from slate.release.outdated import drop_outdated
from slate.steps.precompute_report import page
from slate.storage import open_store


def finish_precompute(
    feedback: Mapping[str, Any], store: str, figures: Sequence[str], report: Path
) -> dict[str, Any]:
    """Add up what the partitions did, remove outdated slates, and write the HTML ``report``.

    Args:
        figures: of every partition, the JSON of what :func:`slate.steps.precompute.precompute` gave.

    Returns:
        for the metrics view: users, slates, bytes, seconds, users_per_s, dropped, and skipped by reason.

    Raises:
        StorageError: the state failed.
    """
    done = [one for text in figures for one in json.loads(text)]
    config = parse_section(FeedbackConfig, feedback)
    state = open_state(config)
    try:
        dropped = drop_outdated(open_store(store), state)
    finally:
        state.close()
    print(f"{dropped:,} slates of other releases removed", flush=True)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page(done, dropped, describe(config)), encoding="utf-8")
    return {**totals(done), "dropped": dropped}


def totals(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums over partitions and releases; they ran one beside the other, so the longest counts."""
    skipped: Counter[str] = Counter()
    for one in done:
        for reason, count in one["skipped"].items():
            skipped[f"skipped_{reason.replace(' ', '_')}"] += int(count)
    seconds = max((one["seconds"] for one in done), default=0.0)
    added = {name: int(sum(one[name] for one in done)) for name in ("users", "slates", "bytes", "resumed")}
    rate = (added["users"] - added["resumed"]) / seconds if seconds else 0.0
    return {**added, "seconds": round(seconds, 3), "users_per_s": round(rate, 1), **skipped}
