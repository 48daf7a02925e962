"""The **parent** folder: what an incremental run needs of the release that it starts from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from slate import columns
from slate.clock import microseconds
from slate.config import RankingConfig, RetrievalConfig, parse_section
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.data.split_since import ParentCut
from slate.errors import ModelError

if TYPE_CHECKING:
    from slate.ranking.start import Start
    from slate.retrieval.update import ParentTower

#: In a release and in the parent folder.
TOWER_WEIGHTS: Final = "training/two_tower.npz"
RANKER_WEIGHTS: Final = "training/ranker.npz"
#: Everything that is copied from the release.
COPIED: Final = (columns.ITEMS_FILE, columns.FEATURES_FILE, TOWER_WEIGHTS, RANKER_WEIGHTS)


@dataclass(frozen=True)
class Parent:
    """A parent folder.

    ``record`` holds release_id, train_end, valid_end, watermark, and the sections retrieval and ranking.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Parent":
        """Read a folder that :func:`slate.steps.open_parent.open_parent` wrote.

        Raises:
            ModelError: it is none.
        """
        try:
            return cls(folder, json.loads((folder / columns.PARENT_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise ModelError(
                f"parent {folder}: no {columns.PARENT_FILE} there; run the open_parent step first"
            ) from error

    @property
    def release_id(self) -> str:
        return str(self.record["release_id"])

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.open(self.folder)

    @cached_property
    def cut(self) -> ParentCut:
        """What cutting the data needs."""
        text = (self.folder / columns.FEATURES_FILE).read_text(encoding="utf-8")
        return ParentCut(
            self.release_id,
            self._instant("train_end"),
            self._instant("valid_end"),
            self._instant("watermark"),
            FeatureSpace.from_json(text),
        )

    def tower(self) -> "ParentTower":
        """What training the towers needs."""
        from slate.retrieval.update import ParentTower
        from slate.retrieval.weights import load_weights

        return ParentTower(
            self.release_id,
            microseconds(self._instant("train_end")),
            self.catalogue,
            parse_section(RetrievalConfig, self.record["retrieval"]),
            load_weights(self.folder / TOWER_WEIGHTS),
        )

    def ranker(self, config: RankingConfig, catalogue: Catalogue) -> "Start":
        """What training the ranker over ``catalogue`` starts from.

        Raises:
            ConfigError: ``config`` makes a ranker of another shape.
        """
        from slate.ranking.model import LEAST_COUNT
        from slate.ranking.start import SHAPED_BY, Start
        from slate.retrieval.update import check_shape
        from slate.retrieval.weights import carried_codes, load_weights

        check_shape("ranking", SHAPED_BY, config, parse_section(RankingConfig, self.record["ranking"]))
        carried = carried_codes(self.catalogue, catalogue, LEAST_COUNT)
        return Start.of(load_weights(self.folder / RANKER_WEIGHTS), carried)

    def _instant(self, name: str) -> datetime:
        return datetime.fromisoformat(str(self.record[name]))
