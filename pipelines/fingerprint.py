"""What code a cached result came from."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

import slate

_DISTRIBUTIONS: Final = (
    "tensorflow",
    "tf-keras",
    "tensorflow-recommenders",
    "scann",
    "duckdb",
    "numpy",
    "kfp",
)
_NOT_IN_STEPS: Final = frozenset({"cli", "conf", "simulation", "tracking", "tuning", "__pycache__"})


def code_fingerprint(package: Path | None = None) -> str:
    """The version of Slate and a hash of the sources that steps run, with what they compute with.

    The command line, the shipped configurations, tracking, tuning and simulation do not count: no cached
    step's result depends on them but through the step's own inputs.

    Args:
        package: the folder of the ``slate`` package; by default the imported one.

    Returns:
        for example ``0.1.0+3f2a90c1d45be678``.
    """
    root = package or Path(slate.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if _NOT_IN_STEPS.isdisjoint(relative.parts) and path.is_file():
            digest.update(f"{relative.as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(platform.python_version().encode())
    for name in _DISTRIBUTIONS:
        digest.update(f"{name}={_version(name)}\0".encode())
    return f"{slate.__version__}+{digest.hexdigest()[:16]}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"
