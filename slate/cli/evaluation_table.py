"""An evaluation as a table a person reads: rankers in rows, metrics with intervals in columns."""

from typing import Final

from rich.table import Table

from slate.evaluation.intervals import Estimate
from slate.evaluation.record import CHAMPION, FUNNEL, RETRIEVAL, EvaluationRecord

_NAMES: Final = {
    FUNNEL: "this release (retrieval + ranking)",
    RETRIEVAL: "retrieval alone",
    CHAMPION: "champion",
}


def evaluation_table(record: EvaluationRecord) -> Table:
    """Every ranker on the same targets; the interval of the deciding metric is shown."""
    counts = record.targets
    table = Table(
        title=f"{counts.evaluated:,} targets of {counts.users:,} users, "
        f"{record.protocol.replace('_', ' ')} protocol",
        caption=f"mean over users; 95% interval of {record.metric.upper()}",
    )
    metrics = [f"{kind}@{k}" for k in record.ks for kind in ("recall", "ndcg")]
    table.add_column("")
    for metric in metrics:
        table.add_column(metric, justify="right")
    table.add_column("coverage", justify="right")
    table.add_column("novelty", justify="right")
    for name, ranker in record.rankers.items():
        cells = [_estimate(ranker.metrics[metric], interval=metric == record.metric) for metric in metrics]
        style = "bold" if name == record.challenger else ""
        table.add_row(
            _NAMES.get(name, name), *cells, f"{ranker.coverage:.1%}", f"{ranker.novelty:.2f}", style=style
        )
    return table


def _estimate(estimate: Estimate, *, interval: bool) -> str:
    if not interval or estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
