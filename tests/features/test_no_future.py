"""No feature sees the future: rows stay what they are whatever happens at their instant or later."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from slate.clock import microseconds
from slate.config import DatasetConfig, SplitConfig
from slate.data.holdout import Split
from slate.data.splits import split
from slate.evaluation.holdout import Holdout, asks_for
from slate.ranking.occasions import gather
from slate.retrieval.batches import Examples, Shape
from slate.retrieval.query import encode_queries
from slate.retrieval.training_data import TrainingData
from tests.features import futures
from tests.features.oracle import natural
from tests.features.questions import questions
from tests.features.serving import Serving
from tests.features.world import TARGETS, UNLISTED_USER, World

LONGEST = 64
#: A user, an instant, and what tells apart the rows of one instant.
Moment = tuple[str, int, str]
Rows = dict[Moment, dict[str, np.ndarray]]

FUTURES = {"removed": futures.removed, "replaced": futures.replaced, "crowded": futures.crowded}


def training_rows(folder: Path) -> Rows:
    """The tower's training queries, as its batches hold them."""
    data = TrainingData.open(folder)
    examples = Examples.of(data.split.train_log(), data.features, TARGETS, data.split.user_features)
    handles = next(e.vocabulary for e in data.features.users if e.name == "handle")
    met: dict[tuple[str, str], int] = {}
    train = data.split.part("train").select(["user_id", "item_id", "timestamp"])
    for row in train.to_pylist():
        key = (row["user_id"], row["item_id"])
        met[key] = min(met.get(key, 2**62), microseconds(row["timestamp"]))
    ids = data.split.catalogue.ids.ids
    rows: Rows = {}
    # No window is ever cut here, so that only the future can make a difference.
    for batch in examples.batches(Shape(64, 256, 8_192, 16_384), 256, [1]):
        for query, items in questions(batch):
            window, column = batch["query_row"][query], batch["query_column"][query]
            handle = int(batch["user_handle"][window])
            user = UNLISTED_USER if handle == 0 else handles[handle - 2].removeprefix("@")
            found = {
                "items": _end(batch["history_items"][window, :column]),
                "events": _end(batch["history_events"][window, :column]),
                "elapsed": batch["query_elapsed"][query],
            }
            for name, array in batch.items():
                if name.startswith("user_"):
                    found[name] = array[window]
                elif name.startswith("context_"):
                    found[name] = array[query]
            rows[user, met[user, ids[items[0]]], ""] = found
    return rows


def _end(history: np.ndarray) -> np.ndarray:
    return np.pad(history, (LONGEST, 0))[-LONGEST:]


def validation_rows(folder: Path) -> Rows:
    """The tower's validation queries."""
    data = TrainingData.open(folder)
    targets = data.targets("valid", TARGETS, 100_000, 1)
    users = [str(q.user.get("handle") or f"@{UNLISTED_USER}").removeprefix("@") for q in targets.queries]
    ids = data.split.catalogue.ids
    what = [
        f"{ids.ids[item]} {query.context}" for item, query in zip(targets.items, targets.queries, strict=True)
    ]
    return _encoded(data.split, users, targets.queries, what)


def occasion_rows(folder: Path) -> Rows:
    """The ranker's queries."""
    data = Split.open(folder)
    found = gather(data)
    rows = _encoded(data, found.users, found.queries, [""] * len(found))
    for user, query, seen in zip(found.users, found.queries, found.seen, strict=True):
        rows[user, query.at, ""]["seen"] = seen
    return rows


def holdout_rows(folder: Path, serving: Serving) -> Rows:
    """The holdout's queries."""
    data = Split.open(folder)
    holdout = Holdout(data.part("test"), data.everything(), data.users, data.record)
    table = holdout.targets(TARGETS)
    asks = asks_for(serving.recommender, holdout, table)
    what = [
        " ".join(pair) for pair in zip(*(table[n].to_pylist() for n in ("item_id", "event")), strict=True)
    ]
    return _encoded(data, table["user_id"].to_pylist(), [ask.query for ask in asks], what)


