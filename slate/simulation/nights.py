"""Days of users, and after each a night in which the live release is brought up to date.

By day users ask a stack that is up and act, and do more elsewhere in the shop, all of it over HTTP. At night
the commands of an operator run: the incremental pipeline over what the consumer wrote, the promotion of what
passed the gate, and the batch pipeline that makes slates ahead.
"""

import asyncio
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from slate import columns
from slate.clock import SystemClock
from slate.errors import GateError, GatewayError, ModelError, StorageError
from slate.evaluation.compare import compare
from slate.evaluation.holdout import Holdout
from slate.evaluation.intervals import Difference
from slate.evaluation.record import CHAMPION
from slate.feedback.log import read_events
from slate.feedback.open import open_state
from slate.recommend.open import open_release
from slate.release.channels import STABLE, read_channel
from slate.simulation.client import Address, Client
from slate.simulation.dataset import write_dataset, write_items
from slate.simulation.past import early, write_past
from slate.simulation.prepare import DATA, STORE, Prepared
from slate.simulation.releases import Candidate, Pair, put_release
from slate.simulation.settings import Settings
from slate.simulation.traffic import Traffic, come
from slate.simulation.visits import Visit, visits
from slate.simulation.world import make_world
from slate.steps.assemble import HOLDOUT
from slate.storage import ObjectStore, open_store

_DAY: Final = 86_400.0
_WRITTEN_WITHIN_S: Final = 120.0
_SERVED_WITHIN_S: Final = 120.0
_LOOK_S: Final = 0.5
#: Events of what is done elsewhere that are sent together.
_AT_ONCE: Final = 100
_PASSED: Final = "passed"
_TOLD: Final = 2_000


@dataclass(frozen=True)
class Night:
    """One day and the night after it.

    ``events`` are those that slates led to, with the mean ``engagement`` of a slate; ``elsewhere`` counts
    those without one. ``release_id`` is what the incremental pipeline made, None where nothing passed;
    ``verdict`` is that of the gate, with ``failed_checks``. ``quality`` is the release's NDCG@10 against that
    of the first day's, which was never updated, on the interactions of its holdout, which neither was trained
    on. ``slates_before`` and ``slates_after`` count the precomputed slates that are kept, by release, before
    the promotion and after the night. ``served_by`` is the release that answers the next morning. ``seconds``
    are real, of the night.
    """

    day: int
    asked: int
    failed: int
    events: int
    elsewhere: int
    engagement: float
    verdict: str
    failed_checks: tuple[str, ...]
    release_id: str | None
    quality: Difference | None
    slates_before: Mapping[str, int]
    slates_after: Mapping[str, int]
    served_by: str
    seconds: float


def prepare_nights(
    settings: Settings,
    folder: Path,
    *,
    seed: int,
    code: str,
    cache: Path,
    tell: Callable[[str], None],
) -> Prepared:
    """A store whose release knows the first days of the log, and a data set that holds no more than these.

    Raises:
        ModelError, ReleaseError, StorageError: see :func:`slate.simulation.releases.put_release`.
    """
    made = put_release(settings, "early", folder / STORE, seed=seed, code=code, cache=cache, tell=tell)
    world = make_world(settings.size, seed)
    known = early(write_past(world), settings.early_days)
    write_dataset(world, known, {**settings.training, **settings.running}, folder / DATA)
    # The clock stays as it is: only visits are crowded, since a night takes machines what it takes.
    return Prepared(
        folder.resolve(),
        Candidate.SAME,
        seed,
        settings.size,
        settings.visits_per_day,
        1.0,
        Pair(made.release_id, made.release_id, made.truth, made.truth),
    )


