"""The validation report: one self-contained HTML page."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slate.pages.render import render as page

if TYPE_CHECKING:
    from slate.data.validation import Validation


def render(record: Mapping[str, Any], result: "Validation", checked_at: str) -> str:
    """The page. ``record`` is the ``dataset.json`` of what was checked; all text in it is escaped."""
    most = max(record["events"].values(), default=1)
    return page(
        "slate.data",
        "validation.html.j2",
        record=record,
        result=result,
        checked_at=checked_at,
        most=most,
        errors=result.errors,
    )
