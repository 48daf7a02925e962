"""What the report says about what the ranker looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from slate.evaluation import plots
from slate.evaluation.forest import Forest, Row, bar, short, span_of
from slate.ranking.explain.record import Curve, Effect, Explanations, Importance

if TYPE_CHECKING:
    from slate.evaluation.report_inputs import ReportInputs

#: So many curves are laid open, those that move the answer most; the others are folded away.
_OPEN: Final = 9
#: Log losses are small where events are rare.
_THOUSANDTHS: Final = 1_000.0


@dataclass(frozen=True)
class Dependence:
    """One curve: a chart of a number, or a forest of categories."""

    name: str
    detail: str
    svg: Markup | None
    forest: Forest | None


def explanations(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Importance of inputs alone and together, and curves, those that move the answer most first."""
    found = inputs.explanations
    if found is None:
        return None
    curves = sorted(found.curves, key=lambda c: min(c.probability.mean) - max(c.probability.mean))
    top = 1.05 * max((max(curve.probability.high) for curve in curves), default=1.0) or 1.0
    drawn = [_dependence(curve, top) for curve in curves]
    return {
        "facts": _facts(found),
        "repeats": found.repeats,
        "importance": [
            forest
            for title, chosen in (
                ("each input alone", [i for i in found.importance if len(i.inputs) == 1]),
                ("inputs together", [i for i in found.importance if len(i.inputs) > 1]),
            )
            for forest in _forests(title, chosen, found)
        ],
        "curves": drawn[:_OPEN],
        "more": drawn[_OPEN:],
    }


def _facts(found: Explanations) -> list[tuple[str, str]]:
    facts = [("requests", f"{found.requests:,}"), ("users", f"{found.users:,}")]
    facts.append(("with something to find", f"{found.with_positive:,}"))
    if found.ndcg is not None:
        facts.append((f"NDCG@{found.k} as it is", f"{found.ndcg:.4f}"))
    if found.log_loss is not None:
        facts.append(("log loss as it is", f"{found.log_loss:.4f}"))
    return [*facts, ("seconds to find out", f"{found.seconds:.0f}")]


def _forests(title: str, chosen: Sequence[Importance], found: Explanations) -> list[Forest]:
    """The loss of NDCG beside the rise of log loss, in one order."""
    ordered = sorted(chosen, key=lambda i: -(i.log_loss if i.ndcg is None else i.ndcg).value)
    ndcg = [(entry, entry.ndcg) for entry in ordered if entry.ndcg is not None]
    both = (
        (f"Loss of NDCG@{found.k}, {title}", ndcg, 1.0),
        (f"Rise of log loss in thousandths, {title}", [(e, e.log_loss) for e in ordered], _THOUSANDTHS),
    )
    return [_forest(name, effects, scale) for name, effects, scale in both if effects]


def _forest(title: str, effects: Sequence[tuple[Importance, Effect]], scale: float) -> Forest:
    def scaled(value: float | None) -> float | None:
        return None if value is None else scale * value

    ends = [scaled(v) for _, effect in effects for v in (effect.low, effect.value, effect.high)]
    span = span_of([*ends, 0.0], floor=None)
    rows = []
    for entry, effect in effects:
        tone = "accent" if effect.low is not None and effect.low > 0 else "plain"
        drawn = bar(scale * effect.value, scaled(effect.low), scaled(effect.high), *span, tone, signed=True)
        rows.append(Row(entry.name, entry.group, drawn, emphasis=False))
    return Forest(title, rows, short(span[0]), short(span[1]))


def _dependence(curve: Curve, top: float) -> Dependence:
    numbers = [value for value in curve.values if not isinstance(value, str)]
    band = curve.probability
    if curve.scale == "category" or len(numbers) < len(curve.values):
        rows = [
            Row(str(value), "", bar(mean, low, high, 0.0, top, "accent"), emphasis=False)
            for value, mean, low, high in zip(curve.values, band.mean, band.low, band.high, strict=True)
        ]
        return Dependence(curve.name, curve.group, None, Forest("", rows, "0", short(top)))
    title = f"Probability by {curve.name} ({curve.group})"
    svg = plots.dependence(title, curve.scale, numbers, band.mean, band.low, band.high, top)
    return Dependence(curve.name, curve.group, svg, None)
