"""Objects in a Google Cloud Storage bucket, under a prefix.

The bucket's generation numbers are the generations. Every write is one conditional multipart upload, up to
the service's 5 TiB an object, not resumable: a broken connection sends the file again from its start.
A retried write whose first attempt had in fact arrived would meet its own object and look like a lost race;
each write therefore carries a random mark in the object's metadata, by which it knows itself.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import exceptions as transport

from slate.errors import ConfigError, ConflictError, NotFoundError, StorageError
from slate.storage.base import Entry, ObjectStore, Versioned, check_key
from slate.storage.multipart import MultipartBody

T = TypeVar("T")

SCHEME: Final = "gs://"
_MARK: Final = "slate-write"
_REQUEST_SECONDS: Final = 60.0


class GcsStore(ObjectStore):
    """A store under ``gs://bucket/prefix``.

    ``STORAGE_EMULATOR_HOST`` is honoured as the client library does; otherwise the application default
    credentials are used. Safe to share between threads; after a fork, open it again.

    Args:
        uri: ``gs://bucket`` or ``gs://bucket/prefix``.
        patience: how long transient failures of one call are retried, in seconds.

    Raises:
        ConfigError: the address names no bucket, or has a malformed prefix.
        StorageError: there are no credentials.
    """

    def __init__(self, uri: str, patience: float = 60.0) -> None:
        bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
        prefix = prefix.rstrip("/")
        if not uri.startswith(SCHEME) or not bucket:
            raise ConfigError(f"store {uri!r}: names no bucket; write gs://bucket or gs://bucket/prefix")
        if prefix:
            try:
                check_key(prefix)
            except StorageError as error:
                raise ConfigError(f"store {uri!r}: {error}") from error
        self.uri = f"{SCHEME}{bucket}" + (f"/{prefix}" if prefix else "")
        self._prefix = f"{prefix}/" if prefix else ""
        try:
            self._client = storage.Client()
        except (auth.GoogleAuthError, OSError) as error:
            raise StorageError(
                f"{self.uri}: no usable credentials ({error}); run 'gcloud auth application-default login', "
                "or set STORAGE_EMULATOR_HOST for an emulator"
            ) from error
        self._bucket = self._client.bucket(bucket)
        self._retry: Retry = DEFAULT_RETRY.with_timeout(patience)

    def read(self, key: str) -> bytes:
        return self.read_versioned(key).data

    def read_versioned(self, key: str) -> Versioned:
        with self._errors(key):
            blob = self._blob(key)
            data: bytes = blob.download_as_bytes(retry=self._retry, timeout=_REQUEST_SECONDS)
            return Versioned(data, int(blob.generation))

    def write_new(self, key: str, data: bytes) -> None:
        self._create(key, data)

    def compare_and_swap(self, key: str, data: bytes, expected_generation: int | None) -> int:
        if expected_generation is None:
            return self._create(key, data)
        return self._upload(key, data, expected_generation, f"no longer has generation {expected_generation}")

    def upload_file(self, key: str, path: Path) -> None:
        self._create(key, path)

    def download(self, key: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with self._errors(key):
                self._blob(key).download_to_filename(
                    str(partial), retry=self._retry, timeout=_REQUEST_SECONDS
                )
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def entries(self, prefix: str = "") -> list[Entry]:
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_key(folder)
        with self._errors(prefix):
            blobs = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                fields="items(name,size,updated),nextPageToken",
                retry=self._retry,
                timeout=_REQUEST_SECONDS,
            )
            return sorted(Entry(b.name.removeprefix(self._prefix), int(b.size), b.updated) for b in blobs)

    def exists(self, key: str) -> bool:
        with self._errors(key):
            return bool(self._blob(key).exists(retry=self._retry, timeout=_REQUEST_SECONDS))

    def delete(self, key: str) -> None:
        blob = self._blob(key)
        with self._errors(key):
            try:
                blob.delete(retry=self._retry, timeout=_REQUEST_SECONDS)
            except api.NotFound:
                if not self._bucket.exists(retry=self._retry, timeout=_REQUEST_SECONDS):
                    raise

    def size(self, key: str) -> int:
        with self._errors(key):
            return int(self._stat(key).size)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _blob(self, key: str) -> Any:
        check_key(key)
        return self._bucket.blob(self._prefix + key)

    def _stat(self, key: str) -> Any:
        blob = self._blob(key)
        blob.reload(retry=self._retry, timeout=_REQUEST_SECONDS)
        return blob

    def _create(self, key: str, content: bytes | Path) -> int:
        return self._upload(key, content, 0, "already exists")

    def _upload(self, key: str, content: bytes | Path, generation: int, conflict: str) -> int:
        check_key(key)
        mark = uuid.uuid4().hex
        with self._errors(key):
            try:
                body = MultipartBody({"name": self._prefix + key, "metadata": {_MARK: mark}}, content)
            except OSError as error:
                raise StorageError(
                    f"{self.describe(key)}: {content!s} cannot be read ({error.strerror}); "
                    "nothing was written"
                ) from error
            attempts = 0

            def attempt() -> int:
                nonlocal attempts
                attempts += 1
                return self._post(body, generation)

            try:
                return int(self._retrying(attempt))
            except api.PreconditionFailed as error:
                if attempts > 1:
                    written = self._written_by(key, mark)
                    if written is not None:
                        return written
                raise ConflictError(
                    f"{self.describe(key)}: {conflict}; somebody else wrote it: read it again and retry"
                ) from error

    def _post(self, body: MultipartBody, generation: int) -> int:
        query = urlencode({"uploadType": "multipart", "ifGenerationMatch": generation})
        base = self._client._connection.get_api_base_url_for_mtls()
        response = self._client._http.post(
            f"{base}/upload/storage/v1{self._bucket.path}/o?{query}",
            data=body,
            headers={"Content-Type": body.content_type, "Accept": "application/json"},
            timeout=_REQUEST_SECONDS,
        )
        if response.status_code != 200:
            raise api.from_http_response(response)
        return int(response.json()["generation"])

    def _retrying(self, call: Callable[[], T]) -> T:
        retried: Callable[[], T] = self._retry(call)
        return retried()

    def _written_by(self, key: str, mark: str) -> int | None:
        try:
            blob = self._stat(key)
        except api.NotFound:
            return None
        return int(blob.generation) if (blob.metadata or {}).get(_MARK) == mark else None

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        where = f"{self.uri}/{key}"
        try:
            yield
        except api.NotFound as error:
            raise NotFoundError(f"{where}: does not exist; check the bucket and the name") from error
        except (api.Forbidden, api.Unauthorized, auth.GoogleAuthError) as error:
            raise StorageError(
                f"{where}: access refused ({error}); grant the account roles/storage.objectUser on the bucket"
            ) from error
        except (
            api.GoogleAPIError,
            InvalidResponse,
            DataCorruption,
            transport.RequestException,
            ConnectionError,
        ) as error:
            raise StorageError(
                f"{where}: the store did not answer as it should ({error}); "
                "check the network and the bucket, then retry"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{where}: {error.filename or 'local file'}: {error.strerror or error}; "
                "check that it is writable and has free space"
            ) from error
