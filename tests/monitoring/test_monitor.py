"""From the log in a store to records, the command, the page, the exporter and the trigger."""

import io
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import SlateConfig
from slate.errors import ConfigError, DataError
from slate.evaluation.holdout import Holdout, asks_for
from slate.feedback import tables
from slate.monitoring.exporter import Exporter
from slate.monitoring.log import midnight, read_log
from slate.monitoring.record import Record, history, latest, write
from slate.monitoring.reference import as_exposures
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.release.resolve import open_verified
from slate.steps.monitor import monitor, monitor_last, open_release
from slate.steps.triggers import MONITORED, due
from slate.storage import ObjectStore, open_store

TODAY = date(2026, 11, 20)
AFTER = datetime(2026, 11, 22, 12, tzinfo=UTC)
FEW = {"min_users": 30, "slow_ms": 1000}


@pytest.fixture(scope="module")
def shown(tiny: Any) -> pa.Table:
    """What the tiny release shows to the users of its holdout, as if on one day."""
    opened = open_verified(tiny.release_id, open_store(tiny.store))
    recommender = Recommender(opened.path, opened.manifest.config, tiny.release_id)
    holdout = Holdout.open(opened.path / "holdout")
    targets = holdout.targets(["watch"]).slice(0, 200)
    asks = asks_for(recommender, holdout, targets)
    requests = [Request(user_id=user) for user in targets["user_id"].to_pylist()]
    slates = recommender.funnel.order(asks, requests, recommender.rank(asks))
    at = int(midnight(TODAY).timestamp() * 1e6)
    found = as_exposures(
        slates, [at + 1000 * n for n in range(len(slates))], [dict(ask.query.context) for ask in asks]
    )
    answered = ("served_variant", "assigned_variant")
    for name in answered:
        place = found.schema.get_field_index(name)
        found = found.set_column(place, found.schema.field(name), pa.array(["stable"] * len(found)))
    return found


@pytest.fixture
def store(tiny: Any, tmp_path: Path) -> ObjectStore:
    """The tiny release in a store of its own, without a log."""
    shutil.copytree(tiny.store, tmp_path / "store")
    return open_store(str(tmp_path / "store"))


def config(tiny: Any, **changes: Any) -> SlateConfig:
    return SlateConfig.model_validate({**tiny.config, "monitoring": {**FEW, **changes}})


def put(store: ObjectStore, folder: str, table: pa.Table, day: date = TODAY, name: str = "0-0-1") -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    store.write_new(f"{folder}/date={day}/{name}.parquet", sink.getvalue())


def outcomes(shown: pa.Table, day: date = TODAY, event: str = "watch") -> pa.Table:
    """Everybody does this with the first item of every fourth slate."""
    at = midnight(day)
    rows = [
        {
            "event_id": f"o{n}",
            "user_id": slate["user_id"],
            "item_id": slate["items"][0]["item_id"],
            "event": event,
            "timestamp": at,
            "received": at,
            "exposure_id": slate["exposure_id"],
            "organic": False,
            "assigned_variant": "stable",
            "release_id": slate["release_id"],
        }
        for n, slate in enumerate(shown.to_pylist()[::4])
    ]
    return pa.Table.from_pylist(rows, schema=tables.OUTCOMES)


def raised(shown: pa.Table, day: date) -> pa.Table:
    """The same slates on a day, under other ids and with other scores."""
    rows = [
        {
            **slate,
            "exposure_id": f"x{n}",
            "timestamp": midnight(day) + timedelta(seconds=n),
            "items": [{**item, "score": item["score"] + 9} for item in slate["items"]],
        }
        for n, slate in enumerate(shown.to_pylist())
    ]
    return pa.Table.from_pylist(rows, schema=tables.EXPOSURES)


def config_file(tiny: Any, folder: Path) -> str:
    path = folder / "config.json"
    path.write_text(config(tiny).model_dump_json(exclude={"store"}), encoding="utf-8")
    return str(path)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["monitor", *arguments])


def test_a_release_says_what_it_shows(tiny: Any) -> None:
    release = open_release(open_store(tiny.store), tiny.release_id)
    assert release.reference is not None
    names = {figure for figure, _ in release.reference.distributions}
    assert names == {"user_features", "context", "shown_features", "shown_items", "scores"}
    assert release.reference.context == ("surface",)
    assert ("user_features", "region") in release.reference.distributions
    assert ("user_features", "history length") in release.reference.distributions
    assert all(d.shares.sum() == pytest.approx(1) for d in release.reference.distributions.values())


