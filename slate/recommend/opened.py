"""A release folder with everything in it opened."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from slate import columns
from slate.config import DatasetConfig, RecommendConfig, RetrievalConfig, parse_section
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.ranking.scorer import Ranker
from slate.recommend import fallback, users
from slate.recommend.arrays import Floats
from slate.recommend.ids import ItemIds
from slate.recommend.newcomers.newcomers import Newcomers
from slate.retrieval.index import CandidateIndex, open_index
from slate.retrieval.query import QueryEncoder
from slate.retrieval.sources import records
from slate.retrieval.sources.records import ItemRecords

QUERY_TOWER: Final = "retrieval/query_tower"
INDEX: Final = "retrieval/index"
EMBEDDINGS: Final = f"retrieval/{columns.EMBEDDINGS_FILE}"
RANKER: Final = "ranking/model"
USERS: Final = users.FILE

OpenIndex = Callable[[Path], CandidateIndex]


class Opened:
    """The models, tables and settings of one release. Holds no request state; safe to read from threads.

    Args:
        directory: a release folder, sealed or not; whoever opens it has verified it.
        config: the release's configuration sections (``retrieval``, ``recommend`` and ``dataset`` are read).
        release_id: what answers name.
        spare: how many items that came since may be shown beside the release's.
        index: opens the folder of the index.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        release_id: str,
        spare: int = 0,
        index: OpenIndex = open_index,
    ) -> None:
        retrieval = parse_section(RetrievalConfig, config.get("retrieval", {}))
        self.directory = directory
        self.sections = config
        self.release_id = release_id
        self.config = parse_section(RecommendConfig, config.get("recommend", {}))
        self.catalogue = Catalogue.open(directory)
        self.features = FeatureSpace.from_json(
            (directory / columns.FEATURES_FILE).read_text(encoding="utf-8")
        )
        self.users = users.UserStore(directory / USERS)
        self.users.check(len(self.catalogue), len(self.features.events))
        self.index = index(directory / INDEX)
        self.encoder = QueryEncoder.open(directory / QUERY_TOWER, self.features, retrieval.history, spare)
        self.ranker = Ranker.open(directory / RANKER, self.features, spare)
        self.ids = ItemIds(self.catalogue.ids)
        self.newcomers = Newcomers(
            self.catalogue.ids, self.features, self.encoder, self.ranker, self.ids.extend
        )
        self.fallback = fallback.read(directory)

    @property
    def embeddings(self) -> Floats:
        """Candidate embeddings by catalogue row: [items, dim]."""
        return self.encoder.vectors[: len(self.catalogue)]

    @cached_property
    def item_records(self) -> ItemRecords:
        """How wanted each item is and since when it is there, by catalogue row."""
        return ItemRecords.read(self.directory / records.FILE, len(self.catalogue))

    @cached_property
    def plain_event(self) -> str:
        """What an item id without an event stands for: the target event of the lowest weight."""
        described = self.sections.get("dataset")
        if described is None:
            return self.features.events[0]
        config = parse_section(DatasetConfig, described)
        return min(config.target_events, key=lambda name: (config.events[name].weight, name))
