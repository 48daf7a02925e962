"""MovieLens-100K, fetched once and kept in one canonical form.

F. Maxwell Harper and Joseph A. Konstan: The MovieLens Datasets, ACM TiiS 5(4), 2015. The data may be
used for research under GroupLens' terms; Slate ships none of it.
"""

import csv
import hashlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from slate.errors import DataError

NAME: Final = "movielens-100k"
#: sha256 of the canonical ratings.csv, whichever source it came from.
RATINGS_SHA256: Final = "3c46eff2d044a58a152de9ed65c845918abc54381ffb0cea52c4618039e45dc7"
_WHEEL: Final = "recbole==1.2.1"
_WHEEL_FOLDER: Final = "recbole/dataset_example/ml-100k/ml-100k"
_GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_GENRES: Final = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
FILES: Final = ("ratings.csv", "movies.csv", "users.csv")
_CHECKSUMS: Final = "sha256.json"
_ARCHIVE: Final = "ml-100k.zip"
_TIMEOUT: Final = 180.0
_CONNECT_TIMEOUT: Final = 60.0


class Tables(NamedTuple):
    """Rows of the three canonical files, without headers."""

    ratings: Sequence[tuple[str, ...]]
    movies: Sequence[tuple[str, ...]]
    users: Sequence[tuple[str, ...]]


Source = Callable[[], Tables]


def from_wheel() -> Tables:
    """The copy inside the RecBole wheel, which pip or uv downloads without its dependencies.

    Raises:
        DataError: there is neither pip nor uv, or the one that is there cannot get it.
    """
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        wheels = list(Path(folder).glob("*.whl"))
        if wheels:
            with zipfile.ZipFile(wheels[0]) as archive:
                return _recbole(lambda kind: archive.read(f"{_WHEEL_FOLDER}.{kind}"))
        # uv unpacks what it fetches.
        return _recbole(lambda kind: (Path(folder) / f"{_WHEEL_FOLDER}.{kind}").read_bytes())


def from_grouplens() -> Tables:
    """The original archive from GroupLens.

    Raises:
        DataError: the site cannot be reached.
    """
    try:
        with urllib.request.urlopen(_GROUPLENS, timeout=_CONNECT_TIMEOUT) as response:
            content = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{_GROUPLENS}: {error}") from error
    return from_archive(io.BytesIO(content))


def from_archive(file: BinaryIO | Path) -> Tables:
    """The tables in GroupLens' ``ml-100k.zip``."""
    with zipfile.ZipFile(file) as archive:

        def rows(name: str, separator: str) -> list[list[str]]:
            text = archive.read(f"ml-100k/{name}").decode("latin-1")
            return [line.split(separator) for line in text.splitlines()]

        movies = []
        for row in rows("u.item", "|"):
            title, year = _title_and_year(row[1])
            genres = [name for name, flag in zip(_GENRES, row[5:], strict=True) if flag == "1"]
            movies.append((row[0], title, year, "|".join(sorted(genres))))
        return Tables(
            ratings=[tuple(row) for row in rows("u.data", "\t")],
            movies=movies,
            users=[(row[0], row[1], row[2], row[3]) for row in rows("u.user", "|")],
        )


SOURCES: Final[Sequence[tuple[str, Source]]] = (
    (f"the copy inside {_WHEEL}", from_wheel),
    ("GroupLens", from_grouplens),
)


def fetch(cache: Path, sources: Sequence[tuple[str, Source]] = SOURCES) -> Path:
    """The folder with ratings.csv, movies.csv and users.csv, fetched on first use.

    An ``ml-100k.zip`` that lies in the cache is used before any source is asked.

    Args:
        cache: where downloads are kept.
        sources: tried in order; each returns the tables or raises DataError.

    Raises:
        DataError: a cached or fetched file is not what it should be, or no source is reachable.
    """
    folder, archive = cache / NAME, cache / _ARCHIVE
    if all((folder / name).is_file() for name in FILES):
        _check(folder)
        return folder
    if archive.is_file():
        sources = ((str(archive), lambda: from_archive(archive)), *sources)
    failures = []
    for name, source in sources:
        try:
            _keep(source(), folder)
        except _FAILURES as error:
            failures.append(f"{name} ({error})")
            continue
        return folder
    raise DataError(
        f"dataset {NAME}: no source is reachable: {'; '.join(failures) or 'none was tried'}. Fetch "
        f"{_ARCHIVE} from GroupLens elsewhere and put it at {archive}, or bring your own data with --config"
    )


_FAILURES: Final = (
    DataError,
    OSError,
    subprocess.TimeoutExpired,
    zipfile.BadZipFile,
    KeyError,
    ValueError,
)


def _download(folder: Path) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    pip = shutil.which("pip3") or shutil.which("pip")
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), _WHEEL]
    elif uv:
        command = [uv, "pip", "install", "-q", "--no-deps", "--target", str(folder), _WHEEL]
    elif pip:
        command = [pip, "download", "-q", "--no-deps", "-d", str(folder), _WHEEL]
    else:
        raise DataError("neither pip nor uv is installed here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise DataError(f"{Path(command[0]).name}: {reason.strip()}")


def _recbole(read: Callable[[str], bytes]) -> Tables:
    """The tables from RecBole's files, given what reads the one of a kind (inter, item, user)."""

    def rows(kind: str) -> list[list[str]]:
        return [line.split("\t") for line in read(kind).decode("utf-8").splitlines()[1:]]

    movies = []
    for item, title, year, genres in rows("item"):
        if not year.isdigit():
            title, year = _title_and_year(title)
        # One film is known by nothing but its number.
        title = "unknown" if title == "unkonwn" else title
        movies.append((item, title, year, "|".join(sorted(genres.split()))))
    return Tables(
        ratings=[tuple(row) for row in rows("inter")],
        movies=movies,
        users=[(user, age, gender, job) for user, age, gender, job, _zip in rows("user")],
    )


def _title_and_year(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)\s*\((\d{4})\)\s*(?:\(V\)\s*)?", text)
    return (match[1], match[2]) if match else (text, "")


def _keep(tables: Tables, folder: Path) -> None:
    """Write, check, and only then show the folder under its name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        _write(temporary, tables)
        _check(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, tables: Tables) -> None:
    ratings = [tuple(int(float(part)) for part in row) for row in tables.ratings]
    ratings.sort(key=lambda row: (row[3], row[0], row[1]))
    contents: dict[str, tuple[Sequence[str], Iterable[Iterable[object]]]] = {
        "ratings.csv": (("user_id", "item_id", "rating", "timestamp"), ratings),
        "movies.csv": (("item_id", "title", "year", "genres"), _by_number(tables.movies)),
        "users.csv": (("user_id", "age", "gender", "occupation"), _by_number(tables.users)),
    }
    for name, (header, rows) in contents.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in contents}
    (folder / _CHECKSUMS).write_text(json.dumps(sums), encoding="utf-8")


def _by_number(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(rows, key=lambda row: int(row[0]))


def _check(folder: Path) -> None:
    kept = folder / _CHECKSUMS
    recorded = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for name, expected in {**recorded, "ratings.csv": RATINGS_SHA256}.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected:
            raise DataError(
                f"{name} of {folder}: sha256 is {found}, expected {expected}; delete the folder and run again"
            )
