"""``slate rollout step``, ``promote`` and ``abort``: moves of a person."""

import json
import shlex
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from slate.cli.rollout_options import (
    ConfigOption,
    JsonOption,
    Opened,
    PrintOption,
    RolloutArgument,
    SetOption,
    StoreOption,
    person,
)
from slate.errors import ConfigError, RolloutError, SlateError

if TYPE_CHECKING:
    from slate.rollout.judge.verdict import Decision

ForceOption = Annotated[
    bool, typer.Option("--force", help="Whatever the checks say; recorded with your name, needs --reason.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]

_BY_HAND: Final = "by hand"


def step(
    rollout: RolloutArgument = None,
    force: ForceOption = False,
    reason: ReasonOption = "",
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    print_only: PrintOption = False,
    as_json: JsonOption = False,
) -> None:
    """Look once now, and do what the verdict says; with --force go on to the next step whatever it says."""
    from slate.rollout.judge.verdict import Decision
    from slate.rollout.state import read_state
    from slate.rollout.traffic.driver import Split
    from slate.rollout.verdicts import last_verdict

    _with_reason(force, reason)
    opened = Opened.of(store, config, overrides)
    rollout_id = opened.rollout_id(rollout)
    state = read_state(opened.store, rollout_id).state
    if print_only:
        if state.ended or state.next_step is None:
            raise RolloutError(f"rollout {rollout_id}: no step comes after {state.step} ({state.status})")
        threshold = state.first_threshold(state.next_step)
        typer.echo(opened.by_hand(Split(state.salt, state.next_step, threshold)))
        return
    _refuse_ended(state.status, state.ended, rollout_id)
    if state.status == "promoting":
        raise RolloutError(f"rollout {rollout_id}: is being promoted, no step comes after that")
    before = last_verdict(opened.store, rollout_id)
    known = before.number if before else 0
    if force:
        known = _forced(opened, rollout_id, Decision.ADVANCE, reason)
        other = opened.tick_until(lambda: read_state(opened.store, rollout_id).state.last_verdict >= known)
        _or_waits(opened, rollout_id, known, other)
    else:
        opened.tick_until(lambda: last_verdict(opened.store, rollout_id, known) is not None)
    _show(opened, rollout_id, as_json)


def promote(
    rollout: RolloutArgument = None,
    force: ForceOption = False,
    reason: ReasonOption = "",
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    print_only: PrintOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the release stable now; refused unless the last verdict says so, or with --force."""
    from slate.rollout.judge.verdict import Decision
    from slate.rollout.state import RolloutStatus, read_state
    from slate.rollout.traffic.driver import Split
    from slate.rollout.verdicts import last_verdict

    _with_reason(force, reason)
    opened = Opened.of(store, config, overrides)
    rollout_id = opened.rollout_id(rollout)
    state = read_state(opened.store, rollout_id).state
    if print_only:
        uri = shlex.quote(opened.store.uri)
        typer.echo(f"slate releases promote {state.release_id} --channel stable --force --store {uri}")
        typer.echo("# When every stable server answers with it:")
        typer.echo(opened.by_hand(Split()))
        return
    _refuse_ended(state.status, state.ended, rollout_id)
    if state.status is not RolloutStatus.PROMOTING:
        last = last_verdict(opened.store, rollout_id)
        said = (
            last is not None and last.verdict.decision is Decision.PROMOTE and last.verdict.step == state.step
        )
        if not (said or force):
            words = f"verdict {last.number} says {last.verdict.decision}" if last else "nobody has looked"
            raise RolloutError(
                f"rollout {rollout_id}: {words} in step {state.step}; "
                "wait for a verdict that promotes, or add --force --reason"
            )
        _forced(opened, rollout_id, Decision.PROMOTE, reason or _BY_HAND)
    other = opened.tick_until(lambda: read_state(opened.store, rollout_id).state.ended)
    found = read_state(opened.store, rollout_id).state
    if not found.ended:
        who = other or "'slate rollout watch'"
        typer.echo(f"stable does not answer with {state.release_id} yet; {who} goes on", err=True)
    _show(opened, rollout_id, as_json)


def abort(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    rollout: RolloutArgument = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    print_only: PrintOption = False,
    as_json: JsonOption = False,
) -> None:
    """End a rollout: everybody is back on stable, which was never unloaded, with the next request."""
    from slate.rollout.by_hand import abort as end
    from slate.rollout.traffic.driver import Split

    opened = Opened.of(store, config, overrides)
    rollout_id = opened.rollout_id(rollout)
    if print_only:
        typer.echo(opened.by_hand(Split()))
        return
    if not reason.strip():
        raise ConfigError("--reason: is empty; say why, for the record")
    end(opened.store, rollout_id, person(), reason, opened.clock)
    try:
        opened.driver().apply(Split())
    except SlateError as error:
        typer.echo(f"warning: the gateway is left to 'slate rollout watch': {error}", err=True)
    _show(opened, rollout_id, as_json)


def _forced(opened: Opened, rollout_id: str, decision: "Decision", reason: str) -> int:
    """Record a person's verdict; its number."""
    from slate.rollout.by_hand import force

    return force(opened.store, rollout_id, decision, person(), reason, opened.clock).number


def _with_reason(force: bool, reason: str) -> None:
    if force and not reason.strip():
        raise ConfigError("--force: needs --reason, for the record")


def _refuse_ended(status: str, ended: bool, rollout_id: str) -> None:
    if ended:
        raise RolloutError(
            f"rollout {rollout_id}: has ended ({status}); 'slate rollout start' begins another"
        )


def _or_waits(opened: Opened, rollout_id: str, number: int, other: str) -> None:
    from slate.rollout.state import read_state

    if read_state(opened.store, rollout_id).state.last_verdict < number:
        who = other or "the next controller"
        raise RolloutError(
            f"rollout {rollout_id}: verdict {number} is recorded, but {who} does not act on it yet: "
            "the candidate has to answer with the release first; see 'slate rollout watch'"
        )


def _show(opened: Opened, rollout_id: str, as_json: bool) -> None:
    from slate.rollout.state import read_state
    from slate.rollout.verdicts import last_verdict

    state = read_state(opened.store, rollout_id).state
    last = last_verdict(opened.store, rollout_id)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "rollout_id": rollout_id,
                    "status": state.status,
                    "step": state.step,
                    "threshold": state.threshold,
                    "verdict": last.number if last else None,
                    "decision": last.verdict.decision if last else None,
                }
            )
        )
        return
    console = Console(highlight=False, soft_wrap=True)
    if last is not None:
        reasons = "; ".join(last.verdict.reasons)
        console.print(f"verdict {last.number}: {last.verdict.decision}: {reasons}", markup=False)
    console.print(
        f"{rollout_id}: {state.status}, step {state.step}, threshold {state.threshold}", markup=False
    )
