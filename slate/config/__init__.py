"""One frozen configuration object. Unknown keys are refused; every default stands here once.

A configuration file is YAML with the sections of :class:`SlateConfig`. Relative data paths are
relative to the file. ``--set section.key=value`` overrides single values. Every section travels as
one plain dict through a pipeline, so that a step's cache key holds only the sections it reads.
"""

from slate.config.batch import BatchConfig
from slate.config.dataset import (
    CheckSeverity,
    Condition,
    DatasetConfig,
    Event,
    Feature,
    FeatureKind,
    FeatureMap,
    FollowsTable,
    InteractionsTable,
    Limits,
    Range,
    Table,
)
from slate.config.drift import DriftConfig
from slate.config.feedback import FeedbackConfig
from slate.config.incremental import IncrementalConfig, TriggersConfig
from slate.config.load import default_config_path, load_config, parse_config, read_config
from slate.config.models import IndexConfig, RankingConfig, RetrievalConfig, SplitConfig
from slate.config.monitoring import MonitoringConfig
from slate.config.operations import StoreConfig
from slate.config.quality import EvaluationConfig, GateConfig
from slate.config.recommend import (
    AgeConfig,
    AvailableConfig,
    CoOccurrenceSourceConfig,
    CountryConfig,
    ExplorationConfig,
    FiltersConfig,
    FreshnessConfig,
    Item2VecSourceConfig,
    RecommendConfig,
    SourcesConfig,
)
from slate.config.rollout import (
    AlphaConfig,
    GatewayConfig,
    GuardrailConfig,
    GuardrailsConfig,
    RolloutConfig,
    ShadowConfig,
    ThompsonConfig,
)
from slate.config.root import SlateConfig
from slate.config.section import Section, describe, parse_section
from slate.config.serving import ServingConfig
from slate.config.tracking import TrackingConfig
from slate.config.tuning import Parameter, TuningConfig
from slate.config.workers import WorkersConfig

__all__ = [
    "AgeConfig",
    "AlphaConfig",
    "AvailableConfig",
    "BatchConfig",
    "CheckSeverity",
    "CoOccurrenceSourceConfig",
    "Condition",
    "CountryConfig",
    "DatasetConfig",
    "DriftConfig",
    "EvaluationConfig",
    "Event",
    "ExplorationConfig",
    "Feature",
    "FeatureKind",
    "FeatureMap",
    "FeedbackConfig",
    "FiltersConfig",
    "FollowsTable",
    "FreshnessConfig",
    "GateConfig",
    "GatewayConfig",
    "GuardrailConfig",
    "GuardrailsConfig",
    "IncrementalConfig",
    "IndexConfig",
    "InteractionsTable",
    "Item2VecSourceConfig",
    "Limits",
    "MonitoringConfig",
    "Parameter",
    "Range",
    "RankingConfig",
    "RecommendConfig",
    "RetrievalConfig",
    "RolloutConfig",
    "Section",
    "ServingConfig",
    "ShadowConfig",
    "SlateConfig",
    "SourcesConfig",
    "SplitConfig",
    "StoreConfig",
    "Table",
    "ThompsonConfig",
    "TrackingConfig",
    "TriggersConfig",
    "TuningConfig",
    "WorkersConfig",
    "default_config_path",
    "describe",
    "load_config",
    "parse_config",
    "parse_section",
    "read_config",
]
