"""Modules and environments, read as data and judged without any provider."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infra_checks import cloud, provider
from infra_checks.readme import table_of, with_tables
from infra_checks.terraform import load, values

TERRAFORM = Path(__file__).parents[2] / "terraform"
MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
ENVIRONMENTS = sorted(path for path in (TERRAFORM / "environments").iterdir() if path.is_dir())
EVERY = [*MODULES, *ENVIRONMENTS]


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_the_providers_know_every_resource_argument_and_attribute(folder: Path) -> None:
    assert provider.problems(load(folder)) == []


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_no_rule_is_broken(folder: Path) -> None:
    assert cloud.problems(load(folder)) == []


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_each_module_says_what_it_takes_and_gives_and_has_tests(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    assert with_tables(readme, load(folder)) == readme, "python -m infra_checks.readme writes the tables"
    assert list((folder / "tests").glob("*.tftest.hcl"))


def test_the_tables_name_every_variable_and_output() -> None:
    module = load(TERRAFORM / "modules" / "valkey")
    table = table_of(module)
    assert "| `append_only` | `string` | `EVERY_SEC` |" in table
    assert "| `network` | `string` | required |" in table
    assert all(f"`{name}`" in table for name in module.outputs)


def test_the_environments_differ_in_values_alone() -> None:
    dev, prod = ENVIRONMENTS
    names = {path.name for path in dev.iterdir()} - {".terraform", ".terraform.lock.hcl"}
    assert names == {path.name for path in prod.iterdir()} - {".terraform", ".terraform.lock.hcl"}
    for name in sorted(names - {"terraform.tfvars", "backend.hcl"}):
        assert (dev / name).read_text() == (prod / name).read_text(), name


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=lambda folder: folder.name)
def test_values_are_declared_and_complete(folder: Path) -> None:
    module, given = load(folder), values(folder / "terraform.tfvars")
    needed = {name for name, variable in module.variables.items() if "default" not in variable}
    assert needed <= set(given) <= set(module.variables)
    assert values(folder / "backend.hcl")["bucket"].startswith(given["project"])
    assert {"project", "region", "location", "pools"} <= set(given)


def test_production_is_the_careful_one() -> None:
    given = values(TERRAFORM / "environments" / "prod" / "terraform.tfvars")
    assert given["protected"] is True
    assert given["valkey"]["replicas"] >= 1
    assert given["location"] == given["region"]


def test_a_project_wide_role_is_known_by_name() -> None:
    granted = [
        r for folder in MODULES for r in load(folder).resources if r.kind.startswith("google_project_iam")
    ]
    assert [(r.name, r.body["role"]) for r in granted] == [
        ("nodes", "roles/container.defaultNodeServiceAccount")
    ]


def test_files_are_formatted() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("no terraform on the PATH")
    run = subprocess.run(
        [terraform, "fmt", "-recursive", "-check", "-diff", TERRAFORM],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "")
