"""Decide whether the challenger may be released."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def gate(
    gate_config: dict[str, Any],
    evaluation: dsl.Input[dsl.Artifact],
    candidate: dsl.Input[dsl.Model],
    verdict: dsl.Output[dsl.Artifact],
) -> str:
    """``passed``, ``refused`` or ``unchanged``; the written verdict says why."""
    from pathlib import Path

    from slate.steps.gate import gate

    return gate(gate_config, Path(evaluation.path), Path(candidate.path), Path(verdict.path))
