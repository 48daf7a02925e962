from pathlib import Path

import pytest

from pipelines.failures import read_failure
from pipelines.results import Failure
from slate import errors

TRACE = """--- attempt 1
epoch 1
Traceback (most recent call last):
  File "a.py", line 1, in f
ValueError: an earlier one

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "b.py", line 2, in g
    raise X
{}
"""


def read(folder: Path, text: str, code: int = 1) -> Failure:
    log = folder / "step.log"
    log.write_text(text)
    return read_failure("split", log, code)


@pytest.mark.parametrize(
    ("line", "error", "message", "exit_code", "certain"),
    [
        ("slate.errors.DataError: 3 rows: bad", "DataError", "3 rows: bad", errors.DataError.exit_code, True),
        ("slate.errors.DataError: one\n  two: 2", "DataError", "one\n  two: 2", 4, True),
        ("slate.errors.StorageError: gone", "StorageError", "gone", 5, False),
        ("slate.errors.ConflictError: lost", "ConflictError", "lost", 5, False),
        ("KeyError: 'x'", "KeyError", "KeyError: 'x' (unexpected; --debug shows where)", 1, True),
        (
            "urllib.error.URLError: no route",
            "URLError",
            "URLError: no route (unexpected; --debug shows where)",
            1,
            False,
        ),
        ("MemoryError", "MemoryError", "MemoryError (unexpected; --debug shows where)", 1, True),
        (
            "duckdb.duckdb.IOException: full",
            "IOException",
            "IOException: full (unexpected; --debug shows where)",
            1,
            True,
        ),
    ],
)
def test_the_last_error_is_read_with_its_class_and_message(
    tmp_path: Path, line: str, error: str, message: str, exit_code: int, certain: bool
) -> None:
    failure = read(tmp_path, TRACE.format(line))
    assert (failure.error, failure.message) == (error, message)
    assert (failure.exit_code, failure.certain) == (exit_code, certain)
    assert "an earlier one" not in failure.traceback


@pytest.mark.parametrize(
    ("code", "said"), [(137, "killed (signal 9)"), (139, "ended by signal 11"), (3, "ended with status 3")]
)
def test_without_a_traceback_the_exit_status_speaks(tmp_path: Path, code: int, said: str) -> None:
    assert said in read(tmp_path, "--- attempt 1\nworking\n", code).message


def test_an_earlier_attempts_traceback_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    text = TRACE.format("slate.errors.DataError: old") + "--- attempt 2\nworking\n"
    failure = read(tmp_path, text, 137)
    assert "killed" in failure.message
