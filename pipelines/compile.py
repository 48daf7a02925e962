"""Compile a pipeline to the YAML that Kubeflow Pipelines takes.

``python -m pipelines.compile`` writes the golden copies that the tests compare with.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import yaml

from pipelines.images import pinned, put
from slate.errors import ConfigError

PIPELINES: Final = ("training", "incremental", "batch", "distributed")
GOLDEN: Final = Path(__file__).parent / "golden"


def load(name: str) -> Any:
    """The pipeline function of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PIPELINES:
        raise ConfigError(f"pipeline {name!r}: unknown; there is {', '.join(PIPELINES)}")
    from pipelines.batch import batch
    from pipelines.distributed import distributed
    from pipelines.incremental import incremental
    from pipelines.training import training

    known = {"training": training, "incremental": incremental, "batch": batch, "distributed": distributed}
    return known[name]


def compiled(name: str, image: str | None = None, *, caching: bool = True) -> str:
    """The pipeline's YAML.

    Args:
        image: the image of every step, pinned by digest; without one the placeholder stays, which
            cannot be pulled.
        caching: ``False`` turns caching off in every step, for schedules that meet new data under
            the same parameters.

    Raises:
        ConfigError: an unknown pipeline, or an image that is not pinned.
    """
    function = load(name)
    reference = None if image is None else pinned(image)
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        package = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(function, str(package))
        text = package.read_text(encoding="utf-8")
    # A second document holds what only Kubernetes knows, such as secrets.
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    spec = documents[0]
    if reference is not None:
        put(spec, reference)
    if not caching:
        _uncache(spec)
    header = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    return f"{header}\n{yaml.safe_dump_all(documents, sort_keys=True, width=110)}"


def _uncache(spec: dict[str, Any]) -> None:
    dags = [spec["root"]["dag"]]
    dags += [component["dag"] for component in spec["components"].values() if "dag" in component]
    for dag in dags:
        for task in dag["tasks"].values():
            task["cachingOptions"] = {}


def golden(name: str) -> str:
    """The text of a golden copy: without the SDK's version, which differs where nothing else does."""
    lines = compiled(name).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("sdkVersion:"))


def main() -> None:
    """Write every golden copy."""
    GOLDEN.mkdir(exist_ok=True)
    for name in PIPELINES:
        (GOLDEN / f"{name}.yaml").write_text(golden(name), encoding="utf-8")


if __name__ == "__main__":
    main()
