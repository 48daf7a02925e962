"""``slate releases`` as a person and as a script use it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from slate.cli.releases import app
from slate.errors import ConflictError, NotFoundError, ReleaseError
from slate.release.channels import move_channel, read_channel
from slate.release.manifest import Manifest
from slate.release.publish import publish
from slate.release.rollouts import point
from slate.storage import ObjectStore, open_store


class Bench:
    """A store with an older and a newer release, ``stable`` on the older."""

    def __init__(self, uri: str, old: Manifest, new: Manifest) -> None:
        self.uri, self.old, self.new = uri, old, new

    @property
    def store(self) -> ObjectStore:
        return open_store(self.uri)

    def run(self, *arguments: str) -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments, "--store", self.uri])

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exception is None, result.output
        return json.loads(result.stdout)

    def stable(self) -> str:
        channel = read_channel(self.store, "stable")
        assert channel is not None
        return channel.release_id


@pytest.fixture
def bench(make_release: Any, store_uri: str) -> Bench:
    old_folder, old = make_release()
    new_folder, new = make_release(
        parent=old.release_id,
        metrics={"ndcg@10": 0.15, "hr@10": 0.25, "mrr": 0.2},
        config={"retrieval": {"dim": 16, "learning_rate": 0.002}, "dataset": {"name": "tiny"}},
    )
    store = open_store(store_uri)
    publish(store, old_folder)
    publish(store, new_folder)
    move_channel(store, "stable", old.release_id, "first", "x")
    return Bench(store_uri, old, new)


def spoil(bench: Bench, path: str) -> None:
    key = f"releases/{bench.old.release_id}/{path}"
    data = bench.store.read(key)
    bench.store.delete(key)
    bench.store.write_new(key, data[::-1])


def test_list(bench: Bench) -> None:
    bench.store.write_new("releases/20200101T000000000000Z-000000000000/x", b"12345")
    answer = bench.json("list")
    assert [r["release_id"] for r in answer["releases"]] == [bench.new.release_id, bench.old.release_id]
    assert [r["channels"] for r in answer["releases"]] == [[], ["stable"]]
    assert answer["releases"][0]["parent"] == bench.old.release_id
    assert [(u["files"], u["bytes"]) for u in answer["unsealed"]] == [(1, 5)]
    text = bench.run("list").stdout
    assert bench.new.release_id in text
    assert "stable" in text
    assert "1 unsealed leftovers" in text


def test_list_shows_whole_ids_in_eighty_columns_and_survives_a_bad_manifest(bench: Bench) -> None:
    spoil(bench, "manifest.json")
    text = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["list", "--store", bench.uri]).stdout
    assert bench.old.release_id in text
    assert bench.new.release_id in text
    assert "unsound" in text
    assert "not valid JSON" in bench.json("list")["releases"][1]["problem"]


def test_list_of_an_empty_store(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["list", "--store", str(tmp_path)])
    assert "no releases in" in result.stdout


def test_show(bench: Bench) -> None:
    assert bench.json("show", "stable") == json.loads(bench.old.to_bytes())
    text = bench.run("show", bench.new.release_id[:15]).stdout
    for part in (bench.new.release_id, "ndcg@10", "0.15", "quality", "brute_force", "litert 2.20.0"):
        assert part in text


def test_verify(bench: Bench) -> None:
    assert [r["sound"] for r in bench.json("verify")] == [True, True]
    assert bench.run("verify").stdout.count("good") == 2
    spoil(bench, "fallback.json")
    one = bench.run("verify", bench.new.release_id)
    assert one.exception is None
    all_of_them = bench.run("verify")
    assert isinstance(all_of_them.exception, ReleaseError)
    assert bench.old.release_id in str(all_of_them.exception)
    assert all_of_them.stdout.count("good") == 1
    assert "'fallback.json' has sha256" in all_of_them.stdout
    as_json = bench.run("verify", "--json")
    assert [r["sound"] for r in json.loads(as_json.stdout)] == [False, True]
    assert as_json.exit_code != 0


def test_verify_a_folder(bench: Bench, make_release: Any) -> None:
    folder, manifest = make_release()
    assert bench.json("verify", str(folder))[0]["release_id"] == manifest.release_id
    (folder / "marker.txt").unlink()
    assert isinstance(bench.run("verify", str(folder)).exception, ReleaseError)


def test_promote_and_roll_back(bench: Bench) -> None:
    moved = bench.json("promote", bench.new.release_id, "--channel", "stable", "--reason", "better")
    assert (moved["channel"], moved["sequence"], moved["reason"]) == ("stable", 2, "better")
    assert bench.stable() == bench.new.release_id
    assert "already" in bench.run("promote", bench.new.release_id).stdout
    result = bench.run("rollback", "--reason", "slow")
    assert f"{bench.new.release_id} -> {bench.old.release_id}" in result.stdout
    assert bench.stable() == bench.old.release_id
    assert isinstance(bench.run("rollback").exception, ReleaseError)


def test_promote_verifies_first(bench: Bench) -> None:
    move_channel(bench.store, "shadow", bench.old.release_id, "", "x")
    spoil(bench, "fallback.json")
    assert isinstance(
        bench.run("promote", bench.old.release_id, "--channel", "candidate").exception, ReleaseError
    )
    assert read_channel(bench.store, "candidate") is None


def test_promote_refuses_what_lies_elsewhere(bench: Bench, make_release: Any) -> None:
    folder, _ = make_release()
    result = bench.run("promote", str(folder))
    assert isinstance(result.exception, ReleaseError)
    assert "does not lie in the store" in str(result.exception)
    assert isinstance(bench.run("promote", "2031").exception, NotFoundError)


def test_an_active_rollout_holds_the_channels(bench: Bench) -> None:
    bench.store.write_new("rollouts/r9/state.json", b'{"status": "canary"}')
    point(bench.store, "r9", None)
    for command in (("promote", bench.new.release_id), ("rollback",)):
        result = bench.run(*command)
        assert isinstance(result.exception, ConflictError)
        assert "rollout r9 is active" in str(result.exception)
    assert bench.stable() == bench.old.release_id
    assert bench.run("promote", bench.new.release_id, "--force").exception is None
    assert bench.run("rollback", "--force").exception is None
    assert bench.stable() == bench.old.release_id


def test_diff(bench: Bench) -> None:
    found = bench.json("diff", bench.old.release_id, bench.new.release_id)["changes"]
    assert found["config"] == {"retrieval.dim": {"old": 8, "new": 16}}
    assert found["metrics"] == {"ndcg@10": {"old": 0.125, "new": 0.15}, "mrr": {"new": 0.2}}
    assert list(found["files"]) == ["marker.txt"]
    assert set(found) == {"config", "metrics", "files"}
    text = bench.run("diff", bench.old.release_id, bench.new.release_id).stdout
    assert "+20.0%" in text
    assert "absent" in text
    assert "do not differ" in bench.run("diff", "stable", bench.old.release_id).stdout


def test_prune(bench: Bench) -> None:
    bench.store.write_new("releases/20200101T000000000000Z-000000000000/x", b"12345")
    assert bench.json("prune") == []
    assert [u["files"] for u in bench.json("prune", "--older-than-hours", "0", "--dry-run")] == [1]
    assert "1 files, 5 B" in bench.run("prune", "--older-than-hours", "0").stdout
    assert "nothing to remove" in bench.run("prune", "--older-than-hours", "0").stdout
    assert [r["sound"] for r in bench.json("verify")] == [True, True]
