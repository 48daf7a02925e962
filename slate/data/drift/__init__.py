"""How far one snapshot of a data set has moved from another."""

from slate.data.drift.compare import compare
from slate.data.drift.figures import Drift, Entities, Figure

__all__ = ["Drift", "Entities", "Figure", "compare"]
