"""Small sealed folders: the release layer knows nothing of models, so plain files do."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slate.clock import ManualClock
from slate.release.manifest import Manifest, ManifestFields
from slate.release.seal import seal

FILES = {
    "retrieval/index/ids.npy": b"\x93NUMPY ids",
    "ranking/model/saved_model.pb": b"\x0a\x01 graph",
    "fallback.json": b'{"items": ["a", "b"]}\n',
}
START = datetime(2026, 11, 21, 4, 5, 0, 123456, tzinfo=UTC)


def fields(**changes: Any) -> ManifestFields:
    """Plausible manifest fields, with some replaced."""
    plain: dict[str, Any] = {
        "code_revision": "0a1b2c3",
        "parent": None,
        "dataset": {
            "fingerprint": "f" * 64,
            "train_end": "2026-10-01T00:00:00Z",
            "valid_end": "2026-10-15T00:00:00Z",
            "watermark": "2026-10-31T00:00:00Z",
            "rows": 1234,
        },
        "config": {"retrieval": {"dim": 8, "learning_rate": 0.002}, "dataset": {"name": "tiny"}},
        "events": {"like": {"weight": 1}, "watch": {"weight": 0.5, "weight_by": "value"}},
        "metrics": {"ndcg@10": 0.125, "hr@10": 0.25},
        "baselines": {"popular": {"ndcg@10": 0.1}},
        "verdict": {
            "status": "passed",
            "checks": [
                {
                    "name": "quality",
                    "value": 0.025,
                    "interval": [0.01, 0.04],
                    "threshold": 0.0,
                    "passed": True,
                    "detail": "Better by 0.025.",
                }
            ],
        },
        "index": {"kind": "brute_force", "dim": 8, "size": 20, "k": 10, "recall": 1.0},
        "golden": [{"request": {"user_id": "u1"}, "response": {"items": ["a"]}, "tolerance": 1e-5}],
        "requires": {"slate": "0.1.0", "litert": "2.20.0", "scann": "1.4.2"},
    }
    return ManifestFields.model_validate({**plain, **changes})


MakeRelease = Callable[..., tuple[Path, Manifest]]


@pytest.fixture
def make_release(tmp_path: Path) -> MakeRelease:
    """``make_release(files=None, age=0, **fields)``: a sealed folder, each a minute younger than the last."""
    made = 0

    def make(files: Mapping[str, bytes] | None = None, **changes: Any) -> tuple[Path, Manifest]:
        nonlocal made
        made += 1
        folder = tmp_path / f"sealed-{made}"
        content = FILES | {"marker.txt": str(made).encode()} if files is None else files
        for name, data in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        clock = ManualClock(START + timedelta(minutes=made))
        return folder, seal(folder, fields(**changes), clock)

    return make


@pytest.fixture
def make_fields() -> Callable[..., ManifestFields]:
    return fields
