"""Training: the correction recovers true rates, values weigh, and little data falls back."""

import numpy as np
import pytest
import tensorflow as tf

from slate.config import FeatureKind, RankingConfig
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.data.sequences import NO_HISTORY
from slate.ranking.model import Items
from slate.ranking.occasions import Occasions, Parts, Pools
from slate.ranking.sampling import Sampler
from slate.ranking.train import Batch, Trained, Trainer
from slate.retrieval.query import Query, encode_queries

EVENTS = ("view", "like")
FEATURES = FeatureSpace(
    items=(FeatureEncoder("kind", FeatureKind.CATEGORICAL, ("a", "b")),), users=(), context=(), events=EVENTS
)
#: Rows 0 and 1 are of kind a, rows 2 and 3 of kind b; retrieval cannot tell any of them apart.
KINDS = np.array([2, 2, 3, 3], np.int32)


def occasions(rows: list[int], values: list[float], liked: list[bool]) -> Occasions:
    """One positive a query, nobody with a history."""
    count = len(rows)
    return Occasions(
        tuple(Query(NO_HISTORY, at) for at in range(count)),
        tuple(f"u{n}" for n in range(count)),
        np.arange(count + 1),
        np.asarray(rows, np.int32),
        np.stack([~np.asarray(liked, bool), np.asarray(liked, bool)], axis=1).reshape(count, 2),
        np.asarray(values, np.float32),
        tuple(np.empty(0, np.int32) for _ in rows),
        0,
    )


def train(given: Occasions, fit_share: float = 0.8, **options: object) -> Trained:
    config = RankingConfig.model_validate(
        {"model": "logistic", "negatives": 2, "uniform_negatives": 0.5, "epochs": 40, "patience": 40}
        | {"learning_rate": 0.05, "batch_size": 3_000}
        | options
    )
    count = len(given)
    pools = Pools(
        np.tile(np.arange(4, dtype=np.int32), (count, 1)),
        np.zeros((count, 4), np.float32),
        np.zeros((count, 3), np.float32),
    )
    embeddings = np.zeros((4, 3), np.float32)
    cut = int(count * fit_share)
    parts = Parts(np.arange(cut), np.arange(cut, count), np.empty(0, np.int64))
    trainer = Trainer(
        config,
        FEATURES,
        Items({"kind": KINDS}, np.ones(4, np.int64), embeddings),
        given,
        encode_queries(given.queries, FEATURES, 4),
        Sampler(given, pools, embeddings, config),
        parts,
        np.array([30, 10]),
        np.array([np.nan, 4.0], np.float32),
    )
    return trainer.run()


