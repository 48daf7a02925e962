"""Sealing refuses what could not be proven later, and is the last write."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slate.errors import ReleaseError
from slate.release.manifest import ManifestFields
from slate.release.seal import seal
from slate.release.verify import check_requires, installed_versions, verify_directory

MakeFields = Callable[..., ManifestFields]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r/sub").mkdir(parents=True)
    (tmp_path / "r/sub/b").write_bytes(b"22")
    (tmp_path / "r/a").write_bytes(b"")
    return tmp_path / "r"


def test_every_file_is_listed(folder: Path, make_fields: MakeFields) -> None:
    manifest = seal(folder, make_fields())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [(f.path, f.size) for f in manifest.files] == [("a", 0), ("sub/b", 2)]
    assert manifest.files[0].sha256 == empty
    assert verify_directory(folder, manifest.release_id) == manifest
    assert sorted(p.name for p in folder.iterdir()) == ["a", "manifest.json", "sub"]


def test_a_release_is_sealed_once(folder: Path, make_fields: MakeFields) -> None:
    seal(folder, make_fields())
    with pytest.raises(ReleaseError, match="is sealed already"):
        seal(folder, make_fields())


def test_what_a_killed_sealer_left_is_no_obstacle(folder: Path, make_fields: MakeFields) -> None:
    (folder / ".manifest.json.partial").write_bytes(b"{")
    assert verify_directory(folder, seal(folder, make_fields()).release_id)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda f: (f / "l").symlink_to(f / "a"), "'l' is a link"),
        (lambda f: (f / ".env").write_bytes(b""), r"'\.env' is hidden"),
        (lambda f: (f / "sub/assets").mkdir(), "'sub/assets' is empty"),
        (lambda f: (f / "SUB").write_bytes(b""), "differ only in case"),
        (lambda f: (f / "x\ny").write_bytes(b""), "cannot be printed"),
    ],
)
def test_what_could_not_be_proven_is_refused(
    folder: Path, make_fields: MakeFields, spoil: Callable[[Path], object], problem: str
) -> None:
    spoil(folder)
    with pytest.raises(ReleaseError, match=problem):
        seal(folder, make_fields())
    assert not (folder / "manifest.json").exists()


def test_an_empty_or_absent_folder_is_refused(tmp_path: Path, make_fields: MakeFields) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match="holds no files"):
        seal(tmp_path / "empty", make_fields())
    with pytest.raises(ReleaseError, match="is no folder"):
        seal(tmp_path / "absent", make_fields())


def test_requirements_compare_major_and_minor(folder: Path, make_fields: MakeFields) -> None:
    manifest = seal(folder, make_fields())
    check_requires(manifest, {"slate": "0.1.7", "litert": "2.20.1", "scann": "1.4.9"})
    with pytest.raises(
        ReleaseError, match=r"litert 2\.20\.\* \(found: 2\.21\.0\), scann 1\.4\.\* \(found: not"
    ):
        check_requires(manifest, {"slate": "0.1.0", "litert": "2.21.0", "scann": None})
    assert installed_versions()["slate"] is not None


def test_what_is_not_required_need_not_be_installed(folder: Path, make_fields: MakeFields) -> None:
    manifest = seal(folder, make_fields(requires={"slate": "0.1.0", "litert": "2.20.0", "scann": None}))
    check_requires(manifest, {"slate": "0.1.0", "litert": "2.20.0", "scann": None})
    with pytest.raises(ReleaseError, match=r"slate 0\.1.*not installed"):
        check_requires(manifest, {})
