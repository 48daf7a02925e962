"""Policies and releases compared on slates that a real release explored with."""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from slate import columns
from slate.cli.main import app
from slate.config import Event
from slate.errors import DataError
from slate.evaluation.off_policy.compare import Question, compare_policy, compare_release
from slate.evaluation.off_policy.release import answers, open_target
from slate.evaluation.off_policy.slots import read_slots
from slate.feedback.log import SCHEMA as EVENTS_SCHEMA
from slate.hashing import bucket
from slate.recommend.recommender import Recommender
from slate.release.layout import manifest_key
from slate.release.manifest import Manifest, ManifestFields
from slate.release.resolve import open_verified
from slate.storage import LocalStore
from tests.conftest import TinyRun
from tests.evaluation.off_policy.logs import WINDOW, did, item, shown, written

START = datetime(2026, 6, 1, tzinfo=UTC)
QUESTION = Question(
    events={"watch": Event(weight=1)}, now=START + timedelta(days=9), window=WINDOW, minimum=20
)
RATE, POOL, USERS, EACH = 0.5, 4, 60, 5


@dataclass(frozen=True)
class World:
    """A store whose log an exploring release wrote, the same release that explores nothing, and settings."""

    store: LocalStore
    exploring: str
    plain: str
    config: Path


def explores(manifest: Manifest) -> Manifest:
    """The same release, but for its exploration."""
    fields = {name: getattr(manifest, name) for name in ManifestFields.model_fields}
    recommend = manifest.config["recommend"] | {"exploration": {"rate": RATE, "pool": POOL}}
    fields["config"] = manifest.config | {"recommend": recommend}
    return Manifest.build(ManifestFields(**fields), manifest.files, START)


@pytest.fixture(scope="module")
def world(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("explored")
    shutil.copytree(Path(tiny.store) / "releases", folder / "releases")
    found = open_verified(tiny.release_id, LocalStore(folder))
    manifest = explores(found.manifest)
    serving = Recommender(found.path, manifest.config, manifest.release_id)
    exposures, outcomes = [], []
    for number in range(USERS * EACH):
        user, at = f"p{number % USERS}", START + timedelta(minutes=number)
        slate = serving.recommend(user, at=at, context={"surface": "tv"})
        items = [item(each.item_id, each.propensity, each.score, each.position) for each in slate.items]
        exposures.append(
            shown(
                number,
                items,
                user_id=user,
                timestamp=at,
                release_id=manifest.release_id,
                context='{"surface": "tv"}',
            )
        )
        outcomes += [
            did(number, each.item_id, "watch", user_id=user, timestamp=at, received=at)
            for each in slate.items
            if bucket(user, each.item_id) % 3 == 0
        ]
    store = written(folder, exposures, outcomes)
    store.write_new(manifest_key(manifest.release_id), manifest.to_bytes())
    return World(store, manifest.release_id, tiny.release_id, tiny.folders["raw"].parent / "tiny.yaml")


def test_the_release_itself_is_the_greedy_policy(world: World) -> None:
    greedy = compare_policy(world.store, "greedy", QUESTION)
    itself = compare_release(world.store, world.plain, QUESTION)
    assert itself.policy == world.plain
    assert greedy.estimates.slates == itself.estimates.slates == USERS * EACH
    for place in (0, 1):  # The models of the doubly robust differ.
        assert itself.estimates.values[place] == greedy.estimates.values[place]
    assert itself.estimates.effective == greedy.estimates.effective
    assert "could have been drawn in about" in itself.notes[-1]
    uniform = compare_policy(world.store, "uniform", QUESTION).estimates
    assert uniform.support == pytest.approx(1.0, abs=0.4)
    assert uniform.largest_weight == pytest.approx(1 / POOL / (RATE / POOL))


def test_the_history_ends_before_the_slate(world: World) -> None:
    slots = read_slots(world.store, QUESTION.events, QUESTION.now, WINDOW)
    target = open_target(open_verified(world.plain, world.store))
    nothing = EVENTS_SCHEMA.empty_table()
    usual = answers(target, slots, nothing)
    # Somebody watched what was shown a second before it was: the release does not show it again.
    row = int(usual.agrees.argmax())
    record = slots.table.slice(row, 1).to_pylist()[0]

    def watched(at: datetime) -> pa.Table:
        event = dict.fromkeys(EVENTS_SCHEMA.names) | {
            "event_id": "1", columns.USER: record[columns.USER], columns.ITEM: record[columns.ITEM],
            columns.EVENT: "watch", columns.TIMESTAMP: at, "received": at, columns.ORGANIC: True,
        }  # fmt: skip
        return pa.Table.from_pylist([event], schema=EVENTS_SCHEMA)

    at = record[columns.TIMESTAMP]
    before = answers(target, slots, watched(at - timedelta(seconds=1)))
    assert usual.agrees[row]
    assert not before.agrees[row]
    assert before.shown[row, 2] == 0  # No candidate any more.
    after = answers(target, slots, watched(at))
    assert after.agrees[row]
    assert (after.shown[row] == usual.shown[row]).all()


def test_a_release_that_knows_what_came_is_refused(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.store.root / "releases", tmp_path / "releases")
    old = datetime(2020, 6, 1, tzinfo=UTC)
    store = written(tmp_path, [shown(1, [item("a", 0.5)], timestamp=old, release_id="r")], [])
    with pytest.raises(DataError, match=r"learnt from data up to .* it knows what came"):
        compare_release(store, world.plain, replace(QUESTION, since=None))


def test_fewer_slates_are_asked_for_and_said(world: World) -> None:
    found = compare_release(world.store, world.plain, QUESTION, most=60)
    assert found.estimates.slates == 60
    assert "60 of 300 slates were asked for, evenly spread" in found.notes


def test_the_command(world: World) -> None:
    def run(*more: str) -> Any:
        fixed = [
            "off-policy",
            "--store",
            str(world.store.root),
            "--config",
            str(world.config),
            "--minimum",
            "20",
        ]
        return CliRunner().invoke(app, [*fixed, *more])

    ran = run("--policy", "greedy")
    assert ran.exit_code == 0, ran.output
    for text in ("greedy on 300 exploring slates of 60 users", "doubly robust", "the weights are worth"):
        assert text in ran.output
    told = json.loads(run("--release", world.plain, "--reward", "slate", "--clip", "1", "--json").stdout)
    assert (told["policy"], told["reward"], told["estimates"]["clip"]) == (world.plain, "slate", 1.0)
    assert [each["estimator"] for each in told["estimates"]["values"]] == ["ips", "snips", "dr"]
    assert "every estimate is biased" in run("--policy", "uniform", "--clip", "1").output
    for wrong in ((), ("--policy", "greedy", "--release", "stable")):
        assert "give one of them" in str(run(*wrong).exception)
    assert "2000 are needed" in str(run("--policy", "greedy", "--minimum", "2000").exception)
