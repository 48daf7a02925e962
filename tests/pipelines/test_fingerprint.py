import re
import shutil
from pathlib import Path

import pytest

import slate
from pipelines.fingerprint import code_fingerprint


@pytest.fixture
def package(tmp_path: Path) -> Path:
    copy = tmp_path / "slate"
    for name in ("columns.py", "hashing.py", "cli/main.py"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(slate.__file__).parent / name, copy / name)
    return copy


def test_it_says_the_version_and_stays_the_same() -> None:
    assert re.fullmatch(re.escape(slate.__version__) + r"\+[0-9a-f]{16}", code_fingerprint())
    assert code_fingerprint() == code_fingerprint()


def test_it_depends_on_content_and_names_and_not_on_the_place(package: Path, tmp_path: Path) -> None:
    before = code_fingerprint(package)
    moved = package.rename(tmp_path / "elsewhere")
    assert code_fingerprint(moved) == before
    (moved / "hashing.py").write_text("changed = True\n")
    changed = code_fingerprint(moved)
    assert changed != before
    (moved / "hashing.py").rename(moved / "renamed.py")
    assert code_fingerprint(moved) not in (before, changed)


def test_the_command_line_does_not_count(package: Path) -> None:
    before = code_fingerprint(package)
    (package / "cli" / "main.py").write_text("changed = True\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "columns.pyc").write_bytes(b"x")
    assert code_fingerprint(package) == before


def test_a_change_of_a_library_counts(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_fingerprint(package)
    monkeypatch.setattr("pipelines.fingerprint.metadata.version", lambda name: f"{name}-next")
    assert code_fingerprint(package) != before
