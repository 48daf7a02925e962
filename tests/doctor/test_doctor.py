import json
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.doctor.environment import configuration, environment
from slate.doctor.finding import Finding, Health
from slate.doctor.installation import installation
from slate.doctor.machine import FLAGS, machine
from slate.doctor.store import store
from tests.conftest import TinyRun

RUNNER = CliRunner()


def of(found: list[Finding], name: str) -> Finding:
    return next(each for each in found if each.name == name)


@pytest.mark.parametrize(
    ("flags", "kib", "processor", "memory"),
    [
        ("fpu avx avx2 fma", 20_000_000, Health.GOOD, Health.GOOD),
        ("fpu avx fma", 20_000_000, Health.BAD, Health.GOOD),
        ("fpu", 1_000_000, Health.BAD, Health.DOUBTFUL),
    ],
)
def test_a_machine_that_scann_cannot_use_is_told(
    flags: str, kib: int, processor: Health, memory: Health, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: x\nflags\t\t: {flags}\n\nflags\t: {flags}\n")
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {kib} kB\n")
    found = list(machine(tmp_path / "not" / "made", tmp_path / "cpuinfo", tmp_path / "meminfo"))
    assert (of(found, "processor").health, of(found, "memory").health) == (processor, memory)
    lacking = [flag for flag in FLAGS if flag not in flags.split()]
    assert of(found, "processor").found.endswith(" and ".join(lacking or FLAGS))
    assert of(found, "disk").health in (Health.GOOD, Health.DOUBTFUL)


def test_what_is_installed_is_seen() -> None:
    found = {each.name: each for each in installation()}
    assert found["extra serve"].health is Health.GOOD
    assert "kserve 0.21" in found["extra serve"].found


def test_a_package_that_is_missing_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = {"imagined": ("dreams", ("no-such-package", "pydantic"))}
    monkeypatch.setattr("slate.doctor.installation.EXTRAS", extras)
    monkeypatch.setenv("PATH", "")
    found = {each.name: each for each in installation()}
    assert found["extra imagined"].health is Health.ABSENT
    assert found["extra imagined"].found == "without no-such-package"
    assert "slate-recommender[imagined]" in found["extra imagined"].advice
    assert found["redis-server"].health is Health.ABSENT


def test_keys_configuration_and_clock_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("serving: {no_such_key: 1}\n")
    finding, config = configuration(bad, [])
    assert (finding.health, config) == (Health.BAD, None)
    assert "no_such_key" in finding.found
    finding, config = configuration(None, [f"feedback.state={tmp_path / 'state.db'}"])
    assert finding.health is Health.GOOD
    assert config is not None
    monkeypatch.delenv("SLATE_SIGNING_KEYS", raising=False)
    monkeypatch.delenv("SLATE_REDIS_URL", raising=False)
    assert of(list(environment(config)), "signing keys").health is Health.ABSENT
    monkeypatch.setenv("SLATE_SIGNING_KEYS", "k1:c2hvcnQ=")
    monkeypatch.setenv("SLATE_TIME_SCALE", "60@1764000000")
    found = list(environment(config))
    assert (of(found, "signing keys").health, of(found, "clock").health) == (Health.BAD, Health.DOUBTFUL)
    (tmp_path / "state.db").write_text("no database")
    assert of(list(environment(config)), "queue").health is Health.BAD


def test_a_damaged_release_is_found_where_a_channel_names_it(tiny: TinyRun, tmp_path: Path) -> None:
    copytree(tiny.store, tmp_path / "store")
    found = list(store(str(tmp_path / "store")))
    assert of(found, "channel stable").health is Health.GOOD
    assert tiny.release_id in of(found, "channel stable").found
    (tmp_path / "store" / "releases" / tiny.release_id / "items.parquet").write_bytes(b"")
    told = RUNNER.invoke(app, ["doctor", "--store", str(tmp_path / "store"), "--json"])
    assert told.exit_code == 1
    shown = {each["name"]: each for each in json.loads(told.stdout)}
    assert shown["channel stable"]["health"] == "bad"
    assert "items.parquet" in shown["channel stable"]["found"]
    assert shown["channel stable"]["advice"] == "slate releases rollback --channel stable"


def test_an_empty_store_is_no_illness(tmp_path: Path) -> None:
    told = RUNNER.invoke(app, ["doctor", "--store", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "'slate run' makes the first release" in " ".join(told.stdout.split())
