"""Cutting what happened since a parent was trained."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.clock import microseconds
from slate.config import IncrementalConfig, SplitConfig
from slate.data.holdout import Split
from slate.data.split_since import ParentCut, split_since
from slate.data.splits import split
from slate.errors import DataError
from tests.data.test_splits import CONFIG, Row, dataset, times


def at(value: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def parent_of(folder: Path, rows: list[Row]) -> ParentCut:
    settings = SplitConfig(valid_fraction=0.2, test_fraction=0.2, unseen_users=0)
    split(CONFIG, settings, dataset(folder / "old", rows), folder / "old_splits")
    made = Split.open(folder / "old_splits")
    instants = [datetime.fromisoformat(made.record[name]) for name in ("train_end", "valid_end", "watermark")]
    return ParentCut("r-0", *instants, made.features)


def cut(folder: Path, parent: ParentCut, rows: list[Row], unseen: float = 0.0, **config: Any) -> Split:
    split_since(
        CONFIG, IncrementalConfig(**config), unseen, parent, dataset(folder / "new", rows), folder / "splits"
    )
    return Split.open(folder / "splits")


OLD: list[Row] = [(f"u{n % 4}", f"i{n % 3}", "view", n) for n in range(10)]
NEW: list[Row] = [(f"u{n % 5}", f"n{n % 3}", "view", n) for n in range(10, 16)]


def test_fractions_are_of_what_came_after_the_parents_training(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, OLD)
    assert [microseconds(i) for i in (parent.train_end, parent.valid_end, parent.watermark)] == [5, 7, 9]
    made = cut(tmp_path, parent, OLD + NEW)
    # Ten are later than 5: half of them to learn from, a quarter to validate, a quarter to test.
    assert times(made.part("train")) == list(range(11))
    assert (times(made.part("valid")), times(made.part("test"))) == ([11, 12], [13, 14, 15])
    assert made.record["parent"]["release_id"] == "r-0"
    assert made.record["parent"]["train_end"].endswith("00.000005Z")


def test_new_items_have_rows_and_counts_and_features_keep_their_codes(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, OLD)
    made = cut(tmp_path, parent, OLD + NEW)
    assert made.catalogue.ids.ids == ("i0", "i1", "i2", "n0", "n1", "n2", "never")
    counts = dict(zip(made.catalogue.ids.ids, made.catalogue.train_counts.tolist(), strict=True))
    assert counts == {"i0": 4, "i1": 3, "i2": 3, "n0": 0, "n1": 1, "n2": 0, "never": 0}
    before, after = (space.context[0].vocabulary for space in (parent.features, made.features))
    assert after[: len(before)] == before


def test_users_of_the_unseen_share_are_kept_out_here_too(tmp_path: Path) -> None:
    # The buckets of u1 to u4 are 6917, 4039, 5040 and 2973.
    rows: list[Row] = [(f"u{1 + n % 4}", "a", "view", n) for n in range(24)]
    made = cut(tmp_path, parent_of(tmp_path, rows[:12]), rows, unseen=0.45)
    for part in ("train", "valid"):
        assert set(made.part(part)["user_id"].to_pylist()) <= {"u1", "u3"}  # type: ignore[arg-type]
    assert {u for table in made.unseen() for u in table["user_id"].to_pylist()} == {"u2", "u4"}


def test_nothing_new_is_said_and_stops(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, OLD)
    with pytest.raises(DataError, match=r"release r-0 knows everything up to 1970.*nothing here is later"):
        cut(tmp_path, parent, OLD)


def test_data_that_does_not_reach_back_is_another(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, OLD)
    with pytest.raises(DataError, match="no interaction here is so old"):
        cut(tmp_path, parent, NEW)


def test_a_holdout_that_the_parent_has_seen_is_refused(tmp_path: Path) -> None:
    validated = replace(parent_of(tmp_path, OLD), valid_end=at(9))
    with pytest.raises(DataError, match=r"has seen everything up to .*09Z.*lower incremental\.test_fraction"):
        cut(tmp_path, validated, [*OLD, NEW[0]], valid_fraction=0.05, test_fraction=0.49)


@settings(max_examples=25, deadline=None)
@given(old=st.integers(10, 60), new=st.integers(1, 60), step=st.integers(1, 3))
def test_no_row_is_lost_and_the_parent_has_seen_nothing_of_the_holdout(
    tmp_path_factory: pytest.TempPathFactory, old: int, new: int, step: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    rows: list[Row] = [(f"u{n % 7}", f"i{n % 5}", "view", n // step) for n in range(old + new)]
    parent = parent_of(folder, rows[:old])
    if microseconds(parent.watermark) >= rows[-1][3]:
        return
    made = cut(folder, parent, rows)
    assert made.everything().num_rows == len(rows)
    first = pc.min(made.part("test")["timestamp"]).as_py()
    assert first > parent.valid_end
    assert datetime.fromisoformat(made.record["train_end"]) >= parent.train_end
