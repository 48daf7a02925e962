"""``slate recommend``: a slate from a release, without a server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.errors import ConfigError
from slate.recommend.request import Slate


def recommend(
    user: Annotated[str | None, typer.Argument(help="A user id; unknown ones get answers too.")] = None,
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first, separated by commas; overrides the user's.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, help="Length of the slate.")] = None,
    exclude: Annotated[str | None, typer.Option(help="Item ids that may not be shown, by commas.")] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A context feature as name=value; may be repeated.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="The instant of the request, UTC; now by default.")
    ] = None,
    release: Annotated[
        str, typer.Option(help="A channel, a release id or its beginning, or a folder.")
    ] = "stable",
    store: Annotated[str, typer.Option(help="A directory or gs://bucket/prefix.")] = ".slate",
    explain: Annotated[bool, typer.Option(help="Show how candidates passed each stage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recommend items to a user, or to a history, from a sealed release."""
    if user is None and history is None:
        raise ConfigError(
            "recommend: neither a user nor --history is given; name one, for example: slate recommend 42"
        )
    from slate.recommend.open import open_release

    recommender = open_release(release, store=store)
    slate = recommender.recommend(
        user,
        history=None if history is None else _ids(history),
        k=k,
        exclude=_ids(exclude or ""),
        context=_pairs(context or []),
        at=None if at is None else at.replace(tzinfo=at.tzinfo or UTC),
        explain=explain,
    )
    if as_json:
        typer.echo(json.dumps(slate.to_dict(), ensure_ascii=False))
        return
    unknown = [] if history is None else [i for i in _ids(history) if i not in recommender.catalogue.ids]
    print_slate(slate, recommender.catalogue.titles, Console(), ignored=unknown)
    if explain:
        _print_explanation(slate, Console())


def print_slate(
    slate: Slate, titles: Mapping[str, str], console: Console, ignored: list[str] | None = None
) -> None:
    """A slate as a table: position, title, id and score."""
    who = "anonymous" if slate.user_id is None else f"user {escape(slate.user_id)}"
    table = Table(title=f"{who}: {slate.rung}", caption=f"release {slate.release_id}")
    table.add_column("#", justify="right")
    table.add_column("title")
    table.add_column("item")
    table.add_column("score", justify="right")
    for item in slate.items:
        table.add_row(
            str(item.position),
            escape(titles.get(item.item_id, item.item_id)),
            escape(item.item_id),
            f"{item.score:.4f}",
        )
    console.print(table)
    if ignored:
        console.print(f"ignored, not in this release: {escape(', '.join(ignored))}")


def _print_explanation(slate: Slate, console: Console) -> None:
    explanation = slate.explanation
    if explanation is None:
        return
    console.print(f"retrieved: {len(explanation.retrieved)}, scored: {len(explanation.scored)}")
    for name, items in explanation.removed.items():
        console.print(f"removed, {name}: {len(items)}")
    table = Table(title="shown")
    names = list(next(iter(explanation.scored.values()), {}))
    for name in ("item", "retrieval", *names):
        table.add_column(name, justify="left" if name == "item" else "right")
    for item in slate.items:
        scores = explanation.scored.get(item.item_id, {})
        retrieval = explanation.retrieved.get(item.item_id)
        table.add_row(
            escape(item.item_id),
            "" if retrieval is None else f"{retrieval:.3f}",
            *(f"{scores[name]:.4f}" if name in scores else "" for name in names),
        )
    console.print(table)


def _ids(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(texts: list[str]) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise ConfigError(f"--context {text!r}: expected name=value, for example device=phone")
        pairs[name] = value
    return pairs
