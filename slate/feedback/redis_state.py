"""Online state in Redis."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from slate.clock import Clock, SystemClock
from slate.feedback.redis_server import RedisServer
from slate.feedback.state import Happened, ItemChange, LiveUser, Precomputed

_ITEMS: Final = "items"
_RELEASES: Final = "slate:releases"
_BATCH: Final = 1000


class RedisState:
    """The online state in one Redis server."""

    def __init__(self, server: RedisServer, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or SystemClock()
        self._remember = server.script("remember")
        self._put_items = server.script("put_items")
        self._items = server.script("items")

    def remember(self, happened: Mapping[str, Sequence[Happened]], keep: int) -> None:
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=False)
            for user, events in happened.items():
                arguments: list[Any] = [keep]
                for one in events:
                    arguments += [one.event_id, repr(one.at), _packed(one)]
                self._remember([f"history:{user}", f"history-order:{user}"], arguments, pipeline)
            pipeline.execute()

    def history(self, user_id: str) -> list[Happened]:
        with self._server.errors():
            found = self._server.client.hgetall(f"history:{user_id}")
        return _history(found)

    def block(self, user_id: str, item_ids: Sequence[str]) -> None:
        if item_ids:
            with self._server.errors():
                self._server.client.sadd(f"blocked:{user_id}", *item_ids)

    def blocked(self, user_id: str) -> frozenset[str]:
        with self._server.errors():
            return frozenset(item.decode() for item in self._server.client.smembers(f"blocked:{user_id}"))

    def users(self, user_ids: Collection[str]) -> dict[str, LiveUser]:
        asked = list(user_ids)
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=False)
            for user in asked:
                pipeline.hgetall(f"history:{user}")
                pipeline.smembers(f"blocked:{user}")
            found = pipeline.execute()
        known = {
            user: LiveUser(_history(happened), frozenset(item.decode() for item in blocked))
            for user, happened, blocked in zip(asked, found[::2], found[1::2], strict=True)
        }
        return {user: each for user, each in known.items() if each.history or each.blocked}

    def put_slates(self, release_id: str, slates: Mapping[str, bytes], seconds: float) -> None:
        now = self._clock.now()
        until = now + timedelta(seconds=seconds)
        head = json.dumps([now.timestamp(), until.timestamp()]).encode() + b"\n"
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=False)
            pipeline.sadd(_RELEASES, release_id)
            for user, slate in slates.items():
                key = _slate_key(release_id, user)
                pipeline.set(key, head + slate, px=max(1, round(1000 * seconds)))
            pipeline.execute()

    def slate(self, release_id: str, user_id: str) -> Precomputed | None:
        with self._server.errors():
            found = self._server.client.get(_slate_key(release_id, user_id))
        if found is None:
            return None
        head, _, slate = found.partition(b"\n")
        at, until = json.loads(head)
        return Precomputed(slate, at) if until > self._clock.now().timestamp() else None

    def drop_slates(self, keep: Sequence[str]) -> int:
        gone = 0
        client = self._server.client
        with self._server.errors():
            releases = {name.decode() for name in client.smembers(_RELEASES)} - set(keep)
            for release_id in sorted(releases):
                waiting: list[bytes] = []
                for key in client.scan_iter(match=_literal(_slate_key(release_id, "")) + "*", count=_BATCH):
                    waiting.append(key)
                    if len(waiting) == _BATCH:
                        gone += client.unlink(*waiting)
                        waiting = []
                gone += client.unlink(*waiting) if waiting else 0
                client.srem(_RELEASES, release_id)
        return gone

    def put_items(self, items: Sequence[tuple[str, bool, Mapping[str, object]]]) -> int:
        arguments: list[Any] = [repr(self._clock.now().timestamp())]
        for item_id, available, features in items:
            arguments += [item_id, int(available), json.dumps(features, separators=(",", ":"))]
        return int(self._put_items([_ITEMS], arguments))

    def items(self, after: int) -> list[ItemChange]:
        return [
            ItemChange(int(version), item.decode(), available == b"1", json.loads(features), float(at))
            for version, item, available, features, at in self._items([_ITEMS], [after])
        ]

    def close(self) -> None:
        self._server.close()


def _history(found: Mapping[bytes, bytes]) -> list[Happened]:
    events = [Happened(event_id.decode(), *json.loads(rest)) for event_id, rest in found.items()]
    return sorted(events, key=lambda one: (one.at, one.event_id.encode()))


def _packed(one: Happened) -> str:
    return json.dumps([one.item_id, one.event, one.at, one.value], separators=(",", ":"))


def _slate_key(release_id: str, user_id: str) -> str:
    return f"slate:{release_id}:{user_id}"


def _literal(text: str) -> str:
    """The text as a pattern that matches only itself."""
    return "".join(f"\\{character}" if character in "*?[]\\^" else character for character in text)
