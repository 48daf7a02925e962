"""Users of a step in which the candidate's share moves: whose they are, and under which share they came.

Buckets are nested, so a share that rises takes users over from stable, and one that falls gives them back.
Whoever drops those that it moves keeps those that were not there to be moved, so nobody is dropped: users
belong to the variant of their first slate, and the candidate's effect is that of being assigned to it then.
"""

from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.hashing import BUCKETS
from slate.release.channels import CANDIDATE, STABLE
from slate.rollout.judge.evidence import Allocated, Arms
from slate.rollout.judge.log import ALLOCATION, BUCKET, EXPOSURE, VARIANT

#: The largest share of users whose first slate may say no share.
_UNSAID: Final = 0.001


def moving_users(shown: ir.Table) -> ir.Table:
    """A row a user: when first shown a slate, by which variant, under which share, and the weight of that.

    ``variants`` is 2 where any slate is of a variant that was not the bucket's under the share of the moment,
    or where the first one says no share.
    """
    rank = ibis.row_number().over(
        ibis.window(group_by=columns.USER, order_by=[shown[columns.TIMESTAMP], shown[EXPOSURE]])
    )
    treated = shown[VARIANT] == CANDIDATE
    meant = shown[BUCKET] < (shown[ALLOCATION] * BUCKETS).round()
    ranked = shown.mutate(rank=rank, astray=(treated != meant).fill_null(False))
    users = ranked.group_by(columns.USER).aggregate(astray=ranked["astray"].any())
    first = ranked.filter(ranked["rank"] == 0)
    share = first[ALLOCATION]
    joined = first.select(
        columns.USER,
        VARIANT,
        ALLOCATION,
        first=first[columns.TIMESTAMP],
        weight=ibis.ifelse(first[VARIANT] == CANDIDATE, 1 - share, share),
    ).inner_join(users, columns.USER)
    stray = joined["astray"] | joined[ALLOCATION].isnull()
    return joined.mutate(variants=ibis.ifelse(stray, 2, 1)).drop("astray")


def by_share(users: pa.Table) -> tuple[Allocated, ...]:
    """How many users of each arm came under each share; those under no known one are left out."""
    counts = users.group_by([ALLOCATION, VARIANT]).aggregate([(VARIANT, "count")])
    found: dict[float, dict[str, int]] = {}
    for row in counts.to_pylist():
        if row[ALLOCATION] is not None:
            found.setdefault(row[ALLOCATION], {})[row[VARIANT]] = row[f"{VARIANT}_count"]
    return tuple(
        Allocated(share, Arms(counted.get(STABLE, 0), counted.get(CANDIDATE, 0)))
        for share, counted in sorted(found.items())
    )


def without_share(users: pa.Table) -> tuple[str, ...]:
    """What is wrong where too many users' first slates do not say under which share they came."""
    unsaid = pc.sum(pc.is_null(users[ALLOCATION])).as_py() or 0
    if unsaid <= max(_UNSAID * users.num_rows, 1):
        return ()
    return (
        f"the first slates of {unsaid} of {users.num_rows} users do not say which share was the candidate's",
    )
