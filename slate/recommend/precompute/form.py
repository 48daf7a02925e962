"""A slate as it is kept in the online state: JSON, the ``items`` of an answer and nothing else."""

import json

from slate.errors import DataError
from slate.recommend.request import SlateItem
from slate.recommend.stages.records import Picked


def packed(slate: Picked) -> bytes:
    """The JSON of a slate's items, as an answer gives them.

    >>> packed(Picked(["a"], [0.5], ["two_tower"], [1.0]))
    b'[{"item_id":"a","score":0.5,"position":1,"source":"two_tower","propensity":1.0}]'
    """
    # Where slates are made it is there, and six times as fast; who only reads them may do without.
    import orjson

    return orjson.dumps(
        [
            {
                "item_id": item,
                "score": score,
                "position": position,
                "source": source,
                "propensity": propensity,
            }
            for position, (item, score, source, propensity) in enumerate(zip(*slate, strict=True), start=1)
        ]
    )


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