def test_its_own_slates_are_no_drift_and_others_are(tiny: Any, store: ObjectStore, shown: pa.Table) -> None:
    put(store, "exposures", shown)
    put(store, "outcomes", outcomes(shown), TODAY + timedelta(days=1))
    found = monitor(config(tiny), store, TODAY, AFTER, keep=True)
    (record,) = found.records
    by_kind = {f.kind for f in record.findings}
    assert "prediction" not in by_kind, record.findings
    assert not [f for f in record.findings if f.name in ("user_features", "context", "shown_features")]
    assert record.measured.slates == shown.num_rows
    assert record.measured.outcomes == len(range(0, shown.num_rows, 4))
    assert latest(store, tiny.release_id) == record
    # Everything again, under other names: each still counts once.
    put(store, "exposures", shown, name="0-2-3")
    put(store, "outcomes", outcomes(shown), TODAY, "0-2-3")
    (again,) = monitor(config(tiny), store, TODAY, AFTER, keep=True).records
    assert again.measured.slates == record.measured.slates
    assert again.measured.outcomes == record.measured.outcomes
    assert store.list("monitoring/") == [f"monitoring/date={TODAY}/{tiny.release_id}.json"]


def test_days_without_a_log_and_releases_that_are_gone(
    tiny: Any, store: ObjectStore, shown: pa.Table
) -> None:
    assert monitor(config(tiny), store, TODAY, AFTER, keep=True) == monitor_last(config(tiny), store, AFTER)
    put(store, "outcomes", outcomes(shown))
    assert monitor(config(tiny), store, TODAY, AFTER, keep=True).records == ()
    gone = "20260101T000000000000Z-0123456789ab"
    place = shown.schema.get_field_index("release_id")
    others = shown.set_column(place, shown.schema.field("release_id"), pa.array([gone] * len(shown)))
    put(store, "exposures", others)
    put(store, "exposures", shown.slice(1), name="0-7-8")
    found = monitor(config(tiny), store, TODAY, AFTER, keep=True)
    # One exposure id is one slate: the second release has what the first did not say.
    assert {r.release_id for r in found.records} <= {tiny.release_id}
    assert gone in found.notes[0]


def test_a_broken_file_names_itself(tiny: Any, store: ObjectStore) -> None:
    store.write_new(f"exposures/date={TODAY}/0-0-1.parquet", b"no parquet")
    with pytest.raises(DataError, match=rf"exposures/date={TODAY}/0-0-1.parquet: cannot be read"):
        monitor(config(tiny), store, TODAY, AFTER, keep=False)


def test_a_window_is_cut_at_its_instants(store: ObjectStore, shown: pa.Table) -> None:
    put(store, "exposures", shown)
    start = midnight(TODAY) + timedelta(milliseconds=3)
    log = read_log(store, start, start + timedelta(milliseconds=4), timedelta(days=1), AFTER)
    assert log.exposures["exposure_id"].to_pylist() == ["3", "4", "5", "6"]


def test_records_survive_the_store_and_others_are_refused(
    tiny: Any, store: ObjectStore, shown: pa.Table
) -> None:
    put(store, "exposures", shown)
    (record,) = monitor(config(tiny), store, TODAY, AFTER, keep=True).records
    older = Record(TODAY - timedelta(days=3), record.release_id, record.measured)
    write(store, older)
    assert history(store, TODAY, 28) == [older, record]
    assert history(store, TODAY, 3) == [record]
    assert latest(store, tiny.release_id) == record
    store.write_new("monitoring/date=2026-11-30/x.json", b'{"schema": 1}')
    with pytest.raises(DataError, match=r"date=2026-11-30/x.json: cannot be read"):
        latest(store, "x")


