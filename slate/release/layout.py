"""Where things lie in a store, spelled once."""

from typing import Final

from slate.columns import MANIFEST_FILE

RELEASES: Final = "releases/"
CHANNELS: Final = "channels/"
ROLLOUTS: Final = "rollouts/"
STATE_FILE: Final = "state.json"
ACTIVE_ROLLOUT: Final = "rollouts/active.json"


def release_prefix(release_id: str) -> str:
    """The prefix of a release's objects, ending in ``/``."""
    return f"{RELEASES}{release_id}/"


def manifest_key(release_id: str) -> str:
    """The commit marker of a release."""
    return f"{RELEASES}{release_id}/{MANIFEST_FILE}"


def channel_key(name: str) -> str:
    """A channel's pointer."""
    return f"{CHANNELS}{name}.json"
