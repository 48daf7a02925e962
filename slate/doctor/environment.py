"""What the environment and the configuration say."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from slate.clock import VARIABLE as TIME_SCALE
from slate.clock import scale_of
from slate.config import SlateConfig, default_config_path, load_config
from slate.doctor.finding import Finding, Health
from slate.errors import SlateError
from slate.feedback.signing import VARIABLE as SIGNING_KEYS
from slate.feedback.signing import Signer


def configuration(path: Path | None, overrides: Sequence[str]) -> tuple[Finding, SlateConfig | None]:
    """Look at a configuration, and hand it on where it is one."""
    where = path or default_config_path()
    try:
        config = load_config(where, overrides)
    except SlateError as error:
        return Finding(
            "configuration", Health.BAD, str(error), "slate data init writes one to begin with"
        ), None
    return Finding("configuration", Health.GOOD, f"{where}, data set {config.dataset.name}"), config


def environment(config: SlateConfig) -> Iterator[Finding]:
    """Look at keys, the queue and the clock."""
    yield _keys()
    yield _queue(config)
    try:
        scale = scale_of(os.environ.get(TIME_SCALE))
    except SlateError as error:
        yield Finding("clock", Health.BAD, str(error), "")
        return
    if scale.factor != 1:
        yield Finding(
            "clock",
            Health.DOUBTFUL,
            f"{TIME_SCALE} makes time go {scale.factor:g} times as fast",
            "unset it unless this is a simulation",
        )


def _keys() -> Finding:
    if not os.environ.get(SIGNING_KEYS):
        advice = (
            "set it to <key id>:<base64>: without it nothing that is shown is recorded; slate up makes one"
        )
        return Finding("signing keys", Health.ABSENT, f"{SIGNING_KEYS} is not set", advice)
    try:
        Signer.from_environment()
    except SlateError as error:
        return Finding("signing keys", Health.BAD, str(error), "openssl rand -base64 32 makes a secret")
    return Finding("signing keys", Health.GOOD, f"{SIGNING_KEYS} can be used")


def _queue(config: SlateConfig) -> Finding:
    from slate.feedback.open import VARIABLE, describe, open_queue

    try:
        where = describe(config.feedback)
        if not os.environ.get(VARIABLE) and not Path(config.feedback.state).exists():
            return Finding("queue", Health.GOOD, f"{where} is made when it is needed")
        queue = open_queue(config.feedback)
        queue.close()
    except SlateError as error:
        return Finding("queue", Health.BAD, str(error), "")
    return Finding("queue", Health.GOOD, f"{where} can be used")
