"""What a ranker's training starts from where there is a parent, and what it leaves for the next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.errors import ModelError
from slate.ranking.model import RankingModel, Scale
from slate.retrieval.weights import Arrays, Ids, save_weights, start_from

Float32 = npt.NDArray[np.float32]

#: Of a ranker's weight file, beside the weights.
SCALE: Final = "state/scale"
PRIORS: Final = "state/priors"
TRAINED: Final = "state/trained"
VALUE_MEAN: Final = "state/value_mean"
#: What the shapes of the ranker's weights depend on.
SHAPED_BY: Final = ("model", "dim", "hidden", "weighted_by_value")
IDS: Final = "items/ids"


@dataclass(frozen=True)
class Start:
    """A parent's ranker to start from: its weights by path, and what it learnt besides them.

    ``priors`` float32 [1 + events + 1] and ``trained`` bool [events + 1] are as in
    :class:`~slate.ranking.model.RankingModel`; ``value_mean`` as in :class:`~slate.ranking.train.Trained`.
    ``carried`` is the parent's id code of every id code here.
    """

    weights: Arrays
    scale: Scale
    priors: Float32
    trained: npt.NDArray[np.bool_]
    value_mean: float
    carried: npt.NDArray[np.int32]

    @classmethod
    def of(cls, stored: Arrays, carried: npt.NDArray[np.int32]) -> "Start":
        """From what :func:`save_ranker` wrote.

        Raises:
            ModelError: something of it is missing.
        """
        missing = [name for name in (SCALE, PRIORS, TRAINED, VALUE_MEAN) if name not in stored]
        if missing:
            raise ModelError(f"ranker: the parent's weights lack {', '.join(missing)}; train in full")
        scale = Scale(*stored[SCALE].tolist())
        return cls(stored, scale, stored[PRIORS], stored[TRAINED], float(stored[VALUE_MEAN]), carried)

    def widened(self, here: Scale) -> Scale:
        """The parent's scale, whose numbers its weights were learnt with, with room for the values here."""
        return self.scale._replace(
            value_low=min(self.scale.value_low, here.value_low),
            value_high=max(self.scale.value_high, here.value_high),
        )

    def apply(self, model: RankingModel) -> None:
        """Set the weights of a built model.

        Raises:
            ModelError: they do not fit.
        """
        start_from(model, self.weights, Ids(IDS, self.carried))


def save_ranker(model: RankingModel, value_mean: float, path: Path) -> None:
    """Write everything that a later training starts from."""
    state: Arrays = {
        SCALE: np.asarray(model.scale, np.float64),
        PRIORS: model.priors,
        TRAINED: model.trained[1:] > 0,
        VALUE_MEAN: np.asarray(value_mean),
    }
    save_weights(model, path, state)
