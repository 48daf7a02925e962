"""Items that come or go between two releases, checked against the data set's item features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slate import columns
from slate.config import DatasetConfig, Feature, FeatureKind, Range
from slate.feedback.endpoint import fields
from slate.feedback.endpoint.refusal import BadFieldError, shown

FIELDS: Final = frozenset({"schema", "item_id", "features", "available"})
_MOST_PARTS: Final = 1000
_LONGEST_TEXT: Final = 20_000


@dataclass(frozen=True)
class CheckedItem:
    """An item whose every field is sound; features as they were sent."""

    item_id: str
    available: bool
    features: Mapping[str, object]


class ItemSchema:
    """The features an item may have: those of the data set, and a title where it has one."""

    def __init__(self, dataset: DatasetConfig) -> None:
        table = dataset.items
        self._features: dict[str, Feature] = dict(table.features) if table else {}
        self._ranges: dict[str, Range] = dict(table.ranges) if table else {}
        if table is not None and columns.TITLE in table.columns:
            self._features[columns.TITLE] = Feature(kind=FeatureKind.TEXT)

    def check(self, raw: object) -> CheckedItem:
        """The item, if everything about it is in order.

        Raises:
            BadFieldError: something is not; the first such field is named.
        """
        given = fields.mapping(raw, FIELDS, "item")
        fields.schema(given.get("schema"))
        item_id = fields.identifier(given.get("item_id"), "item_id")
        available = given.get("available")
        if type(available) is not bool:
            raise BadFieldError("available", f"{shown(available)} is not true or false", "send true or false")
        features = given.get("features")
        if features is None:
            features = {}
        if not isinstance(features, dict) or isinstance(features, fields.Repeated):
            raise BadFieldError(
                "features", f"{shown(features)} is not an object of single names", "send features by name"
            )
        for name, value in features.items():
            self._check(name, value)
        return CheckedItem(item_id, available, features)

    def _check(self, name: str, value: object) -> None:
        field = f"features.{shown(name)[1:-1]}"
        described = self._features.get(name)
        if described is None:
            known = ", ".join(sorted(self._features)) or "no features"
            raise BadFieldError(field, "is no feature of items", f"the data set has {known}")
        if value is None:
            return
        if described.kind is FeatureKind.NUMERIC:
            limits = self._ranges.get(name)
            number = fields.number(value, field)
            if limits is not None:
                fields.within(number, limits.min, limits.max, field)
        elif described.kind is FeatureKind.TIMESTAMP:
            _ = fields.number(value, field) if not isinstance(value, str) else fields.instant(value, field)
        elif described.kind is FeatureKind.CATEGORICAL_LIST and isinstance(value, list):
            _list(value, field)
        else:
            _scalar(value, field)


def _list(value: Sequence[Any], field: str) -> None:
    if len(value) > _MOST_PARTS:
        raise BadFieldError(field, f"has {len(value)} parts", f"send at most {_MOST_PARTS}")
    for place, each in enumerate(value):
        _scalar(each, f"{field}[{place}]")


def _scalar(value: object, field: str) -> None:
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise BadFieldError(field, f"has {len(value)} characters", f"send at most {_LONGEST_TEXT}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadFieldError(field, "holds half a character", "send whole characters in UTF-8") from None
    elif not isinstance(value, bool):
        if not isinstance(value, int | float):
            raise BadFieldError(field, f"{shown(value)} is neither text nor a number", "send one of them")
        fields.number(value, field)
