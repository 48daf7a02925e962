"""What ``slate tune`` searches."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, Self, get_args

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from slate.config.models import RankingConfig, RetrievalConfig
from slate.config.section import Section

Objective = Literal["retrieval", "ranking"]
Sampler = Literal["tpe", "random", "grid"]
Pruner = Literal["median", "hyperband", "none"]

_SECTIONS: Final[Mapping[str, type[Section]]] = {"retrieval": RetrievalConfig, "ranking": RankingConfig}
#: Keys that say how a trial is judged, not how good it is.
_JUDGES: Final = {
    "retrieval": {"seed", "validation_targets"},
    "ranking": {"seed", "candidates", "max_queries"},
}
#: Keys that change what the ranker's loss is a mean of: losses under two values cannot be compared.
_LOSS_OF_ITS_OWN: Final = ("negatives", "uniform_negatives", "weighted_by_value", "batch_size")


class Parameter(Section):
    """The values one key may take: ``choices``, or ``low`` to ``high`` (both included).

    A range goes by ``step`` where there is one, on a logarithmic scale with ``log``. Keys that hold whole
    numbers have ranges of whole numbers.
    """

    choices: tuple[bool | int | float | str | tuple[int, ...], ...] | None = Field(default=None, min_length=1)
    low: int | float | None = Field(default=None, allow_inf_nan=False)
    high: int | float | None = Field(default=None, allow_inf_nan=False)
    step: int | float | None = Field(default=None, gt=0, allow_inf_nan=False)
    log: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                raise _problem("choices go without low, high, step and log; keep one of the two")
            if len({repr(choice) for choice in self.choices}) < len(self.choices):
                raise _problem(f"choices {list(self.choices)} name a value twice; keep it once")
            return self
        if self.low is None or self.high is None:
            raise _problem("give choices: [...], or low and high")
        if not self.low < self.high:
            raise _problem(f"low must be below high, but {self.low} is not below {self.high}")
        if self.log and self.step is not None:
            raise _problem("log goes without step; remove one of them")
        if self.step is not None and self.step > self.high - self.low:
            raise _problem(
                f"a step of {self.step} leaves the range {self.low} to {self.high} at once; make it less"
            )
        if self.log and self.low <= 0:
            raise _problem(f"a logarithmic range starts above 0, but low is {self.low}; raise it")
        return self

    @model_serializer(mode="wrap")
    def _short(self, standard: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not given, so that a written configuration reads like one written by hand."""
        return {
            key: value for key, value in standard(self).items() if value is not None and value is not False
        }

    def points(self) -> list[Any] | None:
        """All values in order, None for a range without a step between fractions."""
        if self.choices is not None:
            return list(self.choices)
        if self.low is None or self.high is None or self.step is None or self.log:
            return None
        # Decimal, for 0.1 + 2 * 0.1 is to be 0.3.
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        values = [low + place * step for place in range(int((high - low) // step) + 1)]
        return [int(value) if isinstance(self.low, int) else float(value) for value in values]


_DEFAULT_SPACES: Final[Mapping[str, Mapping[str, Parameter]]] = {
    "retrieval": {
        "retrieval.learning_rate": Parameter(low=0.0005, high=0.01, log=True),
        "retrieval.dim": Parameter(choices=(32, 64, 96, 128)),
        "retrieval.blocks": Parameter(low=1, high=3, step=1),
        "retrieval.dropout": Parameter(low=0.1, high=0.5, step=0.05),
        "retrieval.id_dropout": Parameter(low=0.0, high=0.2, step=0.05),
        "retrieval.batch_size": Parameter(choices=(16, 32, 64)),
    },
    "ranking": {
        "ranking.learning_rate": Parameter(low=0.0001, high=0.005, log=True),
        "ranking.dim": Parameter(choices=(16, 32, 64)),
        "ranking.hidden": Parameter(choices=((64,), (128, 64), (256, 128))),
        "ranking.dropout": Parameter(low=0.0, high=0.5, step=0.05),
        "ranking.id_dropout": Parameter(low=0.0, high=0.3, step=0.05),
    },
}


class TuningConfig(Section):
    """What ``slate tune`` searches, and how. All of it is judged on validation data.

    ``objective: retrieval`` is the two-tower's validation NDCG@10 at its best epoch, the mean over users;
    its space holds keys of ``retrieval``. ``ranking`` is the ranker's NDCG over the candidate lists of
    validation requests that it neither fitted nor stopped on, behind one tower with the configuration's
    own ``retrieval`` settings; its space holds keys of ``ranking``. The configuration itself is always the
    first trial. ``trials`` counts all of them. ``pruner`` ends trials early that do worse, at the same
    epoch, than the ones before: by the tower's NDCG@10, by the ranker's loss. Without a ``space`` the
    objective has one of its own.
    """

    objective: Objective = "retrieval"
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    trials: int = Field(default=20, ge=1)
    seed: int = Field(default=1, ge=0, lt=2**31)
    space: dict[str, Parameter] = Field(default=dict(_DEFAULT_SPACES["retrieval"]), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _own_space(cls, given: Any) -> Any:
        if isinstance(given, dict) and "space" not in given and given.get("objective") == "ranking":
            return given | {"space": dict(_DEFAULT_SPACES["ranking"])}
        return given

    @field_validator("space", mode="before")
    @classmethod
    def _flat(cls, space: Any) -> Any:
        """Sections with keys below them too, which is what ``--set tuning.space.retrieval.dim=...`` gives."""
        if not isinstance(space, dict):
            return space
        flat: dict[Any, Any] = {}
        for key, value in space.items():
            nested = key in _SECTIONS and isinstance(value, dict)
            flat |= {f"{key}.{name}": one for name, one in value.items()} if nested else {key: value}
        return flat

    @field_validator("space")
    @classmethod
    def _known(cls, space: dict[str, Parameter]) -> dict[str, Parameter]:
        return {key: _typed(key, parameter) for key, parameter in space.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, parameter in self.space.items():
            section, name = key.split(".")
            if section != self.objective:
                raise _problem(
                    f"space.{key}: with objective: {self.objective} only keys of {self.objective} change "
                    f"the result; remove the key or set objective: {section}"
                )
            if name in _JUDGES[section]:
                raise _problem(
                    f"space.{key}: the key says how a trial is judged, so trials with different values "
                    "cannot be compared; set it in its section"
                )
            if section == "ranking" and self.pruner != "none" and name in _LOSS_OF_ITS_OWN:
                raise _problem(
                    f"space.{key}: the ranker's loss under different values cannot be compared, and pruning "
                    "goes by it; set pruner: none"
                )
            if self.sampler == "grid" and parameter.points() is None:
                raise _problem(
                    f"space.{key}: a grid needs finitely many values; give choices or a step, or use "
                    "sampler: random"
                )
        return self


def _typed(key: str, parameter: Parameter) -> Parameter:
    """The parameter with whole numbers, and a step of 1, where its key holds whole numbers."""
    section, _, name = key.partition(".")
    model = _SECTIONS.get(section)
    if model is None or name not in model.model_fields:
        known = ", ".join(model.model_fields if model else (f"{known}.…" for known in _SECTIONS))
        raise _problem(f"{key}: there is no such key; known are {known}")
    annotation = model.model_fields[name].annotation
    kinds = set(get_args(annotation)) or {annotation}
    if parameter.choices is not None:
        return parameter
    if float in kinds:
        numbers = {n: float(v) for n in ("low", "high", "step") if (v := getattr(parameter, n)) is not None}
        return parameter.model_copy(update=numbers)
    if int not in kinds:
        raise _problem(f"{key}: holds no number, so it has no range; give choices: [...]")
    given = {n: v for n in ("low", "high", "step") if (v := getattr(parameter, n)) is not None}
    for bound, value in given.items():
        if value != int(value):
            raise _problem(f"{key}: holds whole numbers, but {bound} is {value}; round it")
    whole: dict[str, Any] = {bound: int(value) for bound, value in given.items()}
    return parameter.model_copy(update=({} if parameter.log else {"step": 1}) | whole)


def _problem(text: str) -> PydanticCustomError:
    return PydanticCustomError("tuning", "{text}", {"text": text})
