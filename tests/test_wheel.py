"""The wheel holds what docs/adr/0003-what-the-wheel-ships.md says."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("slate", "components", "pipelines", "serving")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("slate_recommender-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_and_template_is_in_it(names: set[str]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".j2", ".typed"}
    }
    assert len(wanted) > 100
    assert wanted <= names


def test_the_configurations_are_where_the_default_is_looked_for(names: set[str]) -> None:
    assert {"slate/conf/movielens.yaml", "slate/conf/base.yaml"} <= names


def test_the_gateways_settings_are_where_the_local_gateway_looks_for_them(names: set[str]) -> None:
    assert {"slate/gateway/assign.lua", "slate/gateway/policies.yaml"} <= names


def test_manifests_of_a_move_can_be_printed_from_it(names: set[str]) -> None:
    assert {f"slate/gateway/{name}.yaml" for name in ("route", "policies", "stable")} <= names


def test_nothing_of_a_checkout_is_in_it(names: set[str]) -> None:
    roots = {name.split("/")[0] for name in names}
    assert {r for r in roots if not r.endswith(".dist-info")} == set(PACKAGES)
