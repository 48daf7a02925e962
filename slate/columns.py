"""Every column and file name that more than one module spells, spelled once.

Artefact tables are Parquet. Ids are strings everywhere outside model code; timestamps are
``timestamp[us, UTC]`` in tables and integer microseconds since the epoch in arrays.
"""

from typing import Final

USER: Final = "user_id"
ITEM: Final = "item_id"
EVENT: Final = "event"
VALUE: Final = "value"
WEIGHT: Final = "weight"
TIMESTAMP: Final = "timestamp"
TITLE: Final = "title"
#: Of interactions that came as events: whether no slate of ours led to it. Absent is false.
ORGANIC: Final = "organic"
#: Of users: whom they follow.
FOLLOWS: Final = "follows"

#: The columns every prepared interactions table has, in this order. Context features follow them.
INTERACTION_COLUMNS: Final = (USER, ITEM, EVENT, VALUE, WEIGHT, TIMESTAMP)

INTERACTIONS_FILE: Final = "interactions.parquet"
ITEMS_FILE: Final = "items.parquet"
USERS_FILE: Final = "users.parquet"
DATASET_FILE: Final = "dataset.json"
FINDINGS_FILE: Final = "findings.json"

TRAIN_FILE: Final = "train.parquet"
VALID_FILE: Final = "valid.parquet"
TEST_FILE: Final = "test.parquet"
UNSEEN_FILE: Final = "unseen_users.parquet"
SPLIT_FILE: Final = "split.json"
FEATURES_FILE: Final = "features.json"
TRAINING_FILE: Final = "training.json"
PARITY_FILE: Final = "parity.npz"
EMBEDDINGS_FILE: Final = "candidate_embeddings.npy"
#: Of a trained model: what a later training starts from.
WEIGHTS_FILE: Final = "weights.npz"
PARENT_FILE: Final = "parent.json"
SCORE: Final = "score"
EVALUATION_FILE: Final = "evaluation.json"
PER_USER_FILE: Final = "per_user.parquet"
EXPOSURE_FILE: Final = "exposure.parquet"
VERDICT_FILE: Final = "verdict.json"
METRICS_FILE: Final = "metrics.json"
EXPLANATIONS_FILE: Final = "explanations.json"
MANIFEST_FILE: Final = "manifest.json"
FALLBACK_FILE: Final = "fallback.json"
STATISTICS_FILE: Final = "statistics.json"
DRIFT_FILE: Final = "drift.json"
