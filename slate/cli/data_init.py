"""``slate data init``: a dataset configuration from raw files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from slate.errors import ConfigError

if TYPE_CHECKING:
    from slate.data.profile.guess import Role

Files = Annotated[list[Path], typer.Argument(help="CSV or Parquet files: interactions, items, users.")]


def init(
    files: Files,
    out: Annotated[Path, typer.Option(help="Where the configuration is written.")] = Path("dataset.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
    user_id: Annotated[str | None, typer.Option(help="The column of user ids.")] = None,
    item_id: Annotated[str | None, typer.Option(help="The column of item ids.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="The column of times.")] = None,
    event: Annotated[str | None, typer.Option(help="The column of event names.")] = None,
    value: Annotated[str | None, typer.Option(help="The column of values, such as ratings.")] = None,
) -> None:
    """Look at raw files and write the configuration that they seem to need, with reasons to check."""
    from slate.config import load_config
    from slate.data.profile.propose import propose
    from slate.data.profile.raw import look

    if out.exists() and not force:
        raise ConfigError(
            f"{out}: exists already; name another file with --out, or overwrite it with --force"
        )
    named: dict[Role, str | None] = {
        "user_id": user_id, "item_id": item_id, "timestamp": timestamp, "event": event, "value": value,
    }  # fmt: skip
    profiles = [look(file) for file in files]
    text = propose(profiles, out, {role: name for role, name in named.items() if name}, files[0].stem)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    load_config(out)
    Console().print(text, highlight=False, markup=False, soft_wrap=True)
    typer.echo(f"written to {out}; check it, then: slate data validate --config {out}")
