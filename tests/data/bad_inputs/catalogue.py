"""Every kind of bad input that Slate knows: how it is broken, and what must come of it.

``python -m tests.data.bad_inputs.catalogue > docs/bad-inputs.md`` writes the table; what it says about
checks, severities and rows is what came of running each kind.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.clock import ManualClock
from slate.config import DatasetConfig, DriftConfig, parse_section
from slate.data.drift import compare
from slate.data.ingest import ingest
from slate.data.statistics import describe
from slate.data.validation import validate
from slate.errors import DataError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = 1_767_225_600  # 2026-01-01
HEADER = "user,item,event,value,time,surface"
ROWS = 120

CONFIG: dict[str, Any] = {
    "name": "shop",
    "interactions": {
        "path": "events.csv",
        "columns": {
            "user_id": "user",
            "item_id": "item",
            "event": "event",
            "value": "value",
            "timestamp": "time",
        },
        "features": {"surface": "categorical"},
        "ranges": {"value": {"min": 0, "max": 100}},
    },
    "items": {
        "path": "items.csv",
        "columns": {"item_id": "item"},
        "features": {"genre": "categorical", "price": "numeric"},
        "ranges": {"price": {"min": 0}},
    },
    "users": {"path": "users.csv", "columns": {"user_id": "user"}, "features": {"age": "numeric"}},
    "events": {"view": {"weight": 1}, "buy": {"weight": 5}},
}


def event_rows() -> list[list[str]]:
    """120 sound rows: 12 users, 10 items, an hour apart."""
    return [
        [f"u{n % 12}", f"i{(n * 7) % 10}", "buy" if n % 5 == 0 else "view", f"{n % 17}.5",
         str(START + n * 3600), ("tv", "phone", "web")[(n * n) % 3]]
        for n in range(ROWS)
    ]  # fmt: skip


def text_of(rows: list[list[str]], header: str = HEADER) -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


@dataclass
class World:
    """A sound data set in a folder, to be broken."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(CONFIG)))

    def __post_init__(self) -> None:
        self.events(event_rows())
        self.write(
            "items.csv", text_of([[f"i{n}", "ab"[n % 2], f"{n}.0"] for n in range(10)], "item,genre,price")
        )
        self.write("users.csv", text_of([[f"u{n}", str(20 + n)] for n in range(12)], "user,age"))

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)

    def read(self, name: str = "events.csv") -> str:
        return (self.folder / name).read_text()

    def events(self, rows: list[list[str]], header: str = HEADER) -> None:
        self.write("events.csv", text_of(rows, header))

    def change(self, column: int, values: Mapping[int, str]) -> None:
        """Overwrite single values of the events: row number to text."""
        rows = event_rows()
        for row, value in values.items():
            rows[row][column] = value
        self.events(rows)

    def every(self, column: int, make: Callable[[int, str], str]) -> None:
        """Overwrite one column of the events."""
        self.change(column, {n: make(n, row[column]) for n, row in enumerate(event_rows())})

    def more(self, rows: list[list[str]]) -> None:
        self.events([*event_rows(), *rows])


