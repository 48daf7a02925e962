"""Raw feature columns to arrays: fitted once, then the same code for training and for requests.

Encodings, for n rows:

====================  ============================================================================
kind                  array
====================  ============================================================================
id, categorical       int32 [n]: 0 missing, 1 unknown, 2.. the vocabulary in order
categorical_list      int32 [n, width]: the same codes, padded with 0 on the right
text                  int32 [n, width]: lower-cased word codes, padded with 0 on the right
numeric, timestamp    float32 [n, 2]: (value - mean) / std, and 1.0 where it was missing or not finite
====================  ============================================================================

``sensitive`` features are never encoded.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.clock import microseconds
from slate.config import Feature, FeatureKind
from slate.errors import DataError

MISSING: Final = 0
UNKNOWN: Final = 1
RESERVED: Final = 2

_WORD: Final = re.compile(r"\w+")
_MAX_VOCABULARY: Final = 50_000
_MAX_WORDS: Final = 5_000
_MIN_WORD_COUNT: Final = 2
_MAX_WIDTH: Final = 16
_LISTS: Final = (FeatureKind.CATEGORICAL_LIST, FeatureKind.TEXT)
_NUMBERS: Final = (FeatureKind.NUMERIC, FeatureKind.TIMESTAMP)

EncodedArray = npt.NDArray[np.int32] | npt.NDArray[np.float32]


def _words(value: object) -> list[str]:
    return _WORD.findall(str(value).lower())


def _tokens(kind: FeatureKind, value: object) -> list[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if kind is FeatureKind.TEXT:
        return _words(value)
    if kind is FeatureKind.CATEGORICAL_LIST:
        return [str(part) for part in value] if isinstance(value, Iterable) else [str(value)]
    return [str(value)]


def _number(value: object) -> float:
    """A float, NaN where missing. Timestamps become days since the epoch."""
    if value is None:
        return math.nan
    if isinstance(value, datetime):
        return microseconds(value) / 86_400e6
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


@dataclass(frozen=True)
class FeatureEncoder:
    """One fitted feature. ``size`` is the number of codes, for embedding tables (0 for numbers)."""

    name: str
    kind: FeatureKind
    vocabulary: tuple[str, ...] = ()
    width: int = 1
    mean: float = 0.0
    std: float = 1.0

    @property
    def size(self) -> int:
        return 0 if self.kind in _NUMBERS else len(self.vocabulary) + RESERVED

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {token: code + RESERVED for code, token in enumerate(self.vocabulary)}

    @classmethod
    def fit(cls, name: str, kind: FeatureKind, values: Sequence[object]) -> "FeatureEncoder":
        """Learn the vocabulary or the scale of one column."""
        if kind in _NUMBERS:
            numbers = np.asarray([_number(v) for v in values], dtype=np.float64)
            numbers = numbers[np.isfinite(numbers)]
            mean = float(numbers.mean()) if numbers.size else 0.0
            std = float(numbers.std()) if numbers.size else 0.0
            return cls(name, kind, mean=mean, std=std if std > 1e-12 else 1.0)
        tokens = [_tokens(kind, v) for v in values]
        counts = Counter(token for row in tokens for token in row)
        if kind is FeatureKind.TEXT:
            kept = [t for t, c in counts.most_common(_MAX_WORDS) if c >= _MIN_WORD_COUNT]
        else:
            kept = [t for t, _ in counts.most_common(_MAX_VOCABULARY)]
        width = min(max((len(row) for row in tokens), default=1) or 1, _MAX_WIDTH)
        return cls(name, kind, vocabulary=tuple(sorted(kept)), width=width if kind in _LISTS else 1)

    def encode(self, values: Sequence[object]) -> EncodedArray:
        """Encode raw values; see the module's table for shapes."""
        if self.kind in _NUMBERS:
            raw = np.asarray([_number(v) for v in values], dtype=np.float64).reshape(len(values))
            missing = np.isnan(raw)
            scaled = np.where(missing, 0.0, (raw - self.mean) / self.std)
            return np.stack([scaled, missing.astype(np.float64)], axis=1).astype(np.float32)
        codes = np.zeros((len(values), self.width), dtype=np.int32)
        for row, value in enumerate(values):
            tokens = _tokens(self.kind, value)[: self.width]
            codes[row, : len(tokens)] = [self._codes.get(token, UNKNOWN) for token in tokens]
        return codes if self.kind in _LISTS else codes[:, 0]


@dataclass(frozen=True)
class FeatureSpace:
    """The fitted features of items, users and request context, and the event names in order.

    Event codes in arrays are 1-based (0 is padding): ``events[code - 1]``.
    """

    items: tuple[FeatureEncoder, ...]
    users: tuple[FeatureEncoder, ...]
    context: tuple[FeatureEncoder, ...]
    events: tuple[str, ...]

    def event_code(self, event: str) -> int:
        """The code of an event name.

        Raises:
            DataError: the event is not one the model was trained with.
        """
        try:
            return self.events.index(event) + 1
        except ValueError:
            raise DataError(f"event: {event!r} is unknown; use one of {', '.join(self.events)}") from None

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "FeatureSpace":
        raw: dict[str, Any] = json.loads(text)

        def encoders(name: str) -> tuple[FeatureEncoder, ...]:
            return tuple(
                FeatureEncoder(**{**e, "kind": FeatureKind(e["kind"]), "vocabulary": tuple(e["vocabulary"])})
                for e in raw[name]
            )

        return cls(encoders("items"), encoders("users"), encoders("context"), tuple(raw["events"]))


def fit_encoders(
    features: Mapping[str, Feature], columns: Mapping[str, Sequence[object]]
) -> tuple[FeatureEncoder, ...]:
    """Fit every non-sensitive feature of one table on its columns, by name."""
    return tuple(
        FeatureEncoder.fit(name, feature.kind, columns[name])
        for name, feature in sorted(features.items())
        if feature.kind is not FeatureKind.SENSITIVE
    )


def encode_columns(
    encoders: Sequence[FeatureEncoder], columns: Mapping[str, Sequence[object]], rows: int
) -> dict[str, EncodedArray]:
    """Encode a table's columns; a column that is absent counts as missing everywhere."""
    return {e.name: e.encode(columns.get(e.name, [None] * rows)) for e in encoders}


def encode_records(
    encoders: Sequence[FeatureEncoder], records: Sequence[Mapping[str, object]]
) -> dict[str, EncodedArray]:
    """Encode one mapping per row, the shape in which requests bring features."""
    return {e.name: e.encode([record.get(e.name) for record in records]) for e in encoders}
