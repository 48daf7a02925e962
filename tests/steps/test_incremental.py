"""A tiny world in which new items are liked in an order that only the new days show."""

import json
import random
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from slate import columns
from slate.config import IncrementalConfig, RankingConfig, RetrievalConfig, parse_section
from slate.data.catalogue import Catalogue
from slate.data.holdout import Split
from slate.data.sequences import History
from slate.errors import ConfigError, DataError, GateError, ModelError, ReleaseError
from slate.evaluation.record import Evaluation
from slate.feedback.log import SCHEMA
from slate.release.verdict import Verdict
from slate.retrieval.query import Query, QueryEncoder
from slate.steps import open_parent as opening
from slate.steps.build_index import build_index
from slate.steps.champion import open_champion
from slate.steps.collect import collect
from slate.steps.evaluate import evaluate
from slate.steps.gate import gate
from slate.steps.open_parent import open_parent
from slate.steps.parent import Parent
from slate.steps.push_release import push_release
from slate.steps.split_since import split_since
from slate.steps.update_ranker import update_ranker
from slate.steps.update_two_tower import update_two_tower
from slate.steps.validate import validate
from slate.storage import open_store

NEW_ITEMS = [f"new {place}, ü" for place in range(8)]
RECIPE = {"epochs": 24, "learning_rate": 0.01, "replay": 0.5, "ranking_epochs": 2}


@dataclass(frozen=True)
class Updated:
    """One incremental run, step by step; every folder is its own."""

    sections: dict[str, Any]
    folders: dict[str, Path]
    store: str
    parent: str
    verdict: Verdict

    @property
    def split(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folders["splits"] / columns.SPLIT_FILE).read_text())
        return record


def new_events(after: datetime) -> list[tuple[str, str, datetime]]:
    """150 newcomers who watch one old film, then the new ones in their order."""
    generator = random.Random(11)
    rows = []
    for user in range(150):
        clock = after + timedelta(minutes=generator.randrange(1, 60 * 24 * 20))
        place = generator.randrange(len(NEW_ITEMS))
        items = [f"film {generator.randrange(60):02d}, é"]
        items += [NEW_ITEMS[(place + step) % len(NEW_ITEMS)] for step in range(7)]
        for item in items:
            rows.append((f"newcomer {user}", item, clock))
            clock += timedelta(minutes=generator.randrange(5, 600))
    return rows


