"""A log is lines of JSON, and no storm makes it grow beyond its bounds."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.logs import REQUEST_ID, with_request
from slate.web.logs import Bounded, JsonLines

STORM = 100_000


class Sink:
    """A logger of its own over a bounded handler, with a clock that a test moves."""

    def __init__(self, **bounds: Any) -> None:
        self.text = io.StringIO()
        inner = logging.StreamHandler(self.text)
        inner.setFormatter(JsonLines(with_request(lambda: {"trace_id": "0af7"})))
        self.time = 0.0
        self.handler = Bounded(inner, now=lambda: self.time, **bounds)
        self.log = logging.Logger("slate.test")
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.handler.close()


def test_a_line_has_what_is_known(sink: Sink) -> None:
    token = REQUEST_ID.set("r-7")
    try:
        sink.log.warning("source %s gave nothing, %s", "popular", "late")
    finally:
        REQUEST_ID.reset(token)
    (line,) = sink.lines
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "slate.test",
        "message": "source popular gave nothing, late",
        "request_id": "r-7",
        "trace_id": "0af7",
    }


def test_an_exception_is_one_line_too(sink: Sink) -> None:
    try:
        raise ValueError("line one\nline two " + "x" * 50_000)
    except ValueError:
        sink.log.exception("it failed")
    sink.log.error("%d of", "text where a number belongs")
    sink.log.error("a" * 100_000)
    failed, unfit, long = sink.lines
    assert failed["exception"].endswith("x")
    assert "request_id" not in failed
    assert unfit["message"] == "%d of"
    assert max(len(json.dumps(line)) for line in (failed, long)) < 10_000


def test_a_storm_of_one_kind_is_a_few_lines_and_their_count(sink: Sink) -> None:
    for number in range(STORM):
        sink.log.warning("exposure %d dropped", number)
    assert [line["message"] for line in sink.lines] == [f"exposure {n} dropped" for n in range(5)]
    sink.time = 11.0
    sink.log.warning("something else")
    counted, other = sink.lines[5:]
    assert (counted["message"], counted["suppressed"]) == ("exposure %d dropped", STORM - 5)
    assert (other["message"], "suppressed" in other) == ("something else", False)


def test_a_storm_of_as_many_kinds_is_bounded_and_counted(sink: Sink) -> None:
    for number in range(STORM):
        sink.log.warning(f"each another: {number} {'x' * 300}")
    sink.handler.close()
    lines = sink.lines
    assert len(sink.text.getvalue()) < 200_000
    assert len(lines) < 250
    said = sum("suppressed" not in line for line in lines)
    assert said + sum(line.get("suppressed", 0) for line in lines) == STORM


def test_a_kind_is_heard_again_after_a_while(sink: Sink) -> None:
    for second in range(0, 60, 10):
        sink.time = float(second)
        for _ in range(7):
            sink.log.error("again")
    assert sum(line.get("suppressed", 0) for line in sink.lines) == 2 * 5
    assert sum("suppressed" not in line for line in sink.lines) == 5 * 6


SCRIPT = """
import logging, sys, warnings
from serving.logs import set_up
from slate.config import ServingConfig
set_up(ServingConfig(log_file=sys.argv[1], log_bytes=65_536, log_files=3))
for number in range(100_000):
    logging.getLogger("kserve").error(f"storm {number} " + "x" * 2_000)
    logging.getLogger("uvicorn.error").error("storm of uvicorn's %d", number)
    logging.getLogger("uvicorn.access").info("a line a request")
warnings.warn("a warning of a library's")
logging.getLogger("slate").info("the end")
"""


def test_a_file_is_rotated_and_everybody_writes_to_it(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "serve.log"
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(log)], capture_output=True, text=True, check=True, env=os.environ
    )
    files = sorted(log.parent.iterdir())
    assert {file.name for file in files} == {"serve.log", "serve.log.1", "serve.log.2"}
    assert all(file.stat().st_size <= 65_536 for file in files)
    assert run.stderr == ""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {"kserve", "slate"} <= {line["logger"] for line in lines}
    assert "uvicorn.access" not in {line["logger"] for line in lines}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "slate.cli.main", "serve", "--log-file", str(tmp_path / "file" / "log")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode != 0
    assert "serving.log_file" in run.stderr
    assert "Traceback" not in run.stderr