class Nights:
    """Runs days and nights over what was prepared, against a stack that is up.

    Args:
        early_days: of the world's log, which the first release knows.
        crowded: how many simulated seconds of visits come in a real one.
        overrides: of the configuration, as the stack has them.
        tell: told in one line of what goes on.
    """

    def __init__(
        self,
        prepared: Prepared,
        address: Address,
        *,
        early_days: float,
        crowded: float,
        overrides: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        self._prepared, self._address, self._crowded = prepared, address, crowded
        self._overrides, self._tell = overrides, tell
        self._config = prepared.config(overrides)
        self._world = prepared.world()
        self._run = uuid.uuid4().hex[:8]
        self._releases = [prepared.releases.stable]
        self._log, self._early_days = write_past(self._world), early_days

    def run(self, days: int) -> Iterator[Night]:
        """Each day with its night, as it ends.

        Raises:
            GatewayError: the server did not take the new release on.
            ModelError: a pipeline failed; the message has the end of what it said.
            StorageError: what users did did not reach the log.
        """
        self._tell("slates are made ahead by the first release")
        self._command("run", "--pipeline", "batch", *self._places, "--workdir", str(self._work))
        taken = itertools.takewhile(
            lambda visit: visit.at <= days * _DAY, visits(self._world, self._prepared.visits_per_day)
        )
        sent = 0
        for day, coming in itertools.groupby(taken, lambda visit: int(visit.at // _DAY)):
            self._tell(f"day {day + 1}: users come")
            traffic, elsewhere = asyncio.run(self._day(coming, day))
            sent += traffic.events + elsewhere
            self._await_log(sent)
            known = early(self._log, self._early_days + day + 1)
            write_items(self._world, known, self._prepared.config_path.parent)
            yield self._night(day + 1, traffic, elsewhere)

    @property
    def _work(self) -> Path:
        return self._prepared.folder / "work"

    @property
    def _places(self) -> list[str]:
        """Options that every command takes."""
        told = [word for override in self._overrides for word in ("--set", override)]
        return ["--config", str(self._prepared.config_path), "--store", self._prepared.store, *told]

    @property
    def _store(self) -> ObjectStore:
        return open_store(self._prepared.store)

    async def _day(self, coming: Iterator[Visit], day: int) -> tuple[Traffic, int]:
        """What users went through, and how many events there were of what they did elsewhere."""
        traffic = Traffic()
        today = (replace(visit, at=visit.at - day * _DAY) for visit in coming)
        until = early(self._log, self._early_days + day + 1)
        elsewhere = until.slice(early(self._log, self._early_days + day).num_rows).to_pylist()
        async with Client(self._address, SystemClock(), self._run) as client:
            _, accepted = await asyncio.gather(
                come(today, self._crowded, self._world.tastes, client, traffic),
                self._browse(client, elsewhere),
            )
        return traffic, accepted

    async def _browse(self, client: Client, rows: Sequence[Mapping[str, Any]]) -> int:
        """Send what users do without a slate in its order, evenly over the day; how many were accepted."""
        accepted = 0
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            accepted += await client.tell_elsewhere(
                [(row[columns.USER], row[columns.ITEM], row[columns.EVENT]) for row in part], start
            )
            await asyncio.sleep(_DAY / self._crowded * len(part) / len(rows))
        return accepted

    def _await_log(self, events: int) -> None:
        """Until the consumer has written so many events."""
        ends = time.monotonic() + _WRITTEN_WITHIN_S
        while (written := read_events(self._store).num_rows) < events:
            if time.monotonic() > ends:
                raise StorageError(
                    f"nights: {written} of {events} acknowledged events are in the log after "
                    f"{_WRITTEN_WITHIN_S:.0f} s; look at the consumer's log in {self._prepared.folder}"
                )
            time.sleep(_LOOK_S)

    def _night(self, day: int, traffic: Traffic, elsewhere: int) -> Night:
        began = time.monotonic()
        self._tell(f"night {day}: the live release is brought up to date")
        made = self._command(
            "run", "--pipeline", "incremental", *self._places, "--workdir", str(self._work), "--json"
        )
        answer = json.loads(made)
        before = self._kept()
        release_id = answer["release_id"] if answer["verdict"] == _PASSED else None
        if release_id is not None:
            self._releases.append(release_id)
            self._tell(f"night {day}: {release_id} is promoted, and slates are made ahead")
            self._command("releases", "promote", release_id, *self._places)
            self._command("run", "--pipeline", "batch", *self._places, "--workdir", str(self._work))
        live = read_channel(self._store, STABLE)
        served = asyncio.run(self._await_server(live.release_id if live else ""))
        return Night(
            day,
            traffic.asked,
            traffic.failed,
            traffic.events,
            elsewhere,
            traffic.engagement / max(traffic.asked, 1),
            answer["verdict"],
            tuple(answer["failed_checks"]),
            release_id,
            None if release_id is None else self._quality(release_id),
            before,
            self._kept(),
            served,
            time.monotonic() - began,
        )

    def _command(self, *words: str) -> str:
        """What a command of ours prints; a release that the gate refused is no failure."""
        ended = subprocess.run(  # noqa: S603 (ourselves)
            [sys.executable, "-m", "slate.cli.main", *words],
            cwd=self._prepared.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode not in (0, GateError.exit_code):
            raise ModelError(f"slate {' '.join(words[:3])} failed:\n{ended.stderr[-_TOLD:]}")
        return ended.stdout

    def _kept(self) -> dict[str, int]:
        """How many slates are kept of each release that there was."""
        state = open_state(self._config.feedback)
        try:
            return {
                release: sum(state.slate(release, user) is not None for user in self._world.tastes.users)
                for release in self._releases
            }
        finally:
            state.close()

    async def _await_server(self, release_id: str) -> str:
        """The release that answers, once it is this one."""
        ends = time.monotonic() + _SERVED_WITHIN_S
        async with Client(self._address, SystemClock(), self._run) as client:
            while (answering := await client.answered_by(self._world.tastes.users[0])) != release_id:
                if time.monotonic() > ends:
                    raise GatewayError(
                        f"nights: stable names {release_id}, but {answering} answers after "
                        f"{_SERVED_WITHIN_S:.0f} s; look at the server's log in {self._prepared.folder}"
                    )
                await asyncio.sleep(_LOOK_S)
        return release_id

    def _quality(self, release_id: str) -> Difference:
        updated = open_release(release_id, store=self._prepared.store)
        found = compare(
            updated,
            Holdout.open(updated.directory / HOLDOUT),
            self._config.evaluation,
            events=self._config.dataset.target_events,
            champion=open_release(self._prepared.releases.stable, store=self._prepared.store),
        ).record
        return found.overall.differences[CHAMPION]
