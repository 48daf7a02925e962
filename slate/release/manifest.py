"""The manifest: what a release says about itself, and the commit marker of its folder."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from slate.clock import isoformat
from slate.columns import MANIFEST_FILE
from slate.config import describe
from slate.errors import ReleaseError
from slate.release.verdict import Finite, Verdict

SCHEMA_VERSION: Final = 3
HASH_LENGTH: Final = 12
RELEASE_ID: Final = re.compile(rf"\d{{8}}T\d{{12}}Z-[0-9a-f]{{{HASH_LENGTH}}}")

#: Files about a release rather than of it: they name dates and durations.
REPORTS: Final = "reports/"
#: Files that a next training starts from, which no answer needs.
TRAINING: Final = "training/"


def _instant(text: str) -> str:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("not an RFC 3339 instant, such as 2026-11-21T04:05:00Z") from error
    if instant.tzinfo is None:
        raise ValueError("has no time zone; write UTC with a Z")
    return text


Instant = Annotated[str, AfterValidator(_instant)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """One file: its path below the release folder, size in bytes and sha256 in hex."""

    path: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DatasetInfo(_Part):
    """The data behind the models. Training stopped at ``train_end``; ``watermark`` is the last row seen."""

    fingerprint: str
    train_end: Instant
    valid_end: Instant
    watermark: Instant
    rows: int | dict[str, Any]


class EventWeight(_Part):
    """What one event counts in training and in online engagement."""

    weight: Finite
    weight_by: Literal["value"] | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        return {k: v for k, v in plain.items() if k != "weight_by" or v is not None}


class IndexInfo(_Part):
    """The candidate index and its recall against exact search."""

    kind: str
    dim: int = Field(ge=1)
    size: int = Field(ge=0)
    k: int = Field(ge=1)
    recall: float = Field(ge=0, le=1)


class Golden(_Part):
    """A request, the answer it must get, and how far scores may stray."""

    request: dict[str, Any]
    response: dict[str, Any]
    tolerance: float = Field(ge=0, allow_inf_nan=False)


class Requires(_Part):
    """Versions whose major and minor part must be installed to open the release; None: not needed."""

    slate: str
    litert: str
    scann: str | None


class ManifestFields(_Part):
    """What whoever assembles a release knows about it; sealing adds the rest."""

    code_revision: str
    parent: str | None
    dataset: DatasetInfo
    config: dict[str, Any]
    events: dict[str, EventWeight]
    metrics: dict[str, Any]
    baselines: dict[str, Any]
    verdict: Verdict
    index: IndexInfo
    golden: tuple[Golden, ...]
    requires: Requires


class Manifest(ManifestFields):
    """The whole of ``manifest.json``."""

    schema_version: Literal[3] = SCHEMA_VERSION
    release_id: str
    created_at: Instant
    files: tuple[FileEntry, ...]

    def to_bytes(self) -> bytes:
        """The canonical form: the only bytes that are this manifest."""
        return canonical_json(self.model_dump())

    @property
    def content_hash(self) -> str:
        """sha256 in hex over the file list, which holds every file's own sha256."""
        return content_hash(self.files)

    def same_content(self, other: "Manifest") -> bool:
        """Whether both answer every request alike: same files (reports aside), config and events."""
        return _answering(self) == _answering(other)

    @classmethod
    def build(cls, fields: ManifestFields, files: Sequence[FileEntry], created: datetime) -> Self:
        """A manifest with the id that its content gives it.

        Raises:
            ReleaseError: a value that JSON cannot hold, such as NaN.
        """
        try:
            draft = cls.model_validate(
                {
                    **_plain(fields),
                    "release_id": "",
                    "created_at": isoformat(created),
                    "files": sorted((f.model_dump() for f in files), key=lambda f: str(f["path"])),
                }
            )
        except ValidationError as error:
            raise ReleaseError(f"release fields: {describe(error)}; correct them and seal again") from error
        return draft.model_copy(update={"release_id": draft.expected_id()})

    def expected_id(self) -> str:
        """The id that this manifest must have.

        ``<created_at, sortable>-<12 hex>``: the hex digits begin the sha256 of the canonical manifest
        without its id. They cover the file list, so every file, and also the verdict and the metrics.
        """
        body = {k: v for k, v in _plain(self).items() if k != "release_id"}
        digest = hashlib.sha256(canonical_json(body)).hexdigest()[:HASH_LENGTH]
        instant = datetime.fromisoformat(self.created_at).astimezone(UTC)
        return f"{instant:%Y%m%dT%H%M%S%f}Z-{digest}"


