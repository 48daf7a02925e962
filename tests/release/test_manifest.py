"""The manifest's canonical form and the id that its content gives it."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.errors import ReleaseError
from slate.release.manifest import (
    RELEASE_ID,
    FileEntry,
    Manifest,
    ManifestFields,
    canonical_json,
    content_hash,
    parse_manifest,
)

AT = datetime(2026, 11, 21, 4, 5, 0, 123456, tzinfo=UTC)
A = FileEntry(path="a", size=1, sha256="a" * 64)
B = FileEntry(path="b/c", size=2, sha256="b" * 64)
MakeFields = Callable[..., ManifestFields]


def test_it_reads_back_as_it_was_written(make_fields: MakeFields) -> None:
    manifest = Manifest.build(make_fields(), [B, A], AT)
    again = parse_manifest(manifest.to_bytes(), "here")
    assert again == manifest
    assert [f.path for f in again.files] == ["a", "b/c"]
    assert RELEASE_ID.fullmatch(manifest.release_id)
    assert manifest.release_id.startswith("20261121T040500123456Z-")
    written = json.loads(manifest.to_bytes())
    assert written["events"] == {"like": {"weight": 1.0}, "watch": {"weight": 0.5, "weight_by": "value"}}
    assert set(written) == {
        *("schema_version", "release_id", "created_at", "code_revision", "parent", "dataset", "config"),
        *("events", "metrics", "baselines", "verdict", "index", "golden", "requires", "files"),
    }


def test_ids_sort_by_time_and_change_with_any_content(make_fields: MakeFields) -> None:
    manifest = Manifest.build(make_fields(), [A, B], AT)
    assert Manifest.build(make_fields(), [B, A], AT).release_id == manifest.release_id
    later = Manifest.build(make_fields(), [A, B], AT.replace(minute=6))
    assert later.release_id > manifest.release_id
    others = [
        Manifest.build(make_fields(), [A], AT),
        Manifest.build(make_fields(), [A, B.model_copy(update={"sha256": "c" * 64})], AT),
        Manifest.build(make_fields(metrics={"ndcg@10": 0.126}), [A, B], AT),
        Manifest.build(make_fields(verdict={"status": "refused", "checks": []}), [A, B], AT),
    ]
    assert len({manifest.release_id, *(m.release_id for m in others)}) == 5


def test_same_content_ignores_when_it_was_released(make_fields: MakeFields) -> None:
    report = FileEntry(path="reports/run.html", size=3, sha256="d" * 64)
    manifest = Manifest.build(make_fields(), [A, B], AT)
    later = Manifest.build(make_fields(parent=manifest.release_id), [A, B, report], AT.replace(day=22))
    assert manifest.same_content(later)
    assert not manifest.same_content(Manifest.build(make_fields(), [A], AT))
    assert not manifest.same_content(Manifest.build(make_fields(config={"recommend": {"k": 5}}), [A, B], AT))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_named(make_fields: MakeFields, bad: float) -> None:
    with pytest.raises(ReleaseError, match=r"metrics\.per_slice\[1\]"):
        Manifest.build(make_fields(metrics={"per_slice": [0.5, bad]}), [A], AT).to_bytes()


def test_an_instant_without_a_zone_is_refused(make_fields: MakeFields) -> None:
    dataset = make_fields().dataset.model_dump() | {"train_end": "2026-10-01T00:00:00"}
    with pytest.raises(ValueError, match="time zone"):
        make_fields(dataset=dataset)


ENTRIES = st.lists(
    st.builds(
        FileEntry,
        path=st.text("ab/", min_size=1, max_size=4),
        size=st.integers(0, 5),
        sha256=st.sampled_from(["0" * 64, "1" * 64]),
    ),
    max_size=5,
)


@given(ENTRIES, ENTRIES)
def test_the_content_hash_tells_lists_apart_and_ignores_order(
    first: list[FileEntry], second: list[FileEntry]
) -> None:
    def key(entries: list[FileEntry]) -> list[tuple[str, int, str]]:
        return sorted((e.path, e.size, e.sha256) for e in entries)

    assert (content_hash(first) == content_hash(second)) == (key(first) == key(second))
    assert content_hash(first) == content_hash(first[::-1])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_a_fixed_point(value: object) -> None:
    try:
        data = canonical_json(value)
    except UnicodeEncodeError:
        pytest.fail("canonical_json lets a lone surrogate through")
    except ReleaseError:
        return
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ReleaseError, match=r"title"):
        canonical_json({"title": "\ud800"})


def test_the_manifest_names_its_file(make_release: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, manifest = make_release()
    assert (folder / "manifest.json").read_bytes() == manifest.to_bytes()