def _encoded(data: Split, users: Any, queries: Any, what: list[str]) -> Rows:
    arrays = encode_queries(queries, data.features, LONGEST)
    return {
        (user, query.at, told): {name: array[place] for name, array in arrays.items()}
        for place, (user, query, told) in enumerate(zip(users, queries, what, strict=True))
    }


def rows_of(slice_: str, folder: Path, serving: Serving) -> Rows:
    makers = {
        "train": training_rows,
        "valid": validation_rows,
        "occasions": occasion_rows,
        "holdout": lambda place: holdout_rows(place, serving),
    }
    return makers[slice_](folder)


@pytest.fixture(scope="module")
def present(world: World, serving: Serving) -> Mapping[str, Rows]:
    splits = world.folders["splits"]
    return {name: rows_of(name, splits, serving) for name in ("train", "valid", "occasions", "holdout")}


@pytest.mark.parametrize("future", list(FUTURES))
@pytest.mark.parametrize("slice_", ["train", "valid", "occasions", "holdout"])
def test_rows_stay_what_they_are_whatever_comes(
    world: World, serving: Serving, present: Mapping[str, Rows], tmp_path: Path, slice_: str, future: str
) -> None:
    before = present[slice_]
    since = busiest(before)
    folder = futures.rewrite(world.folders["splits"], tmp_path / "splits", since, FUTURES[future])
    after = rows_of(slice_, folder, serving)
    earlier = {moment for moment in before if moment[1] < since}
    assert len(earlier) > 300
    assert {moment for moment in after if moment[1] < since} == earlier
    for moment in earlier:
        assert_same(before[moment], after[moment], before[moment].keys())
    at_once = [(m, n) for m in before for n in after if m[1] == n[1] == since and m[0] == n[0]]
    assert at_once or future == "replaced"
    for mine, theirs in at_once:
        # The context of a row is that of its own instant, and here another one.
        names = {name for name in before[mine] if not name.startswith("context_")}
        assert_same(before[mine], after[theirs], names)


def assert_same(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], names: Iterable[str]
) -> None:
    assert before.keys() == after.keys()
    for name in names:
        assert np.array_equal(before[name], after[name]), (name, before[name], after[name])


