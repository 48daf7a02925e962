"""A stand-in for the steps, to test the runner and the wiring without training anything.

The processes that the runner starts find it first on PYTHONPATH. It is the real ``slate`` package, except
that each step named here writes its outputs, says so in a trace file, and misbehaves on request:
``STANDIN`` maps a step to ``{"raise": error class}``, ``{"sleep": seconds}``, ``{"once": error class}``
(first attempt only), ``{"returns": value}``, ``{"verdict": failed checks}`` or ``{"die": signal}``.
"""

import json
import os
from pathlib import Path

import pytest

import slate

_BEHAVIOUR = """
import json, os, signal, sys, time
from pathlib import Path
from slate import errors

def act(step, outputs, arguments):
    trace = Path(os.environ["STANDIN_TRACE"])
    seen = trace.read_text().splitlines() if trace.exists() else []
    with trace.open("a") as file:
        file.write(json.dumps({"step": step, "pid": os.getpid(), "arguments": repr(arguments)}) + "\\n")
    for output in outputs:
        output.mkdir(parents=True, exist_ok=True)
        (output / "made_by.txt").write_text(step)
    wish = json.loads(os.environ.get("STANDIN", "{}")).get(step, {})
    print(f"{step} at work", flush=True)
    if step in ("validate", "drift", "evaluate", "finish_precompute"):
        Path(arguments[-1]).write_text(f"<p>{step}</p>")
    if step == "gate":
        failed = wish.get("verdict", [])
        checks = [{"name": name, "passed": name not in failed} for name in ["users", *failed]]
        arguments[-1].write_text(json.dumps({"checks": checks}))
    if "sleep" in wish:
        time.sleep(wish["sleep"])
    if "raise" in wish:
        raise getattr(errors, wish["raise"])(f"{step} cannot go on\\nrow 7: bad; fix it")
    if "crash" in wish:
        raise RuntimeError(wish["crash"])
    if "once" in wish and sum(json.loads(line)["step"] == step for line in seen) == 0:
        raise getattr(errors, wish["once"])("the network blinked; try again")
    if "die" in wish:
        os.kill(os.getpid(), wish["die"])
    return wish.get("returns", {"rows": 3, "share": 0.25})
"""

# name -> (parameters, which of them are output folders)
_STEPS = {
    "open_run": ("tracking, run_id, job, sections, data_fingerprint, code_fingerprint, store", ""),
    "ingest": ("dataset, out, cache=None", "out"),
    "collect": ("dataset_config, store, dataset, out", "out"),
    "open_parent": ("store, champion, dataset_config, out", "out"),
    "split_since": ("dataset_config, split_config, incremental, dataset, parent, out", "out"),
    "update_two_tower": (
        "retrieval, incremental, dataset_config, splits, parent, out, checkpoints=None",
        "out",
    ),
    "update_ranker": (
        "ranking, incremental, dataset_config, splits, two_tower, index, parent, out",
        "out",
    ),
    "validate": ("dataset_config, dataset, out, report", "out"),
    "drift": ("drift_config, dataset_config, store, champion, dataset, out, report", "out"),
    "split": ("dataset_config, split_config, dataset, out", "out"),
    "train_two_tower": ("retrieval, dataset_config, splits, out, checkpoints", "out"),
    "train_on_workers": ("workers, retrieval, dataset_config, splits, out, checkpoints", "out"),
    "build_index": ("index, splits, two_tower, out", "out"),
    "train_ranker": ("ranking, dataset_config, splits, two_tower, index, out", "out"),
    "evaluate": (
        "config, splits, dataset, two_tower, index, ranker, store, champion, candidate, out, report",
        "candidate, out",
    ),
    "gate": ("gate, evaluation, candidate, verdict", ""),
    "track": (
        "tracking, run_id, job, dataset, two_tower, ranker, evaluation, verdict, validation_report, "
        "drift_report, evaluation_report",
        "",
    ),
    "push_release": ("store, candidate, verdict, code_revision", ""),
    "register_release": ("tracking, run_id, job, store, release_id", ""),
    "start_rollout": ("store, rollout, release_id", ""),
    "precompute": ("batch, feedback, store, partition, shared=False", ""),
    "finish_precompute": ("feedback, store, figures, report", ""),
}
_RETURNS = {
    "open_run": "",
    "gate": "passed",
    "track": "",
    "push_release": "r-1",
    "register_release": "",
    "start_rollout": "rollout-1",
}


class Standin:
    """Handles of the stand-in: what steps did, and how they shall behave."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trace = folder / "trace.jsonl"
        self._monkeypatch = monkeypatch
        real = Path(slate.__file__).parent
        package = folder / "slate"
        (package / "steps").mkdir(parents=True)
        (package / "__init__.py").write_text(f"__path__.append({str(real)!r})\n")
        (package / "steps" / "__init__.py").write_text(f"__path__.append({str(real / 'steps')!r})\n")
        (package / "standin.py").write_text(_BEHAVIOUR)
        for name, (parameters, outputs) in _STEPS.items():
            names = [p.split("=")[0].strip() for p in parameters.split(",")]
            (package / "steps" / f"{name}.py").write_text(
                "from slate.standin import act\n\n"
                f"def {name}({parameters}):\n"
                f"    return act({name!r}, [{outputs}], [{', '.join(names)}])\n"
            )
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("STANDIN_TRACE", str(self.trace))
        self.behave()

    def behave(self, **wishes: dict[str, object]) -> None:
        """Set how steps behave from now on."""
        plain = {step: {"returns": value} for step, value in _RETURNS.items()}
        self._monkeypatch.setenv("STANDIN", json.dumps({**plain, **wishes}))

    @property
    def ran(self) -> list[str]:
        """The steps that ran since the last call, in order."""
        lines = self.calls()
        if self.trace.exists():
            self.trace.unlink()
        return [line["step"] for line in lines]

    def calls(self) -> list[dict[str, object]]:
        """Every call, with its process id and arguments."""
        if not self.trace.exists():
            return []
        return [json.loads(line) for line in self.trace.read_text().splitlines()]


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