def test_the_command_shows_writes_and_fails_where_it_was_told_to(
    tiny: Any, store: ObjectStore, shown: pa.Table, tmp_path: Path
) -> None:
    put(store, "exposures", shown)
    put(store, "outcomes", outcomes(shown))
    arguments = ["--day", str(TODAY), "--store", store.uri, "--config", config_file(tiny, tmp_path)]
    page = tmp_path / "page.html"
    result = invoke(*arguments, "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "shown_features" in result.output
    text = page.read_text(encoding="utf-8")
    assert tiny.release_id in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
    report = json.loads(invoke(*arguments, "--json").output)
    assert report[0]["records"][0]["release_id"] == tiny.release_id
    tomorrow = TODAY + timedelta(days=1)
    put(store, "exposures", raised(shown, tomorrow), tomorrow)
    strict = invoke("--day", str(tomorrow), *arguments[2:], "--set", "monitoring.severities.scores=error")
    assert isinstance(strict.exception, DataError)
    assert "scores of position 1" in str(strict.exception)
    nothing = invoke("--day", "2026-11-01", *arguments[2:])
    assert "2026-11-01: no slates in the log" in nothing.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--day", "yesterday"], "is no day"),
        (["--day", "2026-11-01", "--since", "2026-11-01"], "give one of them"),
        (["--since", "2999-01-01"], "is not over yet"),
        (["--day", "2999-01-01"], "is not over yet"),
        (["--watch", "--day", "2026-11-01"], "leave --day and --since out"),
    ],
)
def test_days_that_make_no_sense(arguments: list[str], what: str, tmp_path: Path) -> None:
    result = invoke(*arguments, "--store", str(tmp_path))
    assert isinstance(result.exception, ConfigError)
    assert what in str(result.exception)


def test_prometheus_sees_figures_limits_and_ages(tiny: Any, store: ObjectStore, shown: pa.Table) -> None:
    put(store, "exposures", shown)
    registry = CollectorRegistry()
    exporter = Exporter(registry)
    now = midnight(TODAY) + timedelta(hours=12)
    records = monitor_last(config(tiny), store, now).records
    exporter.show(records, now)
    exporter.stable(now - timedelta(hours=2), now - timedelta(hours=5), now)
    text = generate_latest(registry).decode()
    labels = f'figure="context",release_id="{tiny.release_id}",subject="surface"'
    assert f"slate_drift{{{labels}}}" in text
    assert f"slate_drift_limit{{{labels}}} " in text
    # Outcomes have a day to come: nothing can be said yet, which is not 0.
    assert 'figure="calibration"' not in text
    assert "slate_release_age_seconds 7200.0" in text
    assert "slate_release_data_age_seconds 18000.0" in text
    exporter.show((), now)
    assert "slate_drift{" not in generate_latest(registry).decode()


def test_drift_of_live_traffic_makes_an_incremental_run_due(
    tiny: Any, store: ObjectStore, shown: pa.Table, tmp_path: Path
) -> None:
    watermark = datetime.fromisoformat(open_verified(tiny.release_id, store).manifest.dataset.watermark)
    first = outcomes(shown).slice(0, 1)
    event = {n: first[n][0].as_py() for n in tables.EVENTS.names}
    event |= {"timestamp": watermark + timedelta(days=1), "received": watermark + timedelta(days=1)}
    event |= {"user_id": "p1", "organic": True, "exposure_id": None}
    put(store, "events", pa.Table.from_pylist([event], schema=tables.EVENTS), watermark.date())
    off = {"every_h": None, "interactions": None, "drift_interactions": None}
    sections = {**tiny.config, "monitoring": {**FEW, "scores": 0.2}, "incremental": {"triggers": off}}
    chosen = SlateConfig.model_validate(sections)
    put(store, "exposures", shown)
    asked = (chosen, store.uri, tiny.release_id, tmp_path)
    (quiet,) = monitor(chosen, store, TODAY, AFTER, keep=True).records
    assert bool(quiet.moved) is (MONITORED in due(*asked, AFTER).reasons)
    store.delete(f"exposures/date={TODAY}/0-0-1.parquet")
    put(store, "exposures", raised(shown, TODAY))
    monitor(chosen, store, TODAY, AFTER, keep=True)
    found = due(*asked, AFTER)
    assert "scores of position 1" in found.reasons[MONITORED]
    assert MONITORED not in due(*asked, AFTER + timedelta(days=3)).reasons
    sections["incremental"] = {"triggers": {**off, "monitored_h": None}}
    assert not due(SlateConfig.model_validate(sections), *asked[1:], AFTER)
