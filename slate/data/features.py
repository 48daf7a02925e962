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

Requests bring values as JSON, tables as prepared by :mod:`slate.data.convert`; both count alike:

- Missing are null, NaN, empty text, and what cannot be read as its kind. A list leaves such parts out.
- Categories are spelled as preparation spells them: 3.0 is ``3``, true is ``true``. Text given for a list
  is cut at the feature's separator. Words are runs of letters, digits and underscores, lower-cased, in
  Unicode's composed form (NFC). What exceeds the fitted width is cut off.
- A timestamp is a datetime, ISO 8601 text, or seconds since the epoch as a number or text; without a zone
  it is UTC. It counts in days since the epoch.
- Mean and standard deviation are the population's. A column of one value has a deviation of 1. What is
  farther than 1,000 deviations from the mean counts as 1,000, lest one absurd number make a model overflow.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.config import Feature, FeatureKind
from slate.data import values
from slate.errors import DataError

MISSING: Final = 0
UNKNOWN: Final = 1
RESERVED: Final = 2

_MAX_VOCABULARY: Final = 50_000
_MAX_WORDS: Final = 5_000
_MIN_WORD_COUNT: Final = 2
_MAX_WIDTH: Final = 16
_SMALLEST_STD: Final = 1e-12
_FARTHEST: Final = 1_000.0
_LISTS: Final = (FeatureKind.CATEGORICAL_LIST, FeatureKind.TEXT)
_NUMBERS: Final = (FeatureKind.NUMERIC, FeatureKind.TIMESTAMP)

EncodedArray = npt.NDArray[np.int32] | npt.NDArray[np.float32]


def _tokens(kind: FeatureKind, value: object, separator: str) -> list[str]:
    if kind is FeatureKind.TEXT:
        return values.words(values.spelled(value))
    parts = values.parts(value, separator) if kind is FeatureKind.CATEGORICAL_LIST else [value]
    return [token for token in map(values.spelled, parts) if token]


def _numbers(kind: FeatureKind, raw: Sequence[object]) -> npt.NDArray[np.float64]:
    read = values.days if kind is FeatureKind.TIMESTAMP else values.number
    return np.fromiter((read(value) for value in raw), dtype=np.float64, count=len(raw))


class _Scale(NamedTuple):
    mean: float
    std: float


def _fitted_scale(numbers: npt.NDArray[np.float64]) -> _Scale:
    """Mean and population standard deviation of finite numbers, of any size that a float holds."""
    if not numbers.size:
        return _Scale(0.0, 1.0)
    if numbers.min() == numbers.max():
        return _Scale(float(numbers[0]), 1.0)
    # Halving is exact, and keeps sums and squares of very large numbers from overflowing.
    halvings = int(np.frexp(np.abs(numbers).max())[1])
    small = np.ldexp(numbers, -halvings)
    std = float(np.ldexp(small.std(), halvings))
    return _Scale(float(np.ldexp(small.mean(), halvings)), std if std > _SMALLEST_STD else 1.0)


@dataclass(frozen=True)
class FeatureEncoder:
    """One fitted feature. ``size`` is the number of codes, for embedding tables (0 for numbers).

    ``separator`` cuts a list that comes as text.
    """

    name: str
    kind: FeatureKind
    vocabulary: tuple[str, ...] = ()
    width: int = 1
    mean: float = 0.0
    std: float = 1.0
    separator: str = "|"

    @property
    def size(self) -> int:
        return 0 if self.kind in _NUMBERS else len(self.vocabulary) + RESERVED

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {token: code + RESERVED for code, token in enumerate(self.vocabulary)}

    @classmethod
    def fit(
        cls, name: str, kind: FeatureKind, column: Sequence[object], separator: str = "|"
    ) -> "FeatureEncoder":
        """Learn the vocabulary or the scale of one column."""
        if kind in _NUMBERS:
            numbers = _numbers(kind, column)
            return cls(name, kind, **_fitted_scale(numbers[np.isfinite(numbers)])._asdict())
        tokens = [_tokens(kind, value, separator) for value in column]
        counts = Counter(token for row in tokens for token in row)
        if kind is FeatureKind.TEXT:
            kept = [t for t, c in counts.most_common(_MAX_WORDS) if c >= _MIN_WORD_COUNT]
        else:
            kept = [t for t, _ in counts.most_common(_MAX_VOCABULARY)]
        width = min(max((len(row) for row in tokens), default=1) or 1, _MAX_WIDTH)
        width = width if kind in _LISTS else 1
        return cls(name, kind, vocabulary=tuple(sorted(kept)), width=width, separator=separator)

    def encode(self, column: Sequence[object]) -> EncodedArray:
        """Encode raw values; see the module for shapes and rules."""
        if self.kind in _NUMBERS:
            raw = _numbers(self.kind, column)
            missing = np.isnan(raw)
            with np.errstate(over="ignore"):
                deviations = np.clip((raw - self.mean) / self.std, -_FARTHEST, _FARTHEST)
            scaled = np.where(missing, 0.0, deviations)
            return np.stack([scaled, missing.astype(np.float64)], axis=1).astype(np.float32)
        codes = np.zeros((len(column), self.width), dtype=np.int32)
        for row, value in enumerate(column):
            tokens = _tokens(self.kind, value, self.separator)[: self.width]
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
        FeatureEncoder.fit(name, feature.kind, columns[name], feature.separator)
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
