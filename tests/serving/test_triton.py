"""tritonclient, which knows nothing of KServe: binary tensors both ways, and refusals it can act on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.conftest import Served

ROOT = Path(__file__).parents[2]
FILMS = ["film 03, é", "film 04, é"]


@pytest.fixture(scope="module", params=["http", "grpc"])
def asked(request: pytest.FixtureRequest, served: Served) -> dict[str, Any]:
    """What tritonclient was answered."""
    address = served.url.removeprefix("http://") if request.param == "http" else served.grpc
    command = [sys.executable, "-m", "tests.serving.triton_calls", request.param, address]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return {"transport": request.param, **json.loads(run.stdout)}


def v1(served: Served, model: str, instance: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{served.url}/v1/models/{model}:predict", json={"instances": [instance]})
    prediction: dict[str, Any] = answer.json()["predictions"][0]
    return prediction


def test_it_finds_the_server_ready(asked: dict[str, Any]) -> None:
    assert asked["probes"] == [True, True, True]


def test_slates_by_binary_tensors(asked: dict[str, Any], served: Served) -> None:
    slates = asked["slates"]
    assert {name: kind for name, (kind, _) in slates.items()} == {
        "item_id": "object",
        "score": "float32",
        "length": "int32",
        "rung": "object",
    }
    assert slates["length"][1] == [4, 4, 4]
    assert slates["rung"][1] == ["personalised"] * 3
    items = v1(served, "recommender", {"user_id": "p1", "k": 4})["items"]
    assert slates["item_id"][1][0] == [item["item_id"] for item in items]
    assert slates["score"][1][0] == pytest.approx([item["score"] for item in items], rel=1e-5)


def test_scores_by_binary_tensors(asked: dict[str, Any], served: Served) -> None:
    known, score = asked["scores"]["known"], asked["scores"]["score"]
    assert known == ["bool", [[True, True, False], [True, False, True]]]
    assert (score[0], score[1][0][2], score[1][1][1]) == ("float32", 0, 0)
    plain = v1(served, "ranker", {"user_id": "p1", "item_ids": [*FILMS, "none"]})
    assert score[1][0][:2] == pytest.approx(plain["scores"][:2], rel=1e-5)


REFUSED = {
    "test:overloaded": ("429", "StatusCode.RESOURCE_EXHAUSTED", "2"),
    "test:draining": ("503", "StatusCode.UNAVAILABLE", "0"),
    "test:unready": ("503", "StatusCode.UNAVAILABLE", "1"),
}


def test_a_refusal_says_when_to_ask_again(asked: dict[str, Any], served: Served) -> None:
    for user, (code, status, seconds) in REFUSED.items():
        told = asked["refused"][user]
        if asked["transport"] == "grpc":
            assert (told["status"], told["again"]) == (status, seconds)
        else:
            assert told["status"] == code
            body = {"instances": [{"user_id": user}]}
            answer = httpx.post(f"{served.url}/v1/models/recommender:predict", json=body)
            assert (str(answer.status_code), answer.headers["retry-after"]) == (code, seconds)
        assert told["message"].startswith("server: ")


def test_a_mistake_is_named_and_names_no_time(asked: dict[str, Any]) -> None:
    grpc = asked["transport"] == "grpc"
    missing, invalid = ("StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT") if grpc else ("404", "400")
    mistakes = asked["mistakes"]
    assert [each["status"] for each in mistakes] == [missing, invalid, invalid, invalid]
    assert [each["again"] for each in mistakes] == [None] * 4
    for each, words in zip(mistakes, ("nobody", "inputs.user_id", "'nothing'", "unloaded"), strict=True):
        assert words in each["message"]
