"""A fitted feature space on newer data: what is known keeps its code, what is new gets one after it."""

from collections.abc import Sequence
from dataclasses import replace

from slate.data.features import FeatureEncoder, FeatureSpace
from slate.errors import DataError


def extend(known: FeatureSpace, fitted: FeatureSpace) -> FeatureSpace:
    """The space ``known``, with what only ``fitted`` knows.

    Vocabularies keep their codes and grow at the end. Means and deviations stay as they are, so that a
    trained weight keeps its meaning.

    Raises:
        DataError: they have other features, kinds or events, so that no weight of one serves the other.
    """
    if known.events != fitted.events:
        raise DataError(
            f"events: the parent knows {', '.join(known.events)}, the data set describes "
            f"{', '.join(fitted.events)}; train in full with 'slate run'"
        )
    return FeatureSpace(
        items=_extended("items", known.items, fitted.items),
        users=_extended("users", known.users, fitted.users),
        context=_extended("interactions", known.context, fitted.context),
        events=known.events,
    )


def _extended(
    table: str, known: Sequence[FeatureEncoder], fitted: Sequence[FeatureEncoder]
) -> tuple[FeatureEncoder, ...]:
    described = [[f"{encoder.name} ({encoder.kind})" for encoder in side] for side in (known, fitted)]
    if described[0] != described[1]:
        shown = [", ".join(side) or "none" for side in described]
        raise DataError(
            f"features of {table}: the parent has {shown[0]}, the data set describes {shown[1]}; "
            "train in full with 'slate run'"
        )
    return tuple(_grown(old, new) for old, new in zip(known, fitted, strict=True))


def _grown(known: FeatureEncoder, fitted: FeatureEncoder) -> FeatureEncoder:
    listed = set(known.vocabulary)
    added = tuple(token for token in fitted.vocabulary if token not in listed)
    return replace(
        known,
        vocabulary=known.vocabulary + added,
        width=max(known.width, fitted.width),
        separator=fitted.separator,
    )
