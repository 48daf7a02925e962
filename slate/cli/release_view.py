"""Releases and their differences as tables people can read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.release.manifest import Manifest

#: The parts of a manifest that ``diff`` compares value by value, in the order shown.
COMPARED: Final = ("dataset", "config", "events", "metrics", "baselines", "index", "verdict", "requires")


def size_text(size: int) -> str:
    """Bytes as a person reads them.

    >>> size_text(999), size_text(1_500), size_text(2_500_000)
    ('999 B', '1.5 kB', '2.5 MB')
    """
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def flatten(value: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf of nested mappings and lists with its dotted name.

    >>> list(flatten({"a": {"b": 1}, "c": [2, 3]}))
    [('a.b', 1), ('c.0', 2), ('c.1', 3)]
    """
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from flatten(child, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple) and value:
        for number, child in enumerate(value):
            yield from flatten(child, f"{where}.{number}" if where else str(number))
    else:
        yield where, value


def changes(old: Manifest, new: Manifest) -> dict[str, dict[str, dict[str, Any]]]:
    """Section to name to ``{old, new}`` for everything that differs; an absent side has no key.

    Files are compared by sha256, and listed with it.
    """
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    found = {}
    for section in COMPARED:
        found[section] = _changed(dict(flatten(before[section])), dict(flatten(after[section])))
    found["files"] = _changed(
        {f.path: f.sha256[:12] for f in old.files}, {f.path: f.sha256[:12] for f in new.files}
    )
    return {section: changed for section, changed in found.items() if changed}


def print_changes(
    old: Manifest, new: Manifest, found: Mapping[str, Mapping[str, Mapping[str, Any]]], console: Console
) -> None:
    """One table a section."""
    if not found:
        console.print(f"{old.release_id} and {new.release_id} do not differ", soft_wrap=True)
        return
    console.print(f"old  {old.release_id}\nnew  {new.release_id}")
    for section, rows in found.items():
        table = Table("", "old", "new", title=section, title_justify="left", title_style="bold")
        numeric = section in ("metrics", "baselines")
        if numeric:
            table.add_column("change", justify="right")
        for name, sides in rows.items():
            cells = [name, _text(sides, "old"), _text(sides, "new")]
            table.add_row(*(escape(c) for c in cells), *([_change(sides)] if numeric else []))
        console.print(table)


def print_release(manifest: Manifest, console: Console) -> None:
    """The whole of a release but its config and file list."""
    data = manifest.dataset
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("release", manifest.release_id),
        ("created", manifest.created_at),
        ("code", manifest.code_revision),
        ("parent", manifest.parent or "none"),
        ("data", f"{data.fingerprint[:12]}, trained to {data.train_end}, seen to {data.watermark}"),
        ("index", _index_text(manifest)),
        ("requires", ", ".join(f"{k} {v}" for k, v in manifest.requires.model_dump().items() if v)),
        ("files", f"{len(manifest.files)}, {size_text(sum(f.size for f in manifest.files))}"),
    ):
        facts.add_row(f"[dim]{name}[/dim]", escape(str(value)))
    console.print(facts)
    _print_values("metrics", manifest.metrics, console)
    _print_values("baselines", manifest.baselines, console)
    table = Table(
        "check",
        "value",
        "interval",
        "threshold",
        "",
        title=f"verdict: {manifest.verdict.status}",
        title_justify="left",
    )
    for check in manifest.verdict.checks:
        interval = "" if check.interval is None else f"{check.interval[0]:.4g} … {check.interval[1]:.4g}"
        mark = "[green]passed[/green]" if check.passed else "[red]failed[/red]"
        table.add_row(escape(check.name), _number(check.value), interval, _number(check.threshold), mark)
    console.print(table)


def _index_text(manifest: Manifest) -> str:
    index = manifest.index
    return f"{index.kind}, {index.size} items x {index.dim}, recall@{index.k} {index.recall:.3f}"


def _print_values(title: str, values: Mapping[str, Any], console: Console) -> None:
    leaves = list(flatten(values)) if values else []
    if not leaves:
        return
    table = Table("", "value", title=title, title_justify="left")
    for name, value in leaves:
        table.add_row(escape(name), escape(_number(value)))
    console.print(table)


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name in [*old, *(n for n in new if n not in old)]:
        sides = {}
        if name in old:
            sides["old"] = old[name]
        if name in new:
            sides["new"] = new[name]
        if len(sides) == 1 or sides["old"] != sides["new"]:
            rows[name] = sides
    return rows


def _text(sides: Mapping[str, Any], side: str) -> str:
    return _number(sides[side]) if side in sides else "absent"


def _change(sides: Mapping[str, Any]) -> str:
    old, new = sides.get("old"), sides.get("new")
    if not isinstance(old, int | float) or not isinstance(new, int | float) or not old:
        return ""
    return f"{(new - old) / abs(old):+.1%}"


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
