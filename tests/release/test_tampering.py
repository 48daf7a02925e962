"""Every way to alter a sealed release that we could think of, each refused for its own reason."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from slate.errors import NotFoundError, SlateError
from slate.release.manifest import Manifest, canonical_json
from slate.release.publish import fetch, publish
from slate.release.resolve import open_verified
from slate.release.verify import verify_directory, verify_in_store
from slate.storage import LocalStore, open_store

IDS = "retrieval/index/ids.npy"


class Victim(NamedTuple):
    """A release published in a local store, its folder there, and an older release beside it."""

    folder: Path
    manifest: Manifest
    older: Path


def flip_a_byte(v: Victim) -> None:
    data = bytearray((v.folder / IDS).read_bytes())
    data[3] ^= 1
    (v.folder / IDS).write_bytes(data)


def truncate(v: Victim) -> None:
    os.truncate(v.folder / IDS, 2)


def append(v: Victim) -> None:
    with (v.folder / IDS).open("ab") as file:
        file.write(b"x")


def empty_file(v: Victim) -> None:
    (v.folder / IDS).write_bytes(b"")


def remove_file(v: Victim) -> None:
    (v.folder / IDS).unlink()


def remove_folder(v: Victim) -> None:
    shutil.rmtree(v.folder / "ranking")


def add_file(v: Victim) -> None:
    (v.folder / "retrieval/extra.bin").write_bytes(b"x")


def rename_file(v: Victim) -> None:
    (v.folder / IDS).rename(v.folder / "retrieval/index/id.npy")


def rename_by_case(v: Victim) -> None:
    (v.folder / "fallback.json").rename(v.folder / "Fallback.json")


def move_file(v: Victim) -> None:
    (v.folder / IDS).rename(v.folder / "ranking/ids.npy")


def swap_files(v: Victim) -> None:
    first, second = v.folder / "marker.txt", v.folder / "other.txt"
    first.rename(v.folder / "t")
    second.rename(first)
    (v.folder / "t").rename(second)


def case_collision(v: Victim) -> None:
    (v.folder / "FALLBACK.JSON").write_bytes((v.folder / "fallback.json").read_bytes())


def folder_case_collision(v: Victim) -> None:
    (v.folder / "Ranking").mkdir()
    (v.folder / "Ranking/model.bin").write_bytes(b"x")


def link_file(v: Victim) -> None:
    twin = v.folder.parent / "outside"
    (v.folder / IDS).rename(twin)
    (v.folder / IDS).symlink_to(twin)


def link_folder(v: Victim) -> None:
    twin = v.folder.parent / "outside"
    (v.folder / "ranking").rename(twin)
    (v.folder / "ranking").symlink_to(twin, target_is_directory=True)


def extra_broken_link(v: Victim) -> None:
    (v.folder / "broken").symlink_to("nowhere")


def link_manifest(v: Victim) -> None:
    twin = v.folder.parent / "outside.json"
    (v.folder / "manifest.json").rename(twin)
    (v.folder / "manifest.json").symlink_to(twin)


def link_release(v: Victim) -> None:
    twin = v.folder.parent / "outside"
    v.folder.rename(twin)
    v.folder.symlink_to(twin, target_is_directory=True)


def hidden_file(v: Victim) -> None:
    (v.folder / "ranking/.evil.py").write_bytes(b"x")


def hidden_folder(v: Victim) -> None:
    (v.folder / ".git").mkdir()


def empty_folder(v: Victim) -> None:
    (v.folder / "ranking/assets").mkdir()


def file_becomes_folder(v: Victim) -> None:
    (v.folder / IDS).unlink()
    (v.folder / IDS).mkdir()
    (v.folder / IDS / "x").write_bytes(b"x")


def named_pipe(v: Victim) -> None:
    (v.folder / IDS).unlink()
    os.mkfifo(v.folder / IDS)


def unix_socket(v: Victim) -> None:
    here = Path.cwd()
    os.chdir(v.folder)  # A socket's address must be short.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("sock")
    finally:
        os.chdir(here)


def no_manifest(v: Victim) -> None:
    (v.folder / "manifest.json").unlink()


def manifest_is_folder(v: Victim) -> None:
    (v.folder / "manifest.json").unlink()
    (v.folder / "manifest.json").mkdir()
    (v.folder / "manifest.json/x").write_bytes(b"")


def manifest_not_json(v: Victim) -> None:
    os.truncate(v.folder / "manifest.json", 100)


def manifest_not_utf8(v: Victim) -> None:
    (v.folder / "manifest.json").write_bytes(b"\xff\xfe{}")


def manifest_reformatted(v: Victim) -> None:
    raw = json.loads((v.folder / "manifest.json").read_bytes())
    (v.folder / "manifest.json").write_text(json.dumps(raw))


def duplicate_key(v: Victim) -> None:
    path = v.folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'{\n  "baselines"', b'{\n  "parent": "x",\n  "baselines"', 1))


def replayed_release(v: Victim) -> None:
    shutil.rmtree(v.folder)
    shutil.copytree(v.older, v.folder)


def replayed_manifest(v: Victim) -> None:
    shutil.copy(v.older / "manifest.json", v.folder / "manifest.json")


def folder_renamed(v: Victim) -> None:
    v.folder.rename(v.folder.parent / ("20990101T000000000000Z-" + "0" * 12))


def edit(change: Callable[[dict[str, Any]], None], honest_id: bool = False) -> Callable[[Victim], None]:
    """Edit the manifest; with ``honest_id`` the attacker also recomputes the id and moves the folder."""

    def tamper(v: Victim) -> None:
        raw = json.loads((v.folder / "manifest.json").read_bytes())
        change(raw)
        if honest_id:
            raw["release_id"] = Manifest.model_validate(raw).expected_id()
        (v.folder / "manifest.json").write_bytes(canonical_json(raw))
        if honest_id:
            v.folder.rename(v.folder.parent / raw["release_id"])

    return tamper


def lists(path: str) -> Callable[[Victim], None]:
    """A manifest, honestly hashed, that lists a file at ``path``."""

    def change(raw: dict[str, Any]) -> None:
        raw["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
        raw["files"].sort(key=lambda f: f["path"])

    return edit(change, honest_id=True)


def accept_the_change(v: Victim) -> None:
    """Change a file and record its new hash, but keep the id."""
    import hashlib

    flip_a_byte(v)
    digest = hashlib.sha256((v.folder / IDS).read_bytes()).hexdigest()
    edit(lambda raw: [f.update(sha256=digest) for f in raw["files"] if f["path"] == IDS] and None)(v)


KINDS: dict[str, tuple[Callable[[Victim], None], str]] = {
    "flipped byte": (flip_a_byte, "ids.npy' has sha256"),
    "truncated": (truncate, "ids.npy' has 2 bytes"),
    "appended": (append, "ids.npy' has 14 bytes"),
    "emptied": (empty_file, "ids.npy' has 0 bytes"),
    "missing file": (remove_file, "ids.npy' is missing|'retrieval/index' is empty"),
    "missing folder": (remove_folder, "saved_model.pb' is missing"),
    "extra file": (add_file, "extra.bin' is not in the manifest"),
    "renamed": (rename_file, "ids.npy' is missing; .*id.npy' is not in the manifest"),
    "renamed by case": (rename_by_case, "'fallback.json' is missing; 'Fallback.json' is not"),
    "moved": (move_file, "is empty|'ranking/ids.npy' is not in the manifest"),
    "swapped": (swap_files, "marker.txt' has"),
    "case collision": (case_collision, "differ only in case"),
    "folder case collision": (folder_case_collision, "differ only in case"),
    "symlinked file": (link_file, "ids.npy' is a link"),
    "symlinked folder": (link_folder, "'ranking' is a link"),
    "extra broken link": (extra_broken_link, "'broken' is a link"),
    "symlinked manifest": (link_manifest, "'manifest.json' is a link"),
    "symlinked release": (link_release, "a link to one"),
    "hidden file": (hidden_file, r"\.evil\.py' is hidden"),
    "hidden folder": (hidden_folder, r"'\.git' is hidden"),
    "empty folder": (empty_folder, "'ranking/assets' is empty"),
    "file became folder": (file_becomes_folder, "ids.npy' is missing"),
    "named pipe": (named_pipe, "ids.npy' is neither"),
    "socket": (unix_socket, "'sock' is neither"),
    "no manifest": (no_manifest, "never sealed"),
    "manifest a folder": (manifest_is_folder, "manifest.json' is the manifest itself"),
    "manifest cut": (manifest_not_json, "not valid JSON"),
    "manifest not UTF-8": (manifest_not_utf8, "not valid JSON"),
    "manifest reformatted": (manifest_reformatted, "not in canonical form"),
    "duplicate key": (duplicate_key, "not in canonical form"),
    "replayed older release": (replayed_release, "in place of"),
    "replayed older manifest": (replayed_manifest, "in place of"),
    "renamed folder": (folder_renamed, "in place of 20990101"),
    "newer schema": (edit(lambda r: r.update(schema_version=4)), "schema version 4"),
    "no schema": (edit(lambda r: r.pop("schema_version")), "schema version None"),
    "schema as bool": (edit(lambda r: r.update(schema_version=True)), "schema version True"),
    "unknown field": (edit(lambda r: r.update(note="x")), "note: Extra"),
    "field removed": (edit(lambda r: r.pop("requires")), "requires: Field required"),
    "forged verdict": (edit(lambda r: r["verdict"].update(checks=[])), "changed after sealing"),
    "forged metrics": (edit(lambda r: r["metrics"].update({"ndcg@10": 0.9})), "changed after sealing"),
    "backdated": (edit(lambda r: r.update(created_at="2020-01-01T00:00:00Z")), "changed after sealing"),
    "forged id": (
        edit(lambda r: r.update(release_id=r["release_id"][:-12] + "0" * 12)),
        "changed after sealing",
    ),
    "hash accepted": (accept_the_change, "changed after sealing"),
    "negative size": (edit(lambda r: r["files"][0].update(size=-1)), "files.0.size"),
    "traversal": (lists("../../etc/passwd"), "leaves the release folder"),
    "hidden traversal": (lists("ranking/../../x"), "leaves the release folder"),
    "absolute path": (lists("/etc/passwd"), "leaves the release folder"),
    "backslash path": (lists("ranking\\..\\x"), "leaves the release folder"),
    "hidden path": (lists("ranking/.x"), "is hidden"),
    "itself listed": (lists("manifest.json"), "the manifest itself"),
    "control characters": (lists("a\nb"), "cannot be printed"),
    "listed twice": (lists(IDS), "twice or unsorted"),
    "listed collision": (lists("FALLBACK.json"), "differ only in case"),
    "unsorted list": (edit(lambda r: r["files"].reverse(), honest_id=True), "twice or unsorted"),
    "listed, absent": (lists("zz"), "'zz' is missing"),
}


@pytest.fixture
def victim(make_release: Any, tmp_path: Path) -> Victim:
    files = {IDS: b"\x93NUMPY ids...", "ranking/model/saved_model.pb": b"graph", "fallback.json": b"{}"}
    older, old = make_release()
    folder, manifest = make_release(files | {"marker.txt": b"one", "other.txt": b"two!"})
    assert old.release_id < manifest.release_id
    store = LocalStore(tmp_path / "store")
    publish(store, folder)
    return Victim(tmp_path / "store/releases" / manifest.release_id, manifest, older)


def test_the_untampered_release_opens(victim: Victim, tmp_path: Path) -> None:
    assert verify_directory(victim.folder) == victim.manifest
    assert verify_in_store(LocalStore(tmp_path / "store"), victim.manifest.release_id) == victim.manifest
    opened = open_verified(victim.manifest.release_id, LocalStore(tmp_path / "store"))
    assert (opened.path, opened.manifest) == (victim.folder, victim.manifest)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tampered_release_is_refused(victim: Victim, tmp_path: Path, kind: str) -> None:
    tamper, message = KINDS[kind]
    tamper(victim)
    store = LocalStore(tmp_path / "store")
    now = next(p for p in victim.folder.parent.iterdir() if p.name not in ("outside", "outside.json"))
    with pytest.raises(SlateError, match=message):
        verify_directory(now)
    for release_id in {now.name, victim.manifest.release_id}:
        with pytest.raises(SlateError):
            verify_in_store(store, release_id)
        with pytest.raises(SlateError):
            open_verified(release_id, store)
        with pytest.raises(SlateError):
            fetch(store, release_id, tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or list((tmp_path / "cache").iterdir()) == []


def test_at_least_twenty_kinds() -> None:
    assert len({tamper for tamper, _ in KINDS.values()}) == len(KINDS) >= 20


@pytest.mark.gcs
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("changed", "has sha256"),
        ("longer", "bytes, sealed with"),
        ("missing", "is missing"),
        ("extra", "'evil.py' is not in the manifest"),
        ("placeholder folder", "is not in the manifest"),
        ("replayed", "in place of"),
        ("unsealed", "no sealed release"),
    ],
)
def test_a_tampered_bucket_is_refused(
    gcs: Any, make_release: Any, tmp_path: Path, kind: str, message: str
) -> None:
    from google.cloud import storage

    address = gcs.new_bucket()
    store = open_store(address)
    old_folder, old = make_release()
    folder, manifest = make_release()
    publish(store, old_folder)
    publish(store, folder)
    assert verify_in_store(store, manifest.release_id) == manifest
    client = storage.Client()
    bucket = client.bucket(address.removeprefix("gs://"))
    prefix = f"releases/{manifest.release_id}"
    target = bucket.blob(f"{prefix}/fallback.json")
    if kind == "changed":
        target.upload_from_string(target.download_as_bytes().replace(b"a", b"z"))
    elif kind == "longer":
        target.upload_from_string(b"much longer than it was when it was sealed")
    elif kind == "missing":
        target.delete()
    elif kind == "extra":
        bucket.blob(f"{prefix}/evil.py").upload_from_string(b"")
    elif kind == "placeholder folder":
        bucket.blob(f"{prefix}/empty/").upload_from_string(b"")
    elif kind == "replayed":
        bucket.blob(f"{prefix}/manifest.json").upload_from_string(old.to_bytes())
    else:
        bucket.blob(f"{prefix}/manifest.json").delete()
    client.close()
    with pytest.raises(SlateError, match=message):
        verify_in_store(store, manifest.release_id)
    with pytest.raises(SlateError):
        fetch(store, manifest.release_id, tmp_path / "cache")
    assert not (tmp_path / "cache" / manifest.release_id).exists()


def test_a_tampered_cache_is_fetched_again(make_release: Any, store_uri: str, tmp_path: Path) -> None:
    folder, manifest = make_release()
    store = open_store(store_uri)
    publish(store, folder)
    cached = fetch(store, manifest.release_id, tmp_path / "cache")
    assert cached == tmp_path / "cache" / manifest.release_id
    inode = (cached / "fallback.json").stat().st_ino
    assert fetch(store, manifest.release_id, tmp_path / "cache") == cached
    assert (cached / "fallback.json").stat().st_ino == inode
    (cached / "fallback.json").write_bytes(b"evil")
    assert fetch(store, manifest.release_id, tmp_path / "cache") == cached
    assert verify_directory(cached, manifest.release_id) == manifest
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [".lock", manifest.release_id]
    with pytest.raises(NotFoundError):
        fetch(store, manifest.release_id[:-1] + ("0" if manifest.release_id[-1] != "0" else "1"), tmp_path)
