"""A stack that shares nothing with another one on the same machine."""

from pathlib import Path


def apart(folder: Path) -> list[str]:
    """Overrides of a configuration, after which all that a stack writes besides the store lies in a folder.

    >>> apart(Path("/tmp/a"))[0]
    'feedback.state=/tmp/a/state.db'
    """
    inside = folder.absolute()
    return [
        f"feedback.state={inside / 'state.db'}",
        f"serving.state={inside / 'state.db'}",
        f"rollout.gateway.folder={inside / 'gateway'}",
    ]