def write_log(store: str, rows: list[tuple[str, str, datetime]], name: str = "0-0-9") -> None:
    """A batch as the consumer writes it."""
    table = pa.table(
        {
            "event_id": [f"e{number}" for number in range(len(rows))],
            "user_id": [user for user, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "event": ["watch"] * len(rows),
            "value": pa.nulls(len(rows), pa.float64()),
            "timestamp": pa.array([at for _, _, at in rows], pa.timestamp("us", "UTC")),
            "received": pa.array([at for _, _, at in rows], pa.timestamp("us", "UTC")),
            "organic": [False] * len(rows),
            "exposure_id": pa.nulls(len(rows), pa.string()),
        },
        schema=SCHEMA,
    )
    sink = BytesIO()
    pq.write_table(table, sink)
    open_store(store).write_new(f"events/date=2024-03-01/{name}.parquet", sink.getvalue())


def with_new_items(raw: Path, out: Path) -> Path:
    """The prepared data set with the new films in its table of items, and no interaction with them."""
    shutil.copytree(raw, out)
    items = pq.read_table(out / columns.ITEMS_FILE)
    added = [{"item_id": item, "title": f"The {item}", "genre": "war", "minutes": 90.0} for item in NEW_ITEMS]
    table = pa.concat_tables([items, pa.Table.from_pylist(added, schema=items.schema)])
    pq.write_table(table.sort_by(columns.ITEM), out / columns.ITEMS_FILE)
    return out


@pytest.fixture(scope="module")
def updated(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """The tiny release brought up to date with what the log holds; takes some seconds once."""
    root = tmp_path_factory.mktemp("incremental")
    # What newcomers want is all the holdout asks for, so exposure is as narrow as it should be.
    sections = tiny.sections(
        incremental=RECIPE,
        split={"unseen_users": 0.1},
        gate={"concentration_margin": 1.0},
        ranking={"explanations": 0},
    )
    store = str(root / "store")
    shutil.copytree(tiny.store, store)
    live = open_champion(store, tiny.release_id)
    assert live is not None
    write_log(store, new_events(datetime.fromisoformat(live.manifest.dataset.watermark)))
    names = ("collected", "dataset", "parent", "splits", "two_tower", "index", "ranker", "candidate")
    at = {name: root / name for name in (*names, "evaluation")}
    dataset, recipe = sections["dataset"], sections["incremental"]
    collect(dataset, store, with_new_items(tiny.folders["raw"], root / "raw"), at["collected"])
    validate(dataset, at["collected"], at["dataset"], root / "validation.html")
    open_parent(store, tiny.release_id, dataset, at["parent"])
    split_since(dataset, sections["split"], recipe, at["dataset"], at["parent"], at["splits"])
    update_two_tower(
        sections["retrieval"], recipe, dataset, at["splits"], at["parent"], at["two_tower"], root / "kept"
    )
    build_index(sections["index"], at["splits"], at["two_tower"], at["index"])
    update_ranker(
        sections["ranking"],
        recipe,
        dataset,
        at["splits"],
        at["two_tower"],
        at["index"],
        at["parent"],
        at["ranker"],
    )
    evaluate(
        sections,
        at["splits"],
        at["dataset"],
        at["two_tower"],
        at["index"],
        at["ranker"],
        store,
        tiny.release_id,
        at["candidate"],
        at["evaluation"],
        root / "report.html",
    )
    at["verdict"], at["report"] = root / "verdict.json", root / "report.html"
    gate(sections["gate"], at["evaluation"], at["candidate"], at["verdict"])
    return Updated(sections, at, store, tiny.release_id, Verdict.from_json(at["verdict"].read_text()))


def test_new_users_and_items_of_the_log_are_learnt_and_their_order_with_them(updated: Updated) -> None:
    splits = updated.folders["splits"]
    catalogue = Catalogue.open(splits)
    parent = Parent.open(updated.folders["parent"])
    assert set(NEW_ITEMS).isdisjoint(parent.catalogue.ids.ids)
    rows = [catalogue.ids.row(item) for item in NEW_ITEMS]
    assert min(catalogue.train_counts[rows]) > 0
    embeddings = np.load(updated.folders["two_tower"] / columns.EMBEDDINGS_FILE)
    features = Split.open(splits).features
    encoder = QueryEncoder.open(updated.folders["two_tower"] / "query_tower", features, 16)
    code = features.event_code("watch")
    queries = [
        Query(
            History(np.array([row], np.int32), np.array([code], np.int16), np.array([10**15])), 10**15 + 10**9
        )
        for row in rows
    ]
    scores = encoder.embed(queries) @ embeddings[rows].T
    np.fill_diagonal(scores, -np.inf)
    right = scores.argmax(axis=1) == (np.arange(len(rows)) + 1) % len(rows)
    assert right.mean() >= 0.75, "the new films share their content: only their own days tell them apart"


def test_the_update_passes_its_gate_and_beats_its_parent_by_what_is_new(updated: Updated) -> None:
    assert updated.verdict.status == "passed", updated.verdict.failed
    gain = next(c for c in updated.verdict.checks if c.name == "not_worse_than_champion")
    assert gain.value is not None
    assert gain.value > 0.2, "nothing that the parent shows is wanted in the holdout's new items"
    record = Evaluation.open(updated.folders["evaluation"]).record
    assert (
        record.rankers["champion"].metrics["ndcg@5"].value < record.rankers["funnel"].metrics["ndcg@5"].value
    )


def test_forgetting_is_measured_on_users_never_trained_on_and_stands_in_verdict_and_report(
    updated: Updated,
) -> None:
    facts = json.loads((updated.folders["evaluation"] / "facts.json").read_text())
    assert facts["parent"] == facts["forgetting"]["parent"] == updated.parent
    assert facts["forgetting"]["train_end"] == updated.split["parent"]["train_end"]
    assert facts["forgetting"]["targets"] > 0
    check = next(c for c in updated.verdict.checks if c.name == "forgetting")
    assert "never trained on" in check.detail
    assert "never trained on" in updated.folders["report"].read_text(encoding="utf-8")


def test_the_holdout_starts_after_everything_that_the_parent_has_seen(updated: Updated) -> None:
    split = updated.split
    assert split["parent"]["train_end"] < split["train_end"] < split["valid_end"] < split["watermark"]
    assert split["valid_end"] >= split["parent"]["valid_end"]
    unseen = pq.read_table(updated.folders["splits"] / columns.UNSEEN_FILE)[columns.USER].unique()
    for part in (columns.TRAIN_FILE, columns.VALID_FILE):
        users = pq.read_table(updated.folders["splits"] / part)[columns.USER]
        assert not pc.any(pc.is_in(users, unseen)).as_py(), part


def test_the_new_release_names_its_parent_and_can_be_one_itself(updated: Updated, tmp_path: Path) -> None:
    release = push_release(updated.store, updated.folders["candidate"], updated.folders["verdict"], "test")
    pushed = open_champion(updated.store, release)
    assert pushed is not None
    assert pushed.manifest.parent == updated.parent
    open_parent(updated.store, release, updated.sections["dataset"], tmp_path / "parent")
    again = Parent.open(tmp_path / "parent")
    assert again.release_id == release
    assert set(NEW_ITEMS) <= set(again.catalogue.ids.ids)
    with pytest.raises(DataError, match="nothing here is later"):
        split_since(
            updated.sections["dataset"],
            updated.sections["split"],
            updated.sections["incremental"],
            updated.folders["dataset"],
            tmp_path / "parent",
            tmp_path / "splits",
        )


def test_before_the_first_step_every_item_is_where_its_parent_had_it(updated: Updated, tiny: Any) -> None:
    from slate.retrieval.training_data import TrainingData
    from slate.retrieval.update import updating

    parent = Parent.open(updated.folders["parent"])
    trainer = updating(
        parse_section(RetrievalConfig, updated.sections["retrieval"]),
        parse_section(IncrementalConfig, updated.sections["incremental"]),
        ["watch"],
        TrainingData.open(updated.folders["splits"]),
        parent.tower(),
    )
    now = trainer.model.candidate_embeddings()
    before = np.load(tiny.folders["two_tower"] / columns.EMBEDDINGS_FILE)
    catalogue = Catalogue.open(updated.folders["splits"])
    rows = [catalogue.ids.row(item) for item in parent.catalogue.ids.ids]
    np.testing.assert_allclose(now[rows], before, atol=1e-6)
    fresh = now[[catalogue.ids.row(item) for item in NEW_ITEMS]]
    np.testing.assert_allclose(fresh, np.broadcast_to(fresh[0], fresh.shape), atol=1e-6)
    assert not np.isclose(before, fresh[0]).all(axis=1).any()


def test_a_ranker_starts_with_all_that_its_parent_learnt(updated: Updated) -> None:
    parent = Parent.open(updated.folders["parent"])
    config = parse_section(RankingConfig, updated.sections["ranking"])
    start = parent.ranker(config, Catalogue.open(updated.folders["splits"]))
    assert start.trained.tolist() == [True, True, False], "watch and hide were learnt, values never came"
    record = json.loads((updated.folders["ranker"] / columns.TRAINING_FILE).read_text())
    assert record["parent"] == updated.parent
    assert len(record["epochs"]) <= RECIPE["ranking_epochs"]
    kept = pytest.approx(start.scale.score_mean)
    assert record["scale"]["score_mean"] == kept, "a learnt weight keeps its meaning only on its own scale"
    learnt = np.load(updated.folders["ranker"] / columns.WEIGHTS_FILE)
    assert learnt["state/trained"].tolist() == [True, True, False], "no hide is among what is new"


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("retrieval", {"dim": 8}, r"retrieval\.dim is 8, the parent's 16"),
        ("retrieval", {"history": 20}, r"retrieval\.history is 20, the parent's 16"),
    ],
)
def test_towers_of_another_shape_are_refused_by_name(
    updated: Updated, tmp_path: Path, section: str, change: dict[str, Any], said: str
) -> None:
    at = updated.folders
    with pytest.raises(ConfigError, match=said):
        update_two_tower(
            {**updated.sections[section], **change},
            updated.sections["incremental"],
            updated.sections["dataset"],
            at["splits"],
            at["parent"],
            tmp_path,
        )


