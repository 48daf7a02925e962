"""The sources of a release, from its configuration."""

from collections.abc import Sequence

from slate.config import DatasetConfig, parse_section
from slate.recommend import attributes
from slate.recommend.attributes import Instants
from slate.recommend.newcomers.beside import NewestBeside
from slate.recommend.newcomers.columns import arrivals, since_by_row, since_of
from slate.recommend.newcomers.group import Group
from slate.recommend.opened import Opened
from slate.recommend.sources import neighbours
from slate.recommend.sources.base import Quota, Source
from slate.recommend.sources.followed import FollowedAuthorsSource, FollowedUsersSource
from slate.recommend.sources.fresh import FreshSource
from slate.recommend.sources.neighbours import NeighbourSource
from slate.recommend.sources.popular import PopularSource
from slate.recommend.sources.two_tower import TwoTowerSource
from slate.retrieval.sources.neighbours import CO_OCCURRENCE_FILE, ITEM2VEC_FILE, Neighbours


def quotas_of(release: Opened) -> tuple[Quota, ...]:
    """The sources that are on, and how many candidates each brings.

    Raises:
        ConfigError: a feature that a source names is not one of the items'.
        ReleaseError: the release lacks what a source reads; it was assembled without it.
    """
    config = release.config.sources
    own = release.config.candidates if config.two_tower.count is None else config.two_tower.count
    quotas: list[Quota] = [Quota(TwoTowerSource(release), own)] if own else []
    if config.co_occurrence.count:
        near = _near(release, neighbours.CO_OCCURRENCE, CO_OCCURRENCE_FILE, config.co_occurrence.recent)
        quotas.append(Quota(near, config.co_occurrence.count))
    if config.item2vec.count:
        near = _near(release, neighbours.ITEM2VEC, ITEM2VEC_FILE, config.item2vec.recent)
        quotas.append(Quota(near, config.item2vec.count))
    if config.popular.count:
        quotas.append(Quota(PopularSource(release.item_records), config.popular.count))
    if config.fresh.count:
        quotas.append(Quota(_fresh(release, config.fresh.column), config.fresh.count))
    if config.followed.count:
        quotas.append(Quota(_followed(release, config.followed.author), config.followed.count))
    return tuple(quotas)


def _near(release: Opened, name: str, file: str, recent: int) -> NeighbourSource:
    table = Neighbours.read(release.directory / file, len(release.catalogue))
    return NeighbourSource(name, table, _targets(release), recent)


def _targets(release: Opened) -> set[int]:
    """Codes of the events that say an item was wanted."""
    described = release.sections.get("dataset")
    names = release.features.events
    wanted = names if described is None else parse_section(DatasetConfig, described).target_events
    return {code for code, name in enumerate(names, start=1) if name in wanted}


def _followed(release: Opened, author: str | None) -> Source:
    if author is None:
        return FollowedUsersSource(release.users, _targets(release))
    column = attributes.raw(release.catalogue, author, "recommend.sources.followed.author")

    def of(values: Sequence[object], since: Instants) -> Source:
        return FollowedAuthorsSource([attributes.texts(value) for value in values], since)

    return NewestBeside(
        of(column, release.item_records.first_seen),
        since_by_row(release, None, "recommend.sources.followed"),
        release.newcomers,
        lambda group: of(group.column(author), group.since),
    )


def _fresh(release: Opened, column: str | None) -> Source:
    setting = "recommend.sources.fresh.column"

    def since(group: Group) -> Source:
        return FreshSource(arrivals(group, column))

    released = FreshSource(since_of(release, column, setting))
    return NewestBeside(released, since_by_row(release, column, setting), release.newcomers, since)
