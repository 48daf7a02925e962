"""Pipeline step: decide, and write the verdict down."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate import columns
from slate.config import GateConfig, parse_section
from slate.evaluation.gate import decide
from slate.steps.champion import FACTS
from slate.steps.evaluate import gate_inputs


def gate(gate: Mapping[str, Any], evaluation: Path, candidate: Path, verdict: Path) -> str:  # noqa: ARG001
    """Write the verdict file and return its status: passed, refused or unchanged.

    Evidence that is missing or unreadable refuses; it never stops the pipeline.

    Args:
        evaluation: the folder that the evaluate step wrote.
        candidate: the folder it judges; named so that a cached verdict belongs to one candidate.
    """
    inputs = gate_inputs(_read(evaluation / columns.EVALUATION_FILE), _read(evaluation / FACTS))
    decided = decide(inputs, parse_section(GateConfig, gate))
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_text(decided.to_json(), encoding="utf-8")
    for check in decided.checks:
        print(f"{'ok     ' if check.passed else 'REFUSED'} {check.name}: {check.detail}")
    print(f"verdict: {decided.status}", flush=True)
    return decided.status


def _read(path: Path) -> str:
    """The text of a file, empty where it cannot be had."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
