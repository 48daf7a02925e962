"""A release measured again: where it came from, on newer data, through a server."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import slate
from slate.errors import DataError
from slate.evaluation.endpoint import PREDICT, USER_HEADER, EndpointError
from slate.recommend.request import Interaction
from slate.steps.evaluate_release import evaluate_release


def test_the_shipped_holdout_gives_the_numbers_of_the_manifest(tiny: Any, tmp_path: Path) -> None:
    measured = evaluate_release("stable", store=tiny.store, scratch=tmp_path, cache=tmp_path).summary()
    recorded = json.loads((tiny.folders["candidate"] / "draft.json").read_text())
    assert measured["funnel"] == pytest.approx(recorded["metrics"], abs=1e-6)
    assert measured["retrieval"] == pytest.approx(recorded["baselines"]["retrieval"], abs=1e-6)
    assert measured["popularity"]["ndcg@5"] == pytest.approx(
        recorded["baselines"]["popularity"]["ndcg@5"], abs=0.03
    )


def test_overrides_change_how_it_is_measured(tiny: Any, tmp_path: Path) -> None:
    evaluation = evaluate_release(
        "stable",
        store=tiny.store,
        scratch=tmp_path,
        cache=tmp_path,
        overrides=["evaluation.k=3", "evaluation.ks=[3]"],
    )
    assert evaluation.record.metric == "ndcg@3"


def test_newer_data_is_measured_with_the_released_histories(tiny: Any, tmp_path: Path) -> None:
    config = newer_world(tmp_path, tiny)
    evaluation = evaluate_release(
        "stable", store=tiny.store, scratch=tmp_path / "scratch", cache=tmp_path, config=config
    )
    assert evaluation.record.targets.users == 40
    # The next film in order follows from the released history alone: the data holds one event a user.
    assert evaluation.summary()["funnel"]["recall@5"] > 0.8


def newer_world(folder: Path, tiny: Any) -> Path:
    """Each of 40 users goes on to the next film after the last one in the release's users file."""
    recommender = slate.open_release(tiny.store)
    watermark = datetime.fromisoformat(
        json.loads((tiny.folders["splits"] / "split.json").read_text())["watermark"]
    )
    lines = ["who,film,when"]
    for user in recommender.users.sample(220):
        record = recommender.users.record(user)
        assert record is not None
        last, *seen = recommender.catalogue.ids.to_ids([record.history.items[-1], *record.seen])
        item = f"film {(int(last[5:7]) + 1) % 60:02d}, é"
        if item not in seen and len(lines) <= 40:
            lines.append(f'{user},"{item}",{int(watermark.timestamp()) + 60}')
    (folder / "new.csv").write_text("\n".join(lines), encoding="utf-8")
    config = folder / "new.yaml"
    config.write_text(
        """
dataset:
  interactions: {path: new.csv, columns: {user_id: who, item_id: film, timestamp: when}}
  events: {watch: {weight: 1}}
evaluation: {ks: [5], k: 5, bootstrap: 100}
""",
        encoding="utf-8",
    )
    return config


def test_data_that_is_not_newer_is_refused(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text('user_id,item_id,timestamp\np1,"film 01, é",1700000000\n')
    config = tmp_path / "old.yaml"
    config.write_text("dataset: {interactions: {path: old.csv}, events: {watch: {}}}")
    with pytest.raises(DataError, match="watermark"):
        evaluate_release(
            "stable", store=tiny.store, scratch=tmp_path / "scratch", cache=tmp_path, config=config
        )


class Handler(BaseHTTPRequestHandler):
    """The V1 shape over a real recommender."""

    recommender: Any = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (instance,) = body["instances"]
        assert self.path == PREDICT
        assert self.headers[USER_HEADER] == instance["user_id"]
        at = datetime.fromisoformat(instance["context"].pop("timestamp"))
        history = [
            Interaction(h["item_id"], h["event"], datetime.fromisoformat(h["timestamp"]))
            for h in instance["history"]
        ]
        answer = self.recommender.recommend(
            instance["user_id"], history=history, k=instance["k"], context=instance["context"], at=at
        )
        payload = json.dumps({"predictions": [answer.to_dict()]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server(tiny: Any) -> Iterator[str]:
    Handler.recommender = slate.open_release(tiny.store)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


def test_a_server_is_measured_by_its_answers(tiny: Any, tmp_path: Path, server: str) -> None:
    changes = ["evaluation.max_targets=60"]
    remote = evaluate_release(
        "stable", store=tiny.store, scratch=tmp_path, cache=tmp_path, endpoint=server, overrides=changes
    ).summary()["funnel"]
    local = evaluate_release(
        "stable", store=tiny.store, scratch=tmp_path, cache=tmp_path, overrides=changes
    ).summary()["funnel"]
    assert remote == pytest.approx(local, abs=0.02)


def test_a_server_that_is_not_there_is_named(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:9"):
        evaluate_release(
            "stable", store=tiny.store, scratch=tmp_path, cache=tmp_path, endpoint="http://127.0.0.1:9"
        )
