"""A slate as it is kept in the online state: JSON, the ``items`` of an answer and nothing else."""

import json
from collections.abc import Sequence

from slate.errors import DataError
from slate.recommend.request import SlateItem


def packed(items: Sequence[SlateItem]) -> bytes:
    """The JSON of a slate's items, as an answer gives them.

    >>> packed([SlateItem("a", 0.5, 1, "two_tower")])
    b'[{"item_id":"a","score":0.5,"position":1,"source":"two_tower","propensity":1.0}]'
    """
    return json.dumps([vars(item) for item in items], ensure_ascii=False, separators=(",", ":")).encode()


def unpacked(slate: bytes) -> tuple[SlateItem, ...]:
    """The inverse of :func:`packed`.

    Raises:
        DataError: it is none.
    """
    try:
        return tuple(SlateItem(**item) for item in json.loads(slate))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"precomputed slate: cannot be read ({error}); run the batch pipeline again"
        ) from error
