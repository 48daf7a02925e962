"""Put image digests into an overlay: ``python -m infra_checks.images OVERLAY NAME@sha256:DIGEST...``.

The last part of NAME says which image of the overlay is meant.
"""

import re
import sys
from pathlib import Path
from typing import Final

from slate.errors import ConfigError

_REFERENCE: Final = re.compile(
    r"(?P<name>[a-z0-9][\w./:-]*/(?P<image>[a-z0-9-]+))@(?P<digest>sha256:[0-9a-f]{64})"
)


def put(text: str, reference: str) -> str:
    """An overlay's kustomization with one image's name and digest replaced; comments stay.

    Raises:
        ConfigError: the reference has no digest, or the overlay no such image.

    >>> overlay = "  - name: registry.invalid/a\\n    newName: r/a\\n    digest: sha256:" + "0" * 64
    >>> put(overlay, "europe/p/a@sha256:" + "ab" * 32).split("newName: ")[1][:10]
    'europe/p/a'
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ConfigError(f"image {reference!r}: not pinned by digest; give NAME@sha256:DIGEST")
    entry = re.compile(
        rf"(- name: registry\.invalid/{match['image']}\n\s+newName: )\S+(\n\s+digest: )sha256:[0-9a-f]{{64}}"
    )
    changed, count = entry.subn(rf"\g<1>{match['name']}\g<2>{match['digest']}", text)
    if count != 1:
        raise ConfigError(f"image {reference}: the overlay has no image registry.invalid/{match['image']}")
    return changed


def main(overlay: Path, references: list[str]) -> None:
    """Rewrite the overlay's kustomization."""
    path = overlay / "kustomization.yaml"
    text = path.read_text(encoding="utf-8")
    for reference in references:
        text = put(text, reference)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except ConfigError as error:
        sys.exit(f"error: {error}")
