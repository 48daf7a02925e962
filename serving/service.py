"""What both models answer, whatever the protocol: parsed requests in, plain JSON types or tensors out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.parse import Asked, Parser, gathered, load_json
from serving.refusal import InputError
from serving.tensors import Inference, Tensor
from slate.config import ServingConfig
from slate.recommend.engine import Answer, Engine, ScoreRequest, Scores
from slate.recommend.request import Assignment

RECOMMENDER: Final = "recommender"
RANKER: Final = "ranker"

_USER: Final = "user_id"
_ITEM: Final = "item_id"
_TEXT_OPTIONS: Final = ("history", "exclude", "context")
_SLATE_OPTIONS: Final = frozenset({"k", "deadline_ms", *_TEXT_OPTIONS})
_SCORE_OPTIONS: Final = frozenset({"history", "context"})


@dataclass(frozen=True)
class Described:
    """A tensor as the metadata of a model lists it; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


class Recommending:
    """The model ``recommender``: users in, slates out."""

    name: Final = RECOMMENDER
    inputs: Final = (Described(_USER, "BYTES", (-1,)),)
    outputs: Final = (
        Described("item_id", "BYTES", (-1, -1)),
        Described("score", "FP32", (-1, -1)),
        Described("length", "INT32", (-1,)),
        Described("rung", "BYTES", (-1,)),
        Described("exposure_id", "BYTES", (-1,)),
    )

    def __init__(self, engine: Engine, config: ServingConfig) -> None:
        self.engine = engine
        self._parser = Parser(config)

    def read(self, body: Any, user: str | None, assignment: Assignment | None = None) -> Asked:
        """A V1 body, already parsed as JSON."""
        return self._parser.slates(body, user, assignment)

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """A V1 answer."""
        answers = await self.engine.recommend(asked.requests, asked.deadline_ms)
        return {"predictions": [answer_dict(answer) for answer in answers]}

    def read_tensors(
        self, inference: Inference, user: str | None, assignment: Assignment | None = None
    ) -> Asked:
        """A V2 request: ``user_id`` BYTES[n], empty for somebody unknown; options are parameters."""
        users = _texts(inference.inputs, _USER, 1)
        _only(inference.inputs, (_USER,))
        self._parser.count(len(users.data), f"inputs.{_USER}")
        options = _options(inference.parameters, _SLATE_OPTIONS)
        asked = []
        for name in users.data:
            try:
                asked.append(self._parser.slate({**options, "user_id": _named(name)}, user, assignment))
            except InputError as error:
                raise _placed(error) from None
        return gathered(asked)

    async def answer_tensors(self, asked: Asked) -> tuple[list[Tensor], dict[str, str]]:
        """A V2 answer: slates padded to the longest, and who answered."""
        answers = await self.engine.recommend(asked.requests, asked.deadline_ms)
        slates = [answer.slate for answer in answers]
        count, width = len(slates), max((len(slate.items) for slate in slates), default=0)
        rows = [(slate.items, width - len(slate.items)) for slate in slates]
        exposures = [answer.exposure_id or "" for answer in answers]
        outputs = [
            Tensor(
                "item_id",
                "BYTES",
                [count, width],
                [i for items, pad in rows for i in [item.item_id for item in items] + [""] * pad],
            ),
            Tensor(
                "score",
                "FP32",
                [count, width],
                [s for items, pad in rows for s in [item.score for item in items] + [0.0] * pad],
            ),
            Tensor("length", "INT32", [count], [len(slate.items) for slate in slates]),
            Tensor("rung", "BYTES", [count], [slate.rung for slate in slates]),
            Tensor("exposure_id", "BYTES", [count], exposures),
        ]
        return outputs, {"release_id": slates[0].release_id, "variant": answers[0].variant}


