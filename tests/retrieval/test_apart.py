"""An index in a process of its own answers as one here does, and ends when it should."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.errors import ModelError
from slate.retrieval.index import ExactIndex, ScannIndex, open_index
from slate.retrieval.index.apart import IndexApart, IndexProcess

DIM = 8


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def queries(count: int, seed: int = 5) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


@pytest.fixture(scope="module", params=["exact", "tree"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    vectors = np.random.default_rng(3).standard_normal((600, DIM)).astype(np.float32)
    ids = [f"item {row}" for row in range(600)]
    path = tmp_path_factory.mktemp(request.param)
    made = (
        ExactIndex(vectors, ids) if request.param == "exact" else ScannIndex.build(vectors, ids, "tree", k=9)
    )
    made.save(path)
    return path


def test_it_says_what_an_index_here_says_from_any_thread(folder: Path) -> None:
    here, apart = open_index(folder), IndexApart(IndexProcess(folder))
    assert (apart.kind, apart.dim, apart.size, dict(apart.parameters)) == (
        *(here.kind, here.dim, here.size),
        dict(here.parameters),
    )
    assert apart.ids.tolist() == here.ids.tolist()

    def same(seed: int) -> None:
        for count, k in ((1, 1), (3, 10), (17, 250), (2, 10_000), (0, 4)):
            asked = queries(count, seed)
            mine, theirs = apart.search(asked, k), here.search(asked, k)
            np.testing.assert_array_equal(mine.rows, theirs.rows)
            np.testing.assert_array_equal(mine.scores, theirs.scores)
            np.testing.assert_array_equal(mine.lengths, theirs.lengths)
            assert mine.rows.dtype == theirs.rows.dtype

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(same, range(12)))


def test_what_it_refuses_is_told_and_it_goes_on(folder: Path) -> None:
    process = IndexProcess(folder)
    process.open()
    with pytest.raises(ModelError, match="k is 0"):
        process.search(queries(1), 0)
    assert process.search(queries(1), 3).rows.shape == (1, 3)


def test_a_folder_that_cannot_be_opened_is_refused_and_leaves_no_process(
    folder: Path, tmp_path: Path
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    vectors = next(path for path in (tmp_path / "vectors.npy", tmp_path / "dataset.npy") if path.exists())
    vectors.write_bytes(b"nothing")
    process = IndexProcess(tmp_path)
    pid = process.pid
    with pytest.raises(ModelError, match=r"cannot be opened in a process of its own \(\w+"):
        IndexApart(process)
    until(lambda: not there(pid))
    (tmp_path / "index.json").unlink()
    process = IndexProcess(tmp_path)
    with pytest.raises(ModelError, match=r"no index\.json there"):
        IndexApart(process)
    pid = process.pid
    del process
    gc.collect()
    until(lambda: not there(pid))


def test_after_its_process_died_another_one_answers(folder: Path) -> None:
    process = IndexProcess(folder)
    apart = IndexApart(process)
    before = apart.search(queries(2), 5)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not there(process.pid) or "Z" in Path(f"/proc/{process.pid}/stat").read_text().split()[2])
    with pytest.raises(ModelError, match=f"its process {process.pid} is no more; another one is started"):
        apart.search(queries(2), 5)

    def answers() -> bool:
        try:
            return bool((apart.search(queries(2), 5).rows == before.rows).all())
        except ModelError:
            return False

    until(answers)
    until(lambda: not there(process.pid))


def test_it_ends_with_the_index_and_not_by_signals_for_the_server(folder: Path) -> None:
    process = IndexProcess(folder)
    apart, pid = IndexApart(process), process.pid
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert len(apart.search(queries(1), 2)) == 1
    del apart, process
    gc.collect()
    until(lambda: not there(pid))


def test_it_ends_with_a_server_that_is_killed(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from slate.retrieval.index.apart import IndexApart, IndexProcess\n"
        "process = IndexProcess(Path(sys.argv[1])); apart = IndexApart(process)\n"
        "print(process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    until(lambda: not there(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])
