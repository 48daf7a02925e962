"""The four stages of a release, and their answer as this project's server words it.

Everybody who is measured serves this, however they batch and carry it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Where a server process finds the release folder.
RELEASE: Final = "SLATE_BENCH_RELEASE"
#: How many requests a server that batches may put together, and how long it may wait for them.
MOST: Final = 64
WAIT_S: Final = 0.002


class Graph:
    """A release, opened and warmed as this project's server does it."""

    def __init__(self, folder: str | None = None) -> None:
        from pathlib import Path

        from slate.recommend.online.load import load
        from slate.release.verify import verify_directory

        path = Path(folder or os.environ[RELEASE])
        self._loaded = load(path, verify_directory(path))

    def answers(self, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One pass of the four stages for all that was asked."""
        from slate.recommend.request import Request

        requests = [Request(user_id=each["user_id"], k=each.get("k")) for each in asked]
        return [_plain(slate) for slate in self._loaded.funnel.slates(requests)]


def _plain(slate: Any) -> dict[str, Any]:
    return {
        "user_id": slate.user_id,
        "items": [
            {
                "item_id": item.item_id,
                "score": item.score,
                "position": item.position,
                "source": item.source,
                "propensity": item.propensity,
            }
            for item in slate.items
        ],
        "rung": slate.rung,
        "release_id": slate.release_id,
        "variant": "stable",
        "exposure_id": None,
    }
