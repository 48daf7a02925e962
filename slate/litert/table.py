"""A table of numbers by row that lies beside a compiled function, with room for more rows."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from slate.errors import ModelError


def read(file: Path, spare: int = 0) -> npt.NDArray[np.float32]:
    """The rows in ``file``, float32, and ``spare`` rows of zeros after them, in memory of their own.

    Raises:
        ModelError: it cannot be read, or holds no table of numbers.
    """
    try:
        stored = np.lib.format.open_memmap(file, mode="r")
        if stored.dtype != np.float32 or not stored.ndim or not stored.flags.c_contiguous:
            raise ModelError(
                f"table {file}: holds {stored.dtype}{list(stored.shape)} in place of float32 by row"
            )
        table = np.zeros((len(stored) + spare, *stored.shape[1:]), np.float32)
        with file.open("rb") as content:
            content.seek(stored.offset)
            # Into its place at once, and while others may compute.
            read = content.readinto(table[: len(stored)].reshape(-1).data) if stored.size else 0
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"table {file}: cannot be read ({error}); train again, or take another release"
        ) from error
    if read != stored.nbytes:
        raise ModelError(f"table {file}: was cut short while it was read; fetch the release again")
    return table
