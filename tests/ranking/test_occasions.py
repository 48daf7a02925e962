"""What the ranker learns from: hand-worked occasions, and nothing of the future."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.data.holdout import Split
from slate.errors import DataError
from slate.ranking.occasions import Occasions, divide, gather, retrieve
from slate.retrieval.index import open_index
from slate.retrieval.query import QueryEncoder, encode_queries

EVENTS = {"view": {"weight": 0.5}, "like": {"weight": 1.0}}


def row(user: str, item: str, at: float, event: str = "view", value: float | None = None) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "timestamp": at, "event": event, "value": value}


#: Train up to 10, valid up to 20, test after it.
INTERACTIONS = [
    row("ann", "a", 1),
    row("bob", "b", 2, "like"),
    row("bob", "a", 3),
    row("ann", "b", 10),
    # Valid: ann meets d and c at 12, likes c at 14 and comes back to a, which she had.
    row("ann", "d", 12, value=3),
    row("ann", "c", 12, value=1),
    row("ann", "c", 14, "like", value=4),
    row("ann", "a", 15, "like"),
    row("bob", "e", 20),
    # Test.
    row("ann", "e", 21),
    row("bob", "c", 22, "like"),
]


def open_world(make: Any, folder: Path, interactions: list[dict[str, Any]], **options: Any) -> Any:
    items = [{"item_id": i} for i in "abcdefg"]
    users = [{"user_id": "ann"}, {"user_id": "bob"}, {"user_id": "cid"}]
    count = len(interactions)
    cut = {"valid_fraction": 5 / count - 1e-9, "test_fraction": 2 / count - 1e-9}
    if "split_config" in options:
        cut = options.pop("split_config")
    return make(folder, interactions, items, users, events=EVENTS, values=True, split_config=cut)


def names(split: Split, rows: Any) -> list[str]:
    return split.catalogue.ids.to_ids(np.asarray(rows))


def test_occasions_by_hand(make_world: Any, tmp_path: Path) -> None:
    data = Split.open(open_world(make_world, tmp_path / "w", INTERACTIONS).splits)
    assert data.record["rows"]["valid"] == 5
    found = gather(data)
    assert found.users == ("ann", "bob")
    assert [names(data, q.history.items) for q in found.queries] == [["a", "b"], ["b", "a"]]
    assert found.repeats == 1
    assert found.offsets.tolist() == [0, 2, 3]
    assert names(data, found.items) == ["c", "d", "e"]
    order = [data.features.events.index(e) for e in ("view", "like")]
    assert found.events[:, order].tolist() == [[True, True], [True, False], [True, False]]
    # c's last value is 4; e has none.
    np.testing.assert_array_equal(found.values, [4, 3, np.nan])
    assert [names(data, seen) for seen in found.seen] == [["a", "b"], ["a", "b"]]
    assert (np.diff(found.times) > 0).all()


def test_context_is_that_of_the_first_interaction(make_world: Any, tmp_path: Path) -> None:
    world = open_world(make_world, tmp_path / "w", INTERACTIONS)
    for part in ("train", "valid", "test"):
        path = world.splits / f"{part}.parquet"
        table = pq.read_table(path)
        surfaces = [f"{part} {n}" for n in range(table.num_rows)]
        pq.write_table(table.append_column("surface", pa.array(surfaces)), path)
    found = gather(Split.open(world.splits))
    assert [dict(q.context) for q in found.queries] == [{"surface": "valid 0"}, {"surface": "valid 4"}]


def test_leave_last_out_takes_histories_whole(make_world: Any, tmp_path: Path) -> None:
    interactions = [row("ann", item, 5) for item in "abcd"] + [row("bob", item, 5) for item in "gfe"]
    world = open_world(make_world, tmp_path / "w", interactions, split_config={"protocol": "leave_last_out"})
    data = Split.open(world.splits)
    found = gather(data)
    assert [(u, names(data, q.history.items)) for u, q in zip(found.users, found.queries, strict=True)] == [
        ("ann", ["a", "b"]),
        ("bob", ["e"]),
    ]
    assert names(data, found.items) == ["c", "f"]


def test_events_after_the_slice_change_no_feature(make_world: Any, tmp_path: Path) -> None:
    """Planted test rows touch neither queries, candidates, scores nor labels."""
    world = open_world(make_world, tmp_path / "w", INTERACTIONS)
    planted = tmp_path / "planted"
    planted.mkdir()
    for file in world.splits.iterdir():
        (planted / file.name).write_bytes(file.read_bytes())
    test = pq.read_table(planted / "test.parquet")
    extra = test.to_pylist()
    for item in "cdefg":
        extra.append(extra[0] | {"item_id": item, "event": "like", "value": 5.0, "user_id": "bob"})
        extra.append(extra[0] | {"item_id": item, "event": "like", "value": 5.0, "user_id": "ann"})
    pq.write_table(test.from_pylist(extra, test.schema), planted / "test.parquet")
    answers = [prepared(Split.open(folder), world) for folder in (world.splits, planted)]
    for before, after in zip(*answers, strict=True):
        np.testing.assert_array_equal(before, after)


def prepared(data: Split, world: Any) -> list[np.ndarray]:
    """Everything the ranker is fitted on."""
    found = gather(data)
    encoder = QueryEncoder.open(world.two_tower / "query_tower", data.features, 8)
    embeddings = np.load(world.two_tower / "candidate_embeddings.npy")
    pools = retrieve(found, encoder, open_index(world.index), embeddings, 4)
    encoded = encode_queries(found.queries, data.features, 8)
    arrays = [encoded[name] for name in sorted(encoded)]
    return [*arrays, pools.rows, pools.scores, found.items, found.events, found.values, *found.seen]


def test_later_events_within_the_slice_change_no_earlier_query(make_world: Any, tmp_path: Path) -> None:
    """A history ends before its own instant, whatever the same user does next."""
    later = [r if r["timestamp"] != 14 else r | {"item_id": "g"} for r in INTERACTIONS]
    first, second = (
        gather(Split.open(open_world(make_world, tmp_path / name, rows).splits))
        for name, rows in (("one", INTERACTIONS), ("two", later))
    )
    for field in range(3):
        np.testing.assert_array_equal(first.queries[0].history[field], second.queries[0].history[field])


def test_a_slice_that_overlaps_training_is_refused(make_world: Any, tmp_path: Path) -> None:
    world = open_world(make_world, tmp_path / "w", INTERACTIONS)
    path = world.splits / "split.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"train_end": "2026-01-01T00:00:12.000000Z"}))
    with pytest.raises(DataError, match=r"2026-01-01T00:00:12.* is not later than train_end"):
        gather(Split.open(world.splits))


def test_retrieved_candidates_are_unseen_and_in_order(taste: Any) -> None:
    data = Split.open(taste.splits)
    found = gather(data)
    encoder = QueryEncoder.open(taste.two_tower / "query_tower", data.features, 8)
    embeddings = np.load(taste.two_tower / "candidate_embeddings.npy")
    pools = retrieve(found, encoder, open_index(taste.index), embeddings, 20)
    assert pools.rows.shape == (len(found), 20)
    for query in (0, 7, len(found) - 1):
        vector = encoder.embed([found.queries[query]])[0]
        scores = embeddings @ vector
        scores[found.seen[query]] = -np.inf
        np.testing.assert_array_equal(pools.rows[query], np.argsort(-scores, kind="stable")[:20])
        np.testing.assert_allclose(pools.scores[query], np.sort(scores)[::-1][:20], rtol=1e-5)


def test_more_candidates_than_are_left_are_padded(taste: Any) -> None:
    data = Split.open(taste.splits)
    found = gather(data).take(np.array([0, 3]))
    encoder = QueryEncoder.open(taste.two_tower / "query_tower", data.features, 8)
    embeddings = np.load(taste.two_tower / "candidate_embeddings.npy")
    pools = retrieve(found, encoder, open_index(taste.index), embeddings, 1_000)
    left = [65 - len(seen) for seen in found.seen]
    assert pools.lengths.tolist() == left
    assert (pools.rows[0, left[0] :] == -1).all()


def times_only(times: list[int], users: list[str]) -> Occasions:
    from slate.data.sequences import NO_HISTORY
    from slate.retrieval.query import Query

    count = len(times)
    return Occasions(
        tuple(Query(NO_HISTORY, at) for at in times),
        tuple(users),
        np.arange(count + 1),
        np.zeros(count, np.int32),
        np.ones((count, 1), np.bool_),
        np.zeros(count, np.float32),
        tuple(np.empty(0, np.int32) for _ in times),
        0,
    )


def test_parts_by_time_keep_an_instant_together() -> None:
    times = [1, 2, 3, 4, 5, 6, 7, 7, 8, 9]
    parts = divide(times_only(times, ["u"] * 10), "temporal")
    assert parts.fit.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert parts.stop.tolist() == [8]
    assert parts.report.tolist() == [9]


def test_parts_by_user_keep_a_user_together() -> None:
    users = [f"u{n % 300}" for n in range(600)]
    parts = divide(times_only(list(range(600)), users), "leave_last_out")
    members = [{users[i] for i in part} for part in (parts.fit, parts.stop, parts.report)]
    assert not members[0] & members[1]
    assert not (members[0] | members[1]) & members[2]
    assert sum(len(p) for p in (parts.fit, parts.stop, parts.report)) == 600
    assert 0.6 < len(parts.fit) / 600 < 0.8
    assert min(len(parts.stop), len(parts.report)) > 50


def test_sampling_keeps_order_and_is_repeatable(taste: Any) -> None:
    data = Split.open(taste.splits)
    first, second, whole = gather(data, 20, 3), gather(data, 20, 3), gather(data, 1_200)
    assert (len(first), first.not_sampled) == (20, 1_180)
    assert first.users == second.users
    assert (np.diff(first.times) > 0).all()
    assert (len(whole), whole.not_sampled) == (1_200, 0)
    place = {(q.at, u): i for i, (q, u) in enumerate(zip(whole.queries, whole.users, strict=True))}
    at = place[first.queries[4].at, first.users[4]]
    np.testing.assert_array_equal(first.seen[4], whole.seen[at])
    assert first.items[first.offsets[4]] == whole.items[whole.offsets[at]]
