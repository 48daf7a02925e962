"""What exported functions take: tensors of any number of rows, by input name."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from slate.data.features import EncodedArray
from slate.retrieval.query import HISTORY_AGES, HISTORY_EVENTS, HISTORY_ITEMS, ITEM_PREFIX

_SEQUENCES = (HISTORY_ITEMS, HISTORY_EVENTS, HISTORY_AGES)


def of_queries(example: Mapping[str, EncodedArray], history: int | None = None) -> dict[str, tf.TensorSpec]:
    """Of encoded queries; their histories have ``history`` places, or any number."""
    return {
        name: tf.TensorSpec(
            [None, history] if name in _SEQUENCES else [None, *array.shape[1:]], array.dtype, name=name
        )
        for name, array in example.items()
    }


def of_items(example: Mapping[str, npt.NDArray[Any]]) -> dict[str, tf.TensorSpec]:
    """Of encoded features of items, by feature."""
    return {
        ITEM_PREFIX + name: tf.TensorSpec([None, *array.shape[1:]], array.dtype, name=ITEM_PREFIX + name)
        for name, array in example.items()
    }
