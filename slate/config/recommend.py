"""How a release answers: where candidates come from, what is removed, and how the rest is ordered."""

from typing import Literal, Self

from pydantic import Field, model_validator

from slate.config.section import Section


class TwoTowerSourceConfig(Section):
    """The two-tower model: how many candidates it brings, ``recommend.candidates`` unless given."""

    count: int | None = Field(default=None, ge=0)


class PopularSourceConfig(Section):
    """The most popular items of the training period."""

    count: int = Field(default=0, ge=0)


class CoOccurrenceSourceConfig(Section):
    """Items that others had near those of this history.

    Two items meet when one user has them at most ``window`` places apart. Each item keeps its ``neighbours``
    closest; a request looks at the last ``recent`` items of its history.
    """

    count: int = Field(default=0, ge=0)
    similarity: Literal["cosine", "lift"] = "cosine"
    window: int = Field(default=10, ge=1)
    neighbours: int = Field(default=50, ge=1)
    recent: int = Field(default=20, ge=1)


class Item2VecSourceConfig(Section):
    """Neighbours by skip-gram vectors of ``dim`` numbers; the other fields as for co-occurrence."""

    count: int = Field(default=0, ge=0)
    dim: int = Field(default=32, ge=1)
    window: int = Field(default=5, ge=1)
    negatives: int = Field(default=5, ge=1)
    epochs: int = Field(default=5, ge=1)
    neighbours: int = Field(default=50, ge=1)
    recent: int = Field(default=20, ge=1)
    seed: int = 1


class FreshSourceConfig(Section):
    """The newest items: by the timestamp feature ``column`` of items, else by first interaction."""

    count: int = Field(default=0, ge=0)
    column: str | None = None


class FollowedSourceConfig(Section):
    """Items of those whom the user follows, newest first.

    With ``author``, the item feature that names who made an item, they are the items of followed authors;
    without, what followed users interacted with.
    """

    count: int = Field(default=0, ge=0)
    author: str | None = None


class SourcesConfig(Section):
    """How many candidates each source brings after filtering; a source with a count of 0 is off."""

    two_tower: TwoTowerSourceConfig = TwoTowerSourceConfig()
    co_occurrence: CoOccurrenceSourceConfig = CoOccurrenceSourceConfig()
    item2vec: Item2VecSourceConfig = Item2VecSourceConfig()
    popular: PopularSourceConfig = PopularSourceConfig()
    fresh: FreshSourceConfig = FreshSourceConfig()
    followed: FollowedSourceConfig = FollowedSourceConfig()


class AvailableConfig(Section):
    """Items are shown unless their feature ``item`` says no: false, no, 0."""

    item: str


class CountryConfig(Section):
    """An item is shown where its feature ``item`` names the request's country, or names none.

    ``request`` is looked for in the request's context, then among the user's features.
    """

    item: str
    request: str = "country"


class AgeConfig(Section):
    """An item is shown to those who are as old as its numeric feature ``item`` says, in years.

    ``request`` is looked for as for the country; who says none is ``assumed`` years old.
    """

    item: str
    request: str = "age"
    assumed: float = Field(default=0.0, ge=0)


class FiltersConfig(Section):
    """Filters by item features; the other filters (seen, excluded, blocked, taken down) always apply."""

    available: AvailableConfig | None = None
    country: CountryConfig | None = None
    age: AgeConfig | None = None


class FreshnessConfig(Section):
    """Newer items come up: their score gains ``boost`` times the spread of all candidates' scores.

    The gain halves every ``half_life_days``. The age of an item is that of the timestamp feature ``column``
    of items, else that of its first interaction.
    """

    boost: float = Field(default=0.0, ge=0)
    half_life_days: float = Field(default=7.0, gt=0)
    column: str | None = None


class ExplorationConfig(Section):
    """One position of a slate now and then shows another candidate, with a propensity that is logged.

    With probability ``rate``, ``position`` (from 1; the last one unless given) holds an item drawn evenly
    from the ``pool`` best candidates that have no other position.
    """

    rate: float = Field(default=0.0, ge=0, le=1)
    position: int | None = Field(default=None, ge=1)
    pool: int = Field(default=20, ge=2)


class RecommendConfig(Section):
    """The slate: its length, where candidates come from, what is removed, and how it is ordered."""

    k: int = Field(default=10, ge=1)
    candidates: int = Field(default=200, ge=1)
    diversity: float = Field(default=0.0, ge=0, le=1)
    golden: int = Field(default=8, ge=1)
    sources: SourcesConfig = SourcesConfig()
    filters: FiltersConfig = FiltersConfig()
    freshness: FreshnessConfig = FreshnessConfig()
    caps: dict[str, int] = Field(default_factory=dict)
    exploration: ExplorationConfig = ExplorationConfig()

    @model_validator(mode="after")
    def _caps_let_something_through(self) -> Self:
        for name, most in self.caps.items():
            if most < 1:
                raise ValueError(f"caps.{name}: is {most}; let at least 1 item of a value be shown")
        return self

    @model_validator(mode="after")
    def _some_source(self) -> Self:
        counts = [getattr(self.sources, name).count for name in type(self.sources).model_fields]
        if not any(count is None or count > 0 for count in counts):
            raise ValueError("sources: every count is 0; let at least one source bring candidates")
        return self
