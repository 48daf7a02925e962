from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from slate.config import Feature, FeatureKind
from slate.data.catalogue import TRAIN_COUNT, Catalogue
from slate.data.features import FeatureSpace, fit_encoders


def items() -> pa.Table:
    return pa.table(
        {
            "item_id": ["a", "b", "c"],
            "title": pa.array(["Atlas", None, ""], pa.string()),
            TRAIN_COUNT: pa.array([4, 0, 7], pa.int32()),
            "price": pa.array([1.0, None, 3.0], pa.float64()),
        }
    )


def test_a_catalogue_reads_from_a_file_or_its_folder(tmp_path: Path) -> None:
    pq.write_table(items(), tmp_path / "items.parquet")
    for path in (tmp_path, tmp_path / "items.parquet"):
        catalogue = Catalogue.open(path)
        assert len(catalogue) == 3
        assert catalogue.ids.ids == ("a", "b", "c")
        assert catalogue.train_counts.tolist() == [4, 0, 7]


def test_an_item_without_a_title_shows_its_id() -> None:
    assert Catalogue(items()).titles == {"a": "Atlas", "b": "b", "c": "c"}


def test_features_are_encoded_by_row_and_an_absent_column_is_missing() -> None:
    features = {"price": Feature(kind=FeatureKind.NUMERIC), "shelf": Feature(kind=FeatureKind.CATEGORICAL)}
    space = FeatureSpace(
        fit_encoders(features, {"price": [1.0, 3.0], "shelf": ["x", "y"]}), (), (), ("interaction",)
    )
    encoded = Catalogue(items()).encode(space)
    assert encoded["price"].tolist() == [[-1, 0], [0, 1], [1, 0]]
    assert encoded["shelf"].tolist() == [0, 0, 0]
