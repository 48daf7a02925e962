"""A dataset YAML from raw files: complete, valid, and with every guess explained beside it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from slate import columns
from slate.data.profile.guess import Guess, Role, entity_key, feature, roles, words
from slate.data.profile.raw import FileProfile, names_of
from slate.errors import DataError

_NEEDED: Final[tuple[Role, ...]] = ("user_id", "item_id", "timestamp")
_ITEM_WORDS: Final = ("item", "movie", "product", "book", "film", "asin", "article", "code", "sku", "track")
_USER_WORDS: Final = ("user", "customer", "reader", "member", "person", "reviewer")
_TITLES: Final = ("title", "name", "headline")
_RATINGS: Final = ("rating", "stars", "score", "overall")
_NEGATIVE: Final = ("hide", "dislike", "report", "return", "returned", "skip", "unlike", "block", "remove")
_HEAVY: Final[Mapping[str, int]] = {
    "buy": 5, "bought": 5, "purchase": 5, "order": 5, "transaction": 5, "share": 3, "comment": 3, "cart": 3,
    "addtocart": 3, "save": 2, "like": 2,
}  # fmt: skip


def main_file(
    files: Sequence[FileProfile], given: Mapping[Role, str]
) -> tuple[FileProfile, dict[Role, Guess]]:
    """The file that holds the interactions, and the roles of its columns.

    Raises:
        DataError: no file has a user, an item and a time; the message says what was found and how to name
            the rest.
    """
    tried = []
    for file in sorted(files, key=lambda f: -f.rows):
        known = {role: name for role, name in given.items() if name in {c.name for c in file.columns}}
        if given and not known:
            continue
        found = roles(file, given if len(files) == 1 else known)
        tried.append((file, found))
        if all(role in found for role in _NEEDED):
            return file, found
    if not tried:
        name = next(iter(given.values()))
        raise DataError(f"{name}: no file has such a column; there are {names_of(files)}")
    file, found = max(tried, key=lambda entry: len(entry[1]))
    missing = [role for role in _NEEDED if role not in found]
    options = " ".join(f"--{role.replace('_', '-')} COLUMN" for role in missing)
    raise DataError(
        f"{file.path}: no column seems to be the {', '.join(missing)} of interactions; "
        f"its columns are {', '.join(c.name for c in file.columns)}; name it with {options}"
    )


def propose(files: Sequence[FileProfile], out: Path, given: Mapping[Role, str], name: str) -> str:
    """The YAML text of a configuration; paths are relative to the folder of ``out``.

    Raises:
        DataError: see :func:`main_file`.
    """
    file, found = main_file(files, given)
    notes = [
        f"{role}: column {guess.column!r}, since {guess.why}{'' if guess.sure else '  <- check this'}"
        for role, guess in found.items()
    ]
    interactions = _table(file, out)
    interactions["columns"] = {role: guess.column for role, guess in found.items()}
    unit = found["timestamp"].unit
    if unit and unit != "s":
        interactions["timestamp_unit"] = unit
    dataset: dict[str, Any] = {"name": name, "interactions": interactions}
    left = [other for other in files if other is not file]
    sides: tuple[tuple[str, Role, tuple[str, ...]], ...] = (
        ("items", "item_id", _ITEM_WORDS),
        ("users", "user_id", _USER_WORDS),
    )
    for side, role, likely in sides:
        ids = file.column(found[role].column)
        for other in left:
            key = entity_key(other, likely, ids)
            if key is not None:
                dataset[side] = _entities(other, out, role, key, side == "items")
                notes.append(f"{side}: {Path(other.path).name}, whose column {key!r} names them")
                left.remove(other)
                break
    events, note = _events(file, found)
    dataset["events"] = events
    notes.append(note)
    header = "".join(f"# {line}\n" for line in ("Written from a look at the data:", *notes))
    return header + yaml.safe_dump({"dataset": dataset}, sort_keys=False, allow_unicode=True, width=100)


def _table(file: FileProfile, out: Path) -> dict[str, Any]:
    table: dict[str, Any] = {"path": os.path.relpath(file.path, out.resolve().parent)}
    if file.table.separator != ",":
        table["separator"] = file.table.separator
    return table


def _entities(file: FileProfile, out: Path, role: str, key: str, titled: bool) -> dict[str, Any]:
    table = _table(file, out)
    table["columns"] = {role: key}
    features: dict[str, Any] = {}
    for column in file.columns:
        if column.name == key:
            continue
        if titled and "title" not in table["columns"] and set(words(column.name)) & set(_TITLES):
            table["columns"]["title"] = column.name
            continue
        guess = feature(column)
        if guess is not None:
            described: dict[str, Any] = {"kind": guess.kind}
            if guess.separator != "|" and guess.kind == "categorical_list":
                described["separator"] = guess.separator
            name = column.name
            if name in (role, columns.TITLE):
                name, described["column"] = f"{name}_feature", name
            features[name] = guess.kind if len(described) == 1 else described
    if features:
        table["features"] = features
    return table


def _events(file: FileProfile, found: Mapping[Role, Guess]) -> tuple[dict[str, Any], str]:
    """Events from an event column's values, from a rating, or a single one."""
    if "event" in found:
        values = [value for value, _ in file.column(found["event"].column).top]
        events = {value: {"weight": _weight(value)} for value in values}
        return events, "events: the values of that column; the weights are a guess  <- check them"
    if "value" in found and set(words(found["value"].column)) & set(_RATINGS):
        rating = file.column(found["value"].column)
        low, high = rating.low or 0.0, rating.high or 0.0
        upper, lower = low + 0.7 * (high - low), low + 0.4 * (high - low)
        return {
            "like": {"weight": 1.0, "when": {rating.name: {"min": round(upper, 2)}}},
            "neutral": {
                "weight": 0.5,
                "when": {rating.name: {"min": round(lower + 1e-2, 2), "max": round(upper - 1e-2, 2)}},
            },
            "dislike": {"weight": -0.5, "target": True, "when": {rating.name: {"max": round(lower, 2)}}},
        }, f"events: ratings from {low:g} to {high:g} cut at {lower:g} and {upper:g}  <- check these"
    return {"interaction": {"weight": 1.0}}, "events: no column tells them apart, so all are one"


def _weight(event: str) -> float:
    name = "".join(words(event))
    if any(word in name for word in _NEGATIVE):
        return -2.0
    return float(next((weight for word, weight in _HEAVY.items() if word in name), 1))
