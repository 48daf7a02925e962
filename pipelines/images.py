"""The one place where an image reference is read: pinned by digest, or refused.

A mutable tag would make Kubeflow's cache reuse what older code computed, since the cache key holds the
reference and not the content.
"""

import re
from typing import Any, Final

from components.image import PLACEHOLDER
from slate.errors import ConfigError

_REFERENCE: Final = re.compile(
    r"(?P<name>[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)(:[\w][\w.-]{0,127})?@sha256:[0-9a-f]{64}"
)


def pinned(reference: str) -> str:
    """The reference itself, when it names one image for good.

    Raises:
        ConfigError: it has no sha256 digest, is malformed, or is the placeholder.

    >>> pinned("europe-docker.pkg.dev/p/r/slate@sha256:" + "ab" * 32)[-4:]
    'abab'
    """
    if reference == PLACEHOLDER:
        raise ConfigError(
            f"image {reference}: this is the placeholder, which no cluster can pull; "
            "push the pipeline image and name it with --image NAME@sha256:DIGEST"
        )
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"image {reference!r}: not pinned by digest; give NAME@sha256:DIGEST "
            "(64 hexadecimal digits; `docker buildx imagetools inspect NAME:TAG` prints it)"
        )
    return reference


def put(spec: dict[str, Any], reference: str) -> None:
    """Write ``reference`` into every executor of a compiled pipeline, in place."""
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = reference
