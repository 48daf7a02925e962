import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import load_config
from slate.data.ingest import ingest
from slate.data.profile.guess import feature, words
from slate.data.profile.propose import propose
from slate.data.profile.raw import look
from slate.data.validation import validate
from slate.errors import ConfigError, DataError, SlateError

START = 1_700_000_000


@dataclass(frozen=True)
class Style:
    """Files as they come from somewhere, and what must be found in them."""

    files: Mapping[str, str]
    roles: Mapping[str, str]
    unit: str = "s"
    events: int = 1
    features: Mapping[str, str] = field(default_factory=dict)


def rows(line: str, n: int = 60) -> str:
    """Lines of a CSV: {u} user, {i} item, {t} seconds, {r} a rating, {e} an event."""
    return "\n".join(
        line.format(
            u=n % 9, i=(n * 7) % 13, t=START + n * 977, ms=(START + n * 977) * 1000, r=1 + n % 5,
            e=("view", "purchase", "hide")[n % 3], h=n % 24, m=n % 60,
        )
        for n in range(n)
    )  # fmt: skip


MOVIES = "movieId,title,genres\n" + "\n".join(
    f'{n},"The Film, {n}",Drama|{"War" if n % 2 else "Crime"}' for n in range(13)
)
STYLES = {
    "ratings of films": Style(
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n" + rows("{u},{i},{r}.5,{t}"),
            "movies.csv": MOVIES,
        },
        {"user_id": "userId", "item_id": "movieId", "timestamp": "timestamp", "value": "rating"},
        events=3,
        features={"genres": "categorical_list"},
    ),
    "product reviews": Style(
        {"reviews.csv": "reviewerID,asin,overall,unixReviewTime\n" + rows("A{u}X,B00{i},{r}.0,{t}")},
        {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime", "value": "overall"},
        events=3,
    ),
    "clicks in milliseconds": Style(
        {"clicks.csv": "timestamp,visitorid,event,itemid\n" + rows("{ms},{u},{e},{i}")},
        {"user_id": "visitorid", "item_id": "itemid", "timestamp": "timestamp", "event": "event"},
        unit="ms",
        events=3,
    ),
    "times with offsets": Style(
        {"log.csv": "who_user,product,at\n" + rows("u{u},p{i},2026-01-02T{h:02d}:{m:02d}:00+02:00")},
        {"user_id": "who_user", "item_id": "product", "timestamp": "at"},
    ),
    "tabs": Style(
        {"log.tsv": "customer\tsku\tdate\n" + rows("c{u}\ts{i}\t2026-01-02 {h:02d}:{m:02d}:00")},
        {"user_id": "customer", "item_id": "sku", "timestamp": "date"},
    ),
    "semicolons and a users table": Style(
        {
            "visits.csv": "reader;book;action;seconds;when\n"
            + rows("r{u};b{i};{e};{m}.5;2026-01-02T{h:02d}:{m:02d}:00Z"),
            "readers.csv": "reader;age;town\n" + "\n".join(f"r{n};{20 + n};t{n % 3}" for n in range(9)),
        },
        {"user_id": "reader", "item_id": "book", "timestamp": "when", "event": "action", "value": "seconds"},
        events=3,
        features={"age": "numeric", "town": "categorical"},
    ),
    "integers everywhere": Style(
        {"t.csv": "uid,iid,ts\n" + rows("{u},{i},{t}")},
        {"user_id": "uid", "item_id": "iid", "timestamp": "ts"},
    ),
    "quoted newlines in titles": Style(
        {
            "log.csv": "user,track,played_at,plays\n" + rows("u{u},t{i},{t},{r}"),
            "tracks.csv": "track,name\n" + "\n".join(f't{n},"a\nsong {n}"' for n in range(13)),
        },
        {"user_id": "user", "item_id": "track", "timestamp": "played_at", "value": "plays"},
    ),
    "spaces in names": Style(
        {"log.csv": "User ID,Item ID,Time Stamp\n" + rows("u{u},i{i},{t}")},
        {"user_id": "User ID", "item_id": "Item ID", "timestamp": "Time Stamp"},
    ),
}  # fmt: skip


def start(style: Style, folder: Path) -> list[Path]:
    for name, content in style.files.items():
        (folder / name).write_text(content + "\n", encoding="utf-8")
    return [folder / name for name in style.files]


