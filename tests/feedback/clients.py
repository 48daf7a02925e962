"""Clients of programs that are killed again and again: each event is sent until there is an answer."""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from slate.clock import isoformat
from slate.feedback.exposure import ExposureLog
from slate.recommend.request import SlateItem
from tests.feedback.killable import PATIENCE

USERS: Final = 7
_RESENT: Final = 0.1
_LATER: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Sent:
    """What clients sent and were told, together. Every event has an instant of its own."""

    def __init__(self, exposures: ExposureLog) -> None:
        self._exposures = exposures
        self._lock = threading.Lock()
        self._last = datetime.now(UTC)
        self._count = 0
        self.events: dict[str, dict[str, Any]] = {}
        self.accepted = 0
        self.answers = 0
        self.again = 0
        self.unknown = 0

    def next(self) -> dict[str, Any]:
        """An event on an item of its own; every other one an outcome of a slate that was shown just now."""
        with self._lock:
            name, user = f"e{self._count}", f"user-{self._count % USERS}"
            outcome = self._count % 2 == 1
            self._count += 1
            self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
            at = self._last
        event = {"schema": 1, "event_id": name, "user_id": user, "item_id": f"of-{name}", "event": "like"}
        event["timestamp"] = isoformat(at)
        if outcome:
            slate = [SlateItem("other", 1.0, 1, "two_tower"), SlateItem(f"of-{name}", 0.5, 2, "fresh", 0.25)]
            event["exposure_id"] = self._exposures.expose(user, "r-1", "personalised", slate, {}, 0.01)
        return event

    def acknowledge(self, events: list[dict[str, Any]], answer: Mapping[str, Any], sure: bool) -> None:
        """All of them are in the queue by now.

        Args:
            sure: none of these was sent before without an answer.
        """
        assert answer["rejected"] == [], answer
        assert answer["accepted"] + answer["duplicates"] == len(events)
        with self._lock:
            new = [event for event in events if event["event_id"] not in self.events]
            assert not sure or answer["accepted"] == len(new), f"{answer} for {len(new)} new events"
            self.events |= {event["event_id"]: event for event in new}
            self.accepted += answer["accepted"]
            self.answers += 1


class Client:
    """Sends events and every tenth request again, until it is told to stop and has all its answers."""

    def __init__(self, sent: Sent, port: int, key: str, seed: int) -> None:
        self._sent = sent
        self._key = key
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._abandoned = False
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for what has no answer yet."""
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "an event has no known outcome"
        if self.problem is not None:
            raise self.problem

    def abandon(self) -> None:
        """Stop without answers."""
        self._abandoned = True
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._send_all()
        except BaseException as problem:
            self.problem = problem
        finally:
            self._connection.close()

    def _send_all(self) -> None:
        recent: deque[dict[str, Any]] = deque(maxlen=500)
        while not self._stop.is_set():
            events = [self._sent.next() for _ in range(self._random.randint(1, 8))]
            self._send(events)
            recent += events
            if self._random.random() < _RESENT:
                self._sent.again += len(events)
                self._send(self._random.sample(recent, len(events)))
            self._stop.wait(0.04)  # Leaves the machine to the others.

    def _send(self, events: list[dict[str, Any]]) -> None:
        body, sure = json.dumps(events), True
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        while not self._abandoned:
            try:
                self._connection.request("POST", "/v1/events", body, headers)
                response = self._connection.getresponse()
                answer = json.loads(response.read())
            except ConnectionRefusedError:
                self._connection.close()
                time.sleep(0.05)  # Nobody has read it.
                continue
            except (OSError, HTTPException, ValueError):
                self._connection.close()
                self._sent.unknown += 1
                sure = False
                continue
            if response.status == HTTPStatus.ACCEPTED:
                self._sent.acknowledge(events, answer, sure)
                return
            assert response.status in _LATER, f"{response.status}: {answer}"
            sure = False
            time.sleep(0.05)
