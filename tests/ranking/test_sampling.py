"""Negatives, the rate at which each could have been drawn, and the correction."""

import numpy as np
import pytest

from slate.config import RankingConfig
from slate.data.sequences import NO_HISTORY
from slate.ranking.occasions import Occasions, Pools
from slate.ranking.sampling import Sampler, corrected, odds_divided
from slate.retrieval.query import Query

EMBEDDINGS = np.arange(20, dtype=np.float32)[:, np.newaxis] / 10


def occasions() -> Occasions:
    """Query 0 has seen 0 and 1 and takes 2; query 1 has seen nothing and takes 5 and 19."""
    return Occasions(
        (Query(NO_HISTORY, 1), Query(NO_HISTORY, 2)),
        ("a", "b"),
        np.array([0, 1, 3]),
        np.array([2, 5, 19], np.int32),
        np.ones((3, 1), np.bool_),
        np.full(3, np.nan, np.float32),
        (np.array([0, 1], np.int32), np.empty(0, np.int32)),
        0,
    )


def pools() -> Pools:
    """Query 0 finds 9, 7, 2 and 3 (2 is its positive); query 1 finds 10 and 5."""
    rows = np.array([[9, 7, 2, 3], [10, 5, -1, -1]], np.int32)
    embeddings = np.array([[1], [2]], np.float32)
    scores = np.where(rows >= 0, EMBEDDINGS[rows, 0] * embeddings, -np.inf).astype(np.float32)
    return Pools(rows, scores, embeddings)


def sampler(negatives: int = 4, uniform: float = 0.5) -> Sampler:
    config = RankingConfig(negatives=negatives, uniform_negatives=uniform)
    return Sampler(occasions(), pools(), EMBEDDINGS, config)


def test_the_correction_by_hand() -> None:
    # One positive and 99 negatives of which 9 are kept: learnt 0.1, true 0.01.
    assert corrected(0.1, 9 / 99) == pytest.approx(0.01)
    assert odds_divided(0.01, 9 / 99) == pytest.approx(0.1)
    assert corrected([0.0, 1.0], 0.3).tolist() == [0.0, 1.0]
    assert corrected(0.4, 1.0) == pytest.approx(0.4)


def test_the_correction_is_a_shift_of_the_logit() -> None:
    p, rate = 0.3, 0.05
    logit = np.log(p / (1 - p)) + np.log(rate)
    assert corrected(p, rate) == pytest.approx(1 / (1 + np.exp(-logit)))


def test_groups_hold_the_positive_and_allowed_negatives_only() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = sampler().draw(rng, np.array([0, 1]))
        assert drawn.query.tolist() == [0, 1, 1]
        assert drawn.rows[:, 0].tolist() == [2, 5, 19]
        assert drawn.present[:, 0].all()
        negatives = [set(r[1:][p[1:]].tolist()) for r, p in zip(drawn.rows, drawn.present, strict=True)]
        assert not negatives[0] & {0, 1, 2}
        assert not (negatives[1] | negatives[2]) & {5, 19}
        # Two drawn without replacement from the three candidates of query 0 that are not its positive.
        assert len(set(drawn.rows[0, 1:3].tolist()) & {9, 7, 3}) == 2
        # Query 1 has one such candidate, so one place stays empty.
        assert drawn.present[1, 1:3].sum() == 1
        assert drawn.rows[1, 1:3][drawn.present[1, 1:3]].tolist() == [10]


def test_scores_ranks_and_rates_by_hand() -> None:
    scored = sampler().score(np.array([0, 1]), np.array([[2, 9, 15], [19, 10, 0]], np.int32))
    np.testing.assert_allclose(scored.scores, [[0.2, 0.9, 1.5], [3.8, 2.0, 0.0]], rtol=1e-6)
    # 9, 7 and 3 score above 2; nothing above 9; and so on.
    assert scored.ranks.tolist() == [[3, 0, 0], [0, 0, 2]]
    # Query 0: 2 of 3 drawable candidates, 2 of 17 open items. Query 1: 1 of 1, 2 of 18, for two positives.
    inside, outside = 2 / 3 + 2 / 17, 2 / 17
    np.testing.assert_allclose(scored.rates[0], [inside, inside, outside], rtol=1e-6)
    np.testing.assert_allclose(scored.rates[1], [2 * 2 / 18, 2 * (1 + 2 / 18), 2 * 2 / 18], rtol=1e-6)
    np.testing.assert_allclose(sampler().pool_rates(np.array([0, 1])), [inside, 2 * (1 + 2 / 18)], rtol=1e-6)


def test_rates_are_how_often_each_item_is_drawn() -> None:
    each = sampler(negatives=6, uniform=0.5)
    rng, counts, rounds = np.random.default_rng(1), np.zeros((2, 20)), 3_000
    for _ in range(rounds):
        drawn = each.draw(rng, np.array([0, 1]))
        for query, rows, present in zip(drawn.query, drawn.rows[:, 1:], drawn.present[:, 1:], strict=True):
            np.add.at(counts[query], rows[present], 1)
    expected = each.score(np.array([0, 1]), np.tile(np.arange(20, dtype=np.int32), (2, 1))).rates.copy()
    expected[0, [0, 1, 2]] = expected[1, [5, 19]] = 0
    np.testing.assert_allclose(counts / rounds, expected, atol=0.05)


def test_a_catalogue_with_nothing_left_to_draw() -> None:
    all_taken = Occasions(
        (Query(NO_HISTORY, 1),),
        ("a",),
        np.array([0, 1]),
        np.array([1], np.int32),
        np.ones((1, 1), np.bool_),
        np.full(1, np.nan, np.float32),
        (np.array([0], np.int32),),
        0,
    )
    pool = Pools(np.array([[1]], np.int32), np.array([[0.5]], np.float32), np.array([[1]], np.float32))
    drawn = Sampler(all_taken, pool, EMBEDDINGS[:2], RankingConfig()).draw(
        np.random.default_rng(0), np.array([0])
    )
    assert not drawn.present[:, 1:].any()
    assert np.isfinite(np.log(drawn.rates)).all()


def test_no_queries_no_groups() -> None:
    assert len(sampler().draw(np.random.default_rng(0), np.empty(0, np.int64))) == 0
