"""The releases of a simulation: trained once, kept by their content, and put into the store of a run."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from slate.columns import MANIFEST_FILE
from slate.errors import ModelError
from slate.release.channels import STABLE, move_channel
from slate.release.layout import release_prefix
from slate.release.manifest import ManifestFields, parse_manifest
from slate.release.publish import publish
from slate.release.seal import seal
from slate.simulation.recipe import Log, Made, Recipe, Truth, read_made
from slate.simulation.settings import Settings
from slate.storage import ObjectStore, open_store

CACHE: Final = Path("~/.cache/slate/simulation")
_BY: Final = "simulation"
_RECIPE: Final = "recipe.json"
_LOG_FILE: Final = "train.log"
_TOLD: Final = 15


class Candidate(StrEnum):
    """How the candidate differs from stable.

    ``better``: stable saw the first days of the log only, the candidate all of it. ``worse``: the candidate
    was trained on a log whose items had lost their ids. The others are stable's own content, sealed again:
    ``slow`` answers late, ``broken`` is killed again and again, ``same`` does nothing.
    """

    BETTER = "better"
    WORSE = "worse"
    SLOW = "slow"
    BROKEN = "broken"
    SAME = "same"


#: Which logs stable and candidate are trained on; None is stable's content again.
_LOGS: Final[dict[Candidate, tuple[Log, Log | None]]] = {
    Candidate.BETTER: ("early", "whole"),
    Candidate.WORSE: ("whole", "corrupted"),
    Candidate.SLOW: ("whole", None),
    Candidate.BROKEN: ("whole", None),
    Candidate.SAME: ("whole", None),
}


class Pair(NamedTuple):
    """Both releases, and what their slates are truly worth."""

    stable: str
    candidate: str
    stable_truth: Truth
    candidate_truth: Truth


def trained(recipes: Sequence[Recipe], code: str, cache: Path, tell: Callable[[str], None]) -> list[Made]:
    """The releases of these recipes; those that are not in the cache are trained, all at once.

    Args:
        code: what a release depends on beside its recipe, see ``pipelines.fingerprint``.

    Raises:
        ModelError: a training failed; the message ends with what it said last.
    """
    folders = [cache / recipe.key(code) for recipe in recipes]
    missing = {
        folder: recipe for folder, recipe in zip(folders, recipes, strict=True) if read_made(folder) is None
    }
    if missing:
        tell(f"training {len(missing)} releases: {', '.join(recipe.log for recipe in missing.values())}")
        _train_all(missing, cache)
    found = [read_made(folder) for folder in folders]
    return [made for made in found if made is not None]


def put_releases(
    settings: Settings,
    candidate: Candidate,
    store: Path,
    *,
    seed: int,
    code: str,
    cache: Path,
    tell: Callable[[str], None],
) -> Pair:
    """Publish stable and candidate to a store; ``stable`` names the one, nothing the other.

    Raises:
        ModelError: see :func:`trained`.
        ReleaseError, StorageError: the store cannot take them.
    """
    first, second = _LOGS[candidate]
    recipes = [Recipe.of(settings, seed, log) for log in (first, second) if log is not None]
    made = trained(recipes, code, cache, tell)
    target = open_store(str(store))
    # The candidate is always the younger one, whichever was trained first.
    stable, newer = (_sealed_anew(each, target) for each in (made[0], made[-1]))
    move_channel(target, STABLE, stable, reason="simulation", by=_BY)
    return Pair(stable, newer, made[0].truth, made[-1].truth)


def put_release(
    settings: Settings,
    log: Log,
    store: Path,
    *,
    seed: int,
    code: str,
    cache: Path,
    tell: Callable[[str], None],
) -> Made:
    """Publish the release of one log to a store, where ``stable`` names it; what it is, with its id there.

    Raises:
        ModelError: see :func:`trained`.
        ReleaseError, StorageError: the store cannot take it.
    """
    (made,) = trained([Recipe.of(settings, seed, log)], code, cache, tell)
    target = open_store(str(store))
    release_id = _sealed_anew(made, target)
    move_channel(target, STABLE, release_id, reason="simulation", by=_BY)
    return replace(made, release_id=release_id, store=store)


def _sealed_anew(made: Made, target: ObjectStore) -> str:
    """Publish the same content as another release, sealed now."""
    source = made.store / release_prefix(made.release_id)
    manifest = parse_manifest((source / MANIFEST_FILE).read_bytes(), str(source))
    fields = ManifestFields.model_validate(manifest.model_dump(include=set(ManifestFields.model_fields)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "release"
        shutil.copytree(source, folder)
        (folder / MANIFEST_FILE).unlink()
        seal(folder, fields)
        return publish(target, folder)


def _train_all(missing: dict[Path, Recipe], cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    # They share the machine: each with its part of the cores.
    threads = max(1, len(os.sched_getaffinity(0)) // len(missing))
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
    }
    with ExitStack() as stack:
        running = []
        for final, recipe in missing.items():
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".making-", dir=cache)))
            folder = scratch / final.name
            folder.mkdir()
            recipe.save(folder / _RECIPE)
            command = [sys.executable, "-m", "slate.simulation.train", str(folder / _RECIPE), str(folder)]
            said = stack.enter_context((folder / _LOG_FILE).open("wb"))
            process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)  # noqa: S603
            stack.callback(_ended, process)
            running.append((final, folder, process))
        for final, folder, process in running:
            if process.wait() != 0:
                last = (
                    (folder / _LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD:]
                )
                raise ModelError(f"simulation: training {final.name} failed:\n" + "\n".join(last))
            shutil.rmtree(folder / "work", ignore_errors=True)
            # Another simulation may have made the same meanwhile.
            if not final.exists():
                folder.rename(final)


def _ended(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
