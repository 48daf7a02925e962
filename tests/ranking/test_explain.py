"""A world where one feature decides and the others are noise, explained through the real trainer."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.ranking.explain import explain as module
from slate.ranking.explain.asking import asked_of
from slate.ranking.explain.record import Explanations
from slate.steps.train_ranker import train_ranker

OPTIONS = {
    "dim": 8,
    "hidden": [32],
    "dropout": 0.0,
    "id_dropout": 0.9,
    "batch_size": 512,
    "learning_rate": 0.01,
    "epochs": 10,
    "candidates": 100,
    "explanations": 120,
}


@pytest.fixture(scope="module")
def world(make_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """People take what they like once retrieval is trained: items of a high price, whatever else they are."""
    rng = np.random.default_rng(2)
    price, noise = rng.random(200), rng.random(200)
    items = [
        {
            "item_id": f"i{n}",
            "price": float(price[n]),
            "noise": float(noise[n]),
            "colour": ["red", "green", "blue"][n % 3],
        }
        for n in range(200)
    ]
    users = [{"user_id": f"u{n:03d}", "town": f"town {n % 4}"} for n in range(400)]
    taste = np.exp(6 * price)
    interactions = []
    for n in range(400):
        before = rng.choice(200, 3, replace=False)
        after = rng.choice(200, 4, replace=False, p=taste / taste.sum())
        times = np.concatenate([rng.uniform(0, 1_000, 3), rng.uniform(2_000, 3_000, 3), [4_000 + n]])
        interactions += [
            {"user_id": f"u{n:03d}", "item_id": f"i{item}", "timestamp": float(time)}
            for item, time in zip([*before, *after], np.sort(times), strict=True)
        ]
    return make_world(
        tmp_path_factory.mktemp("price"),
        interactions,
        items,
        users,
        events={"view": {"weight": 1.0}},
        split_config={"valid_fraction": 3 / 7, "test_fraction": 1 / 7},
    )


class Seen:
    """What the step gave to ``explain``, and what lay on disk and in memory around it."""

    def __init__(self, out: Path) -> None:
        self.out, self.arguments, self.around = out, (), []

    def __call__(self, *arguments: Any) -> Explanations:
        self.arguments = arguments
        self.around.append(self._state())
        found = explain(*arguments)
        self.around.append(self._state())
        return found

    def _state(self) -> dict[str, str]:
        files = {p.name: p.read_bytes() for p in self.out.rglob("*") if p.is_file()}
        _, model, served, items, _, _, pools, encoded, *_ = self.arguments
        arrays = [*encoded.values(), *items.content.values(), pools.rows, pools.scores, model.popularity]
        arrays += [v.numpy() for v in (*model.variables, *served.variables)]
        parts = {f"array {n}": np.ascontiguousarray(a).tobytes() for n, a in enumerate(arrays)}
        return {name: hashlib.sha256(content).hexdigest() for name, content in (files | parts).items()}


explain = module.explain


def _explained(world: Any, out: Path, **options: Any) -> tuple[Explanations, Seen]:
    seen = Seen(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "explain", seen)
        train_ranker({**OPTIONS, **options}, *world.arguments, out)
    return Explanations.from_json((out / "explanations.json").read_text(encoding="utf-8")), seen


@pytest.fixture(scope="module", params=["multitask", "logistic"])
def explained(request: Any, world: Any, tmp_path_factory: Any) -> tuple[Explanations, Seen]:
    rate = {"multitask": 0.01, "logistic": 0.05}[request.param]
    out = tmp_path_factory.mktemp(request.param)
    return _explained(world, out, model=request.param, learning_rate=rate)


def test_what_decides_is_found_and_noise_is_not(explained: Any) -> None:
    found, _ = explained
    alone = {f"{i.group}: {i.name}": i for i in found.importance if len(i.inputs) == 1}
    price = alone.pop("item: price")
    assert price.log_loss.low > 0
    assert price.ndcg.low > 0
    assert all(price.log_loss.value > 4 * other.log_loss.value for other in alone.values())
    for name in ("item: noise", "item: colour", "user: town"):
        noise = alone[name]
        assert noise.log_loss.low <= 0 or noise.log_loss.value < 0.02 * price.log_loss.value
        assert noise.ndcg.low <= 0 or noise.ndcg.value < 0.02 * price.ndcg.value
    together = {f"{i.group}: {i.name}": i for i in found.importance if len(i.inputs) > 1}
    assert together["item: all features"].inputs == ("colour", "noise", "price")
    assert together["item: all features"].log_loss.low > 0
    assert found.requests == 120
    assert found.with_positive <= found.requests


def test_the_curve_of_what_decides_rises_and_that_of_noise_lies_flat(explained: Any) -> None:
    curves = {curve.name: curve for curve in explained[0].curves}
    price, noise, colour = (np.array(curves[n].probability.mean) for n in ("price", "noise", "colour"))
    assert (np.diff(price) > 0).all()
    assert price[-1] > 3 * price[0]
    assert np.ptp(noise) < 0.2 * np.ptp(price)
    assert np.ptp(colour) < 0.2 * np.ptp(price)
    # In the units of the data, most of the range, and within the band.
    assert 0 <= min(curves["price"].values) < 0.1 < 0.9 < max(curves["price"].values) <= 1
    assert sorted(curves["colour"].values) == ["blue", "green", "red"]
    for curve in curves.values():
        for band in (curve.score, curve.probability):
            assert all(low <= high for low, high in zip(band.low, band.high, strict=True))
            assert len(band.mean) == len(curve.values)
        assert all(0 <= p <= 1 for p in (*curve.probability.low, *curve.probability.high))


def test_explaining_leaves_the_model_its_export_and_its_inputs_as_they_were(explained: Any) -> None:
    before, after = explained[1].around
    assert {"parity.npz", "saved_model.pb"} <= set(before)
    assert after == before


def test_questions_as_they_are_get_the_served_answers(explained: Any) -> None:
    _, model, served, items, _, _, pools, encoded, assessor, report = explained[1].arguments
    chosen = report[:50]
    query = {name: array[chosen] for name, array in encoded.items()}
    asked = asked_of(model, items, query, pools.rows[chosen], pools.scores[chosen])
    answers = module.Asker(model, served, items, asked).answer(asked)
    lists = assessor.lists(chosen)
    np.testing.assert_allclose(answers.score, lists.scores, atol=1e-6)
    np.testing.assert_allclose(answers.probability, lists.probabilities[..., -1], atol=1e-6)
    assert (lists.interacted == assessor.interacted(chosen)).all()


def test_the_same_seed_explains_alike_and_more_requests_than_lists_are_no_matter(explained: Any) -> None:
    found, seen = explained
    again = explain(*seen.arguments)
    assert again.model_copy(update={"seconds": 0.0}) == found.model_copy(update={"seconds": 0.0})
    config, *rest = seen.arguments
    everybody = explain(config.model_copy(update={"explanations": 10_000}), *rest)
    assert everybody.requests == len(rest[-1])
    assert everybody.users == len({rest[4].users[place] for place in rest[-1]})


def test_requests_are_drawn_from_as_many_users_as_there_are() -> None:
    users = ["a"] * 50 + ["b"] * 3 + ["c"]
    drawn = module._drawn(np.arange(54), users, 5, seed=1)
    found = [users[place] for place in drawn]
    assert (found.count("a"), found.count("b"), found.count("c")) == (2, 2, 1)
    assert len(module._drawn(np.arange(54), users, 100, seed=1)) == 54


def test_it_can_be_switched_off(world: Any, tmp_path: Path) -> None:
    train_ranker({**OPTIONS, "epochs": 1, "max_queries": 60, "explanations": 0}, *world.arguments, tmp_path)
    assert not (tmp_path / "explanations.json").exists()
