"""Traffic on one machine: Envoy is told by a file, and asked through its administration."""

import json
import shlex
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final

from slate.config import GatewayConfig
from slate.errors import GatewayError
from slate.rollout.blocks import NONE, BlockLog, Counted
from slate.rollout.judge.evidence import Block, Requests, Step
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.admin import Admin
from slate.rollout.traffic.envoy.files import ROUTES, read_places, replace
from slate.rollout.traffic.envoy.routes import CANDIDATE, SHADOW, STABLE, routes_file, split_of, version_of
from slate.rollout.traffic.envoy.statistics import between, from_mark, to_mark
from slate.rollout.traffic.envoy.template import read_template
from slate.storage import ObjectStore

#: How long Envoy may take to say that it goes by a new file, and how often it is asked.
_TOLD_SECONDS: Final = 5.0
_ASKED_SECONDS: Final = 0.02
#: How long a server may take to say which release answers.
_SERVER_SECONDS: Final = 2.0
_MODEL: Final = "/v2/models/recommender"


class EnvoyDriver:
    """The gateway that ``slate up`` runs; see :class:`slate.rollout.traffic.driver.Driver`.

    Args:
        config: its ``folder`` is shared with ``slate up``.
        store: keeps what was counted.
    """

    def __init__(self, config: GatewayConfig, store: ObjectStore) -> None:
        self._folder = Path(config.folder)
        self._store = store
        self._block_s = config.block_s
        self._template = read_template()
        self._log: BlockLog | None = None

    def apply(self, split: Split) -> None:
        """Replace the routes, and wait until Envoy goes by them.

        Raises:
            GatewayError: there is none, or it does not take them. It will when it starts: they are written.
        """
        places = read_places(self._folder)
        text = routes_file(split, self._template)
        version, admin = version_of(text), Admin(places.admin)
        # What it missed as it was starting is moved there once more.
        if self._text() != text or admin.routes_version() != version:
            replace(self._folder / ROUTES, text)
        ends = time.monotonic() + _TOLD_SECONDS
        while admin.routes_version() != version:
            if time.monotonic() > ends:
                raise GatewayError(
                    f"the gateway does not take over {self._folder / ROUTES} within {_TOLD_SECONDS:g} s; "
                    "its log tells why"
                )
            time.sleep(_ASKED_SECONDS)

    def applied(self) -> Split | None:
        """What the file says; None as well where Envoy goes by another one: then it has to be told again.

        One that is away goes by the file when it starts.

        Raises:
            GatewayError: it cannot be read.
        """
        text = self._text()
        if text is None:
            return None
        split = split_of(text)
        try:
            followed = Admin(read_places(self._folder).admin).routes_version() == version_of(text)
        except GatewayError:
            return split
        return split if followed else None

    def answering(self, variant: str) -> frozenset[str]:
        """The release that the variant's server says it answers with, once it is ready."""
        port = read_places(self._folder).servers.get(variant)
        return frozenset() if port is None else _release_of(f"http://127.0.0.1:{port}{_MODEL}")

    def blocks(self, step: Step, now: datetime) -> Sequence[Block]:
        """See :class:`slate.rollout.judge.evidence.Gateway`.

        Raises:
            ConflictError: another controller counts.
            GatewayError: Envoy does not answer.
            RolloutError, StorageError: what was counted before cannot be read, or written.
        """
        return self._counted(step, now).blocks()

    def shadow(self, step: Step, now: datetime) -> Requests:
        """What was copied in the step; raises as :meth:`blocks`."""
        return self._counted(step, now).shadow()

    def printed(self, split: Split) -> str:
        """A shell's commands that replace the file."""
        path = shlex.quote(str(self._folder / ROUTES))
        text = json.dumps(json.loads(routes_file(split, self._template)), separators=(",", ":"))
        return (
            f"# {split.threshold / 100:g}% of users meet the candidate; Envoy takes the file over as it is "
            f"moved.\ncat > {path}.new <<'EOF'\n{text}\nEOF\nmv {path}.new {path}\n"
        )

    def _text(self) -> str | None:
        try:
            return (self._folder / ROUTES).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise GatewayError(f"{self._folder / ROUTES}: cannot be read ({error})") from error

    def _counted(self, step: Step, now: datetime) -> BlockLog:
        """The log of a step, with one more block if it is time."""
        log = self._log
        if log is None or (log.rollout_id, log.step) != (step.rollout_id, step.name):
            log = self._log = BlockLog.of(self._store, step)
        mark = log.mark()
        if mark and 0 <= time.time() - mark["at"] < self._block_s:
            return log
        reading, at = Admin(read_places(self._folder).admin).read(), time.time()
        if not mark:
            log.begin(now, to_mark(reading, at, now))
            return log
        before = from_mark(mark)
        if now > before.now:
            found = between(before.reading, reading, at - before.at)
            seconds = (now - before.now).total_seconds()
            block = Block(before.now, seconds, found.get(STABLE, NONE), found.get(CANDIDATE, NONE))
            log.add(Counted(block, found.get(SHADOW, NONE)), to_mark(reading, at, now))
        return log


def _release_of(url: str) -> frozenset[str]:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=_SERVER_SECONDS):  # noqa: S310 (the loopback)
            pass
        with urllib.request.urlopen(url, timeout=_SERVER_SECONDS) as answer:  # noqa: S310
            return frozenset(json.loads(answer.read())["versions"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return frozenset()
