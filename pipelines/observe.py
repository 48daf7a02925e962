"""See and steer what ``kfp.local`` does with each step.

``kfp.local`` reports only in log lines, runs every step in the terminal's process group and repeats any
failure, however certain. Two functions of it are the right places to watch: the one that runs a task
(cache, retries and all) and the one that starts its process. They are replaced for the time of one run.
:func:`observed` refuses to start when the installed version's functions look different.
"""

import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from kfp import dsl
from kfp.local import status, subprocess_task_handler
from kfp.local.orchestrator import task_executor

from pipelines.failures import read_failure
from pipelines.results import Failure, Outcome, Output, StepEvent, StepResult
from slate.errors import ConfigError

_GUARD: Final = Path(__file__).with_name("guard.py")
# What kfp's executor and TensorFlow's C++ log say of themselves: kept in the log, not shown as progress.
_MACHINERY: Final = re.compile(
    r"\[KFP Executor |[IWEF]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |WARNING: All log messages"
)
_EXPECTED: Final = {
    "execute_single_task": {"task_name", "task_spec"},
    "run_local_subprocess": {"full_command", "env_vars"},
}


def step_name(task: str) -> str:
    """The step of a task: Kubeflow writes dashes where Python writes underscores."""
    return task.replace("-", "_")


@dataclass
class Observer:
    """Follows one run, step by step."""

    logs: Path
    scratch: Path
    emit: Any
    results: dict[str, StepResult] = field(default_factory=dict)
    failure: Failure | None = None
    reports: list[Path] = field(default_factory=list)
    _step: str = ""
    _attempt: int = 0
    _began: float = 0.0
    _retries: int = 0

    def task(self, original: Any, **arguments: Any) -> Any:
        """Run one task through ``original`` and keep what came of it."""
        self._step, self._attempt = step_name(arguments["task_name"]), 0
        self._retries = arguments["task_spec"].retry_policy.max_retry_count
        self._began = time.monotonic()
        outputs, ended = original(**{**arguments, "task_spec": _without_retries(arguments["task_spec"])})
        seconds = time.monotonic() - self._began
        if ended != status.Status.SUCCESS:
            outcome = Outcome.FAILED
        else:
            outcome = Outcome.DONE if self._attempt else Outcome.REUSED
        self.results[self._step] = StepResult(
            step=self._step,
            outcome=outcome,
            seconds=seconds,
            attempts=self._attempt,
            outputs={name: _value(output) for name, output in outputs.items()},
            metrics=_metrics(outputs),
            log=self.log if self._attempt else None,
        )
        self.emit(StepEvent(self._step, outcome, seconds, max(self._attempt, 1)))
        return outputs, ended

    @property
    def log(self) -> Path:
        """Where the current step's lines are kept."""
        return self.logs / f"{self._step}.log"

    def process(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run the current step's process, again as often as its retries allow; the last exit status.

        An error that would only come again ends the step at once. The waits double from one second:
        a person is watching.
        """
        for attempt in range(1, self._retries + 2):
            self._attempt = attempt
            failure = self._try(full_command, env_vars or {})
            if failure is None:
                return 0
            if failure.certain or attempt > self._retries:
                break
            time.sleep(2.0 ** (attempt - 1))
        self.failure = self.failure or failure
        report = _declared_report(full_command)
        self.reports += [report] if report else []
        return 1

    def _try(self, command: Sequence[str], extra: Mapping[str, str]) -> Failure | None:
        self.emit(StepEvent(self._step, Outcome.RUNNING, self._seconds(), self._attempt))
        with self.log.open("a", encoding="utf-8") as log, _scratch(self.scratch) as scratch:
            log.write(f"--- attempt {self._attempt}\n")
            log.flush()
            code = self._run(command, {**extra, "TMPDIR": str(scratch)}, log)
        return read_failure(self._step, self.log, code) if code else None

    def _run(self, command: Sequence[str], extra: Mapping[str, str], log: IO[str]) -> int:
        # PYTHONSAFEPATH: `python -m` would put the working directory, anybody's, before the packages.
        always = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **always, **extra}
        process = subprocess.Popen(  # noqa: S603 - the compiled component's own command
            [sys.executable, "-I", "-S", str(_GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            env=environment,
            start_new_session=True,
        )
        with process:
            try:
                for line in process.stdout or ():
                    log.write(line)
                    log.flush()
                    if line.strip() and not _MACHINERY.match(line):
                        self._say(line.rstrip("\n"))
                return process.wait()
            except BaseException:
                # The guard sees its input close and kills the whole session.
                if process.stdin:
                    process.stdin.close()
                process.wait()
                raise

    def _say(self, line: str) -> None:
        self.emit(StepEvent(self._step, Outcome.RUNNING, self._seconds(), self._attempt, line))

    def _seconds(self) -> float:
        return time.monotonic() - self._began


@contextlib.contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Let ``observer`` see every task that ``kfp.local`` runs in this block.

    Raises:
        ConfigError: the installed kfp is not the one this was written against.
    """
    run_task, run_process = task_executor.execute_single_task, subprocess_task_handler.run_local_subprocess
    for function in (run_task, run_process):
        if not _EXPECTED[function.__name__] <= set(inspect.signature(function).parameters):
            raise ConfigError(
                f"kfp.local: {function.__name__}{inspect.signature(function)} is not the function "
                "that Slate knows; install the locked kfp version"
            )
    task_executor.execute_single_task = lambda **arguments: observer.task(run_task, **arguments)
    subprocess_task_handler.run_local_subprocess = observer.process
    try:
        yield
    finally:
        task_executor.execute_single_task = run_task
        subprocess_task_handler.run_local_subprocess = run_process


def _without_retries(task_spec: Any) -> Any:
    """The task for one attempt, as kfp sees it: the observer tries again itself."""
    copy = type(task_spec)()
    copy.CopyFrom(task_spec)
    copy.ClearField("retry_policy")
    return copy


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _declared_report(command: Sequence[str]) -> Path | None:
    """The HTML report that the attempt was told to write, if it did."""
    declared = json.loads(command[command.index("--executor_input") + 1])
    for artifacts in declared["outputs"].get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            path = Path(artifact["uri"])
            if artifact["type"].get("schemaTitle") == dsl.HTML.schema_title and path.is_file():
                return path
    return None


def _value(output: Any) -> Output:
    return Path(output.path) if isinstance(output, dsl.Artifact) else output


def _metrics(outputs: Mapping[str, Any]) -> dict[str, Output]:
    found: dict[str, Output] = {}
    for output in outputs.values():
        if isinstance(output, dsl.Metrics):
            found.update(output.metadata)
    return found
