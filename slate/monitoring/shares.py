"""Shares of values where a user brings several, and how far chance alone moves them.

Values of one user are alike: a thousand items shown to ten users say less than to a thousand. A share is
therefore a ratio of sums over users, with the covariance of such ratios by linearisation (Cochran 1977,
"Sampling Techniques", 6.4). What chance makes of the stability index is then about a weighted sum of
chi-squares; it is taken for a scaled chi-square with the same mean and variance (Rao and Scott 1981, "The
Analysis of Categorical Data from Complex Sample Surveys", after Satterthwaite).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.special import chdtri

from slate.data.drift.figures import SAMPLES
from slate.data.drift.measures import CHANCE, FLOOR, REST, stability_index

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MISSING: Final = "(missing)"
_DECILES: Final = np.arange(1, 10) / 10
#: A bin in which fewer users would be expected goes together with the others like it (Cochran's rule).
_EXPECTED: Final = 5


class Values(NamedTuple):
    """One value a row: float64 [n] with NaN, or text [n] with nulls, where it is missing; and whose it is."""

    users: Codes
    values: Floats | pa.Array


@dataclass(frozen=True)
class Bins:
    """Where values go: between ``edges``, each the largest value of its bin, or by name.

    Behind them is a bin for all larger ones or all other names, then one for what is missing.
    """

    edges: tuple[float, ...] | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, values: Floats | pa.Array, most: int) -> "Bins":
        """The deciles of numbers, or the ``most`` common names."""
        if isinstance(values, np.ndarray):
            finite = values[np.isfinite(values)]
            if not finite.size:
                return cls(edges=())
            return cls(edges=tuple(np.unique(np.quantile(finite, _DECILES, method="inverted_cdf")).tolist()))
        counts = values.drop_null().value_counts().to_pylist()
        counts.sort(key=lambda entry: (-entry["counts"], entry["values"]))
        return cls(names=tuple(entry["values"] for entry in counts[:most]))

    @property
    def labels(self) -> tuple[str, ...]:
        if self.edges is None:
            return (*(self.names or ()), REST, MISSING)
        last = f"over {self.edges[-1]:.3g}" if self.edges else REST
        return (*(f"up to {edge:.3g}" for edge in self.edges), last, MISSING)

    def codes(self, values: Floats | pa.Array) -> Codes:
        """The bin of every value."""
        others = len(self.labels) - 2
        if isinstance(values, np.ndarray):
            places = np.searchsorted(np.asarray(self.edges or (), np.float64), values, side="left")
            return np.where(np.isfinite(values), places, others + 1).astype(np.int64)
        found = pc.fill_null(pc.index_in(values, pa.array(self.names or (), pa.string())), others)
        return np.where(values.is_null().to_numpy(False), others + 1, found.to_numpy(False)).astype(np.int64)


class Counted(NamedTuple):
    """Shares [bins] of values, the covariance of these shares [bins, bins], and the number of users."""

    shares: Floats
    covariance: Floats
    users: int


@dataclass(frozen=True)
class Distribution:
    """What values looked like when a release was made: shares by bin, and the variance of each share."""

    bins: Bins
    shares: Floats
    variances: Floats
    users: int

    @classmethod
    def of(cls, values: Values, most: int) -> "Distribution":
        """Values in bins of their own."""
        bins = Bins.of(values.values, most)
        found = count(values, bins)
        return cls(bins, found.shares, np.diag(found.covariance), found.users)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "edges": self.bins.edges,
            "names": self.bins.names,
            "shares": self.shares.tolist(),
            "variances": self.variances.tolist(),
            "users": self.users,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Distribution":
        """What :meth:`to_dict` gave."""
        edges, names = found["edges"], found["names"]
        bins = Bins(None if edges is None else tuple(edges), None if names is None else tuple(names))
        return cls(
            bins,
            np.asarray(found["shares"], np.float64),
            np.asarray(found["variances"], np.float64),
            int(found["users"]),
        )


class Moved(NamedTuple):
    """The stability index, what it exceeds by chance in 1 of 1,000 cases, and both sides' shares by bin."""

    value: float
    chance: float
    before: Floats
    now: Floats
    bins: tuple[str, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        """The bins that gained or lost most."""
        most = np.argsort(-np.abs(self.now - self.before), kind="stable")[:SAMPLES]
        return tuple(
            f"{self.bins[at]} ({self.before[at]:.1%}, now {self.now[at]:.1%})"
            for at in most
            if self.before[at] != self.now[at]
        )


def count(values: Values, bins: Bins) -> Counted:
    """Shares of the bins, with their covariance over users.

    >>> found = count(Values(np.array([0, 0, 1]), np.array([1.0, 1.0, 9.0])), Bins(edges=(5.0,)))
    >>> found.shares.round(3).tolist(), found.users
    ([0.667, 0.333, 0.0], 2)
    """
    size = len(bins.labels)
    if not len(values.users):
        return Counted(np.zeros(size), np.zeros((size, size)), 0)
    known, users = np.unique(values.users, return_inverse=True)
    ones = np.ones(len(users))
    table = sparse.coo_matrix((ones, (users, bins.codes(values.values))), (len(known), size)).tocsr()
    each = np.asarray(table.sum(axis=1)).ravel()
    shares = np.asarray(table.sum(axis=0)).ravel() / each.sum()
    with_each = table.T @ each
    scatter = (table.T @ table).toarray() - np.outer(shares, with_each) - np.outer(with_each, shares)
    scatter += np.outer(shares, shares) * float(each @ each)
    rows = len(known)
    return Counted(shares, scatter / (each.mean() ** 2 * rows * max(rows - 1, 1)), rows)


def moved(before: Distribution, now: Counted) -> Moved:
    """How far the shares have moved, over the bins that hold enough users."""
    labels = before.bins.labels
    thin = before.shares * min(before.users, now.users) < _EXPECTED
    together = thin | np.asarray([label == REST for label in labels], bool)
    pool = np.vstack([np.eye(len(labels))[~together], together.astype(np.float64)])
    kept = tuple(label for label, pooled in zip(labels, together, strict=True) if not pooled)
    first, second = pool @ before.shares, pool @ now.shares
    covariance = pool @ now.covariance @ pool.T
    middle = np.maximum((first + second) / 2, FLOOR)
    scaled = covariance / middle[:, np.newaxis]
    own, squared = float(np.trace(scaled)), float(np.sum(scaled * scaled.T))
    mean = own + float(np.sum(pool @ before.variances / middle))
    degrees = max(own**2 / squared, 1.0) if squared > 0 else 1.0
    chance = mean / degrees * float(chdtri(degrees, CHANCE))
    return Moved(stability_index(first, second), chance, first, second, (*kept, REST))
