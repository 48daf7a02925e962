"""Challengers that are really trained, and what the gate says of each."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from slate.errors import GateError, ModelError
from slate.evaluation.record import Evaluation
from slate.release.verdict import Verdict
from slate.steps.build_index import build_index
from slate.steps.champion import FACTS, open_champion
from slate.steps.evaluate import evaluate
from slate.steps.gate import gate
from slate.steps.push_release import push_release
from slate.steps.split import split
from slate.steps.train_ranker import train_ranker
from slate.steps.train_two_tower import train_two_tower


class Challenge:
    """Trains and judges challengers of a champion; every folder is its own."""

    def __init__(self, tiny: Any, root: Path, store: str | None = None, champion: str | None = None) -> None:
        self.tiny, self.root = tiny, root
        self.store = store or tiny.store
        self.champion = tiny.release_id if champion is None else champion
        self.folders = dict(tiny.folders)

    def train(self, splits: Path | None = None, **changes: dict[str, Any]) -> "Challenge":
        sections = self.tiny.sections(**changes)
        self.folders |= {name: self.root / name for name in ("two_tower", "index", "ranker")}
        self.folders["splits"] = splits or self.folders["splits"]
        at, dataset = self.folders, sections["dataset"]
        train_two_tower(sections["retrieval"], dataset, at["splits"], at["two_tower"], None)
        build_index(sections["index"], at["splits"], at["two_tower"], at["index"])
        train_ranker(sections["ranking"], dataset, at["splits"], at["two_tower"], at["index"], at["ranker"])
        return self

    def rerank(self, splits: Path, **ranking: Any) -> "Challenge":
        """Train the ranker alone, on other splits than it will be judged on."""
        sections, at = self.tiny.sections(ranking=ranking), dict(self.folders)
        self.folders["ranker"] = self.root / "ranker"
        train_ranker(
            sections["ranking"],
            sections["dataset"],
            splits,
            at["two_tower"],
            at["index"],
            self.folders["ranker"],
        )
        return self

    def judge(self, **changes: dict[str, Any]) -> Verdict:
        at = self.folders
        self.candidate, self.evaluation = self.root / "candidate", self.root / "evaluation"
        self.verdict = self.root / "verdict.json"
        sections = self.tiny.sections(**changes)
        evaluate(
            sections,
            at["splits"],
            at["dataset"],
            at["two_tower"],
            at["index"],
            at["ranker"],
            self.store,
            self.champion,
            self.candidate,
            self.evaluation,
            self.root / "report.html",
        )
        gate(sections["gate"], self.evaluation, self.candidate, self.verdict)
        return Verdict.from_json(self.verdict.read_text())


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.failed}


@pytest.fixture(scope="module")
def barely_trained(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    """A model that has hardly learned anything."""
    root = tmp_path_factory.mktemp("barely")
    return Challenge(tiny, root).train(retrieval={"epochs": 1, "learning_rate": 1e-5})


def test_the_champions_own_content_is_unchanged_and_cannot_be_pushed(tiny: Any, tmp_path: Path) -> None:
    challenge = Challenge(tiny, tmp_path)
    verdict = challenge.judge()
    assert verdict.status == "unchanged"
    shipped = open_champion(tiny.store, tiny.release_id)
    assert shipped is not None
    assert shipped.evaluation().record == Evaluation.open(challenge.evaluation).record
    with pytest.raises(GateError, match="unchanged"):
        push_release(tiny.store, challenge.candidate, challenge.verdict, "test")


def test_a_worse_model_is_refused(barely_trained: Challenge) -> None:
    verdict = barely_trained.judge()
    assert verdict.status == "refused"
    assert {"not_worse_than_champion", "within_margin_of_champion"} <= failed(verdict)
    with pytest.raises(GateError, match="refused"):
        push_release(barely_trained.store, barely_trained.candidate, barely_trained.verdict, "test")


def test_better_overall_does_not_excuse_a_broken_slice(tiny: Any, tmp_path: Path) -> None:
    weak = Challenge(tiny, tmp_path / "weak", store=str(tmp_path / "store"), champion="")
    weak.root.mkdir()
    weak.train(retrieval={"epochs": 2})
    assert weak.judge().status == "passed"
    champion = push_release(weak.store, weak.candidate, weak.verdict, "test")
    broken = Challenge(tiny, tmp_path / "broken", store=weak.store, champion=champion)
    broken.root.mkdir()
    splits = southerners_mislabelled(tiny, tmp_path / "splits")
    verdict = broken.rerank(splits, model="logistic", epochs=60).judge(gate={"min_slice_users": 15})
    assert failed(verdict) == {"slice region: south", "quality gap region: south"}
    gain = next(c for c in verdict.checks if c.name == "not_worse_than_champion")
    assert gain.value is not None
    assert gain.value > 0


def southerners_mislabelled(tiny: Any, folder: Path) -> Path:
    """The splits as a broken logger would leave them: in one region every watch is called a hide."""
    shutil.copytree(tiny.folders["splits"], folder)
    regions = {r["user_id"]: r["region"] for r in pq.read_table(folder / "users.parquet").to_pylist()}
    table = pq.read_table(folder / "valid.parquet")
    rows = [
        {**row, "event": "hide", "weight": -2.0} if regions[row["user_id"]] == "south" else row
        for row in table.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "valid.parquet")
    return folder


def test_a_broken_index_is_refused_whatever_its_own_file_says(tiny: Any, tmp_path: Path) -> None:
    challenge = Challenge(tiny, tmp_path)
    shuffled = tmp_path / "shuffled_tower"
    shutil.copytree(tiny.folders["two_tower"], shuffled)
    embeddings = np.load(shuffled / "candidate_embeddings.npy")
    np.save(shuffled / "candidate_embeddings.npy", np.random.default_rng(3).permutation(embeddings))
    challenge.folders["index"] = tmp_path / "index"
    build_index(tiny.config["index"], tiny.folders["splits"], shuffled, challenge.folders["index"])
    told = json.loads((challenge.folders["index"] / "index.json").read_text())["recall"]
    verdict = challenge.judge()
    assert told > 0.9
    assert "index_recall" in failed(verdict)


def test_a_champion_that_saw_the_holdout_makes_the_comparison_void(tiny: Any, tmp_path: Path) -> None:
    challenge = Challenge(tiny, tmp_path)
    early = tmp_path / "splits"
    sections = tiny.sections(split={"test_fraction": 0.3})
    split(sections["dataset"], sections["split"], tiny.folders["dataset"], early)
    verdict = challenge.train(splits=early).judge(split={"test_fraction": 0.3})
    assert "champion_trained_before_holdout" in failed(verdict)


def test_models_of_another_split_are_not_judged_on_this_holdout(tiny: Any, tmp_path: Path) -> None:
    early = tmp_path / "splits"
    sections = tiny.sections(split={"test_fraction": 0.3})
    split(sections["dataset"], sections["split"], tiny.folders["dataset"], early)
    challenge = Challenge(tiny, tmp_path)
    challenge.folders["splits"] = early
    with pytest.raises(ModelError, match="another split"):
        challenge.judge()


def test_a_model_that_changed_after_training_is_refused(tiny: Any, tmp_path: Path) -> None:
    challenge = Challenge(tiny, tmp_path)
    tower = tmp_path / "tower"
    shutil.copytree(tiny.folders["two_tower"], tower)
    with np.load(tower / "parity.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["embedding"] = arrays["embedding"] * 1.001
    np.savez(tower / "parity.npz", **arrays)
    challenge.folders["two_tower"] = tower
    assert "parity_retrieval" in failed(challenge.judge(recommend={"k": 4}))


@pytest.mark.parametrize("lost", ["evaluation.json", FACTS])
def test_evidence_that_is_lost_or_torn_refuses(tiny: Any, tmp_path: Path, lost: str) -> None:
    for text in (None, "{", "[]", '{"slices": null}'):
        folder = tmp_path / str(text).strip('{}[]":')
        shutil.copytree(tiny.folders["evaluation"], folder, dirs_exist_ok=True)
        (folder / lost).unlink()
        if text is not None and not (lost == FACTS and "slices" in text):
            (folder / lost).write_text(text)
        verdict = tmp_path / "verdict.json"
        assert gate(tiny.config["gate"], folder, tiny.folders["candidate"], verdict) == "refused"


def test_the_pushed_release_records_what_was_measured(tiny: Any) -> None:
    from slate.release.resolve import open_verified
    from slate.storage import open_store

    opened = open_verified("stable", open_store(tiny.store))
    assert opened.manifest.release_id == tiny.release_id
    assert opened.manifest.metrics["ndcg@5"] > opened.manifest.baselines["popularity"]["ndcg@5"]
    assert opened.manifest.verdict.status == "passed"
    assert {"popularity", "markov", "ease", "retrieval"} <= set(opened.manifest.baselines)
    assert (opened.path / "reports" / "evaluation.html").read_text().startswith("<!")
    test = pq.read_table(opened.path / "holdout" / "test.parquet")
    assert pc.min(test["timestamp"]).as_py().isoformat() > opened.manifest.dataset.valid_end[:19]