def _answering(manifest: Manifest) -> object:
    files = [f for f in manifest.files if not f.path.startswith(REPORTS)]
    plain = _plain(manifest)
    return content_hash(files), plain["config"], plain["events"]


def content_hash(files: Sequence[FileEntry]) -> str:
    """sha256 in hex over the sorted (path, size, sha256) list.

    >>> a = FileEntry(path="a", size=1, sha256="0" * 64)
    >>> b = FileEntry(path="b", size=2, sha256="1" * 64)
    >>> content_hash([a, b]) == content_hash([b, a]) != content_hash([a])
    True
    """
    rows = sorted((f.path, f.size, f.sha256) for f in files)
    return hashlib.sha256(canonical_json([list(row) for row in rows])).hexdigest()


def canonical_json(value: object) -> bytes:
    """One spelling: sorted keys, two spaces, UTF-8, a final newline, finite numbers only.

    Raises:
        ReleaseError: naming the place of a value that JSON cannot hold.
    """
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
        return f"{text}\n".encode()
    except (ValueError, TypeError) as error:
        raise ReleaseError(
            f"manifest: {_offender(value)}: {error}; write null or leave the value out"
        ) from error


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest, refusing any bytes but the canonical ones and any id but its own.

    Args:
        where: how errors name it.

    Raises:
        ReleaseError: naming the problem.
    """
    restore = "fetch the release again or roll back to another"
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise ReleaseError(f"{where}: {MANIFEST_FILE} is not valid JSON ({error}); {restore}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ReleaseError(
            f"{where}: {MANIFEST_FILE} has schema version {version!r}, this Slate reads {SCHEMA_VERSION}; "
            "open it with the Slate that wrote it, or train again into a new store"
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise ReleaseError(f"{where}: {MANIFEST_FILE}: {describe(error)}; {restore}") from error
    if manifest.to_bytes() != data:
        raise ReleaseError(f"{where}: {MANIFEST_FILE} is not in canonical form, so it was edited; {restore}")
    expected = manifest.expected_id()
    if manifest.release_id != expected:
        raise ReleaseError(
            f"{where}: {MANIFEST_FILE} says release {manifest.release_id}, but its content makes {expected}, "
            f"so it was changed after sealing; {restore}"
        )
    _check_paths(manifest.files, where)
    return manifest


def path_problem(path: str) -> str | None:
    """Why a release may not hold a file of this path; None where it may.

    >>> path_problem("retrieval/index/ids.npy") is None
    True
    >>> path_problem("../secrets")
    'leaves the release folder or is not in its simplest form'
    """
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or any(p in ("", ".", "..") for p in parts):
        return "leaves the release folder or is not in its simplest form"
    if any(p.startswith(".") for p in parts):
        return "is hidden"
    if path == MANIFEST_FILE:
        return "is the manifest itself"
    if not path.isprintable() or str(PurePosixPath(path)) != path:
        return "has characters that cannot be printed"
    return None


def collision(paths: Sequence[str]) -> tuple[str, str] | None:
    """Two paths, or folders of theirs, that a case-insensitive file system would take for one.

    >>> collision(["a/x", "A/y"])
    ('a', 'A')
    """
    seen: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            spelling = "/".join(parts[:depth])
            first = seen.setdefault(spelling.casefold(), spelling)
            if first != spelling:
                return first, spelling
    return None


def _check_paths(files: Sequence[FileEntry], where: str) -> None:
    paths = [f.path for f in files]
    for path in paths:
        problem = path_problem(path)
        if problem:
            raise ReleaseError(f"{where}: {MANIFEST_FILE} lists {path!r}, which {problem}; do not open it")
    if paths != sorted(set(paths)):
        raise ReleaseError(f"{where}: {MANIFEST_FILE} lists files twice or unsorted; fetch the release again")
    clash = collision(paths)
    if clash:
        raise ReleaseError(
            f"{where}: {clash[0]!r} and {clash[1]!r} differ only in case; rename one and seal again"
        )


def _plain(model: BaseModel) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(canonical_json(model.model_dump()))
    return plain


def _offender(value: object, where: str = "value") -> str:
    if isinstance(value, Mapping):
        for key, child in value.items():
            found = _offender(child, f"{where}.{key}")
            if found:
                return found
    elif isinstance(value, list | tuple):
        for number, child in enumerate(value):
            found = _offender(child, f"{where}[{number}]")
            if found:
                return found
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"{where.removeprefix('value.')} is {value}"
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        return f"{where.removeprefix('value.')} is {value!r}"
    elif value is not None and not isinstance(value, str | int | float):
        return f"{where.removeprefix('value.')} is a {type(value).__name__}"
    return ""
