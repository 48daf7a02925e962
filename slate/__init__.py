"""Slate: train, gate, seal, serve and roll out recommenders."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

# TensorFlow Recommenders needs Keras 2, and the choice is read once, when TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if TYPE_CHECKING:
    from slate.recommend.recommender import Recommender

__version__ = "0.1.0"
__all__ = ["__version__", "open_release"]


def open_release(
    reference: str, *, store: str | Path | None = None, cache_dir: Path | None = None
) -> "Recommender":
    """Open a sealed release for recommending: ``slate.open_release(".slate").recommend("42")``.

    See :func:`slate.recommend.open.open_release`, which this forwards to so that importing ``slate``
    stays cheap.
    """
    from slate.recommend.open import open_release as opener

    return opener(reference, store=store, cache_dir=cache_dir)
