"""One worker of a training job."""

import tempfile
from pathlib import Path

from slate.steps.train_two_tower import train_two_tower
from slate.steps.workers.exchange import SPLITS, TWO_TOWER, Exchange


def work(address: str, tf_config: str | None) -> dict[str, float]:
    """Do this worker's part of what is asked for at ``address``; the chief leaves the **two_tower** there.

    Nothing may have been computed with TensorFlow before. ``tf_config`` is the content of the variable
    TF_CONFIG; without it this worker is alone. One that is started again when everything is done has
    nothing to do. Returns the metrics, on the chief.

    Raises:
        ConfigError: ``tf_config`` names no workers, or a configuration section is impossible.
        DataError: nothing is asked for at this address.
        ModelError: nothing to learn from, the training diverged, or a checkpoint does not fit.
        StorageError: the store cannot be read or written.
    """
    from slate.retrieval.team import Team

    exchange = Exchange(address)
    if (done := exchange.finished()) is not None:
        return done
    asked = exchange.asked()
    team = Team.of(tf_config)
    with tempfile.TemporaryDirectory(prefix="slate-worker-") as scratch:
        splits = exchange.fetch(SPLITS, Path(scratch))
        out = Path(scratch) / TWO_TOWER
        metrics = train_two_tower(
            asked["retrieval"], asked["dataset_config"], splits, out, asked["checkpoints"], team=team
        )
        if team.chief:
            exchange.put(TWO_TOWER, out)
            exchange.finish(metrics)
    # Who leaves early looks to the others like one that died.
    team.wait()
    return metrics