@pytest.mark.parametrize("name", STYLES)
def test_roles_are_found_and_the_configuration_works(name: str, tmp_path: Path) -> None:
    style = STYLES[name]
    out = tmp_path / "conf" / "shop.yaml"
    out.parent.mkdir()
    out.write_text(propose([look(f) for f in start(style, tmp_path)], out, {}, "shop"), encoding="utf-8")
    dataset = load_config(out).dataset
    assert dict(dataset.interactions.columns) == dict(style.roles)
    assert dataset.interactions.timestamp_unit == style.unit
    assert len(dataset.events) == style.events
    tables = [t for t in (dataset.items, dataset.users) if t]
    assert {n: str(f.kind) for t in tables for n, f in t.features.items()} == dict(style.features)
    summary = ingest(dataset, tmp_path / "raw", tmp_path / "cache")
    assert summary["rows"] == {"read": 60, "kept": 60, "dropped": {"no_event": 0}}
    assert summary["unlisted"] == {"items": 0, "users": 0}
    validate(dataset, tmp_path / "raw", tmp_path / "valid", tmp_path / "page.html")


def test_parquet_with_native_types(tmp_path: Path) -> None:
    times = pa.array([(START + n) * 1_000_000 for n in range(40)]).cast(pa.timestamp("us", "UTC"))
    table = pa.table(
        {"user_id": list(range(8)) * 5, "item": [f"i{n % 11}" for n in range(40)], "created": times}
    )
    pq.write_table(table, tmp_path / "log.parquet")
    out = tmp_path / "shop.yaml"
    out.write_text(propose([look(tmp_path / "log.parquet")], out, {}, "shop"), encoding="utf-8")
    assert load_config(out).dataset.interactions.columns == {
        "timestamp": "created", "user_id": "user_id", "item_id": "item",
    }  # fmt: skip


def test_what_cannot_be_found_is_asked_for_and_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b,stamp\n" + rows("{u},{i},{t}") + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no column seems to be the .*user_id.*--user-id COLUMN"):
        propose([look(path)], tmp_path / "shop.yaml", {}, "shop")
    text = propose([look(path)], tmp_path / "shop.yaml", {"user_id": "a", "item_id": "b"}, "shop")
    assert "user_id: a" in text
    with pytest.raises(
        DataError, match=r"nobody: no file has such a column; there are log\.csv: a, b, stamp"
    ):
        propose([look(path)], tmp_path / "shop.yaml", {"user_id": "nobody"}, "shop")


def test_the_command_never_overwrites_unasked(tmp_path: Path) -> None:
    (file,) = start(STYLES["integers everywhere"], tmp_path)
    out = tmp_path / "shop.yaml"
    arguments = ["data", "init", str(file), "--out", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    out.write_text("mine")
    assert isinstance(CliRunner().invoke(app, arguments).exception, ConfigError)
    assert out.read_text() == "mine"
    assert CliRunner().invoke(app, [*arguments, "--force"]).exit_code == 0
    assert load_config(out).dataset.name == "t"


def test_a_column_is_counted_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("n,t\n1,a\n2, b\nNA,b\nx,?\n3.5,\n" + "4,b\n" * 20, encoding="utf-8")
    number, text = look(path).columns
    assert (number.rows, number.present, number.distinct) == (25, 24, 5)
    assert (number.numbers, number.whole, number.low, number.high) == (23, 22, 1.0, 4.0)
    assert dict(number.missing) == {"na": 1}
    assert number.odd == "1 of 24 values are no number; missing spelled 'na' 1 times"
    assert (text.present, text.padded, dict(text.missing)) == (23, 1, {"": 1, "?": 1})
    assert text.top[0] == ("b", 21)


def test_names_in_several_styles() -> None:
    assert words("unixReviewTime") == ["unix", "review", "time"]
    assert words("Item ID") == ["item", "id"]


def test_a_column_of_one_value_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,x\n" * 5, encoding="utf-8")
    assert [feature(c) for c in look(path).columns] == [None, None]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text("ab,;\t|\"'\n\r0.-é", max_size=200).map(str.encode))
def test_whatever_a_file_holds_it_is_described_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(SlateError):
        assert look(path).rows > 0


def test_a_second_title_is_a_feature_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("user_id,item_id,timestamp\n" + rows("{u},{i},{t}"))
    lines = [f"{n},Book {n},{'novel' if n % 2 else 'atlas'}" for n in range(13)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,name,title", *lines]) + "\n")
    out = tmp_path / "shop.yaml"
    files = [look(tmp_path / name) for name in ("clicks.csv", "items.csv")]
    out.write_text(propose(files, out, {}, "shop"), encoding="utf-8")
    items = load_config(out).dataset.items
    assert items is not None
    assert items.columns["title"] == "name"
    assert items.features["title_feature"].column == "title"
