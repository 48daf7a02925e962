"""``slate rollout report``: one rollout as an HTML page."""

import json
from pathlib import Path
from typing import Annotated

import typer


def report(
    rollout: Annotated[
        str | None, typer.Argument(help="The rollout's id; the last one that began by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("rollout.html"),
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; its section rollout says what margins mean.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: what the page begins with.")] = False,
) -> None:
    """Write a page: what was decided and why, traffic, engagement, guardrails, slices, and the log."""
    from slate.cli.parameters import chosen_config, store_uri
    from slate.clock import SystemClock
    from slate.rollout.report.course import read_course
    from slate.rollout.report.page import render
    from slate.rollout.report.slices import read_slices
    from slate.rollout.report.words import headline, margin_of
    from slate.storage import open_store

    chosen = chosen_config(config, overrides)
    opened = open_store(store_uri(store, chosen))
    now = SystemClock().now()
    course = read_course(opened, rollout)
    slices, without = read_slices(opened, course.state, chosen.rollout, now)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(course, slices, without, chosen.rollout, now), encoding="utf-8")
    said = headline(course, now, margin_of(chosen.rollout))
    if as_json:
        state = course.state
        body = {
            "rollout_id": state.rollout_id,
            "status": str(state.status),
            "out": str(out),
            **said._asdict(),
        }
        typer.echo(json.dumps(body, ensure_ascii=False))
        return
    typer.echo(f"{said.word}: {said.meaning}")
    typer.echo(f"wrote {out}", err=True)
