"""The checks of a data set: one small function each, gathered in three registries.

A row check flags rows of one table. Row checks run in the registry's order, each on what the earlier
ones left, so every dropped row is counted by exactly one of them. A table check looks at what they left as
a whole, a fact check at counts and at what ingest recorded.
"""

from slate.data.checks.base import ROW, FactCheck, Facts, Found, RowCheck, TableCheck
from slate.data.checks.facts import FACT_CHECKS
from slate.data.checks.rows import ROW_CHECKS
from slate.data.checks.tables import TABLE_CHECKS

__all__ = [
    "FACT_CHECKS",
    "ROW",
    "ROW_CHECKS",
    "TABLE_CHECKS",
    "FactCheck",
    "Facts",
    "Found",
    "RowCheck",
    "TableCheck",
]
