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
        "importance": _forests(found),
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


def _forests(found: Explanations) -> list[Forest]:
    """The loss of NDCG beside the rise of log loss: inputs alone, then together, each in one order."""
    ordered = sorted(found.importance, key=lambda i: -(i.log_loss if i.ndcg is None else i.ndcg).value)
    ndcg = [(entry, entry.ndcg) for entry in ordered if entry.ndcg is not None]
    log_loss = [(entry, _scaled(entry.log_loss, _THOUSANDTHS)) for entry in ordered]
    named = ((f"Loss of NDCG@{found.k}", ndcg), ("Rise of log loss in thousandths", log_loss))
    return [
        _forest(f"{title}, {how}", chosen, _span(effects))
        for how, together in (("each input alone", False), ("inputs together", True))
        for title, effects in named
        if (chosen := [(entry, effect) for entry, effect in effects if (len(entry.inputs) > 1) == together])
    ]


def _scaled(effect: Effect, factor: float) -> Effect:
    low, high = (None if end is None else factor * end for end in (effect.low, effect.high))
    return Effect(value=factor * effect.value, low=low, high=high)


def _span(effects: Sequence[tuple[Importance, Effect]]) -> tuple[float, float]:
    """One scale for inputs alone and together, so that they can be compared."""
    ends = [end for _, effect in effects for end in (effect.low, effect.value, effect.high)]
    return span_of([*ends, 0.0], floor=None)


def _forest(title: str, effects: Sequence[tuple[Importance, Effect]], span: tuple[float, float]) -> Forest:
    rows = []
    for entry, effect in effects:
        tone = "accent" if effect.low is not None and effect.low > 0 else "plain"
        drawn = bar(effect.value, effect.low, effect.high, *span, tone, signed=True)
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
