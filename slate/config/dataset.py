"""A data set: its tables, their columns and features, its events, and how strictly it is checked."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from slate import columns
from slate.config.section import Section


class FeatureKind(StrEnum):
    """What a feature column holds. ``sensitive`` columns define slices and never reach a model."""

    ID = "id"
    CATEGORICAL = "categorical"
    CATEGORICAL_LIST = "categorical_list"
    NUMERIC = "numeric"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    SENSITIVE = "sensitive"


class Feature(Section):
    """One feature column. In YAML either just the kind or a mapping.

    ``column`` is the raw column (the feature's own name unless given); ``separator`` splits a
    categorical list stored as text; ``sensitive`` makes slices of it besides using it;
    of items, groups whose exposure is compared with what users wanted.
    """

    kind: FeatureKind
    column: str | None = None
    separator: str = "|"
    sensitive: bool = False


def _feature(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


FeatureMap = dict[str, Annotated[Feature, BeforeValidator(_feature)]]


class Condition(Section):
    """A test on one raw column; all given parts must hold. Bounds are inclusive."""

    equals: str | float | bool | None = None
    one_of: tuple[str | float, ...] | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if all(v is None for v in (self.equals, self.one_of, self.min, self.max)):
            raise ValueError("a condition needs at least one of equals, one_of, min, max")
        return self


class Event(Section):
    """What a kind of interaction is worth.

    ``weight`` enters training labels, ranking scores and the engagement metric. ``weight_by:
    value`` multiplies it by the interaction's value (dwell, watch time). ``when`` says which raw
    rows are this event: raw column -> condition, all must hold; without it, rows whose event column
    holds this name. ``target`` says whether such an interaction is something retrieval should
    predict; by default when the weight is positive.
    """

    weight: float = 1.0
    weight_by: Literal["value"] | None = None
    when: dict[str, Condition] | None = None
    target: bool | None = None

    @property
    def is_target(self) -> bool:
        return self.weight > 0 if self.target is None else self.target


class Range(Section):
    """The values a column may have, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Table(Section):
    """Where one raw table lies and which of its columns are ours (our name -> raw name).

    ``path`` is a file, a glob or a list of these. ``header`` lists the column names of CSV files
    without a header line, in order. ``ranges`` bounds the value of interactions and numeric features, by
    our name.
    """

    path: str | tuple[str, ...]
    format: Literal["csv", "parquet"] | None = None
    separator: str = ","
    header: tuple[str, ...] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    features: FeatureMap = Field(default_factory=dict)
    ranges: dict[str, Range] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _numbers_have_ranges(self) -> Self:
        numeric = {n for n, f in self.features.items() if f.kind is FeatureKind.NUMERIC}
        for name in self.ranges:
            if name not in numeric | ({"value"} & set(self.columns)):
                raise ValueError(
                    f"ranges.{name}: is no numeric feature of this table"
                    f"{'' if 'value' in self.columns else ' and no mapped value'}; "
                    f"there are {', '.join(sorted(numeric)) or 'none'}"
                )
        return self


class InteractionsTable(Table):
    """The interactions. ``columns`` may map user_id, item_id, timestamp, value and event.

    ``timestamp_unit`` is for whole-number timestamps; text is read as ISO 8601, UTC unless it says
    otherwise. ``features`` are context known at request time (device, hour, surface).
    """

    timestamp_unit: Literal["s", "ms", "us", "ns"] = "s"


class FollowsTable(Table):
    """Who follows whom, a row each: other users, or authors of items. It has no features.

    ``columns`` may map user_id and follows. What a user follows becomes part of what is known of the user and
    reaches no model; the source ``followed`` reads it.
    """

    @model_validator(mode="after")
    def _no_features(self) -> Self:
        if self.features:
            raise ValueError(f"follows.features: {', '.join(self.features)} would not be used; remove them")
        return self


def _severity(value: object) -> object:
    return "off" if value is False else value  # YAML reads a bare off as false.


CheckSeverity = Annotated[Literal["error", "warning", "off"], BeforeValidator(_severity)]


class Limits(Section):
    """From where on the shape of a data set is suspicious; the checks of these names warn.

    ``user_share`` and ``item_share``: of all interactions, by one user or with one item. ``event_share``: of
    all interactions, of one event where several are described. ``events_per_minute``: of one user in a
    clock minute. ``category_share``: distinct values of a categorical feature over its rows. ``leak``: the
    share of an event weight's variance that one feature explains. ``repeated_time``: the share of
    interactions at one single instant. Shares of a table with fewer than ``rows`` rows say nothing and are
    not looked at.
    """

    user_share: float = Field(default=0.5, gt=0, le=1)
    item_share: float = Field(default=0.5, gt=0, le=1)
    event_share: float = Field(default=0.995, gt=0, le=1)
    events_per_minute: int = Field(default=120, ge=1)
    category_share: float = Field(default=0.9, gt=0, le=1)
    leak: float = Field(default=0.95, gt=0, le=1)
    repeated_time: float = Field(default=0.5, gt=0, le=1)
    rows: int = Field(default=50, ge=1)


def _sensitive(table: Table | None) -> tuple[str, ...]:
    features = table.features if table else {}
    return tuple(sorted(n for n, f in features.items() if f.sensitive or f.kind is FeatureKind.SENSITIVE))


class DatasetConfig(Section):
    """A data set: its tables, events and features. ``source`` names one that Slate can fetch.

    ``validation`` changes the severity of single checks, by name: an ``error`` stops the pipeline, a
    ``warning`` drops or keeps the rows and says so, ``off`` skips the check.
    """

    name: str = "dataset"
    source: Literal["movielens-100k"] | None = None
    interactions: InteractionsTable
    items: Table | None = None
    users: Table | None = None
    follows: FollowsTable | None = None
    events: dict[str, Event] = Field(default_factory=lambda: {"interaction": Event()})
    validation: dict[str, CheckSeverity] = Field(default_factory=dict)
    limits: Limits = Limits()

    @property
    def target_events(self) -> tuple[str, ...]:
        """The events that retrieval predicts, in the order given."""
        return tuple(name for name, event in self.events.items() if event.is_target)

    @property
    def sensitive_attributes(self) -> tuple[str, ...]:
        """The user features that slices are made of, sorted."""
        return _sensitive(self.users)

    @property
    def sensitive_item_attributes(self) -> tuple[str, ...]:
        """The item features that exposure is shared out by, sorted."""
        return _sensitive(self.items)

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        tables = (
            ("interactions", self.interactions, columns.INTERACTION_COLUMNS),
            ("items", self.items, (columns.ITEM, columns.TITLE)),
            ("users", self.users, (columns.USER, columns.FOLLOWS) if self.follows else (columns.USER,)),
        )
        for name, table, taken in tables:
            for feature in table.features if table else ():
                if feature in taken:
                    raise ValueError(
                        f"{name}.features.{feature}: every prepared {name} table has a column of this name; "
                        f"call the feature otherwise and keep its column, "
                        f"as in {feature}_feature: {{kind: ..., column: {feature}}}"
                    )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.events:
            raise ValueError("events: at least one event is needed, for example {view: {weight: 1}}")
        if not any(event.is_target for event in self.events.values()):
            raise ValueError("events: at least one event must have a positive weight or target: true")
        by_value = [n for n, e in self.events.items() if e.weight_by == "value"]
        if by_value and "value" not in self.interactions.columns:
            raise ValueError(
                f"events.{by_value[0]}.weight_by is value, but interactions.columns maps no value"
            )
        unconditional = [n for n, e in self.events.items() if e.when is None]
        if len(self.events) > 1 and unconditional and "event" not in self.interactions.columns:
            raise ValueError(
                f"events.{unconditional[0]} has no 'when' and interactions.columns maps no event "
                "column, so its rows cannot be told apart; add one of the two"
            )
        return self