def logits(trained: Trained) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interaction, event and value outputs of the four items for somebody without a history."""
    nothing = encode_queries([Query(NO_HISTORY, 0)], FEATURES, 4)
    inputs = {
        **nothing,
        "candidates": np.array([[1, 2, 3, 4]], np.int32),
        "retrieval_scores": np.zeros((1, 4), np.float32),
        "ranks": np.zeros((1, 4), np.float32),
    }
    answer = trained.model(inputs)
    return answer.interaction.numpy()[0], answer.events.numpy()[0], answer.value.numpy()[0]


def kinds_and_values(count: int) -> tuple[list[int], list[float], list[bool]]:
    """A quarter of each item; kind a has value 1 and is never liked, kind b has value 3 and half is liked."""
    rows = [n % 4 for n in range(count)]
    return rows, [1.0 if r < 2 else 3.0 for r in rows], [r == 3 for r in rows]


def test_the_correction_recovers_the_rate_among_all_candidates() -> None:
    # Every item is taken in a quarter of the queries. Three quarters of the negatives are never drawn.
    interaction, events, value = logits(train(occasions(*kinds_and_values(600))))
    np.testing.assert_allclose(1 / (1 + np.exp(-interaction)), 0.25, atol=0.03)
    # Given an interaction, kind a is always a view; half of kind b is a like.
    like = 1 / (1 + np.exp(-events[:, 1]))
    assert (like[:2] < 0.1).all()
    np.testing.assert_allclose(like[2:], 0.5, atol=0.05)
    # Values 1 and 3 have mean 2 and standard deviation 1.
    np.testing.assert_allclose(value, [-1, -1, 1, 1], atol=0.2)


def test_weights_by_value_triple_the_odds_of_what_is_worth_three_times_as_much() -> None:
    trained = train(occasions(*kinds_and_values(600)), weighted_by_value=True)
    odds = np.exp(logits(trained)[0])
    # Odds are 1/3 unweighted; the mean value is 2, so kind a weighs 1/2 and kind b 3/2.
    np.testing.assert_allclose(odds, [1 / 6, 1 / 6, 1 / 2, 1 / 2], rtol=0.15)
    assert trained.value_mean == pytest.approx(2.0)


def test_missing_and_negative_values_weigh_one_and_nothing() -> None:
    rows = [n % 4 for n in range(600)]
    values = [np.nan if r < 2 else (2.0 if r == 2 else -7.0) for r in rows]
    odds = np.exp(logits(train(occasions(rows, values, [False] * 600), weighted_by_value=True))[0])
    # The mean of 2 and (clipped) 0 is 1: kind a weighs 1, and kind b 2 or 0, so 1 on average.
    np.testing.assert_allclose(odds, 1 / 3, rtol=0.15)


def test_weighting_without_any_value_says_so() -> None:
    rows, _, liked = kinds_and_values(200)
    trained = train(occasions(rows, [np.nan] * 200, liked), weighted_by_value=True, epochs=2)
    assert any("no positive value was given" in note for note in trained.notes)
    assert any("the value head is a constant" in note for note in trained.notes)
    assert trained.model.scale.value_mean == 4.0  # from the training slice
    assert not logits(trained)[2].any()


def test_an_event_that_never_occurs_keeps_its_rate_from_training() -> None:
    rows, values, _ = kinds_and_values(200)
    trained = train(occasions(rows, values, [False] * 200), epochs=2)
    assert any(note.startswith("like: never occurs in the 160 rows") for note in trained.notes)
    like = 1 / (1 + np.exp(-logits(trained)[1][:, 1]))
    np.testing.assert_allclose(like, 10.5 / 41, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 12])
@pytest.mark.parametrize("model", ["multitask", "logistic"])
def test_too_little_data_keeps_retrievals_order_and_says_so(count: int, model: str) -> None:
    trained = train(occasions(*kinds_and_values(count)), model=model)
    assert trained.best_epoch == 0
    assert trained.epochs == ()
    assert any("too few to learn from" in note for note in trained.notes)
    for output in logits(trained):
        assert np.isfinite(output).all()
    interaction = logits(trained)[0]
    assert np.ptp(interaction) < 1e-6
    assert -4 < interaction[0] < 2


def test_everything_taken_leaves_no_negative() -> None:
    """A catalogue of which each query took all: one class only."""
    rows = [0, 1, 2, 3] * 30
    given = occasions(rows, [1.0] * 120, [False] * 120)
    whole = Occasions(
        given.queries[:30],
        given.users[:30],
        np.arange(31) * 4,
        given.items,
        given.events,
        given.values,
        given.seen[:30],
        0,
    )
    trained = train(whole, 0.7)
    assert any("with 0 negatives" in note for note in trained.notes)
    assert np.isfinite(logits(trained)[0]).all()


def test_the_same_seed_trains_the_same_model() -> None:
    given = occasions(*kinds_and_values(200))
    first, second = (
        train(given, model="multitask", epochs=2, learning_rate=0.01, dim=4, hidden=(8,)) for _ in range(2)
    )
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert [e.valid_loss for e in first.epochs] == pytest.approx([e.valid_loss for e in second.epochs])


def test_training_stops_when_it_no_longer_helps() -> None:
    trained = train(occasions(*kinds_and_values(400)), patience=2, learning_rate=0.2, epochs=60)
    assert len(trained.epochs) < 60
    assert trained.best_epoch == len(trained.epochs) - 2
    best = min(trained.epochs, key=lambda e: e.valid_loss)
    assert best.epoch == trained.best_epoch


def test_a_step_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traces: list[tf.Tensor] = []
    step = Trainer._train_step

    def traced(trainer: Trainer, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        traces.append(seed)
        return step(trainer, batch, seed)

    monkeypatch.setattr(Trainer, "_train_step", traced)
    assert len(train(occasions(*kinds_and_values(200)), epochs=3).epochs) == 3
    assert len(traces) == 1
