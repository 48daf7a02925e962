from pathlib import Path

import numpy as np
import pytest

from slate.errors import ModelError
from slate.litert import table


def test_a_table_has_room_for_more_rows(tmp_path: Path) -> None:
    stored = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "t.npy", stored)
    found = table.read(tmp_path / "t.npy", spare=2)
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5], [0, 0, 0], [0, 0, 0]])
    found[3] = 7
    np.testing.assert_array_equal(table.read(tmp_path / "t.npy"), stored)


@pytest.mark.parametrize(
    "content", [b"", b"\x00garbage\xff" * 50, None, np.float64(3.0), np.ones((2, 2), np.int32)]
)
def test_what_is_no_table_is_named(content: object, tmp_path: Path) -> None:
    file = tmp_path / "t.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"t\.npy"):
        table.read(file)