class Ranking:
    """The model ``ranker``: a user and items in, scores out."""

    name: Final = RANKER
    inputs: Final = (Described(_USER, "BYTES", (-1,)), Described(_ITEM, "BYTES", (-1, -1)))
    outputs: Final = (Described("score", "FP32", (-1, -1)), Described("known", "BOOL", (-1, -1)))

    def __init__(self, engine: Engine, config: ServingConfig) -> None:
        self.engine = engine
        self._parser = Parser(config)

    def read(self, body: Any, user: str | None, _: Assignment | None = None) -> list[ScoreRequest]:
        """A V1 body, already parsed as JSON. Scores are shown to nobody, whoever is assigned to what."""
        return self._parser.rankings(body, user)

    async def answer(self, asked: Sequence[ScoreRequest]) -> dict[str, Any]:
        """A V1 answer."""
        return {"predictions": [scores_dict(scores) for scores in await self.engine.score(asked)]}

    def read_tensors(
        self, inference: Inference, user: str | None, _: Assignment | None = None
    ) -> list[ScoreRequest]:
        """A V2 request: ``item_id`` BYTES[n, m], and ``user_id`` BYTES[n] unless nobody is known."""
        items = _texts(inference.inputs, _ITEM, 2)
        _only(inference.inputs, (_USER, _ITEM))
        count, width = items.shape
        users: Sequence[Any] = [None] * count
        if _USER in inference.inputs:
            users = _texts(inference.inputs, _USER, 1).data
        if len(users) != count:
            raise InputError(f"inputs.{_USER}", f"{len(users)} users for {count} rows", "send one a row")
        self._parser.count(count, f"inputs.{_ITEM}")
        options = _options(inference.parameters, _SCORE_OPTIONS)
        asked = []
        for row, name in enumerate(users):
            ids = list(items.data[row * width : (row + 1) * width])
            try:
                asked.append(
                    self._parser.ranking({**options, "user_id": _named(name), "item_ids": ids}, user)
                )
            except InputError as error:
                raise _placed(error) from None
        return asked

    async def answer_tensors(self, asked: Sequence[ScoreRequest]) -> tuple[list[Tensor], dict[str, str]]:
        """A V2 answer: a score and ``probability.<event>`` for each item; 0 where ``known`` is false."""
        found = await self.engine.score(asked)
        shape = [len(found), len(asked[0].item_ids)]
        outputs = [
            Tensor("score", "FP32", shape, [s or 0.0 for scores in found for s in scores.scores]),
            Tensor("known", "BOOL", shape, [s is not None for scores in found for s in scores.scores]),
        ]
        outputs += [
            Tensor(
                f"probability.{event}",
                "FP32",
                shape,
                [p or 0.0 for scores in found for p in scores.events[event]],
            )
            for event in found[0].events
        ]
        return outputs, {"release_id": found[0].release_id, "variant": self.engine.variant}


Service = Recommending | Ranking


def services(engine: Engine, config: ServingConfig) -> dict[str, Service]:
    """Both models by name."""
    return {RECOMMENDER: Recommending(engine, config), RANKER: Ranking(engine, config)}


def metadata(service: Service) -> dict[str, Any]:
    """What ``GET /v2/models/<name>`` says: the tensors, and who would answer."""
    release = service.engine.release_id
    return {
        "name": service.name,
        "versions": [] if release is None else [release],
        "platform": f"slate_{service.engine.variant}",
        "inputs": [each.to_dict() for each in service.inputs],
        "outputs": [each.to_dict() for each in service.outputs],
    }


def answer_dict(answer: Answer) -> dict[str, Any]:
    """An answer as JSON shows it."""
    slate = answer.slate
    shown: dict[str, Any] = {
        "user_id": slate.user_id,
        "items": [vars(item) for item in slate.items],
        "rung": slate.rung,
        "release_id": slate.release_id,
        "variant": answer.variant,
        "exposure_id": answer.exposure_id,
    }
    if slate.explanation is not None:
        shown["explanation"] = slate.to_dict()["explanation"]
    return shown


def scores_dict(scores: Scores) -> dict[str, Any]:
    """Scores as JSON shows them: null where the item is unknown."""
    return {
        "scores": list(scores.scores),
        "events": {event: list(values) for event, values in scores.events.items()},
        "release_id": scores.release_id,
    }


def _texts(inputs: Mapping[str, Tensor], name: str, rank: int) -> Tensor:
    """A BYTES input of a rank, as text."""
    tensor = inputs.get(name)
    if tensor is None:
        raise InputError(f"inputs.{name}", "is missing", f"send it as BYTES of {rank} dimensions")
    if tensor.datatype != "BYTES" or len(tensor.shape) != rank:
        raise InputError(
            f"inputs.{name}",
            f"is {tensor.datatype} of {len(tensor.shape)} dimensions",
            f"send BYTES of {rank} dimensions",
        )
    try:
        data = [each.decode() if isinstance(each, bytes) else each for each in tensor.data]
    except UnicodeDecodeError:
        raise InputError(f"inputs.{name}", "is not UTF-8", "ids are text in UTF-8") from None
    return Tensor(name, tensor.datatype, tensor.shape, data)


def _named(user: Any) -> Any:
    """Who a row is for: empty text stands for nobody known."""
    return None if user == "" else user


def _only(inputs: Mapping[str, Tensor], names: Sequence[str]) -> None:
    unknown = inputs.keys() - set(names)
    if unknown:
        raise InputError(
            f"inputs.{min(unknown)[:64]}", "is not an input", f"the inputs are {', '.join(names)}"
        )


def _options(parameters: Mapping[str, object], names: frozenset[str]) -> dict[str, Any]:
    """Options from request parameters, of which those that are no number are JSON text."""
    unknown = parameters.keys() - names
    if unknown:
        raise InputError(
            f"parameters.{min(unknown)[:64]}",
            "is not an option",
            f"the options are {', '.join(sorted(names))}",
        )
    options = dict(parameters)
    for name in _TEXT_OPTIONS:
        given = options.get(name)
        if isinstance(given, str):
            options[name] = load_json(given.encode(), f"parameters.{name}", "send JSON text, as in V1")
    return options


def _placed(error: InputError) -> InputError:
    field = error.path.partition("[")[0].partition(".")[0]
    return error.within("inputs" if field in (_USER, "item_ids") else "parameters")
