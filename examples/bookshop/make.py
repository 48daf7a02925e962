"""Write the bookshop's files: a small shop whose readers go through series, volume after volume.

Run ``python examples/bookshop/make.py``. The seed is fixed, so the files are always the same.
"""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

SEED = 7
READERS = 320
SERIES = {
    "crime": ("Harbour Street", "The Cold Ledger", "Inspector Vale", "Saltmarsh", "Night Post", "Seven Keys"),
    "fantasy": (
        "The Tin Crown",
        "Ashwood",
        "Riverkings",
        "The Ninth Bell",
        "Moth and Flame",
        "Underhill Road",
    ),
    "science": (
        "Small Infinities",
        "How Things Fall",
        "The Patient Planet",
        "Codes",
        "Deep Water",
        "Counting",
    ),
    "cooking": ("One Pot", "The Garden Table", "Bread Days", "Salt and Smoke", "Sunday Soup", "Sour"),
    "travel": ("Slow Trains", "Far Islands", "The High Passes", "Desert Roads", "Old Ports", "North"),
}
VOLUMES = 5
OPENING = datetime(2025, 1, 6, 8, tzinfo=UTC)
DAYS = 300
FOLDER = Path(__file__).parent


class Book(NamedTuple):
    """One title in the shop."""

    code: str
    title: str
    genre: str
    series: str
    volume: int
    price: float


def books(random_: random.Random) -> list[Book]:
    """Every volume of every series."""
    made = []
    for genre, names in SERIES.items():
        for name in names:
            for volume in range(1, VOLUMES + 1):
                code = f"B{len(made) + 1:04d}"
                price = round(random_.uniform(6, 24), 2)
                made.append(Book(code, f"{name}, volume {volume}", genre, name, volume, price))
    return made


def visits(reader: str, shelf: list[Book], random_: random.Random) -> list[tuple[str, ...]]:
    """What one reader did: mostly the next volume, at times something else of a favourite genre."""
    by_place = {(book.series, book.volume): book for book in shelf}
    loved = random_.sample(list(SERIES), 2)
    known: set[str] = set()
    current: Book | None = None
    moment = OPENING + timedelta(days=random_.uniform(0, DAYS * 0.7))
    rows = []
    while moment < OPENING + timedelta(days=DAYS) and len(known) < len(shelf) // 2:
        following = by_place.get((current.series, current.volume + 1)) if current else None
        if following and following.code not in known and random_.random() < 0.75:
            book = following
        else:
            genre = loved[0] if random_.random() < 0.7 else loved[1]
            fresh = [b for b in shelf if b.genre == genre and b.code not in known and b.volume <= 2]
            book = random_.choice(fresh or [b for b in shelf if b.code not in known])
        known.add(book.code)
        current = book
        actions = ["looked"]
        if random_.random() < 0.35:
            actions.append("bought")
            if random_.random() < 0.06:
                actions.append("returned")
                current = None
        spent = random_.randint(5, 240)
        for step, action in enumerate(actions):
            offset = timedelta(minutes=7 * step) if action != "returned" else timedelta(days=3)
            at = (moment + offset).replace(microsecond=0)
            rows.append((reader, book.code, action, str(spent) if action == "looked" else "", at.isoformat()))
        moment += timedelta(days=random_.expovariate(1 / 11))
    return rows


def main() -> None:
    """Write visits.csv and books.csv beside this script."""
    random_ = random.Random(SEED)  # noqa: S311 - invented readers, no secret
    shelf = books(random_)
    rows = [row for n in range(READERS) for row in visits(f"reader-{n:03d}", shelf, random_)]
    rows.sort(key=lambda row: (row[4], row[0]))
    listed = [(b.code, b.title, b.genre, b.series, f"{b.price:.2f}") for b in shelf]
    tables = {
        "visits.csv": (("reader", "book", "action", "seconds", "when"), rows),
        "books.csv": (("code", "name", "shelf", "series", "euro"), listed),
    }
    for name, (header, content) in tables.items():
        with (FOLDER / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";", lineterminator="\n")
            writer.writerow(header)
            writer.writerows(content)


if __name__ == "__main__":
    main()
