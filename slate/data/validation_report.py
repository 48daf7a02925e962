"""The validation report: one self-contained HTML page."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from slate.data.validation import Validation


def render(record: Mapping[str, Any], result: "Validation", checked_at: str) -> str:
    """The page. ``record`` is the ``dataset.json`` of what was checked; all text in it is escaped."""
    environment = Environment(
        loader=PackageLoader("slate.data", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    template = environment.get_template("validation.html.j2")
    most = max(record["events"].values(), default=1)
    return template.render(
        record=record, result=result, checked_at=checked_at, most=most, errors=result.errors
    )
