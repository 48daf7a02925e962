"""HTML pages: one file each, no script, no request to anywhere, every value escaped."""

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: Any) -> str:
    """A template of ``package`` as text.

    Templates may extend ``page.html.j2`` and import from ``macros.html.j2``, which hold what all pages
    share. The filter ``grouped`` writes 1,000,000.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("slate.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment.get_template(template).render(**values)
