"""``slate data``: look at a data set before anything is trained on it."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Nothing of its own."""
