import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "pipelines" / "Containerfile"


def packages() -> list[str]:
    """What the wheel ships, which an installation in the image builds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return shipped


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    run = subprocess.run([linter, CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_base_is_pinned_and_every_stage_stands_on_it() -> None:
    text = CONTAINERFILE.read_text()
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}


def test_it_ends_as_somebody_who_is_not_root() -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE.read_text(), re.MULTILINE)
    assert users == [("10001", "10001")]


def test_dependencies_come_from_the_lock_with_their_hashes() -> None:
    text = CONTAINERFILE.read_text()
    for command in re.findall(r"(?:pip install|pip sync)[^&\n]*", text):
        assert "--require-hashes" in command or "--no-deps --no-build-isolation ." in command, command


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    ignore = (ROOT / "pipelines" / "Containerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE.read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"conf", *packages()} <= set(names), "all that the wheel ships"
    for name in names:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignore, name
