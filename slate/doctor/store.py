"""The store: whether it can be reached, what its channels name, and whether that is whole."""

from collections.abc import Iterator

from slate.doctor.finding import Finding, Health
from slate.errors import SlateError
from slate.release.channels import CHANNELS, STABLE, read_channel
from slate.release.rollouts import active_rollouts
from slate.release.verify import check_requires, verify_in_store
from slate.storage import ObjectStore, open_store


def store(uri: str) -> Iterator[Finding]:
    """Look at a store. Releases that channels name are read through, file by file."""
    try:
        opened = open_store(uri)
        channels = {name: read_channel(opened, name) for name in CHANNELS}
    except SlateError as error:
        yield Finding("store", Health.BAD, str(error), "see the address and the credentials")
        return
    yield Finding("store", Health.GOOD, opened.uri)
    for name, channel in channels.items():
        if channel is None:
            yield _empty(name)
        else:
            yield _stands(opened, name, channel.release_id)
    active = active_rollouts(opened)
    if active:
        yield Finding("rollout", Health.GOOD, f"{active[0]} is under way")


def _empty(channel: str) -> Finding:
    name = f"channel {channel}"
    if channel == STABLE:
        return Finding(name, Health.ABSENT, "is empty", "'slate run' makes the first release")
    return Finding(name, Health.GOOD, "is empty: no rollout has begun yet")


def _stands(opened: ObjectStore, channel: str, release_id: str) -> Finding:
    name = f"channel {channel}"
    try:
        check_requires(verify_in_store(opened, release_id))
    except SlateError as error:
        return Finding(name, Health.BAD, str(error), f"slate releases rollback --channel {channel}")
    return Finding(name, Health.GOOD, f"{release_id}, every file as it was sealed")
