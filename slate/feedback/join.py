"""An outcome and the slate that it answers."""

import json
from collections.abc import Mapping

from slate.errors import DataError
from slate.feedback.records import Event, Place


def packed(places: Mapping[str, Place]) -> bytes:
    """What is kept of a shown slate until its outcomes came: each item's place."""
    return json.dumps(places, separators=(",", ":")).encode()


def place_of(event: Event, slates: Mapping[str, bytes]) -> Place | None:
    """The place of the event's item in the slate it answers.

    Args:
        slates: packed slates by exposure id.

    Returns:
        None for an organic event, and where the slate is not known: its exposure record was lost, which costs
        position and propensity alone, since the signed id says all else.

    Raises:
        DataError: the item was not in that slate.
    """
    if event.shown is None or event.exposure_id is None:
        return None
    slate = slates.get(event.exposure_id)
    if slate is None:
        return None
    place = json.loads(slate).get(event.item_id)
    if place is None:
        raise DataError("item_id: was not in the slate that was shown")
    return Place(*place)
