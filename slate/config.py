"""One frozen configuration object. Unknown keys are refused; every default stands here once.

A configuration file is YAML with the sections of :class:`SlateConfig`. Relative data paths are
relative to the file. ``--set section.key=value`` overrides single values. Every section travels as
one plain dict through a pipeline, so that a step's cache key holds only the sections it reads.
"""

import copy
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from slate.errors import ConfigError

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """Base of every configuration model: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    categorical list stored as text; ``sensitive`` makes slices of it besides using it.
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


class Table(Section):
    """Where one raw table lies and which of its columns are ours (our name -> raw name).

    ``path`` is a file, a glob or a list of these. ``header`` lists the column names of CSV files
    without a header line, in order.
    """

    path: str | tuple[str, ...]
    format: Literal["csv", "parquet"] | None = None
    separator: str = ","
    header: tuple[str, ...] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    features: FeatureMap = Field(default_factory=dict)


class InteractionsTable(Table):
    """The interactions. ``columns`` may map user_id, item_id, timestamp, value and event.

    ``timestamp_unit`` is for whole-number timestamps; text is read as ISO 8601, UTC unless it says
    otherwise. ``features`` are context known at request time (device, hour, surface).
    """

    timestamp_unit: Literal["s", "ms", "us", "ns"] = "s"


def _severity(value: object) -> object:
    return "off" if value is False else value  # YAML reads a bare off as false.


CheckSeverity = Annotated[Literal["error", "warning", "off"], BeforeValidator(_severity)]


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
    events: dict[str, Event] = Field(default_factory=lambda: {"interaction": Event()})
    validation: dict[str, CheckSeverity] = Field(default_factory=dict)

    @property
    def target_events(self) -> tuple[str, ...]:
        """The events that retrieval predicts, in the order given."""
        return tuple(name for name, event in self.events.items() if event.is_target)

    @property
    def sensitive_attributes(self) -> tuple[str, ...]:
        """The user features that slices are made of, sorted."""
        features = self.users.features if self.users else {}
        return tuple(sorted(n for n, f in features.items() if f.sensitive or f.kind is FeatureKind.SENSITIVE))

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


class SplitConfig(Section):
    """How time is cut. Fractions are of interactions in time order.

    ``temporal``: train up to ``train_end``, validation up to ``valid_end``, the rest is the
    holdout. ``leave_last_out``: each user's last interaction is the test, the one before it the
    validation (a benchmark protocol; its models cannot be released). ``unseen_users`` is the share
    of users kept out of temporal training for good, on whom forgetting is measured.
    """

    protocol: Literal["temporal", "leave_last_out"] = "temporal"
    valid_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    unseen_users: float = Field(default=0.02, ge=0, lt=0.5)


class RetrievalConfig(Section):
    """The two-tower model and its training.

    ``history`` is how many interactions back the query tower looks; a longer user gives several
    windows, cut every ``stride`` of it. ``id_dropout`` is the share of items shown by content alone
    in a step; items with fewer than ``min_item_count`` training interactions always are. ``loss:
    auto`` is the full softmax up to ``full_softmax_limit`` items, then the sampled one with
    ``negatives`` uniform negatives beside those in the batch. A batch has ``batch_size`` windows and
    room for ``slots`` queries for each of their entries. Early stopping waits ``patience`` epochs and
    looks at up to ``validation_targets`` targets. ``jit`` compiles the training step with XLA: it
    pays on accelerators, not on CPUs.
    """

    dim: int = Field(default=64, ge=2)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    history: int = Field(default=50, ge=1)
    stride: float = Field(default=1.0, gt=0, le=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    id_dropout: float = Field(default=0.05, ge=0, lt=1)
    min_item_count: int = Field(default=1, ge=1)
    loss: Literal["auto", "full", "sampled"] = "auto"
    full_softmax_limit: int = Field(default=20_000, ge=1)
    negatives: int = Field(default=1024, ge=1)
    batch_size: int = Field(default=32, ge=1)
    slots: float = Field(default=0.6, gt=0, le=1)
    learning_rate: float = Field(default=0.003, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: int = Field(default=24, ge=1)
    patience: int = Field(default=5, ge=1)
    validation_targets: int = Field(default=2_000, ge=1)
    jit: bool = False
    seed: int = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads, but {self.dim} is not one of {self.heads}")
        return self


class IndexConfig(Section):
    """The candidate index. ``auto`` picks brute force, hashing or tree by catalogue size."""

    kind: Literal["auto", "exact", "brute_force", "hashed", "tree"] = "auto"
    brute_force_below: int = Field(default=20_000, ge=0)
    hashed_below: int = Field(default=100_000, ge=0)
    k: int = Field(default=100, ge=1)
    recall_target: float = Field(default=0.95, gt=0, le=1)
    sample: int = Field(default=500, ge=1)
    seed: int = 1


class RankingConfig(Section):
    """The ranking model and its training.

    ``negatives`` are drawn for each positive, ``uniform_negatives`` of them from the whole catalogue and
    the rest from the ``candidates`` that retrieval finds. At most ``max_queries`` requests are used.
    ``learning_rate`` is 0.0005 unless given, 0.02 for logistic regression. ``weighted_by_value`` weights
    positives by their value, so that probabilities count value instead of interactions.
    """

    model: Literal["multitask", "logistic"] = "multitask"
    weighted_by_value: bool = False
    history: int = Field(default=50, ge=1)
    dim: int = Field(default=32, ge=2)
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    id_dropout: float = Field(default=0.1, ge=0, lt=1)
    negatives: int = Field(default=8, ge=2)
    uniform_negatives: float = Field(default=0.25, gt=0, lt=1)
    candidates: int = Field(default=200, ge=1)
    max_queries: int = Field(default=20_000, ge=1)
    batch_size: int = Field(default=2048, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=3, ge=1)
    seed: int = 1


class EvaluationConfig(Section):
    """What is measured. ``ks`` are list lengths; ``k`` is the one the gate decides on.

    Users with a history shorter than ``cold_user_history`` are cold; items with at most
    ``new_item_count`` training interactions are new. An attribute makes at most ``slice_values``
    slices, the rarest values together. Above ``ease_item_limit`` items the EASE baseline is left out.
    """

    ks: tuple[int, ...] = (10, 100)
    k: int = Field(default=10, ge=1)
    bootstrap: int = Field(default=1000, ge=100)
    cold_user_history: int = Field(default=5, ge=0)
    new_item_count: int = Field(default=5, ge=0)
    slice_values: int = Field(default=30, ge=2)
    max_targets: int = Field(default=50_000, ge=1)
    ease_regularisation: float = Field(default=300.0, gt=0)
    ease_item_limit: int = Field(default=10_000, ge=0)
    parity_rows: int = Field(default=256, ge=1)
    seed: int = 1


class GateConfig(Section):
    """When a challenger may be released. All margins are relative losses against the champion.

    ``margin`` and ``slice_margin`` are of NDCG at ``evaluation.k``; ``coverage_margin`` is of catalogue
    coverage; ``concentration_margin`` is of evenness, 1 less the Gini coefficient of exposure.
    """

    margin: float = Field(default=0.05, ge=0)
    slice_margin: float = Field(default=0.2, ge=0)
    min_users: int = Field(default=100, ge=1)
    min_slice_users: int = Field(default=30, ge=1)
    coverage_margin: float = Field(default=0.5, ge=0)
    concentration_margin: float = Field(default=0.5, ge=0)
    parity_tolerance: float = Field(default=1e-5, gt=0)


class RecommendConfig(Section):
    """The slate: its length, how many candidates are ranked, and how it is ordered."""

    k: int = Field(default=10, ge=1)
    candidates: int = Field(default=200, ge=1)
    diversity: float = Field(default=0.0, ge=0, le=1)
    golden: int = Field(default=8, ge=1)


class RolloutConfig(Section):
    """The ramp a rollout climbs, in percent of users."""

    steps: tuple[float, ...] = (1, 5, 25, 50)


class StoreConfig(Section):
    """Where releases live: a directory or ``gs://bucket/prefix``."""

    uri: str = ".slate"


