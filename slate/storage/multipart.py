"""The body of a Google Cloud Storage multipart upload, streamed from disk.

The public client turns any upload above 8 MiB into a resumable one, which needs several requests and
whose precondition emulators do not honour. One multipart request carries metadata and content together,
and the precondition decides on the whole of it.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import google_crc32c

_CHUNK: Final = 1 << 20


class MultipartBody:
    """A ``multipart/related`` body of known length that can be iterated again for a retry.

    Args:
        metadata: the object resource; the content's crc32c is added, so that the server refuses a
            body that was damaged on its way.
        content: the object's bytes, or the file that holds them.
    """

    def __init__(self, metadata: dict[str, Any], content: bytes | Path) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f'multipart/related; boundary="{boundary}"'
        self._content = content
        checksum = size = 0
        for chunk in self._chunks():
            checksum = google_crc32c.extend(checksum, chunk)
            size += len(chunk)
        resource = json.dumps({**metadata, "crc32c": base64.b64encode(checksum.to_bytes(4, "big")).decode()})
        self._head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._length = len(self._head) + size + len(self._tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from self._chunks()
        yield self._tail

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self._content, bytes):
            yield self._content
            return
        with self._content.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
