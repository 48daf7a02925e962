"""A release that is bad in whatever way never answers, also when every hash in it is right."""

import asyncio
import gc
import json
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from ai_edge_litert.interpreter import Interpreter

from slate.errors import ReleaseError, SlateError
from slate.recommend.online import load as loading
from slate.recommend.online.load import free_memory, load
from slate.recommend.request import Request
from slate.release.manifest import Manifest, ManifestFields
from slate.release.seal import seal
from slate.release.verify import verify_directory
from tests.conftest import TinyRun

Change = Callable[[Path, dict[str, Any]], None]


def resealed(tiny: TinyRun, folder: Path, change: Change) -> Manifest:
    """A copy of the tiny release, changed and sealed again: every hash is right."""
    shutil.copytree(Path(tiny.store) / "releases" / tiny.release_id, folder)
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").unlink()
    fields = {name: raw[name] for name in ManifestFields.model_fields}
    change(folder, fields)
    for empty in [d for d, below, files in os.walk(folder, topdown=False) if not below and not files]:
        Path(empty).rmdir()
    return seal(folder, ManifestFields.model_validate(fields))


def nothing(folder: Path, fields: dict[str, Any]) -> None:
    pass


def array(name: str, change: Callable[[Any], Any]) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        path = folder / name
        np.save(path, change(np.load(path)))

    return apply


def table(name: str, change: Callable[[pa.Table], pa.Table]) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        changed = change(pq.read_table(folder / name))
        pq.write_table(changed, folder / name)

    return apply


def users(change: Callable[[pa.Table], pa.Table]) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        path = folder / "users/users.arrow"
        feather.write_feather(change(feather.read_table(path)), path, compression="uncompressed")

    return apply


def text(name: str, change: Callable[[Any], Any]) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        path = folder / name
        path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")

    return apply


def gone(name: str) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        target = folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return apply


def garbage(name: str) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        (folder / name).write_bytes(b"\x00garbage\xff" * 50)

    return apply


def cut(name: str) -> Change:
    def apply(folder: Path, _: dict[str, Any]) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return apply


def noisy_weights(name: str, value: float) -> Change:
    """Every matrix of a compiled function overwritten in place; shapes and sizes stay."""

    def apply(folder: Path, _: dict[str, Any]) -> None:
        path = folder / name
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        content, found = path.read_bytes(), 0
        for details in interpreter.get_tensor_details():
            if details["dtype"] is np.float32 and len(details["shape"]) == 2:
                try:
                    matrix = interpreter.get_tensor(details["index"])
                except ValueError:
                    continue  # no constant
                if matrix.any() and matrix.tobytes() in content:
                    content = content.replace(matrix.tobytes(), np.full_like(matrix, value).tobytes())
                    found += 1
        assert found
        path.write_bytes(content)

    return apply


def field(name: str, value: Any) -> Change:
    def apply(_: Path, fields: dict[str, Any]) -> None:
        fields[name] = value

    return apply


def other_golden(_: Path, fields: dict[str, Any]) -> None:
    fields["golden"][0]["response"]["items"][0]["score"] += 0.5


def unknown_rung(_: Path, fields: dict[str, Any]) -> None:
    fields["golden"][0]["response"]["rung"] = "popular"


def _shuffled(embeddings: Any) -> Any:
    return embeddings[::-1]


def _not_numbers(values: Any) -> Any:
    return np.full_like(values, np.nan)


def _without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns([column])


def _of_another_catalogue(rows: pa.Table) -> pa.Table:
    items = rows["items"].combine_chunks()
    others = pc.add(items.values, pa.scalar(1, pa.int32()))
    place = rows.column_names.index("items")
    return rows.set_column(place, "items", pa.ListArray.from_arrays(items.offsets, others))


