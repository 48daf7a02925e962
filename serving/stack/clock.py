"""Compressed time that goes on where a stack was taken down and up again."""

import time
from pathlib import Path
from typing import Final

from slate.clock import Scale, scale_of
from slate.errors import ConfigError

_FILE: Final = "clock"


def stack_scale(folder: Path, factor: float) -> Scale:
    """The scale of a stack's processes: the one its folder had, if that was of the same factor.

    Raises:
        ConfigError: the factor is not above 0, or the folder's log is ahead of the time that would be now.
    """
    if not factor > 0:
        raise ConfigError(f"--time-scale {factor:g}: must be above 0; 60 lets a minute pass in a second")
    path = folder / _FILE
    kept = scale_of(path.read_text(encoding="utf-8")) if path.exists() else Scale()
    if kept.factor == factor:
        return kept
    if kept.factor != 1.0:
        raise ConfigError(
            f"--time-scale {factor:g}: the stack of {folder} ran {kept.factor:g} times as fast as real time, "
            f"so what it logged is ahead of it; say --time-scale {kept.factor:g}, or take another folder and "
            "store"
        )
    found = Scale(factor, time.time())
    path.write_text(str(found), encoding="utf-8")
    return found
