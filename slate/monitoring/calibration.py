"""Engagement that the scores promised against what came.

A score is the sum over events of weight x probability: the engagement expected of an item, if the user looks
at it. What came is the sum of the weights of its outcomes. Users look at the first positions most, so what
is observed falls with the position whatever the scores are worth: the *level* (all that came over all that
was expected) holds this bias, and means something against the same release's other days only. The *shape*
takes it out as the position-based model does (Craswell et al. 2008, "An experimental comparison of click
position-bias models"): every position's expectation is scaled to what came there, and what differs between
scores then is the scores' own. The scale also takes out whatever else is the same for a whole position.

Intervals and chance treat users as independent, their slates not.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtri

from slate.data.drift.measures import CHANCE

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_BUCKETS: Final = 10
_Z: Final = 1.959963984540054
#: Standard errors that a normal deviate passes, either way, in CHANCE of all cases.
_DEVIATES: Final = float(ndtri(1 - CHANCE / 2))


class Judged(NamedTuple):
    """A figure and how much chance may add to its limit; None where nothing was expected or nothing came."""

    value: float | None
    chance: float


@dataclass(frozen=True)
class Bucket:
    """Items shown with similar scores, or at similar positions: means of what was expected and what came.

    ``low`` to ``high`` is the 95% interval of ``observed``; ``adjusted``: ``expected`` scaled by position.
    """

    name: str
    shown: int
    expected: float
    adjusted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """By score and by position, and the two figures; ``ratio`` is what came over what was expected."""

    scores: tuple[Bucket, ...]
    positions: tuple[Bucket, ...]
    ratio: float | None
    level: Judged
    shape: Judged


def calibrate(
    users: Codes, expected: Floats, observed: Floats, groups: Codes, names: tuple[str, ...]
) -> Calibration:
    """Compare scores with outcomes, one row an item shown.

    Args:
        users: whose it is. expected: the score. observed: the sum of the weights of its outcomes.
        groups: the group of its position, as numbered in ``names``. There is at least one row.
    """
    adjusted = _adjusted(expected, observed, groups)
    edges = np.unique(np.quantile(expected, np.arange(1, _BUCKETS) / _BUCKETS))
    buckets = np.searchsorted(edges, expected, side="right")
    sums, covariance = _sums(users, observed - adjusted, buckets)
    came, promised = float(observed.sum()), float(expected.sum())
    shape = Judged(
        float(np.abs(sums).sum()) / abs(came) if came else None,
        _by_chance(covariance) / abs(came) if came else 0.0,
    )
    gap, spread = _sums(users, observed - expected, np.zeros(len(users), np.int64))
    level = Judged(
        abs(float(gap[0])) / abs(promised) if promised else None,
        _DEVIATES * float(np.sqrt(max(spread[0, 0], 0.0))) / abs(promised) if promised else 0.0,
    )
    return Calibration(
        _buckets(users, expected, adjusted, observed, buckets, None),
        _buckets(users, expected, adjusted, observed, groups, names),
        came / promised if promised else None,
        level,
        shape,
    )


def _adjusted(expected: Floats, observed: Floats, groups: Codes) -> Floats:
    """Expectations scaled so that every position's sum is what came there."""
    size = int(groups.max(initial=0)) + 1
    promised = np.bincount(groups, expected, size)
    came = np.bincount(groups, observed, size)
    scale = np.divide(came, promised, out=np.ones(size), where=promised > 0)
    return expected * scale[groups]


def _buckets(
    users: Codes,
    expected: Floats,
    adjusted: Floats,
    observed: Floats,
    codes: Codes,
    names: tuple[str, ...] | None,
) -> tuple[Bucket, ...]:
    found = []
    for code in np.unique(codes):
        mine = codes == code
        mean = float(observed[mine].mean())
        _, spread = _sums(users[mine], observed[mine] - mean, np.zeros(int(mine.sum()), np.int64))
        half = _Z * float(np.sqrt(max(spread[0, 0], 0.0))) / int(mine.sum())
        low, high = float(expected[mine].min()), float(expected[mine].max())
        found.append(
            Bucket(
                names[int(code)] if names else f"{low:.3g} to {high:.3g}",
                int(mine.sum()),
                float(expected[mine].mean()),
                float(adjusted[mine].mean()),
                mean,
                mean - half,
                mean + half,
            )
        )
    return tuple(found)


def _sums(users: Codes, gaps: Floats, codes: Codes) -> tuple[Floats, Floats]:
    """The sum of the gaps by code, and the covariance of these sums over users."""
    known, owners = np.unique(users, return_inverse=True)
    size, rows = int(codes.max(initial=0)) + 1, len(known)
    table = sparse.coo_matrix((gaps, (owners, codes)), (rows, size)).tocsr()
    sums: Floats = np.asarray(table.sum(axis=0), np.float64).ravel()
    scatter = (table.T @ table).toarray() - np.outer(sums, sums) / rows
    return sums, scatter * rows / max(rows - 1, 1)


def _by_chance(covariance: Floats) -> float:
    """What the sum of absolute deviates with this covariance exceeds in 1 of 1,000 cases, nearly.

    The sum is taken for normal, with the mean and the variance that it has (Nabeya 1951, "Absolute moments in
    2-dimensional normal distribution").
    """
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    together = np.outer(error, error)
    related = np.divide(covariance, together, out=np.zeros_like(together), where=together > 0)
    related = np.clip(related, -1.0, 1.0)
    joint = (2 / np.pi) * (np.sqrt(1 - related**2) + related * np.arcsin(related) - 1) * together
    return float(np.sqrt(2 / np.pi) * error.sum() + ndtri(1 - CHANCE) * np.sqrt(max(float(joint.sum()), 0.0)))
