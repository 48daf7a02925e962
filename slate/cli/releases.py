"""``slate releases``: list, inspect, verify and move releases."""

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.outdated import drop_outdated_slates
from slate.cli.release_view import changes, print_changes, print_release, size_text
from slate.errors import ConflictError, ReleaseError, SlateError
from slate.release.channels import CHANNELS, STABLE, Channel, move_channel, read_channel
from slate.release.channels import rollback as roll_back
from slate.release.manifest import Manifest
from slate.release.publish import list_releases, list_unsealed, prune_unsealed
from slate.release.resolve import resolve
from slate.release.rollouts import active_rollouts
from slate.release.verify import read_manifest, verify_directory, verify_in_store
from slate.storage import ObjectStore, open_store
from slate.tracking.pointer import mirror_channels

app = typer.Typer(no_args_is_help=True, help="List, inspect, verify and move releases.")

StoreOption = Annotated[str, typer.Option(help="A directory or gs://bucket/prefix.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ForceOption = Annotated[bool, typer.Option(help="Move the channel even while a rollout is active.")]
ChannelOption = Annotated[str, typer.Option(help="stable, candidate or shadow.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why, for the channel's history.")]
ConfigOption = Annotated[
    Path | None, typer.Option(help="A YAML configuration: its section feedback says where slates are kept.")
]
OverridesOption = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
]
ReleaseArgument = Annotated[
    str, typer.Argument(help="A channel, a release id or its beginning, or a folder.")
]


@app.command("list")
def list_(store: StoreOption = ".slate", as_json: JsonOption = False) -> None:
    """Sealed releases, newest first, with their verdicts and channels."""
    opened = open_store(store)
    rows = [_row(opened, release_id) for release_id in reversed(list_releases(opened))]
    on = _channels(opened)
    for row in rows:
        row["channels"] = sorted(name for name, at in on.items() if at.release_id == row["release_id"])
    leftovers = list_unsealed(opened)
    if as_json:
        unsealed = [{**u._asdict(), "updated": u.updated.isoformat()} for u in leftovers]
        _print_json({"releases": rows, "unsealed": unsealed})
        return
    console = Console()
    if rows:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("release", no_wrap=True)
        for header in ("channels", "verdict", "trained to", "size"):
            table.add_column(header)
        for row in rows:
            cells = [row["release_id"], " ".join(row["channels"])]
            if "problem" in row:
                cells += ["unsound, see verify", "", ""]
            else:
                cells += [row["verdict"], row["train_end"][:10], size_text(row["bytes"])]
            table.add_row(*(escape(cell) for cell in cells))
        console.print(table)
    else:
        console.print(f"no releases in {escape(opened.uri)}; 'slate run' makes the first", soft_wrap=True)
    if leftovers:
        console.print(f"{len(leftovers)} unsealed leftovers; 'slate releases prune' removes the old ones")


@app.command()
def show(release: ReleaseArgument, store: StoreOption = ".slate", as_json: JsonOption = False) -> None:
    """One release: data, metrics, verdict, index, requirements, files."""
    manifest = _manifest(release, open_store(store))
    if as_json:
        _print_json(json.loads(manifest.to_bytes()))
    else:
        print_release(manifest, Console())


@app.command()
def verify(
    release: Annotated[str | None, typer.Argument(help="One release; all of the store by default.")] = None,
    store: StoreOption = ".slate",
    as_json: JsonOption = False,
) -> None:
    """Check every file against the manifest; fails if anything is not as sealed."""
    opened = open_store(store)
    console = Console()
    if release is None:
        targets: list[str] = list_releases(opened)
    else:
        found = resolve(release, opened)
        if found.directory is not None:
            manifest = verify_directory(found.directory, found.release_id)
            _print_json([_sound(manifest)]) if as_json else _print_sound(console, manifest)
            return
        opened = found.store or opened
        targets = [found.release_id]
    results: list[dict[str, Any]] = []
    for release_id in targets:
        try:
            manifest = verify_in_store(opened, release_id)
        except SlateError as error:
            results.append({"release_id": release_id, "sound": False, "problem": str(error)})
            if not as_json:
                console.print(f"[red]bad[/red]  {release_id}  {escape(str(error))}", soft_wrap=True)
            continue
        results.append(_sound(manifest))
        if not as_json:
            _print_sound(console, manifest)
    if as_json:
        _print_json(results)
    bad = [r["release_id"] for r in results if not r["sound"]]
    if bad:
        raise ReleaseError(
            f"{opened.uri}: {len(bad)} of {len(results)} releases are not as sealed: {', '.join(bad)}; "
            "roll channels back from them"
        )
    if not results and not as_json:
        console.print(f"no releases in {escape(opened.uri)}", soft_wrap=True)


@app.command()
def promote(
    release: ReleaseArgument,
    channel: ChannelOption = STABLE,
    reason: ReasonOption = None,
    force: ForceOption = False,
    store: StoreOption = ".slate",
    config: ConfigOption = None,
    overrides: OverridesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a release and point a channel at it."""
    opened = open_store(store)
    _refuse_during_rollout(opened, force)
    before = read_channel(opened, channel)
    found = resolve(release, opened)
    if found.store is None or found.store.uri != opened.uri:
        raise ReleaseError(f"{release}: does not lie in the store {opened.uri}; publish it there first")
    verify_in_store(opened, found.release_id)
    moved = move_channel(
        opened,
        channel,
        found.release_id,
        reason=reason or "promoted by hand",
        by=getpass.getuser(),
        expected_sequence=before.sequence if before else 0,
    )
    _print_moved(channel, before, moved, as_json)
    _mirror(opened)
    drop_outdated_slates(opened, config, overrides)


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A release of the channel's history.")] = None,
    channel: ChannelOption = STABLE,
    reason: ReasonOption = None,
    force: ForceOption = False,
    store: StoreOption = ".slate",
    config: ConfigOption = None,
    overrides: OverridesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Point a channel back at the release before, or at one of its history."""
    opened = open_store(store)
    _refuse_during_rollout(opened, force)
    before = read_channel(opened, channel)
    target = None if to is None else resolve(to, opened).release_id
    moved = roll_back(opened, channel, target, reason=reason or "rolled back by hand", by=getpass.getuser())
    _print_moved(channel, before, moved, as_json)
    _mirror(opened)
    drop_outdated_slates(opened, config, overrides)


@app.command()
def diff(
    old: ReleaseArgument, new: ReleaseArgument, store: StoreOption = ".slate", as_json: JsonOption = False
) -> None:
    """What differs between two releases: data, config, metrics, files."""
    opened = open_store(store)
    first, second = _manifest(old, opened), _manifest(new, opened)
    found = changes(first, second)
    if as_json:
        _print_json({"old": first.release_id, "new": second.release_id, "changes": found})
    else:
        print_changes(first, second, found, Console())


@app.command()
def prune(
    older_than_hours: Annotated[
        float, typer.Option(min=0, help="Spare what was written within these hours.")
    ] = 24,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
    store: StoreOption = ".slate",
    as_json: JsonOption = False,
) -> None:
    """Delete what killed publishers left: files of releases that were never sealed."""
    opened = open_store(store)
    removed = list_unsealed(opened) if dry_run else prune_unsealed(opened, timedelta(hours=older_than_hours))
    if as_json:
        _print_json([{**u._asdict(), "updated": u.updated.isoformat()} for u in removed])
        return
    console = Console()
    for leftover in removed:
        console.print(
            f"{'unsealed' if dry_run else 'removed'}  {leftover.release_id}  "
            f"{leftover.files} files, {size_text(leftover.bytes)}"
        )
    if not removed:
        console.print("nothing to remove")


def _row(store: ObjectStore, release_id: str) -> dict[str, Any]:
    try:
        manifest = read_manifest(store, release_id)
    except ReleaseError as error:
        return {"release_id": release_id, "problem": str(error)}
    return {
        "release_id": release_id,
        "created_at": manifest.created_at,
        "verdict": manifest.verdict.status,
        "train_end": manifest.dataset.train_end,
        "parent": manifest.parent,
        "bytes": sum(f.size for f in manifest.files),
    }


def _channels(store: ObjectStore) -> dict[str, Channel]:
    found = {name: read_channel(store, name) for name in CHANNELS}
    return {name: channel for name, channel in found.items() if channel is not None}


def _manifest(reference: str, store: ObjectStore) -> Manifest:
    found = resolve(reference, store)
    if found.directory is not None:
        return verify_directory(found.directory, found.release_id)
    return read_manifest(found.store or store, found.release_id)


def _refuse_during_rollout(store: ObjectStore, force: bool) -> None:
    active = active_rollouts(store)
    if active and not force:
        raise ConflictError(
            f"rollout {active[0]} is active: moving a channel now would spoil it; "
            "end it with 'slate rollout abort --reason ...', or add --force"
        )


def _mirror(store: ObjectStore) -> None:
    """Let the aliases of the model registry follow; the channel has moved whatever becomes of it."""
    problem = mirror_channels(store)
    if problem:
        Console(stderr=True, soft_wrap=True).print(
            f"[yellow]warning:[/yellow] {escape(problem)}", highlight=False
        )


def _sound(manifest: Manifest) -> dict[str, Any]:
    size = sum(f.size for f in manifest.files)
    return {"release_id": manifest.release_id, "sound": True, "files": len(manifest.files), "bytes": size}


def _print_sound(console: Console, manifest: Manifest) -> None:
    size = size_text(sum(f.size for f in manifest.files))
    console.print(f"[green]good[/green] {manifest.release_id}  {len(manifest.files)} files, {size}")


def _print_moved(name: str, before: Channel | None, moved: Channel, as_json: bool) -> None:
    if as_json:
        _print_json({"channel": name, **moved.model_dump(mode="json")})
    elif before is not None and before.sequence == moved.sequence:
        Console().print(f"{name} is at {moved.release_id} already", soft_wrap=True)
    else:
        origin = before.release_id if before else "empty"
        Console().print(
            f"{name}: {origin} -> [bold]{moved.release_id}[/bold] (sequence {moved.sequence})", soft_wrap=True
        )


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
