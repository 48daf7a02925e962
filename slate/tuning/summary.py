"""A search in words, for the terminal, the report and the written configuration."""

from collections.abc import Sequence
from typing import Any, Final

from slate.tuning.trial import State, Trial, count
from slate.tuning.tune import Search

MEASURES: Final = {
    "retrieval": "the two-tower's validation NDCG@10 at its best epoch, a mean over users",
    "ranking": "the ranker's NDCG over candidate lists of the validation requests kept for measuring",
}
FIGURES: Final = {"retrieval": "validation NDCG@10", "ranking": "minus the loss on the requests kept to stop"}


def shown(value: Any) -> str:
    """A parameter's value as text.

    >>> shown(0.0017644163), shown([128, 64]), shown(None)
    ('0.001764', '128, 64', 'unset')
    """
    if value is None:
        return "unset"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def outcome_counts(trials: Sequence[Trial]) -> str:
    """How many trials ended how."""
    counted = [(count(trials, state), state) for state in State]
    return ", ".join(f"{number} {state}" for number, state in counted if number)


def gain(search: Search) -> str:
    """The best trial against the configuration as it was given, as far as the data can tell."""
    best, baseline, found = search.best, search.baseline, search.difference
    if best.baseline:
        return "no trial was better than the configuration as it was given"
    if baseline is None or baseline.value is None or best.value is None:
        return "the configuration as it was given did not finish, so there is no gain to state"
    text = f"{best.value - baseline.value:+.4f} against the configuration as it was given"
    if found is None or found.low is None or found.high is None:
        return text
    word = "" if found.low > 0 else ", which may be chance"
    return f"{text}, 95% interval {found.low:+.4f} to {found.high:+.4f} over {found.users} users{word}"