@dataclass(frozen=True)
class Kind:
    """``check`` is the finding expected, ``stopped`` for an error before any check, ``sound`` for none.

    ``severity`` and ``dropped`` are what is expected of it; ``says`` is part of an error's message.
    """

    name: str
    how: str
    spoil: Callable[[World], None]
    check: str
    severity: str = "warning"
    dropped: int = 0
    says: str = ""
    drift: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of it: rows read, kept and dropped by reason, findings by name, or the refusal."""

    read: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    findings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str = ""


def examine(world: World, out: Path) -> Outcome:
    """Ingest and validate what the folder holds, as a run does."""
    config = dict(world.config)
    for table in ("interactions", "items", "users"):
        path = config[table]["path"]
        paths = [path] if isinstance(path, str) else path
        config[table] = {**config[table], "path": [str(world.folder / p) for p in paths]}
    described = parse_section(DatasetConfig, config)
    try:
        raw = ingest(described, out / "raw", out / "cache")
    except DataError as error:
        return Outcome(error=str(error))
    error = ""
    try:
        validate(described, out / "raw", out / "valid", out / "report.html", ManualClock(NOW))
    except DataError as refusal:
        error = str(refusal)
    written = json.loads((out / "valid" / columns.FINDINGS_FILE).read_text())
    rows = written["rows"]["interactions"]
    return Outcome(
        raw["rows"]["read"],
        rows["out"],
        {k: n for k, n in {**raw["rows"]["dropped"], **rows["dropped"]}.items() if n},
        {f["name"]: f for f in written["findings"]},
        error,
    )


def compare_snapshots(world: World, out: Path) -> Outcome:
    """The sound data set as the last release, then what the folder holds."""
    (out / "sound").mkdir(parents=True)
    sides = []
    for name, one in (("sound", World(out / "sound")), ("now", world)):
        place = out / f"run-{name}"
        refused = examine(one, place).error
        assert not refused, refused
        files = {
            "interactions": columns.INTERACTIONS_FILE,
            "items": columns.ITEMS_FILE,
            "users": columns.USERS_FILE,
        }
        sides.append(describe({t: pq.read_table(place / "valid" / f) for t, f in files.items()}))
    result = compare(sides[0], sides[1], DriftConfig())
    found = {f.name: {"severity": f.severity, "count": f.value, "effect": "none"} for f in result.findings}
    return Outcome(findings=found, error="; ".join(map(str, result.errors)))


def _parquet(world: World, rows: int | None = None) -> bytes:
    raw = event_rows()
    table = pa.table({name: [row[n] for row in raw] for n, name in enumerate(HEADER.split(","))})
    pq.write_table(table.slice(0, rows), world.folder / "events.parquet")
    world.config["interactions"]["path"] = "events.parquet"
    return (world.folder / "events.parquet").read_bytes()


def _truncated(world: World) -> None:
    whole = _parquet(world)
    world.write("events.parquet", whole[: len(whole) // 2])


def _two_files(world: World, first: list[list[str]], second: list[list[str]], header: str = HEADER) -> None:
    world.write("a.csv", text_of(first))
    world.write("b.csv", text_of(second, header))
    world.config["interactions"]["path"] = ["a.csv", "b.csv"]


def _mixed_zones(world: World) -> None:
    world.every(4, lambda n, _: f"2026-01-02T{n % 24:02d}:00:{n % 60:02d}" + ("+02:00" if n % 2 else ""))


def _leak(world: World) -> None:
    world.config["interactions"]["features"]["hint"] = "categorical"
    rows = [[*row, "paid" if row[2] == "buy" else "free"] for row in event_rows()]
    world.events(rows, HEADER + ",hint")


def _exploded(world: World) -> None:
    world.config["interactions"]["features"]["trace"] = "categorical"
    world.events([[*row, f"t{n}"] for n, row in enumerate(event_rows())], HEADER + ",trace")


def _added_column(world: World) -> None:
    world.config["items"]["features"]["colour"] = "categorical"
    world.write(
        "items.csv",
        text_of([[f"i{n}", "ab"[n % 2], f"{n}.0", "red"] for n in range(10)], "item,genre,price,colour"),
    )


def _burst(rows: int) -> list[list[str]]:
    return [
        ["bot", f"i{n % 10}", "view", "1", f"{START + 500 + n // 10}.{n % 10}", "web"] for n in range(rows)
    ]


KINDS = (
    Kind("wrong type", "text in a numeric column", lambda w: w.change(3, {4: "many"}), "unreadable_value"),
    Kind(
        "decimal commas",
        "3,5 quoted, where 3.5 is meant",
        lambda w: w.change(3, {4: '"3,5"'}),
        "unreadable_value",
    ),
    Kind("no user", "an empty user id", lambda w: w.change(0, {3: ""}), "null_user_id", "error", 1),
    Kind("blank user", "a user id of spaces", lambda w: w.change(0, {3: "  "}), "empty_user_id", "error", 1),
    Kind("no item", "an empty item id", lambda w: w.change(1, {3: ""}), "null_item_id", "error", 1),
    Kind(
        "null in Parquet",
        "a null user id in a Parquet file",
        lambda w: _null_user(w),
        "null_user_id",
        "error",
        1,
    ),
    Kind(
        "spelled-out missing id",
        "user ids null, NaN, None",
        lambda w: w.change(0, {3: "null", 4: "NaN", 5: "None"}),
        "missing_marker_user_id",
        "error",
        3,
    ),
    Kind(
        "spelled-out missing item",
        "item id undefined",
        lambda w: w.change(1, {3: "undefined"}),
        "missing_marker_item_id",
        "error",
        1,
    ),
    Kind("no timestamp", "an empty timestamp", lambda w: w.change(4, {3: ""}), "null_timestamp", "error", 1),
    Kind(
        "unreadable timestamp",
        "yesterday",
        lambda w: w.change(4, {3: "yesterday"}),
        "null_timestamp",
        "error",
        1,
    ),
    Kind(
        "no readable timestamp at all",
        "every timestamp is text without a date",
        lambda w: w.every(4, lambda n, _: f"day {n}"),
        "stopped",
        "error",
        says="none of the 120 values of column",
    ),
    Kind("epoch zero", "timestamp 0", lambda w: w.change(4, {3: "0"}), "early_timestamp", "error", 1),
    Kind(
        "future timestamp",
        "a year ahead",
        lambda w: w.change(4, {3: str(START + 365 * 86_400)}),
        "future_timestamp",
        "error",
        1,
    ),
    Kind(
        "milliseconds declared as seconds",
        "every timestamp in ms, timestamp_unit s",
        lambda w: w.every(4, lambda _n, v: v + "000"),
        "stopped",
        "error",
        says="timestamp_unit",
    ),
    Kind(
        "seconds declared as milliseconds",
        "timestamp_unit ms, values in s",
        lambda w: w.config["interactions"].update(timestamp_unit="ms"),
        "early_timestamp",
        "error",
        ROWS,
    ),
    Kind("mixed time zones", "text timestamps with and without an offset", _mixed_zones, "mixed_time_zones"),
    Kind(
        "one instant",
        "all rows at the same time",
        lambda w: w.every(4, lambda _n, _v: str(START)),
        "one_instant",
    ),
    Kind("NaN value", "the value nan", lambda w: w.change(3, {4: "nan"}), "non_finite_value", dropped=1),
    Kind("infinite value", "the value inf", lambda w: w.change(3, {4: "inf"}), "non_finite_value", dropped=1),
    Kind(
        "infinite feature",
        "an item's price is -inf",
        lambda w: w.write("items.csv", w.read("items.csv").replace("i3,b,3.0", "i3,b,-inf")),
        "non_finite_item_feature",
    ),
    Kind(
        "value out of range",
        "a value of 1e9 where the range ends at 100",
        lambda w: w.change(3, {4: "1e9"}),
        "value_out_of_range",
        "error",
        1,
    ),
    Kind(
        "feature out of range",
        "a negative price",
        lambda w: w.write("items.csv", w.read("items.csv").replace("i3,b,3.0", "i3,b,-3")),
        "item_out_of_range",
    ),
    Kind(
        "duplicated events",
        "two rows written twice",
        lambda w: w.more(event_rows()[:2]),
        "duplicate_interaction",
        dropped=2,
    ),
    Kind(
        "the same file twice",
        "the list of files names one twice",
        lambda w: _same_file(w),
        "duplicate_interaction",
        dropped=ROWS,
    ),
    Kind(
        "unknown event",
        "an event that no configuration describes",
        lambda w: w.change(2, {4: "hover"}),
        "no_event",
        dropped=1,
    ),
    Kind(
        "no known event at all",
        "all events are unknown",
        lambda w: w.every(2, lambda _n, _v: "hover"),
        "stopped",
        "error",
        says="none of the 120 rows matches an event",
    ),
    Kind(
        "a single event class",
        "every row is a view",
        lambda w: w.every(2, lambda _n, _v: "view"),
        "one_event",
    ),
    Kind(
        "an event that never occurs",
        "every row is a view",
        lambda w: w.every(2, lambda _n, _v: "view"),
        "unused_event",
    ),
    Kind(
        "ids unknown to the items table",
        "an interaction with i99",
        lambda w: w.change(1, {4: "i99"}),
        "unlisted_item",
    ),
    Kind(
        "ids unknown to the users table",
        "an interaction of u99",
        lambda w: w.change(0, {4: "u99"}),
        "unlisted_user",
    ),
    Kind("ids that differ only by case", "U3 beside u3", lambda w: w.change(0, {4: "U3"}), "user_ids_alike"),
    Kind(
        "ids that differ only by spaces",
        "i3 with a space after it",
        lambda w: w.change(1, {4: "i3 "}),
        "item_ids_alike",
    ),
    Kind(
        "numeric ids read as floats",
        "12.0 beside 12",
        lambda w: w.every(0, lambda n, _v: f"{n % 12}" + (".0" if n % 9 == 0 else "")),
        "float_ids",
    ),
    Kind(
        "an item described twice",
        "two rows for i3",
        lambda w: w.write("items.csv", w.read("items.csv") + "i3,a,9\n"),
        "duplicate_item",
    ),
    Kind(
        "a user described twice",
        "two rows for u3",
        lambda w: w.write("users.csv", w.read("users.csv") + "u3,9\n"),
        "duplicate_user",
    ),
    Kind(
        "an item without an id",
        "an empty id in the items table",
        lambda w: w.write("items.csv", w.read("items.csv") + ",a,9\n"),
        "null_item",
    ),
    Kind(
        "one user with half of all rows",
        "a crawler's id on every second row",
        lambda w: w.every(0, lambda n, v: "crawler" if n % 2 else v),
        "dominant_user",
    ),
    Kind(
        "one item with half of all rows",
        "a placeholder id on every second row",
        lambda w: w.every(1, lambda n, v: "i0" if n % 2 else v),
        "dominant_item",
    ),
    Kind(
        "a single user",
        "one user id on all rows",
        lambda w: w.every(0, lambda _n, _v: "u1"),
        "single_user",
        "error",
    ),
    Kind(
        "a single item",
        "one item id on all rows",
        lambda w: w.every(1, lambda _n, _v: "i1"),
        "single_item",
        "error",
    ),
    Kind(
        "bots",
        "150 interactions of one user within 15 seconds",
        lambda w: w.more(_burst(150)),
        "superhuman_rate",
    ),
    Kind(
        "exploded categories",
        "a categorical feature with a new value on every row",
        _exploded,
        "exploded_categories",
    ),
    Kind(
        "a constant feature",
        "surface is web on all rows",
        lambda w: w.every(5, lambda _n, _v: "web"),
        "constant_feature",
    ),
    Kind("a leaking feature", "a context feature that says what the event was", _leak, "leaking_feature"),
    Kind(
        "time going backwards across files",
        "the second file begins before the first ends",
        lambda w: _two_files(w, event_rows()[60:], event_rows()[:60]),
        "files_out_of_order",
    ),
    Kind(
        "a column missing from one file",
        "the second of two files lacks the item column",
        lambda w: _two_files(
            w, event_rows()[:60], [r[:1] + r[2:] for r in event_rows()[60:]], "user,event,value,time,surface"
        ),
        "null_item_id",
        "error",
        60,
    ),
    Kind(
        "a file that is not there",
        "a wrong path",
        lambda w: w.config["interactions"].update(path="event.csv"),
        "stopped",
        "error",
        says="no file at",
    ),
    Kind(
        "an empty file",
        "no byte",
        lambda w: w.write("events.csv", ""),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "a header and nothing else",
        "the first line only",
        lambda w: w.events([]),
        "stopped",
        "error",
        says="has no rows",
    ),
    Kind(
        "an empty Parquet file",
        "a schema without rows",
        lambda w: _parquet(w, 0) and None,
        "stopped",
        "error",
        says="has no rows",
    ),
    Kind(
        "truncated Parquet",
        "the first half of the file",
        _truncated,
        "stopped",
        "error",
        says="cannot be read as parquet",
    ),
    Kind(
        "another format than it says",
        "CSV in a file named .parquet",
        lambda w: (_parquet(w), w.write("events.parquet", w.read()))[0] and None,
        "stopped",
        "error",
        says="cannot be read as parquet",
    ),
    Kind(
        "Latin-1 text",
        "an id with é in Latin-1",
        lambda w: w.write("events.csv", w.read().replace("u3,", "zoé,").encode("latin-1")),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "UTF-16 text",
        "the file in UTF-16",
        lambda w: w.write("events.csv", w.read().encode("utf-16")),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "a column that is not there",
        "the header says customer",
        lambda w: w.events(event_rows(), HEADER.replace("user", "customer")),
        "stopped",
        "error",
        says="no column 'user'",
    ),
    Kind(
        "the wrong separator",
        "semicolons in the file, a comma in the configuration",
        lambda w: w.write("events.csv", w.read().replace(",", ";")),
        "stopped",
        "error",
        says="no column 'user'",
    ),
    Kind(
        "ragged rows",
        "a row with a field too many",
        lambda w: w.write("events.csv", w.read() + "u1,i1,view,1,1767225600,tv,extra\n"),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "short rows",
        "a row with two fields",
        lambda w: w.write("events.csv", w.read() + "u1,i1\n"),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "an unbalanced quote",
        "a quote that never closes",
        lambda w: w.write("events.csv", w.read() + '"u1,i1,view,1,1767225600,tv\n'),
        "stopped",
        "error",
        says="dataset.interactions",
    ),
    Kind(
        "a byte-order mark",
        "UTF-8 with a mark in front",
        lambda w: w.write("events.csv", b"\xef\xbb\xbf" + w.read().encode()),
        "sound",
    ),
    Kind(
        "quoted newlines",
        "an id with a line break inside quotes",
        lambda w: w.write("users.csv", w.read("users.csv") + '"u\nquoted",3\n'),
        "sound",
    ),
    Kind(
        "Windows line ends", "CRLF", lambda w: w.write("events.csv", w.read().replace("\n", "\r\n")), "sound"
    ),
    Kind(
        "a table that shrank by half",
        "a third of the rows of the last release",
        lambda w: w.events(event_rows()[:40]),
        "shrunk_table",
        "error",
        says="shrunk_table of interactions",
        drift=True,
    ),
    Kind(
        "a column gone since the last release",
        "the items table lost its price",
        lambda w: w.config["items"].update(features={"genre": "categorical"}, ranges={}),
        "schema_changed",
        "error",
        says="price (gone)",
        drift=True,
    ),
    Kind(
        "a column of another kind",
        "price is text now",
        lambda w: w.config["items"].update(
            features={"genre": "categorical", "price": "categorical"}, ranges={}
        ),
        "schema_changed",
        "error",
        says="price (number, now text)",
        drift=True,
    ),
    Kind(
        "a column new since the last release",
        "the items table has a colour now",
        _added_column,
        "schema_added",
        drift=True,
    ),
)


def _null_user(world: World) -> None:
    raw = event_rows()
    table = {name: [row[n] for row in raw] for n, name in enumerate(HEADER.split(","))}
    table["user"][3] = None  # type: ignore[call-overload]
    pq.write_table(pa.table(table), world.folder / "events.parquet")
    world.config["interactions"]["path"] = "events.parquet"


def _same_file(world: World) -> None:
    world.config["interactions"]["path"] = ["events.csv", "events.csv"]


def run(kind: Kind, folder: Path) -> Outcome:
    """Break a sound data set in one way, and see what comes of it."""
    (folder / "in").mkdir(parents=True)
    world = World(folder / "in")
    kind.spoil(world)
    return compare_snapshots(world, folder / "out") if kind.drift else examine(world, folder / "out")


def table(outcomes: Mapping[str, Outcome]) -> str:
    """The catalogue as Markdown, from what came of each kind by name."""
    lines = [
        "# Bad inputs, and what comes of them",
        "",
        "Each kind is a test that breaks a sound data set of 120 interactions on disk, ingests and validates "
        "it. The columns on the right are what the test saw. `stopped`: refused before any check, with a "
        "message that names the file or column; `error`: the pipeline stops after the report is written; "
        "`warning`: it goes on and says so. Rows read are always rows kept and rows dropped by reason. "
        "Severities are those by default; `dataset.validation` and `drift.severities` change them.",
        "",
        "| kind | how it is broken | check | severity | interactions dropped |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        outcome = outcomes[kind.name]
        finding = outcome.findings.get(kind.check)
        check, severity = ("–", "stopped" if outcome.error else "sound")
        if finding:
            check, severity = f"`{kind.check}`", finding["severity"]
        dropped = sum(outcome.dropped.values()) or "–"
        lines.append(f"| {kind.name} | {kind.how} | {check} | {severity} | {dropped} |")
    return "\n".join([*lines, ""])


def outcome_of(kind: Kind) -> Outcome:
    """What comes of a kind, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return run(kind, Path(folder) / "kind")


if __name__ == "__main__":
    sys.stdout.write(table({kind.name: outcome_of(kind) for kind in KINDS}))