def test_a_ranker_of_another_shape_is_refused_by_name(updated: Updated) -> None:
    parent = Parent.open(updated.folders["parent"])
    config = parse_section(RankingConfig, {**updated.sections["ranking"], "hidden": [4]})
    with pytest.raises(ConfigError, match=r"ranking\.hidden is \(4,\), the parent's \(16,\)"):
        parent.ranker(config, parent.catalogue)


def test_a_run_that_started_from_another_release_than_the_champion_is_not_measured(
    updated: Updated, tmp_path: Path
) -> None:
    splits = tmp_path / "splits"
    shutil.copytree(updated.folders["splits"], splits)
    record = updated.split
    record["parent"]["release_id"] = "another"
    (splits / columns.SPLIT_FILE).write_text(json.dumps(record))
    at = updated.folders
    with pytest.raises(ModelError, match="started from release another"):
        evaluate(
            updated.sections,
            splits,
            at["dataset"],
            at["two_tower"],
            at["index"],
            at["ranker"],
            updated.store,
            updated.parent,
            tmp_path / "candidate",
            tmp_path / "evaluation",
            tmp_path / "report.html",
        )


def test_no_live_release_and_another_data_set_are_no_parents(tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.config["dataset"]
    for champion in ("", "stable"):
        with pytest.raises(ConfigError, match="no live release to start from; train in full"):
            open_parent(str(tmp_path / "empty"), champion, dataset, tmp_path / "parent")
    with pytest.raises(ConfigError, match="was trained on the data set 'tiny', not on 'huge'"):
        open_parent(tiny.store, tiny.release_id, {**dataset, "name": "huge"}, tmp_path / "parent")


def test_a_refused_release_is_no_parent(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = open_champion(tiny.store, tiny.release_id)
    assert live is not None
    verdict = live.manifest.verdict.model_copy(update={"status": "refused"})
    refused = type(live)(live.path, live.manifest.model_copy(update={"verdict": verdict}))
    monkeypatch.setattr(opening, "open_champion", lambda *_: refused)
    with pytest.raises(GateError, match="its verdict is 'refused'"):
        open_parent(tiny.store, tiny.release_id, tiny.config["dataset"], tmp_path / "parent")


def test_a_release_without_weights_is_no_parent(tiny: Any, tmp_path: Path) -> None:
    candidate, store = tmp_path / "candidate", str(tmp_path / "store")
    shutil.copytree(tiny.folders["candidate"], candidate)
    shutil.rmtree(candidate / "content" / "training")
    release = push_release(store, candidate, tiny.folders["verdict"], "test")
    with pytest.raises(ReleaseError, match=r"ships no training/two_tower\.npz and no training/ranker\.npz"):
        open_parent(store, release, tiny.config["dataset"], tmp_path / "parent")


def test_data_that_does_not_reach_back_is_refused(tiny: Any, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    open_parent(tiny.store, tiny.release_id, tiny.config["dataset"], parent)
    cut = Parent.open(parent).cut
    recent = tmp_path / "recent"
    shutil.copytree(tiny.folders["dataset"], recent)
    table = pq.read_table(recent / columns.INTERACTIONS_FILE)
    later = pc.greater(table[columns.TIMESTAMP], pa.scalar(cut.train_end, table["timestamp"].type))
    moved = table.filter(later).to_pylist()
    for row in moved:
        row["timestamp"] += timedelta(days=400)
    pq.write_table(pa.Table.from_pylist(moved, schema=table.schema), recent / columns.INTERACTIONS_FILE)
    with pytest.raises(DataError, match="no interaction here is so old"):
        split_since(
            tiny.config["dataset"],
            tiny.config["split"],
            tiny.config["incremental"],
            recent,
            parent,
            tmp_path / "splits",
        )
