"""The whole configuration."""

from typing import Any

from pydantic import BaseModel

from slate.config.batch import BatchConfig
from slate.config.dataset import DatasetConfig
from slate.config.drift import DriftConfig
from slate.config.feedback import FeedbackConfig
from slate.config.incremental import IncrementalConfig
from slate.config.models import IndexConfig, RankingConfig, RetrievalConfig, SplitConfig
from slate.config.monitoring import MonitoringConfig
from slate.config.operations import StoreConfig
from slate.config.quality import EvaluationConfig, GateConfig
from slate.config.recommend import RecommendConfig
from slate.config.rollout import RolloutConfig
from slate.config.section import Section
from slate.config.serving import ServingConfig
from slate.config.tracking import TrackingConfig
from slate.config.tuning import TuningConfig
from slate.config.workers import WorkersConfig


class SlateConfig(Section):
    """The whole configuration."""

    dataset: DatasetConfig
    split: SplitConfig = SplitConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    index: IndexConfig = IndexConfig()
    ranking: RankingConfig = RankingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    recommend: RecommendConfig = RecommendConfig()
    serving: ServingConfig = ServingConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    rollout: RolloutConfig = RolloutConfig()
    drift: DriftConfig = DriftConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    incremental: IncrementalConfig = IncrementalConfig()
    batch: BatchConfig = BatchConfig()
    workers: WorkersConfig = WorkersConfig()
    tracking: TrackingConfig = TrackingConfig()
    tuning: TuningConfig = TuningConfig()
    store: StoreConfig = StoreConfig()

    def section(self, name: str) -> dict[str, Any]:
        """One section as plain JSON types, the form in which it travels through a pipeline."""
        section: BaseModel = getattr(self, name)
        return section.model_dump(mode="json", exclude_none=True)
