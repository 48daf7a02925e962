"""How far one snapshot of a data set has moved from another."""

from slate.data.drift.compare import Drift, Entities, Figure, compare

__all__ = ["Drift", "Entities", "Figure", "compare"]
