"""What a worker process is asked to do. A task carries all it needs and reads no test data."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slate.tuning.trial import Outcome, State

#: Told of an epoch's number and figure; False ends the trial.
Report = Callable[[int, float], bool]

TOWER, INDEX, RANKER = "two_tower", "index", "ranker"
USERS: Final = "users"


class Pruned(Exception):  # noqa: N818 - no error: it ends a training from within
    """The trial does worse than others did at this epoch."""


@dataclass(frozen=True)
class Behind:
    """The tower and the index that ranking trials share, made once in ``out``."""

    sections: Mapping[str, Any]
    splits: Path
    out: Path
    checkpoints: Path

    @property
    def number(self) -> int:
        return -1

    def run(self, _: Report) -> Outcome:
        from slate.steps.build_index import build_index
        from slate.steps.train_two_tower import train_two_tower

        making = self.out.with_name(f".making-{self.out.name}")
        shutil.rmtree(making, ignore_errors=True)
        tower, index = making / TOWER, making / INDEX
        dataset, retrieval = self.sections["dataset"], self.sections["retrieval"]
        train_two_tower(retrieval, dataset, self.splits, tower, self.checkpoints)
        build_index(self.sections["index"], self.splits, tower, index)
        making.rename(self.out)
        return Outcome(State.FINISHED)


@dataclass(frozen=True)
class RetrievalTask:
    """Train the two-tower; the objective is validation NDCG@10, a mean over users, at the best epoch.

    The users' own values go to ``users/<number>.npy`` in ``folder``: same users, same order in every trial.
    """

    number: int
    sections: Mapping[str, Any]
    splits: Path
    folder: Path

    def run(self, report: Report) -> Outcome:
        import numpy as np

        from slate.config import DatasetConfig, RetrievalConfig, parse_section
        from slate.errors import DataError
        from slate.retrieval.train import Epoch, Trainer
        from slate.retrieval.training_data import TrainingData

        config = parse_section(RetrievalConfig, self.sections["retrieval"])
        events = parse_section(DatasetConfig, self.sections["dataset"]).target_events
        trainer = Trainer.of(config, events, TrainingData.open(self.splits))
        if not trainer.valid_targets:
            raise DataError(
                "tuning: the validation slice has no usable target, so trials cannot be compared; "
                "lengthen it with split.valid_fraction"
            )

        def told(epoch: Epoch) -> None:
            if not report(epoch.epoch, epoch.valid_ndcg_10):
                raise Pruned

        trained = trainer.run(told)
        place = self.folder / USERS / f"{self.number}.npy"
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, trainer.user_ndcg_10())
        return Outcome(State.FINISHED, trained.epochs[trained.best_epoch - 1].valid_ndcg_10)


@dataclass(frozen=True)
class RankingTask:
    """Train the ranker behind one tower; the objective is NDCG over the lists it reports on."""

    number: int
    sections: Mapping[str, Any]
    splits: Path
    behind: Path
    folder: Path

    def run(self, report: Report) -> Outcome:
        import json

        from slate import columns
        from slate.errors import DataError
        from slate.ranking.train import Epoch
        from slate.steps.train_ranker import train_ranker

        def told(epoch: Epoch) -> None:
            if not report(epoch.epoch, -epoch.valid_loss):
                raise Pruned

        out = self.folder / f".{RANKER}-{self.number}"
        try:
            train_ranker(
                {**self.sections["ranking"], "explanations": 0},
                self.sections["dataset"],
                self.splits,
                self.behind / TOWER,
                self.behind / INDEX,
                out,
                told,
            )
            value = json.loads((out / columns.METRICS_FILE).read_text(encoding="utf-8"))["ndcg"]
        finally:
            shutil.rmtree(out, ignore_errors=True)
        if value is None:
            raise DataError(
                "tuning: none of the requests kept for measuring has a positive among its candidates, so "
                "trials cannot be compared; lengthen the slice with split.valid_fraction"
            )
        return Outcome(State.FINISHED, float(value))


Task = Behind | RetrievalTask | RankingTask
