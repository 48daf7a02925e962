"""``explanations.json``: what was found out about a trained ranker, as plain numbers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slate.config import describe
from slate.errors import DataError

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

#: ``instant`` values are days since the epoch, ``duration`` values seconds; categories are their labels.
Scale = Literal["number", "instant", "duration", "count", "category"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effect(_Record):
    """A mean over users with its 95% bootstrap interval, None where there are too few users for one."""

    value: Finite
    low: Finite | None
    high: Finite | None


class Importance(_Record):
    """What is lost when inputs are shuffled; positive where the model needs them.

    ``inputs`` is one name, or several that were shuffled together. ``ndcg`` is the loss of NDCG (None where
    no list holds anything to find), ``log_loss`` the rise of the log loss of an interaction.
    """

    group: str
    name: str
    inputs: tuple[str, ...]
    ndcg: Effect | None
    log_loss: Effect


class Band(_Record):
    """Over a curve's values: the mean of the individual curves, and their 10% and 90% quantiles."""

    mean: tuple[Finite, ...]
    low: tuple[Finite, ...]
    high: tuple[Finite, ...]


class Curve(_Record):
    """What the model answers with one input held at each of ``values``.

    ``rows`` individual curves are summed up. ``score`` is what the ranker orders by, ``probability`` that of
    any interaction.
    """

    group: str
    name: str
    scale: Scale
    values: tuple[Finite | str, ...]
    rows: Count
    score: Band
    probability: Band


class Explanations(_Record):
    """The content of ``explanations.json``.

    ``requests`` of ``users`` were asked, ``with_positive`` of which hold something that followed. ``ndcg``
    (at ``k``) and ``log_loss`` are theirs before anything is shuffled, means over users. Each input was
    shuffled ``repeats`` times. ``seconds`` is what finding out took.
    """

    schema_version: Literal[1] = 1
    model: str
    requests: Count
    users: Count
    with_positive: Count
    k: Count
    repeats: Count
    ndcg: Finite | None
    log_loss: Finite | None
    importance: tuple[Importance, ...]
    curves: tuple[Curve, ...]
    seconds: Finite

    def to_json(self) -> str:
        """Strict JSON: finite numbers only, keys in a fixed order."""
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Explanations":
        """Parse what :meth:`to_json` wrote.

        Raises:
            DataError: not such JSON.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DataError(f"explanations: {describe(error)}; run the train_ranker step again") from error
