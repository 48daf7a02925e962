"""From a configuration to the parameters of a pipeline: shared by local runs and cluster runs."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from slate.clock import SystemClock
from slate.config import SlateConfig, default_config_path, load_config
from slate.errors import ConfigError

STABLE: Final = "stable"
INCREMENTAL: Final = "incremental"
DISTRIBUTED: Final = "distributed"
SECTIONS: Final = (
    "dataset",
    "split",
    "retrieval",
    "index",
    "ranking",
    "evaluation",
    "gate",
    "recommend",
    "rollout",
    "drift",
)


def chosen_config(path: Path | None, overrides: Sequence[str] | None) -> SlateConfig:
    """The named configuration, or the default one, with its overrides."""
    return load_config(path or default_config_path(), overrides or ())


def store_uri(option: str | None, config: SlateConfig) -> str:
    """The store's address: ``--store``, else the configuration's; a directory as an absolute path."""
    uri = option or config.store.uri
    return uri if "://" in uri else str(Path(uri).resolve())


def download_cache() -> Path:
    """Where public data sets are kept between projects."""
    return Path.home() / ".cache" / "slate"


def new_run_id() -> str:
    """A fresh id that sorts by time."""
    return f"{SystemClock().now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def tracked(config: SlateConfig, workdir: Path | None) -> SlateConfig:
    """The configuration with the defaults of its section ``tracking`` filled in.

    Args:
        workdir: where a tracking database may be made; None on a cluster.
    """
    from slate.tracking.settings import resolved

    section = resolved(config.tracking, config.dataset.name, workdir)
    return config.model_copy(update={"tracking": section})


def champion_of(store: str) -> str:
    """The release that ``stable`` names, the empty string when it names none."""
    from slate.release.channels import read_channel
    from slate.storage import open_store

    channel = read_channel(open_store(store), STABLE)
    return channel.release_id if channel else ""


def arguments(
    config: SlateConfig,
    *,
    store: str,
    champion: str,
    data_fingerprint: str,
    code_fingerprint: str,
    run_id: str,
    checkpoints: str,
    cache: str,
    rollout_requested: bool,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The parameters of a pipeline, as JSON types; ``more`` are its own, see :func:`own_arguments`."""
    return {
        **{name: config.section(name) for name in SECTIONS},
        "tracking": config.section("tracking"),
        "store": store,
        "champion": champion,
        "data_fingerprint": data_fingerprint,
        "code_fingerprint": code_fingerprint,
        "run_id": run_id,
        "checkpoints": checkpoints,
        "cache": cache,
        "rollout_requested": rollout_requested,
        **(more or {}),
    }


def own_arguments(pipeline: str, config: SlateConfig, store: str, champion: str) -> dict[str, Any]:
    """The parameters that depend on the pipeline: the log of events, and the section that it alone has.

    A benchmark protocol measures the data set alone, as others have measured it.

    Args:
        champion: the release that a run starts from, or the channel that a schedule does.

    Raises:
        ConfigError: the incremental pipeline has no release to start from.
    """
    if pipeline == DISTRIBUTED:
        return {"workers": config.section("workers"), **_log_of(config, store, champion)}
    if pipeline != INCREMENTAL:
        return _log_of(config, store, champion)
    if not champion:
        raise ConfigError(
            f"incremental: {store} has no live release to start from; train in full with 'slate run' first"
        )
    return {"incremental": config.section(INCREMENTAL), **_log_of(config, store, champion)}


def _log_of(config: SlateConfig, store: str, champion: str) -> dict[str, str]:
    if champion == STABLE:
        return {"log": store, "events_fingerprint": "scheduled"}
    from slate.feedback.log import log_fingerprint
    from slate.storage import open_store

    temporal = config.split.protocol == "temporal"
    fingerprint = log_fingerprint(open_store(store)) if temporal else ""
    # A store without events is not named, so that trained models are reused with another store.
    return {"log": store if fingerprint else "", "events_fingerprint": fingerprint}
