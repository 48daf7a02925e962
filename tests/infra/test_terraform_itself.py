"""Terraform's own judgement: `validate` everywhere, and `test` of each module.

Here without the providers' plugins: ours knows their arguments (infra_checks.plugin). With the plugins where
they can be had.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra_checks.plugin import launcher

TERRAFORM = Path(__file__).parents[2] / "terraform"
PROGRAM = shutil.which("terraform") or ""
FOLDERS = [
    path.relative_to(TERRAFORM)
    for kind in ("modules", "environments")
    for path in sorted((TERRAFORM / kind).iterdir())
    if path.is_dir()
]
QUICK = Path("modules/valkey")

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="no terraform on the PATH; the checks of its text still ran"
)


def run(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments, "-no-color"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """The environment in which Terraform starts our providers and asks no registry."""
    overrides = "".join(
        f'    "hashicorp/{name}" = "{launcher(tmp_path, name).parent}"\n' for name in ("google", "helm")
    )
    settings = tmp_path / "terraform.rc"
    settings.write_text(f"provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n")
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_DISABLE_PLUGIN_TLS": "1", "TF_IN_AUTOMATION": "1"}
    return {**os.environ, **quiet, "TF_CLI_CONFIG_FILE": str(settings)}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree where Terraform may leave its own files."""
    ignored = shutil.ignore_patterns(".terraform*")
    return Path(shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=ignored))


@pytest.mark.parametrize(
    "folder",
    [pytest.param(f, marks=() if f == QUICK else pytest.mark.slow, id=f.name) for f in FOLDERS],
)
def test_it_is_valid_and_its_tests_pass(folder: Path, copy: Path, offline: dict[str, str]) -> None:
    assert run(copy / folder, offline, "get").returncode == 0
    valid = run(copy / folder, offline, "validate")
    assert valid.returncode == 0, valid.stderr
    if folder.parts[0] == "modules":
        tested = run(copy / folder, offline, "test")
        assert tested.returncode == 0, tested.stdout + tested.stderr
        assert " passed, 0 failed." in tested.stdout
        assert "Success! 0 passed" not in tested.stdout


def test_a_wrong_argument_is_refused(copy: Path, offline: dict[str, str]) -> None:
    source = copy / QUICK / "main.tf"
    source.write_text(source.read_text().replace("shard_count", "shards"))
    refused = run(copy / QUICK, offline, "validate")
    assert refused.returncode != 0
    assert "shards" in refused.stderr


@pytest.mark.slow
def test_the_providers_plugins_agree(copy: Path) -> None:
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    for folder in FOLDERS:
        started = run(copy / folder, environment, "init", "-backend=false", "-input=false")
        if started.returncode != 0:
            assert "registry" in started.stderr, started.stderr
            pytest.skip("Terraform's registry is not reachable: the plugins were not asked")
        valid = run(copy / folder, environment, "validate")
        assert valid.returncode == 0, valid.stderr
        if folder.parts[0] == "modules":
            tested = run(copy / folder, environment, "test")
            assert tested.returncode == 0, tested.stdout + tested.stderr
