"""Every overlay and option, rendered once a process."""

import functools
from copy import deepcopy

from infra_checks.render import K8S, Document, render, render_with

OVERLAYS = ("local", "dev", "prod")
# Knative's canary is between two releases, so it stands on a pinned one.
OPTIONS = {
    option.name: (option.name,) for option in sorted((K8S / "options").iterdir()) if option.is_dir()
} | {"knative-canary": ("pinned-release", "knative-canary")}
EVERY = (*OVERLAYS, *OPTIONS)


def rendered(name: str) -> list[Document]:
    """The documents of an overlay, or of the base with an option; the caller's own to change."""
    return deepcopy(_rendered(name))


@functools.cache
def _rendered(name: str) -> list[Document]:
    return render(K8S / "overlays" / name) if name in OVERLAYS else render_with(*OPTIONS[name])