BAD: dict[str, Change] = {
    "NaN in the ranker's weights": noisy_weights("ranking/model/score.tflite", float("nan")),
    "NaN in the ranker's item vectors": array("ranking/model/item_table.npy", _not_numbers),
    "NaN in the query tower's weights": noisy_weights("retrieval/query_tower/embed.tflite", float("nan")),
    "the candidates' vectors in another order": array("retrieval/candidate_embeddings.npy", _shuffled),
    "zeros for the ranker's weights": noisy_weights("ranking/model/score.tflite", 0.0),
    "the ranker's function cut short": cut("ranking/model/score.tflite"),
    "the query tower's function cut short": cut("retrieval/query_tower/embed.tflite"),
    "the ranker's item vectors cut short": cut("ranking/model/item_table.npy"),
    "a ranker that is no model": garbage("ranking/model/score.tflite"),
    "a ranker that takes no new items": gone("ranking/model/item.tflite"),
    "a query tower that is no model": garbage("retrieval/query_tower/embed.tflite"),
    "no ranker": gone("ranking"),
    "no query tower": gone("retrieval/query_tower"),
    "the models exchanged": lambda folder, _: (
        (folder / "ranking" / "model").rename(folder / "swap"),
        (folder / "retrieval" / "query_tower").rename(folder / "ranking" / "model"),
        (folder / "swap").rename(folder / "retrieval" / "query_tower"),
    )[0],
    "no index": gone("retrieval/index"),
    "an index without its description": gone("retrieval/index/index.json"),
    "an index of another size": text("retrieval/index/index.json", lambda i: {**i, "size": 7}),
    "an index with ids of its own": lambda folder, _: np.save(
        folder / "retrieval" / "index" / "ids.npy", np.array([f"other {n}" for n in range(60)])
    ),
    "an empty vocabulary": text("features.json", lambda f: {**f, "events": []}),
    "features that are no JSON": garbage("features.json"),
    "a catalogue of no items": table("items.parquet", lambda rows: rows.slice(0, 0)),
    "a catalogue without ids": table("items.parquet", _without("item_id")),
    "a catalogue in another order": table("items.parquet", lambda rows: rows.take(list(range(59, -1, -1)))),
    "users without histories": users(_without("items")),
    "users with the items of another catalogue": users(_of_another_catalogue),
    "users that are no Arrow file": garbage("users/users.arrow"),
    "users cut short": cut("users/users.arrow"),
    "no fallback": gone("fallback.json"),
    "another golden answer": other_golden,
    "another golden rung": unknown_rung,
    "no golden requests": field("golden", []),
    "made for another LiteRT": field("requires", {"slate": "0.1.0", "litert": "1.0.0", "scann": None}),
    "settings that are none": field("config", {"recommend": {"k": "many"}}),
}


def test_a_good_release_answers_like_the_one_it_was(tiny: TinyRun, tmp_path: Path) -> None:
    manifest = resealed(tiny, tmp_path / "release", nothing)
    release = load(tmp_path / "release", manifest)
    case = manifest.golden[0].model_dump()
    (slate,) = release.funnel.order(*stages(release, Request(user_id=case["request"]["user_id"])))
    assert slate.rung == "personalised"
    assert slate.release_id == manifest.release_id == release.release_id
    assert all(item in release.known for item in slate.item_ids)
    assert asyncio.run(release.ladder.descend(Request())).rung == "popular"


def test_a_release_that_is_dropped_goes_without_the_garbage_collector(tiny: TinyRun, tmp_path: Path) -> None:
    manifest = resealed(tiny, tmp_path / "release", nothing)
    release = load(tmp_path / "release", manifest)
    held: dict[str, Any] = {"loaded": release, "funnel": release.funnel}
    held["opened"] = release.funnel._preparation._release  # type: ignore[attr-defined]
    held |= {
        name: getattr(held["opened"], name) for name in ("users", "index", "ranker", "encoder", "newcomers")
    }
    left = {name: weakref.ref(one) for name, one in held.items()}
    gc.collect()
    gc.disable()
    try:
        del release
        held.clear()
        assert [name for name, one in left.items() if one() is not None] == []
    finally:
        gc.enable()


def stages(release: Any, request: Request) -> tuple[Any, Any, Any]:
    asks = release.funnel.prepare([request])
    kept = release.funnel.filter(asks, release.funnel.retrieve(asks))
    return asks, [request], release.funnel.score(asks, kept)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_release_is_refused_by_name(tiny: TinyRun, tmp_path: Path, kind: str) -> None:
    try:
        manifest = resealed(tiny, tmp_path / "release", BAD[kind])
    except SlateError:
        return  # it could not even be sealed
    verify_directory(tmp_path / "release", manifest.release_id)
    with pytest.raises(ReleaseError, match=manifest.release_id):
        load(tmp_path / "release", manifest)


def test_a_release_that_does_not_fit_into_memory(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = resealed(tiny, tmp_path / "release", nothing)
    monkeypatch.setattr(loading, "free_memory", lambda: 100_000)
    with pytest.raises(ReleaseError, match=r"may need [\d,]+ MiB of memory and 0 MiB are free"):
        load(tmp_path / "release", manifest)


def test_free_memory_is_less_than_the_machine_has() -> None:
    free = free_memory()
    assert free is not None
    assert 0 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
