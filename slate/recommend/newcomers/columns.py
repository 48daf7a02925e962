"""What is known of each item by row, of a release and of what came since."""

from slate.recommend import attributes
from slate.recommend.attributes import Instants
from slate.recommend.newcomers.beside import ByRow, LabelsByRow
from slate.recommend.newcomers.group import Group
from slate.recommend.opened import Opened


def embeddings_of(release: Opened) -> ByRow:
    """Candidate embeddings, float32 [dim] a row."""
    return ByRow(release.embeddings, release.newcomers, lambda group: group.embeddings)


def since_by_row(release: Opened, column: str | None, setting: str) -> ByRow:
    """Since when each item is there: by a timestamp feature, else by its first interaction, or arrival.

    Raises:
        ConfigError: items have no such feature; ``setting`` is what named it.
    """
    return ByRow(since_of(release, column, setting), release.newcomers, lambda group: arrivals(group, column))


def since_of(release: Opened, column: str | None, setting: str) -> Instants:
    """The same of the release's items."""
    if column is None:
        return release.item_records.first_seen
    return attributes.instants(attributes.raw(release.catalogue, column, setting))


def arrivals(group: Group, column: str | None) -> Instants:
    """The same of new items."""
    return group.since if column is None else attributes.instants(group.column(column))


def labels_by_row(release: Opened, name: str, setting: str) -> LabelsByRow:
    """A feature of each item as distinct texts.

    Raises:
        ConfigError: items have no such feature; ``setting`` is what named it.
    """
    released = [attributes.texts(value) for value in attributes.raw(release.catalogue, name, setting)]
    return LabelsByRow(
        released, release.newcomers, lambda group: [attributes.texts(v) for v in group.column(name)]
    )
