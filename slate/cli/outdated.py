"""What becomes of precomputed slates when a channel moves."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from slate.cli.parameters import chosen_config
from slate.errors import SlateError
from slate.storage import ObjectStore


def drop_outdated_slates(store: ObjectStore, config: Path | None, overrides: Sequence[str] | None) -> None:
    """Remove slates of releases that are no longer in use, as far as this machine sees the online state.

    The channel has moved whatever becomes of it: a server never shows another release's slates, and the next
    batch run removes what is left here. So a failure is a warning.
    """
    from slate.feedback.open import VARIABLE, describe, open_state
    from slate.release.outdated import drop_outdated

    told = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        feedback = chosen_config(config, overrides).feedback
        if not os.environ.get(VARIABLE) and not Path(feedback.state).is_file():
            return
        state = open_state(feedback)
        try:
            gone = drop_outdated(store, state)
        finally:
            state.close()
    except SlateError as error:
        told.print(
            f"[yellow]warning:[/yellow] outdated slates stay where they are: {escape(str(error))}; "
            "no server shows them, and the next 'slate run --pipeline batch' removes them"
        )
        return
    if gone:
        told.print(f"removed {gone:,} outdated slates from {escape(describe(feedback))}")
