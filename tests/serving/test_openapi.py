"""The OpenAPI document is complete, and says what the server really answers."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.openapi import document
from slate.config import ServingConfig
from tests.serving.conftest import Served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{served.url}/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as kept:
        yield kept


def operations(published: dict[str, Any]) -> list[APIOperation]:
    return [found.ok() for found in schemathesis.openapi.from_dict(published).get_all_operations()]


def ask(served: Served, published: dict[str, Any], session: requests.Session, examples: int) -> None:
    """Every operation with what its schema allows, and every one that takes a body with what it does not."""
    every = operations(published)
    hot = [operation for operation in every if operation.method == "post"]
    seen: set[tuple[str, int]] = set()
    strategies = [operation.as_strategy() for operation in every]
    strategies += [operation.as_strategy(GenerationMode.POSITIVE) for operation in hot]
    strategies += [operation.as_strategy(GenerationMode.NEGATIVE) for operation in hot]
    for strategy in strategies:

        @settings(
            max_examples=examples // len(strategies),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def once(case: Case) -> None:
            answer = case.call(base_url=served.url, session=session, timeout=30)
            case.validate_response(answer, checks=CHECKS)
            assert "close" not in answer.headers.get("connection", [])
            seen.add((case.path, answer.status_code))

        once()
    assert {path for path, code in seen if code == 200} >= {operation.path for operation in hot}
    assert {path for path, code in seen if code == 400} >= {operation.path for operation in hot}


def test_every_answer_is_as_the_document_says(
    served: Served, published: dict[str, Any], session: requests.Session
) -> None:
    ask(served, published, session, 300)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_answers_are(
    served: Served, published: dict[str, Any], session: requests.Session
) -> None:
    ask(served, published, session, 10_000)


def test_the_examples_are_answered(served: Served, published: dict[str, Any]) -> None:
    asked = 0
    for path, methods in published["paths"].items():
        if "post" in methods:
            example = methods["post"]["requestBody"]["content"]["application/json"]["example"]
            answer = httpx.post(served.url + path, json=example)
            assert answer.status_code == 200, answer.text
            asked += 1
    assert asked == 4


def test_every_refusal_has_the_shape_that_the_document_shows(published: dict[str, Any]) -> None:
    for path, methods in published["paths"].items():
        for method, operation in methods.items():
            for code, answer in operation["responses"].items():
                if int(code) >= 400:
                    content = answer["content"]["application/json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/Error"}, (path, method, code)
                    assert content["example"]["error"]
                    assert (int(code) in (429, 503)) == ("headers" in answer)


def test_probes_and_lists_are_in_it(served: Served, published: dict[str, Any]) -> None:
    named = {path: set(methods) for path, methods in published["paths"].items()}
    for path in ("/", "/metrics", "/v1/models", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models"):
        assert named[path] == {"get"}
        assert httpx.get(served.url + path).status_code == 200
    for model in ("recommender", "ranker"):
        for path in (f"/v1/models/{model}", f"/v2/models/{model}", f"/v2/models/{model}/ready"):
            assert named[path] == {"get"}


def test_the_limits_are_those_of_the_configuration() -> None:
    text = json.dumps(document(ServingConfig(max_k=77, max_instances=5, max_items=123, max_history=45)))
    assert re.findall(r'"maximum": 77\b', text)
    assert {int(found) for found in re.findall(r'"maxItems": (\d+)', text)} >= {5, 123, 45}


def test_the_command_prints_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slate.cli.main", "serve", "--openapi", "--set", "serving.max_k=77"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(run.stdout) == document(ServingConfig(max_k=77))
    assert not list(tmp_path.iterdir()), "it prints and leaves nothing behind"
