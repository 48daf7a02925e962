"""Run a pipeline function on this machine through ``kfp.local``.

A work folder holds ``pipelines/artefacts`` (what steps wrote), ``pipelines/cache`` (which finished step
wrote what, from which inputs) and ``runs/<run id>`` (logs and the report). A cache entry appears, in one
rename, only after its step has finished; what an interrupted step left is never looked at again and goes
when the next run starts.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

from pipelines.observe import Observer, observed, step_name
from pipelines.results import Outcome, RunResult, StepEvent, StepResult
from pipelines.runs import INTERRUPTED, enter, key_of, leave
from slate.errors import ConflictError

Listener = Callable[[StepEvent], None]
_FOLDER: Final = "pipelines"


def step_names(pipeline: Any) -> tuple[str, ...]:
    """The steps of a pipeline in the order in which they run, the exit handler last."""
    spec = pipeline.pipeline_spec
    return tuple(_steps(spec.root.dag, spec.components))


def run_pipeline(
    pipeline: Any,
    arguments: Mapping[str, Any],
    *,
    run_id: str,
    workdir: Path,
    caching: bool = True,
    listener: Listener = lambda _: None,
) -> RunResult:
    """Run a pipeline to its end, reusing finished steps with the same inputs.

    Args:
        pipeline: a ``dsl.pipeline`` function.
        arguments: its parameters, as JSON types.
        workdir: where artefacts, cache, logs and reports are kept.
        caching: ``False`` runs every step, and keeps none for later runs.
        listener: called at every event, from this thread.

    Returns:
        what became of every step. A failed step is no exception here: see ``RunResult.failure``.

    Raises:
        ConflictError: another run works in the same folder, or has just ended this one.
        KeyboardInterrupt: after the running step has been ended.
    """
    workdir = workdir.resolve()
    root = workdir / _FOLDER
    folder = workdir / "runs" / run_id
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    key = key_of(pipeline.name, arguments, caching=caching)
    with _alone(root):
        enter(folder, run_id, key)
        _sweep(root)
        observer = Observer(logs=logs, scratch=root / "scratch", emit=listener)
        began = time.monotonic()
        try:
            with (
                (folder / "kfp.log").open("a", encoding="utf-8") as said,
                _session(root, caching),
                contextlib.redirect_stdout(said),
                observed(observer),
            ):
                pipeline(**arguments)
        except BaseException:
            leave(folder, run_id, key, INTERRUPTED)
            raise
        seconds = time.monotonic() - began
        report = _report(observer, folder)
        leave(folder, run_id, key, "failed" if observer.failure else "succeeded")
    results = []
    for name in step_names(pipeline):
        if name not in observer.results:
            listener(StepEvent(name, Outcome.SKIPPED))
        results.append(observer.results.get(name, StepResult(name, Outcome.SKIPPED)))
    return RunResult(run_id, folder, seconds, tuple(results), observer.failure, report)


def _steps(dag: Any, components: Any) -> Iterator[str]:
    order = TopologicalSorter({name: task.dependent_tasks for name, task in dag.tasks.items()})
    for name in order.static_order():
        component = components[dag.tasks[name].component_ref.name]
        if component.WhichOneof("implementation") == "dag":
            yield from _steps(component.dag, components)
        else:
            yield step_name(name)


@contextlib.contextmanager
def _session(root: Path, caching: bool) -> Iterator[None]:
    """``kfp.local`` set up for this block only: its configuration is global."""
    from kfp import local
    from kfp.local.config import LocalExecutionConfig

    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root / "artefacts"),
        # kfp.local deletes its workspace at the end of a run: never name a folder that matters.
        workspace_root=str(root / "scratch" / "workspace"),
        raise_on_error=False,
        enable_caching=caching,
        cache_root=str(root / "cache"),
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*have no effect in the current local runner.*")
            yield
    finally:
        LocalExecutionConfig.instance = None


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of when this process ends in any way."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise ConflictError(
                f"{root}: process {lock.read().strip() or 'unknown'} is running a pipeline here; "
                "wait for it to end, or run in another directory"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def busy(workdir: Path) -> bool:
    """Whether a process is running a pipeline in this work folder now."""
    try:
        with (workdir / _FOLDER / "lock").open("r", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _sweep(root: Path) -> None:
    """Remove what no cache entry names: the leavings of killed steps, and outputs nobody can reuse."""
    shutil.rmtree(root / "scratch", ignore_errors=True)
    kept = {path for entry in (root / "cache").glob("*.json") for path in _paths(entry)}
    for run in (root / "artefacts").glob("*"):
        for step in run.glob("*"):
            if step not in kept:
                shutil.rmtree(step)
        if not any(run.iterdir()):
            run.rmdir()


def _paths(entry: Path) -> Iterator[Path]:
    """The step folders that a cache entry names. An unreadable entry names none."""
    try:
        outputs = json.loads(entry.read_text(encoding="utf-8"))
    except ValueError:
        return
    for output in outputs.values():
        if isinstance(output, dict) and "uri" in output:
            yield Path(output["uri"]).parent


def _report(observer: Observer, folder: Path) -> Path | None:
    """Copy the run's report beside its logs: the evaluation's, or that of the step that failed."""
    evaluated = observer.results.get("evaluate")
    written = evaluated.outputs.get("report") if evaluated else None
    found = [written] if isinstance(written, Path) and written.is_file() else observer.reports[-1:]
    if not found:
        return None
    return Path(shutil.copyfile(found[0], folder / "report.html"))
