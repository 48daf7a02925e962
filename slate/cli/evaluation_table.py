"""An evaluation as a table a person reads: rankers in rows, metrics with intervals in columns."""

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from slate.evaluation.intervals import Estimate
from slate.evaluation.record import FUNNEL, RETRIEVAL, EvaluationRecord

_NAMES: Final = {FUNNEL: "funnel", RETRIEVAL: "retrieval only"}


def evaluation_table(record: EvaluationRecord) -> Table:
    """Every ranker on the same targets; the interval is that of the deciding metric."""
    counts = record.targets
    table = Table(
        title=f"{counts.evaluated:,} targets of {counts.users:,} users, "
        f"{record.protocol.replace('_', ' ')} protocol, mean over users",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    others = [f"recall@{k}" for k in record.ks]
    table.add_column("", no_wrap=True)
    for heading in (record.metric, "95% interval", *others, "coverage"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, ranker in record.rankers.items():
        table.add_row(
            _NAMES.get(name, name),
            f"{ranker.metrics[record.metric].value:.4f}",
            _interval(ranker.metrics[record.metric]),
            *(f"{ranker.metrics[metric].value:.4f}" for metric in others),
            f"{ranker.coverage:.1%}",
            style="bold" if name == record.challenger else "",
        )
    return table


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.low:.3f}-{estimate.high:.3f}"
