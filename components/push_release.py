"""Seal the candidate and put it into the store."""

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def push_release(
    store: str,
    code_revision: str,
    candidate: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
) -> str:
    """The release id."""
    from pathlib import Path

    from slate.steps.push_release import push_release

    return push_release(store, Path(candidate.path), Path(verdict.path), code_revision)
