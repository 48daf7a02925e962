"""The page of a batch run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from slate.pages.render import render


def page(done: Sequence[Mapping[str, Any]], dropped: int, place: str) -> str:
    """HTML of what every partition did.

    Args:
        done: one a partition and release; see :func:`slate.steps.precompute.precompute`.
        dropped: how many outdated slates were removed; ``place`` is where slates are kept.
    """
    skipped: Counter[str] = Counter()
    for one in done:
        skipped.update({reason: int(count) for reason, count in one["skipped"].items()})
    rows = [
        {
            **{name: int(one[name]) for name in ("users", "slates", "resumed")},
            **{name: one[name] for name in ("release_id", "partition", "seconds")},
            "mib": one["bytes"] / 2**20,
            "rate": (one["users"] - one["resumed"]) / max(one["seconds"], 1e-9),
        }
        for one in done
    ]
    return render(
        "slate.steps",
        "precompute.html.j2",
        users=sum(row["users"] for row in rows),
        slates=sum(row["slates"] for row in rows),
        dropped=dropped,
        place=place,
        rows=rows,
        skipped=[(reason, f"{count:,}") for reason, count in sorted(skipped.items())],
    )
