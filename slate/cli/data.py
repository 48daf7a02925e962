"""``slate data``: look at a data set before anything is trained on it."""

import typer

from slate.cli import data_describe, data_drift, data_engagement, data_init, data_validate

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Nothing of its own."""


app.command("drift")(data_drift.drift)
app.command("engagement")(data_engagement.engagement)
app.command("validate")(data_validate.validate)
app.command("init")(data_init.init)
app.command("describe")(data_describe.describe)
