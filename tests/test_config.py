from pathlib import Path
from typing import Any

import pytest
import yaml

from slate.config import (
    DatasetConfig,
    FeatureKind,
    SlateConfig,
    SplitConfig,
    default_config_path,
    load_config,
    parse_config,
    parse_section,
)
from slate.config_reference import defaults, render
from slate.errors import ConfigError

ROOT = Path(__file__).parent.parent
MINIMAL = {"dataset": {"interactions": {"path": "log.csv"}}}


def saved(folder: Path, raw: Any) -> Path:
    path = folder / "slate.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    return path


def test_the_reference_equals_the_code_s_defaults() -> None:
    text = (ROOT / "conf" / "base.yaml").read_text(encoding="utf-8")
    assert text == render(), "write it again: python -m slate.config_reference > conf/base.yaml"
    assert parse_config({**MINIMAL, **yaml.safe_load(text)}) == parse_config(MINIMAL)
    assert set(defaults()) == set(SlateConfig.model_fields) - {"dataset"}


@pytest.mark.parametrize("path", ["conf/movielens.yaml", "examples/bookshop/bookshop.yaml"])
def test_shipped_configurations_load(path: str) -> None:
    config = load_config(ROOT / path)
    travelled = {name: config.section(name) for name in SlateConfig.model_fields}
    assert parse_config(travelled) == config


def test_the_default_is_movielens_from_its_source() -> None:
    config = load_config(default_config_path())
    assert config.dataset.source == "movielens-100k"
    # Paths of a source lie in its folder, not beside the configuration.
    assert config.dataset.interactions.path == "ratings.csv"
    assert config.dataset.events["dislike"].is_target


def test_only_the_data_set_must_be_given_and_its_paths_lie_beside_the_file(tmp_path: Path) -> None:
    raw = {
        "dataset": {
            "interactions": {"path": ["a.csv", "/elsewhere/b.csv"]},
            "items": {"path": "sub/items.csv"},
        }
    }
    config = load_config(saved(tmp_path, raw))
    assert config.dataset.interactions.path == (str(tmp_path / "a.csv"), "/elsewhere/b.csv")
    assert config.dataset.items is not None
    assert config.dataset.items.path == str(tmp_path / "sub/items.csv")
    assert config.split == SplitConfig()


def test_overrides_are_yaml_values_of_dotted_keys(tmp_path: Path) -> None:
    config = load_config(
        saved(tmp_path, MINIMAL),
        ["split.valid_fraction=0.2", "evaluation.ks=[5, 50]", "dataset.events.like.weight=2", "store.uri=gs://b/p"],
    )  # fmt: skip
    assert config.split.valid_fraction == 0.2
    assert config.evaluation.ks == (5, 50)
    assert config.dataset.events["like"].weight == 2
    assert config.store.uri == "gs://b/p"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("split.protocol", "expected section.key=value"),
        ("split=temporal", "expected section.key=value"),
        (".protocol=temporal", "expected section.key=value"),
        ("split.protocol.deep=1", "protocol is not a section"),
        ("split.valid_fraction=[", "not valid YAML"),
        ("split.valid_fraction=0.9", r"split\.valid_fraction: .* \(value: 0\.9\)"),
        ("split.protocl=temporal", r"split\.protocl: .* \(value: 'temporal'\); check the spelling"),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    raw = {**MINIMAL, "split": {"protocol": "temporal"}}
    with pytest.raises(ConfigError, match=message):
        load_config(saved(tmp_path, raw), [override])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({**MINIMAL, "splits": {}}, "splits: .*check the spelling"),
        ({}, "dataset: Field required"),
        ("a: [", "not valid YAML"),
        ("- 1\n- 2\n", "expected sections such as 'dataset:', found list"),
        ({"dataset": {"interactions": {"path": "x", "timestamp_unit": "m"}}}, r"timestamp_unit: .*'m'"),
        ({"dataset": {**MINIMAL["dataset"], "events": {}}}, "at least one event is needed"),
        (
            {"dataset": {**MINIMAL["dataset"], "events": {"hide": {"weight": -1}}}},
            "positive weight or target",
        ),
        ({"dataset": {**MINIMAL["dataset"], "events": {"a": {"weight_by": "value"}}}}, "maps no value"),
        ({"dataset": {**MINIMAL["dataset"], "events": {"a": {}, "b": {}}}}, "events.a has no 'when'"),
        ({"dataset": {**MINIMAL["dataset"], "events": {"a": {"when": {"x": {}}}}}}, "at least one of equals"),
    ],
)
def test_a_bad_file_is_named_with_the_key(tmp_path: Path, raw: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(saved(tmp_path, raw))
    assert "slate.yaml" in str(caught.value)


def test_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_feature_may_be_just_its_kind() -> None:
    raw = {
        "interactions": {
            "path": "x",
            "features": {"device": "categorical", "hour": {"kind": "numeric", "column": "h"}},
        }
    }
    features = parse_section(DatasetConfig, raw).interactions.features
    assert features["device"].kind is FeatureKind.CATEGORICAL
    assert features["hour"].column == "h"


def test_a_bare_off_in_yaml_switches_a_check_off() -> None:
    raw = yaml.safe_load("{interactions: {path: x}, validation: {duplicate_interaction: off}}")
    assert parse_section(DatasetConfig, raw).validation == {"duplicate_interaction": "off"}


def test_a_configuration_is_frozen() -> None:
    config = parse_config(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.split = SplitConfig()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("table", "feature"),
    [("interactions", "value"), ("interactions", "timestamp"), ("items", "title"), ("users", "user_id")],
)
def test_a_feature_may_not_be_called_like_a_column_of_every_table(table: str, feature: str) -> None:
    tables = {name: {"path": "x.csv"} for name in ("interactions", "items", "users")}
    tables[table]["features"] = {feature: "numeric"}  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=rf"{table}.features.{feature}: .*column: {feature}"):
        parse_section(DatasetConfig, tables)
