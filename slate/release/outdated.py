"""Which releases' precomputed slates are still of use, and the removal of all others."""

from slate.feedback.state import OnlineState
from slate.release.channels import CANDIDATE, STABLE, read_channel
from slate.storage import ObjectStore


def releases_in_use(store: ObjectStore) -> list[str]:
    """The stable release, the candidate, and the one that was stable before, so that a rollback finds slates.

    Raises:
        ReleaseError: a channel contradicts itself.
    """
    stable, candidate = read_channel(store, STABLE), read_channel(store, CANDIDATE)
    found = [channel.release_id for channel in (stable, candidate) if channel is not None]
    before = stable.history[-2:-1] if stable is not None else ()
    return list(dict.fromkeys([*found, *(move.release_id for move in before)]))


def drop_outdated(store: ObjectStore, state: OnlineState) -> int:
    """Remove the slates of releases that are not in use; how many went.

    Raises:
        StorageError: the state failed; the rest goes next time.
        ReleaseError: see :func:`releases_in_use`.
    """
    in_use = releases_in_use(store)
    return state.drop_slates(in_use) if in_use else 0
