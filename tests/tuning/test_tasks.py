"""What a worker does, called in this process: real trainings on the tiny world."""

import filecmp
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate import columns
from slate.errors import DataError
from slate.tuning.prepare import without_test
from slate.tuning.tasks import Pruned, RankingTask, Report, RetrievalTask
from slate.tuning.trial import State


def another_test_slice(splits: Path, out: Path) -> Path:
    """The same splits with a test part of other users' other items, at other instants."""
    without_test(splits, out)
    valid = pq.read_table(splits / columns.VALID_FILE)
    test = pq.read_table(splits / columns.TEST_FILE)
    position = test.schema.get_field_index(columns.TIMESTAMP)
    late = pa.array([max(test[columns.TIMESTAMP].to_pylist())] * len(valid), test.schema.field(position).type)
    other = valid.set_column(position, test.schema.field(position), late).cast(test.schema)
    pq.write_table(pa.concat_tables([other, other]), out / columns.TEST_FILE)
    return out


def going_on(told: list[float]) -> Report:
    """Write every epoch's figure down and let the trial go on."""

    def report(_: int, figure: float) -> bool:
        told.append(figure)
        return True

    return report


def test_trials_get_everything_but_the_rows_of_the_test_slice(tiny: Any, visible: Path) -> None:
    splits = tiny.folders["splits"]
    assert pq.read_metadata(splits / columns.TEST_FILE).num_rows > 0
    hidden = pq.read_table(visible / columns.TEST_FILE)
    assert (len(hidden), hidden.schema) == (0, pq.read_schema(splits / columns.TEST_FILE))
    names = {path.name for path in splits.iterdir()}
    assert names == {path.name for path in visible.iterdir()}
    same, different, broken = filecmp.cmpfiles(splits, visible, names, shallow=False)
    assert (set(same), different, broken) == (names - {columns.TEST_FILE}, [columns.TEST_FILE], [])


def test_the_objective_does_not_change_with_the_test_slice(tiny: Any, visible: Path, tmp_path: Path) -> None:
    changed = another_test_slice(tiny.folders["splits"], tmp_path / "changed")
    sections = tiny.sections(retrieval={"epochs": 2})
    told: dict[str, list[float]] = {"visible": [], "changed": []}

    def objective(name: str, splits: Path) -> Any:
        task = RetrievalTask(3, sections, splits, tmp_path / name)
        return task.run(going_on(told[name]))

    outcomes = objective("visible", visible), objective("changed", changed)
    assert outcomes[0] == outcomes[1]
    assert told["visible"] == told["changed"]
    users = [np.load(tmp_path / name / "users" / "3.npy") for name in told]
    np.testing.assert_array_equal(*users)
    assert outcomes[0].value == max(told["visible"]) == pytest.approx(users[0].mean())
    assert len(users[0]) > 30


def test_the_ranker_is_judged_without_the_test_slice(tiny: Any, visible: Path, tmp_path: Path) -> None:
    changed = another_test_slice(tiny.folders["splits"], tmp_path / "changed")
    behind = tiny.folders["two_tower"].parent
    told: list[float] = []
    found = []
    for splits in (visible, changed):
        task = RankingTask(0, tiny.sections(ranking={"epochs": 2}), splits, behind, tmp_path)
        found.append(task.run(going_on(told)))
    assert found[0] == found[1]
    assert found[0].state is State.FINISHED
    assert 0 < (found[0].value or 0) <= 1
    assert told[: len(told) // 2] == told[len(told) // 2 :]
    # Minus a loss: higher is better, as everywhere in a study.
    assert max(told) < 0
    assert not list(tmp_path.glob(".ranker*"))


def test_a_trial_ends_when_told_to(tiny: Any, visible: Path, tmp_path: Path) -> None:
    epochs: list[int] = []

    def until_the_second(epoch: int, _: float) -> bool:
        epochs.append(epoch)
        return epoch < 2

    task = RetrievalTask(0, tiny.sections(), visible, tmp_path)
    with pytest.raises(Pruned):
        task.run(until_the_second)
    assert epochs == [1, 2]
    assert not (tmp_path / "users").exists()


def test_no_target_to_validate_on_is_an_error_that_says_so(tiny: Any, visible: Path, tmp_path: Path) -> None:
    empty = tmp_path / "splits"
    without_test(visible, empty)
    schema = pq.read_schema(visible / columns.VALID_FILE)
    pq.write_table(schema.empty_table(), empty / columns.VALID_FILE)
    with pytest.raises(DataError, match=r"no usable target.*split\.valid_fraction"):
        RetrievalTask(0, tiny.sections(), empty, tmp_path).run(lambda *_: True)
