"""The filters of a release, from its configuration."""

from collections.abc import Callable, Sequence

import numpy as np

from slate.config.recommend import AgeConfig, CountryConfig, FiltersConfig
from slate.data.vocabulary import IdMap
from slate.recommend import attributes
from slate.recommend.filters.age import AgeFilter
from slate.recommend.filters.base import Filter
from slate.recommend.filters.blocked import BlockedFilter
from slate.recommend.filters.country import CountryFilter
from slate.recommend.filters.excluded import ExcludedFilter
from slate.recommend.filters.seen import SeenFilter
from slate.recommend.filters.unavailable import UnavailableFilter
from slate.recommend.live import LiveState
from slate.recommend.newcomers.beside import FilterBeside
from slate.recommend.newcomers.group import Group
from slate.recommend.opened import Opened


def filters_of(release: Opened, live: LiveState) -> tuple[Filter, ...]:
    """All filters in the order in which they apply.

    Raises:
        ConfigError: a feature that a filter names is not one of the items'.
    """
    config: FiltersConfig = release.config.filters
    catalogue = release.catalogue
    denied = np.zeros(len(catalogue), np.bool_)
    if config.available is not None:
        column = attributes.raw(catalogue, config.available.item, "recommend.filters.available.item")
        denied = attributes.denied(column)

    def beside(released: Filter, make: Callable[[Group], Filter]) -> Filter:
        return FilterBeside(released, release.newcomers, make)

    def unavailable(group: Group) -> Filter:
        name = config.available
        hidden = (
            np.zeros(len(group), np.bool_) if name is None else attributes.denied(group.column(name.item))
        )
        return UnavailableFilter(IdMap.of(group.ids), hidden, live)

    filters: list[Filter] = [
        SeenFilter(),
        ExcludedFilter(),
        BlockedFilter(),
        beside(UnavailableFilter(catalogue.ids, denied, live), unavailable),
    ]
    if config.country is not None:
        country = config.country
        column = attributes.raw(catalogue, country.item, "recommend.filters.country.item")
        filters.append(
            beside(_country(column, country), lambda group: _country(group.column(country.item), country))
        )
    if config.age is not None:
        age = config.age
        column = attributes.raw(catalogue, age.item, "recommend.filters.age.item")
        filters.append(beside(_age(column, age), lambda group: _age(group.column(age.item), age)))
    return tuple(filters)


def _country(column: Sequence[object], config: CountryConfig) -> Filter:
    return CountryFilter([attributes.texts(value) for value in column], config.request)


def _age(column: Sequence[object], config: AgeConfig) -> Filter:
    return AgeFilter(attributes.numbers(column), config.request, config.assumed)
