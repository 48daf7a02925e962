"""The registered model: a version a release, and aliases that mirror the channels."""

from typing import Any, Final

from slate.columns import MANIFEST_FILE
from slate.config import TrackingConfig
from slate.release.channels import CHANNELS, read_channel
from slate.release.layout import manifest_key, release_prefix
from slate.storage import ObjectStore
from slate.tracking.record import RELEASE, RUN_ID, STORE, create, find

_FOLDER: Final = "release"


def register(client: Any, config: TrackingConfig, store: ObjectStore, release_id: str, run_id: str) -> str:
    """The version of a release, made where there is none; its number.

    The version points at the release's manifest among the artefacts of its run, as a server accepts no
    source that it cannot reach; a release that no run of this server made gets a run that holds only that.
    """
    known = _version(client, config, release_id)
    if known is not None:
        return str(known.version)
    if not client.search_registered_models(f"name = '{config.model}'", max_results=1):
        client.create_registered_model(
            config.model, description="Releases of Slate; aliases follow channels."
        )
    name = run_id or release_id
    run = find(client, config, name)
    if run is None:
        run = client.get_run(create(client, config, name))
        client.set_terminated(run.info.run_id)
    client.set_tag(run.info.run_id, RELEASE, release_id)
    manifest = store.read(manifest_key(release_id)).decode()
    client.log_text(run.info.run_id, manifest, f"{_FOLDER}/{MANIFEST_FILE}")
    made = client.create_model_version(
        config.model,
        f"{run.info.artifact_uri.rstrip('/')}/{_FOLDER}",
        run_id=run.info.run_id,
        tags={RELEASE: release_id, STORE: store.uri, RUN_ID: name},
        description=store.describe(release_prefix(release_id)),
    )
    return str(made.version)


def mirror(client: Any, config: TrackingConfig, store: ObjectStore) -> dict[str, str]:
    """Let the aliases name what the channels name: a channel's release is registered where it is not.

    Returns:
        alias to version.
    """
    aliases: dict[str, str] = {}
    for name in CHANNELS:
        channel = read_channel(store, name)
        if channel is None:
            continue
        version = register(client, config, store, channel.release_id, "")
        client.set_registered_model_alias(config.model, name, version)
        aliases[name] = version
    return aliases


def _version(client: Any, config: TrackingConfig, release_id: str) -> Any | None:
    found = client.search_model_versions(
        f"name = '{config.model}' and tag.`{RELEASE}` = '{release_id}'", max_results=1
    )
    return found[0] if found else None
