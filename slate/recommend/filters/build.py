"""The filters of a release, from its configuration."""

import numpy as np

from slate.config import FiltersConfig
from slate.recommend import attributes
from slate.recommend.filters.age import AgeFilter
from slate.recommend.filters.base import Filter
from slate.recommend.filters.blocked import BlockedFilter
from slate.recommend.filters.country import CountryFilter
from slate.recommend.filters.excluded import ExcludedFilter
from slate.recommend.filters.seen import SeenFilter
from slate.recommend.filters.unavailable import UnavailableFilter
from slate.recommend.live import LiveState
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
    filters: list[Filter] = [
        SeenFilter(),
        ExcludedFilter(),
        BlockedFilter(),
        UnavailableFilter(catalogue.ids, denied, live),
    ]
    if config.country is not None:
        column = attributes.raw(catalogue, config.country.item, "recommend.filters.country.item")
        filters.append(CountryFilter([attributes.texts(v) for v in column], config.country.request))
    if config.age is not None:
        column = attributes.raw(catalogue, config.age.item, "recommend.filters.age.item")
        filters.append(AgeFilter(attributes.numbers(column), config.age.request, config.age.assumed))
    return tuple(filters)
