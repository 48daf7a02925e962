"""Raw columns to our types, as Ibis expressions. What cannot be read becomes null, never a guess."""

from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from slate.config import Feature, FeatureKind

UTC: Final = dt.Timestamp(timezone="UTC", scale=6)

_NUMBER: Final = r"^\s*[-+]?\d+(\.\d+)?\s*$"
#: Text must begin with a calendar date; engines also accept words such as 'infinity' and 'epoch'.
_DATE: Final = r"^\s*\d{4}-\d{1,2}-\d{1,2}"
_OFFSET: Final = r"([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)\s*$"
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
#: Microseconds of the years 1 and 9999, the range that every engine and Python can hold.
_FIRST: Final = -62_135_596_800_000_000
_LAST: Final = 253_402_300_799_999_999


def text(column: ir.Value) -> ir.StringValue:
    """Text of an id or a category, exactly as it stands.

    Whole numbers that a file keeps as floats lose their ``.0`` (readers turn integer columns with
    gaps into floats); not-a-number is null.
    """
    kind = column.type()
    if kind.is_floating():
        whole = column.try_cast("int64")
        spelled = (column == whole.cast("float64")).ifelse(whole.cast("string"), column.cast("string"))
        return column.isnan().ifelse(ibis.null("string"), spelled)
    return column if kind.is_string() else column.cast("string")


def number(column: ir.Value) -> ir.FloatingValue:
    """A float64, null where it cannot be read as a number. NaN and infinities stay what they are."""
    kind = column.type()
    if kind.is_string():
        return blank_to_null(column).try_cast("float64")
    if kind.is_numeric() or kind.is_boolean():
        return column.cast("float64")
    return ibis.null("float64")


def instant(column: ir.Value, unit: str) -> ir.TimestampValue:
    """A UTC instant to the microsecond.

    From a timestamp (one without a zone is UTC), a date (its midnight in UTC), a number of ``unit``
    (``s``, ``ms``, ``us``, ``ns``) since the epoch, or text holding such a number or ISO 8601 with or
    without an offset. Fractions of a microsecond are cut off.
    """
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return column.cast(UTC)
    if kind.is_integer():
        return _since_epoch(column.cast("decimal(38, 9)"), unit)
    if kind.is_numeric():
        return _since_epoch(column.try_cast("decimal(38, 9)"), unit)
    if not kind.is_string():
        return ibis.null(UTC)
    digits = column.re_search(_NUMBER)
    dated = column.re_search(_DATE).ifelse(column, ibis.null("string"))
    numeric = digits.ifelse(column.strip(), ibis.null("string")).try_cast("decimal(38, 9)")
    return digits.ifelse(_since_epoch(numeric, unit), dated.try_cast(UTC))


def zoned(column: ir.Value) -> ir.BooleanValue:
    """Whether a text timestamp says its offset from UTC; null where the question makes no sense."""
    if not column.type().is_string():
        return ibis.null("boolean")
    timed = column.re_search(_DATE) & column.re_search(r"[0-9]:[0-9]")
    return timed.ifelse(column.re_search(_OFFSET), ibis.null("boolean"))


def feature(column: ir.Value, described: Feature) -> ir.Value:
    """A feature column typed by its kind."""
    kind = described.kind
    if kind is FeatureKind.NUMERIC:
        return number(column)
    if kind is FeatureKind.TIMESTAMP:
        return instant(blank_to_null(column), "s")
    if kind is FeatureKind.CATEGORICAL_LIST:
        if column.type().is_array():
            return column.cast("array<string>")
        return blank_to_null(text(column)).split(described.separator)
    if kind is FeatureKind.SENSITIVE and column.type().is_numeric():
        return column.cast("float64")
    return blank_to_null(text(column))


def feature_type(kind: FeatureKind) -> dt.DataType | None:
    """The type a prepared feature column has; None where more than one is possible."""
    if kind is FeatureKind.NUMERIC:
        return dt.float64
    if kind is FeatureKind.TIMESTAMP:
        return UTC
    if kind is FeatureKind.CATEGORICAL_LIST:
        return dt.Array(dt.string)
    return None if kind is FeatureKind.SENSITIVE else dt.string


def blank_to_null(column: ir.Value) -> ir.Value:
    """Empty text is a missing value."""
    return column.nullif("") if column.type().is_string() else column


def _since_epoch(value: ir.DecimalValue, unit: str) -> ir.TimestampValue:
    # Decimals are exact: neither 2^53 nor a tenth of a second is lost. Bounds are tested in the value's own
    # unit, since multiplying a nonsensical number could overflow.
    per_second = _PER_SECOND[unit]
    if unit == "ns":
        inside = value.between(-(2**63) + 1, 2**63 - 1).ifelse(value, ibis.null("decimal(38, 9)"))
        whole = inside.cast("decimal(38, 9)").floor().cast("int64")
        # Engines divide as floats; a multiple of 1,000 divides without loss.
        micros = (whole - whole % 1_000) / 1_000
    else:
        bounds = (bound // 1_000_000 * per_second for bound in (_FIRST, _LAST))
        inside = value.between(*bounds).ifelse(value, ibis.null("decimal(38, 9)"))
        micros = (inside.cast("decimal(38, 9)") * (1_000_000 // per_second)).floor()
    return (ibis.timestamp("1970-01-01 00:00:00") + micros.cast("int64").as_interval("us")).cast(UTC)
