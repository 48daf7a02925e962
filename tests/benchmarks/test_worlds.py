"""Synthetic catalogues: what is made up is a splits folder like any other."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.synthetic import EVENT, Size, clusters_of, dataset_config, write_splits
from benchmarks.serving.worlds import synthetic
from slate.data.holdout import Split

SMALL = Size(items=400, users=60, prefix="x")


def test_a_splits_folder_that_every_step_can_read(tmp_path: Path) -> None:
    write_splits(SMALL, 3, tmp_path / "splits")
    split = Split.open(tmp_path / "splits")
    assert len(split.catalogue) == 400
    assert split.catalogue.train_counts.min() >= 1, "items never trained on would share one vector"
    log = split.user_log()
    assert len(log.users) == 60
    assert len(log.items) == split.everything().num_rows, "every interaction's item is in the catalogue"
    assert all(item.startswith("x-") for item in split.catalogue.ids.ids)
    assert set(split.catalogue.encode(split.features)) == {"category", "price"}
    assert dataset_config().target_events == (EVENT,)


def test_users_keep_to_few_clusters(tmp_path: Path) -> None:
    write_splits(SMALL, 3, tmp_path / "splits")
    log = Split.open(tmp_path / "splits").user_log()
    clusters = clusters_of(SMALL, 3)
    kept = [len(np.unique(clusters[log.history_of(user).items])) for user in log.users.ids]
    assert max(kept) <= 4


@pytest.mark.slow
def test_a_sealed_release_that_answers_its_golden_requests(tmp_path: Path) -> None:
    from slate.recommend.online.load import load
    from slate.recommend.request import Request
    from slate.release.verify import verify_directory

    world = synthetic(SMALL, tmp_path, lambda _: None)
    loaded = load(world.folder, verify_directory(world.folder))
    (slate,) = loaded.funnel.slates([Request(user_id=world.users[0], k=5)])
    assert slate.rung == "personalised"
    assert all(item.item_id.startswith("x-") for item in slate.items)
    assert synthetic(SMALL, tmp_path, lambda _: None).release_id == world.release_id, "made once"
