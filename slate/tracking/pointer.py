"""Where the registry is that mirrors a store's channels: ``tracking.json`` in the store.

Whoever moves a channel, from wherever, finds the registry through it.
"""

import json
from typing import Final

from slate.config import TrackingConfig
from slate.errors import ConflictError, NotFoundError
from slate.storage import ObjectStore
from slate.tracking.attempt import attempt, shown
from slate.tracking.settings import address, database

KEY: Final = "tracking.json"


def write(store: ObjectStore, config: TrackingConfig) -> None:
    """Remember the registry. Of two writers at once either may be the one that is remembered."""
    text = json.dumps(config.model_dump(mode="json"), indent=1, sort_keys=True).encode()
    try:
        known = store.read_versioned(KEY)
    except NotFoundError:
        known = None
    if known is not None and known.data == text:
        return
    try:
        store.compare_and_swap(KEY, text, known.generation if known else None)
    except ConflictError:
        return


def read(store: ObjectStore) -> TrackingConfig | None:
    """The registry of a store, None where no run was tracked."""
    try:
        return TrackingConfig.model_validate_json(store.read(KEY))
    except NotFoundError:
        return None


def mirror_channels(store: ObjectStore) -> str:
    """Let the aliases follow after a channel has moved; a line that says why not, empty where they do."""
    try:
        config = read(store)
    except ValueError:
        return f"tracking: {store.describe(KEY)} cannot be read; the next run writes it again"
    if config is None:
        return ""
    uri = address(config)
    file = database(uri) if uri else None
    if uri and file is not None and not file.exists():
        return f"tracking: {shown(uri)}: is not on this machine; its aliases stay behind"
    # Only stores that are tracked need it, and it loads what reads evaluations.
    from slate.tracking.registry import mirror

    return attempt(config, lambda client: mirror(client, config, store))