def busiest(rows: Rows) -> int:
    """An instant in the second half of a slice at which somebody with a history asks."""
    with_history = sorted(at for (_, at, _), row in rows.items() if _history(row).any())
    return with_history[len(with_history) * 2 // 3]


def _history(row: Mapping[str, np.ndarray]) -> np.ndarray:
    return row["items"] if "items" in row else row["history_items"]


def test_the_rows_at_the_instant_have_something_to_hide(world: World, present: Mapping[str, Rows]) -> None:
    """A history that reached up to its own instant would differ for thousands of rows."""
    for slice_ in ("train", "valid", "occasions", "holdout"):
        assert sum(_history(row).any() for row in present[slice_].values()) > 300


@pytest.mark.parametrize("protocol", ["temporal", "leave_last_out"])
def test_what_is_fitted_comes_from_training_rows_alone(
    world: World, tmp_path: Path, protocol: Literal["temporal", "leave_last_out"]
) -> None:
    """Scales, vocabularies and popularity, computed again with NumPy from the training rows."""
    folder = cut(world, world.folders["dataset"], tmp_path / "splits", protocol)
    train = pq.read_table(folder / "train.parquet")
    users = pq.read_table(folder / "users.parquet")
    trained = users.filter(pc.is_in(users["user_id"], train["user_id"].unique()))
    assert 0 < trained.num_rows < users.num_rows
    fitted = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    items = pq.read_table(folder / "items.parquet")
    for side, table in (("context", train), ("users", trained), ("items", items)):
        assert len(fitted[side]) == 12
        for encoder in fitted[side]:
            check_encoder(encoder, table[encoder["name"]])
    counts = Counter(train["item_id"].to_pylist())
    assert items["train_count"].to_pylist() == [counts[i] for i in items["item_id"].to_pylist()]
    assert len(Split.open(folder).train_log()) == train.num_rows


def check_encoder(encoder: Mapping[str, Any], column: pa.ChunkedArray) -> None:
    values = [value for value in column.to_pylist() if value is not None]
    if encoder["kind"] == "timestamp":
        values = [microseconds(value) / 86_400e6 for value in values]
    if encoder["kind"] in ("numeric", "timestamp"):
        numbers = np.asarray(values)[np.isfinite(values)]
        assert encoder["mean"] == pytest.approx(numbers.mean(), rel=1e-9)
        assert encoder["std"] == pytest.approx(numbers.std() or 1.0, rel=1e-9)
        return
    if encoder["kind"] == "text":
        words = Counter(word for value in values for word in value.lower().split())
        assert encoder["vocabulary"] == sorted(word for word, count in words.items() if count > 1)
    else:
        parts = values if encoder["kind"] != "categorical_list" else [p for v in values for p in v if p]
        assert encoder["vocabulary"] == sorted(set(parts))


@pytest.mark.parametrize("protocol", ["temporal", "leave_last_out"])
def test_later_data_changes_nothing_that_is_fitted(
    world: World, tmp_path: Path, protocol: Literal["temporal", "leave_last_out"]
) -> None:
    """Other contexts, values and user features in all that is not trained on, at the same instants."""
    first = cut(world, world.folders["dataset"], tmp_path / "first", protocol)
    dataset = tmp_path / "dataset"
    shutil.copytree(world.folders["dataset"], dataset)
    changed = rewrite_untrained(dataset, first)
    assert changed > 800
    second = cut(world, dataset, tmp_path / "second", protocol)
    for name in ("features.json", "items.parquet", "train.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert (first / "valid.parquet").read_bytes() != (second / "valid.parquet").read_bytes()


def cut(world: World, dataset: Path, out: Path, protocol: Literal["temporal", "leave_last_out"]) -> Path:
    described = DatasetConfig.model_validate(world.config["dataset"])
    split(described, SplitConfig(**{**world.config["split"], "protocol": protocol}), dataset, out)
    return out


def rewrite_untrained(dataset: Path, splits: Path) -> int:
    """Make every row that is not in the training slice look unlike anything; returns how many."""
    key = ("user_id", "item_id", "event", "timestamp")
    train = pq.read_table(splits / "train.parquet")
    trained = {tuple(row.values()) for row in train.select(key).to_pylist()}
    path = dataset / "interactions.parquet"
    table = pq.read_table(path)
    wild = futures.wild(table.schema)
    rows = table.to_pylist()
    later = [row for row in rows if tuple(row[name] for name in key) not in trained]
    for row in later:
        row.update(wild)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    path = dataset / "users.parquet"
    people = pq.read_table(path)
    known = {user for user, *_ in trained}
    strange = futures.wild(people.schema)
    records = [row if row["user_id"] in known else {**row, **strange} for row in people.to_pylist()]
    pq.write_table(pa.Table.from_pylist(records, people.schema), path)
    return len(later)


def test_leave_last_out_rows_know_their_own_user_s_past_alone(world: World, tmp_path: Path) -> None:
    """Fitted numbers come from everybody's training rows, some of them later: that is the protocol's.

    A row's history never holds its own interaction, a later one in its user's order, or anybody else's.
    """
    folder = cut(world, world.folders["dataset"], tmp_path / "splits", "leave_last_out")
    data = Split.open(folder)
    names = data.catalogue.ids
    lives: dict[str, list[tuple[Any, ...]]] = {}
    for part in ("train", "valid"):
        for row in data.part(part).to_pylist():  # type: ignore[arg-type]
            place = (microseconds(row["timestamp"]), natural(row["item_id"]), row["event"], part)
            lives.setdefault(row["user_id"], []).append((*place, row["item_id"]))
    found = gather(data)
    assert len(found) > 200
    for user, query in zip(found.users, found.queries, strict=True):
        life = sorted(lives[user])
        assert [entry[3] for entry in life] == ["train"] * (len(life) - 1) + ["valid"]
        assert names.to_ids(query.history.items) == [entry[-1] for entry in life[:-1]]
        assert query.history.times.tolist() == [entry[0] for entry in life[:-1]]
