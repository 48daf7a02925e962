"""How groups fare as tables a person reads: the quality users get, the exposure items get."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from slate.evaluation.record import EvaluationRecord, ItemGroup, UserGroup


def fairness_tables(record: EvaluationRecord) -> Iterator[Table]:
    """One table of users and one of items, each only where it has groups."""
    if record.fairness is None:
        return
    if record.fairness.users:
        columns = ("users", record.metric, "minus others", "95% interval", "relative")
        table = _table("Users by group, against all others", columns)
        for group in record.fairness.users:
            table.add_row(escape(group.name), *_quality(group, record.metric))
        yield table
    if record.fairness.items:
        columns = ("items", "wanted", "shown", "shown/wanted", "95% interval")
        table = _table("Items by group: exposure against what users wanted", columns)
        for shown in record.fairness.items:
            table.add_row(escape(shown.name), *_exposure(shown))
        yield table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _quality(group: UserGroup, metric: str) -> tuple[str, ...]:
    level = f"{group.metrics[metric].value:.4f}"
    gap = group.differences.get(metric)
    if gap is None:
        return f"{group.users:,}", level, "-", "-", "-"
    relative = "-" if gap.relative is None else f"{gap.relative:+.1%}"
    return f"{group.users:,}", level, f"{gap.value:+.4f}", _between(gap.low, gap.high, "+.3f"), relative


def _exposure(group: ItemGroup) -> tuple[str, ...]:
    found = group.exposure
    shares = f"{group.items:,}", f"{found.reference:.1%}", f"{found.challenger:.1%}"
    if found.relative is None:
        return *shares, "-", "-"
    low, high = (None if end is None else 1 + end for end in (found.relative_low, found.relative_high))
    return *shares, f"{1 + found.relative:.2f}", _between(low, high, ".2f")


def _between(low: float | None, high: float | None, form: str) -> str:
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"
