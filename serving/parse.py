"""From bytes to requests, strictly: nothing that is not understood goes on to the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from serving import fields
from serving.refusal import InputError, shown
from slate.config import ServingConfig
from slate.recommend.engine import ScoreRequest
from slate.recommend.request import Assignment, Request

USER_HEADER: Final = "x-slate-user-id"

_RECOMMENDER: Final = frozenset({"user_id", "k", "history", "context", "exclude", "explain", "deadline_ms"})
_RANKER: Final = frozenset({"user_id", "item_ids", "history", "context"})
_BODY: Final = frozenset({"instances"})
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """The slates that one HTTP request asks for, and the tightest deadline any of them names."""

    requests: Sequence[Request]
    deadline_ms: float | None


def header_user(raw: bytes | None) -> str | None:
    """The user that the header names: UTF-8, as the gateway hashes it."""
    if not raw:
        return None
    try:
        return fields.identifier(raw.decode(), USER_HEADER)
    except UnicodeDecodeError:
        raise InputError(USER_HEADER, "is not UTF-8", "send the user's id in UTF-8") from None


def load_json(body: bytes, what: str = "body", advice: str = 'send {"instances": [...]}') -> Any:
    """Parse JSON: no NaN, no lone surrogates, nesting bounded by the parser.

    Raises:
        InputError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(what, f"is not JSON ({error})", advice) from None


class Parser:
    """Reads the instances of both models within the limits of ``config``."""

    def __init__(self, config: ServingConfig) -> None:
        self._limits = config

    def slates(self, body: Any, user: str | None, assignment: Assignment | None = None) -> Asked:
        """The recommender's V1 body, already parsed as JSON.

        Raises:
            InputError: a field is wrong; the message names its place.
        """
        asked = self._instances(body, lambda instance: self.slate(instance, user, assignment))
        return gathered(asked)

    def slate(
        self, instance: Any, user: str | None, assignment: Assignment | None = None
    ) -> tuple[Request, float | None]:
        """One instance of the recommender, and its deadline."""
        given = _object(instance, _RECOMMENDER)
        features, at = fields.context(given.get("context"))
        request = Request(
            user_id=fields.user(given.get("user_id"), user),
            history=fields.history(given.get("history"), self._limits.max_history),
            context=features,
            exclude=fields.identifiers(given.get("exclude"), "exclude", self._limits.max_items),
            k=fields.length(given.get("k"), self._limits.max_k),
            at=at,
            explain=fields.flag(given.get("explain"), "explain"),
            assignment=assignment,
        )
        return request, fields.deadline(given.get("deadline_ms"))

    def rankings(self, body: Any, user: str | None) -> list[ScoreRequest]:
        """The ranker's V1 body, already parsed as JSON.

        Raises:
            InputError: a field is wrong; the message names its place.
        """
        return self._instances(body, lambda instance: self.ranking(instance, user))

    def ranking(self, instance: Any, user: str | None) -> ScoreRequest:
        """One instance of the ranker."""
        given = _object(instance, _RANKER)
        features, at = fields.context(given.get("context"))
        return ScoreRequest(
            item_ids=fields.identifiers(given.get("item_ids"), "item_ids", self._limits.max_items, least=1),
            user_id=fields.user(given.get("user_id"), user),
            history=fields.history(given.get("history"), self._limits.max_history),
            context=features,
            at=at,
        )

    def count(self, number: int, what: str) -> None:
        """Refuse a request without instances, or with too many."""
        most = self._limits.max_instances
        if not 1 <= number <= most:
            raise InputError(what, f"{number} instances", f"send 1 to {most} a request")

    def _instances(self, body: Any, read: Callable[[Any], T]) -> list[T]:
        if type(body) is not dict:
            raise InputError("body", f"{shown(body)} is not an object", 'send {"instances": [...]}')
        instances = body.get("instances")
        if instances is None:
            raise InputError("instances", "is missing", 'send {"instances": [...]}')
        fields.known(body, _BODY, "")
        if type(instances) is not list:
            raise InputError("instances", f"{shown(instances)} is not a list", 'send {"instances": [...]}')
        self.count(len(instances), "instances")
        found = []
        for place, instance in enumerate(instances):
            try:
                found.append(read(instance))
            except InputError as error:
                raise error.within(f"instances[{place}]") from None
        return found


def gathered(asked: Sequence[tuple[Request, float | None]]) -> Asked:
    """Several slates as one piece of work; who waits for all of them waits for the tightest deadline."""
    deadlines = [deadline for _, deadline in asked if deadline is not None]
    return Asked([request for request, _ in asked], min(deadlines, default=None))


def _object(instance: Any, names: frozenset[str]) -> Mapping[str, Any]:
    if type(instance) is not dict:
        raise InputError(
            "", f"{shown(instance)} is not an object", f"send an object of {', '.join(sorted(names))}"
        )
    if not instance.keys() <= names:
        fields.known(instance, names, "")
    given: Mapping[str, Any] = instance
    return given
