"""Slate: train, gate, seal, serve and roll out recommenders."""

import os
from typing import TYPE_CHECKING

# TensorFlow Recommenders needs Keras 2, and the choice is read once, when TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if TYPE_CHECKING:
    from slate.recommend.recommender import Recommender

__version__ = "0.1.0"
__all__ = ["__version__", "open_release"]


def open_release(uri: str, *, verify: bool = True) -> "Recommender":
    """Open a sealed release, a channel or a store's ``stable`` channel for recommending.

    See :func:`slate.recommend.recommender.open_release`, which this forwards to so that importing
    ``slate`` stays cheap.
    """
    from slate.recommend.recommender import open_release as opener

    return opener(uri, verify=verify)
