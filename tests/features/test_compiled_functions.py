"""A compiled tower answers right in every call, wherever its memory was moved to before.

LiteRT moves an interpreter's memory while it runs; from the second call on a kernel then read where an input
had been, if something else had taken that place. What takes it depends on all that the process did before, so
this has one of its own.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from slate.litert.function import LiteFunction
from slate.retrieval.query import EMBED_FILE, EMBEDDING, HISTORY_ITEMS, HISTORY_VECTORS
from tests.features.world import World

LIVES = 200
CALLS = 4
LENGTH = 16


def test_however_often_and_in_whatever_shapes_it_is_asked(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(world.folders["two_tower"])],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout == f"{LIVES * CALLS} calls, 0 wrong\n"


def ask(folder: Path) -> None:
    """Open the tower many times, ask each for the rows whose answers were recorded while it was in memory."""
    with np.load(folder / "parity.npz") as stored:
        recorded = {name: stored[name] for name in stored.files}
    vectors = np.load(folder / "candidate_embeddings.npy")
    lengths = np.count_nonzero(recorded[HISTORY_ITEMS], axis=1)
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(LIVES):
        function = LiteFunction(folder / "query_tower" / EMBED_FILE)
        for call in range(CALLS):
            if call % 2 == 0:
                length, count = int(rng.choice([1, 2, 4, 8, LENGTH])), int(rng.choice([4, 16, 32]))
            rows = rng.choice(np.flatnonzero(lengths <= length), count)
            given = {
                name: array[rows, -length:] if name.startswith("history_") else array[rows]
                for name, array in recorded.items()
            }
            given[HISTORY_VECTORS] = vectors.take(given[HISTORY_ITEMS] - 1, axis=0, mode="clip")
            wrong += not np.allclose(function(given)[EMBEDDING], given[EMBEDDING], rtol=1e-4, atol=1e-4)
    print(f"{LIVES * CALLS} calls, {wrong} wrong")


if __name__ == "__main__":
    ask(Path(sys.argv[1]))