class SlateConfig(Section):
    """The whole configuration."""

    dataset: DatasetConfig
    split: SplitConfig = SplitConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    index: IndexConfig = IndexConfig()
    ranking: RankingConfig = RankingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    recommend: RecommendConfig = RecommendConfig()
    rollout: RolloutConfig = RolloutConfig()
    store: StoreConfig = StoreConfig()

    def section(self, name: str) -> dict[str, Any]:
        """One section as plain JSON types, the form in which it travels through a pipeline."""
        section: BaseModel = getattr(self, name)
        return section.model_dump(mode="json", exclude_none=True)


def default_config_path() -> Path:
    """The configuration used when none is named: MovieLens-100K, from the checkout or the wheel."""
    package = Path(__file__).parent
    shipped = package / "conf" / "movielens.yaml"
    return shipped if shipped.exists() else package.parent / "conf" / "movielens.yaml"


def _absolute(table: dict[str, Any] | None, base: Path) -> None:
    if not isinstance(table, dict) or "path" not in table:
        return

    def one(path: str) -> str:
        return path if "://" in path or Path(path).is_absolute() else str(base / path)

    path = table["path"]
    table["path"] = one(path) if isinstance(path, str) else [one(str(p)) for p in path]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> SlateConfig:
    """Read a YAML file, apply ``section.key=value`` overrides and validate.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, or a value is impossible.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"config {path}: cannot be read ({error.strerror}); name a YAML file with --config"
        ) from error
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"config {path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"config {path}: expected sections such as 'dataset:', found {type(raw).__name__}")
    dataset = raw.get("dataset")
    if isinstance(dataset, dict) and dataset.get("source") is None:
        for name in ("interactions", "items", "users"):
            _absolute(dataset.get(name), path.parent.resolve())
    return parse_config(raw, str(path), overrides)


def parse_config(raw: Mapping[str, Any], where: str = "config", overrides: Sequence[str] = ()) -> SlateConfig:
    """Validate a plain mapping, after ``section.key=value`` overrides.

    Raises:
        ConfigError: naming every offending key, its value and the problem.
    """
    changed = copy.deepcopy(dict(raw))
    for override in overrides:
        _override(changed, override)
    try:
        return SlateConfig.model_validate(changed)
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe(error)}") from error


def parse_section(model: type[S], raw: Mapping[str, Any]) -> S:
    """Validate one section that travelled as a plain dict."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{model.__name__}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """The problems of a validation error in one line each, with the offending value."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        value = problem.get("input")
        shown = "" if isinstance(value, dict | list) else f" (value: {value!r})"
        hint = "; check the spelling" if problem["type"] == "extra_forbidden" else ""
        lines.append(f"{where}: {problem['msg']}{shown}{hint}")
    return "; ".join(lines)


def _override(raw: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or len(parts) < 2 or not all(parts):
        raise ConfigError(f"--set {override!r}: expected section.key=value, for example retrieval.epochs=5")
    node = raw
    for part in parts[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override!r}: {part} is not a section")
        node = child
    try:
        node[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML: {error}") from error
