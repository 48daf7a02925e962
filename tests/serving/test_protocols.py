"""Both models by every protocol, asked by real clients."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from tests.serving.conftest import Served

FILMS = ["film 03, é", "film 04, é"]


def rest(protocol: str) -> InferenceRESTClient:
    return InferenceRESTClient(RESTConfig(protocol=protocol, timeout=20))


def users(*names: str, **parameters: Any) -> InferRequest:
    given = InferInput("user_id", [len(names)], "BYTES", list(names))
    return InferRequest("recommender", [given], request_id="r1", parameters=parameters)


def test_v1_recommends(served: Served) -> None:
    async def ask() -> Any:
        async with rest("v1") as client:
            body = {"instances": [{"user_id": "p1", "k": 3, "explain": True}, {"history": FILMS}]}
            return await client.infer(served.url, body, model_name="recommender")

    first, second = asyncio.run(ask())["predictions"]
    assert list(first) == [
        "user_id",
        "items",
        "rung",
        "release_id",
        "variant",
        "exposure_id",
        "explanation",
    ]
    assert first["user_id"] == "p1"
    assert [item["position"] for item in first["items"]] == [1, 2, 3]
    assert list(first["items"][0]) == ["item_id", "score", "position", "source", "propensity"]
    assert first["rung"] == "personalised"
    assert (first["release_id"], first["variant"]) == (served.release_id, "stable")
    assert first["exposure_id"] == "exposure of p1"
    assert second["user_id"] is None
    assert len(second["items"]) == 5
    assert not {item["item_id"] for item in second["items"]} & set(FILMS)
    assert "explanation" not in second


def test_v1_ranks(served: Served) -> None:
    body = {"instances": [{"user_id": "p1", "item_ids": [*FILMS, "no such film"]}]}
    (scored,) = httpx.post(f"{served.url}/v1/models/ranker:predict", json=body).json()["predictions"]
    assert [score is None for score in scored["scores"]] == [False, False, True]
    assert {len(values) for values in scored["events"].values()} == {3}
    assert set(scored["events"]) == {"watch", "hide"}


@pytest.mark.parametrize("binary", [False, True])
def test_v2_recommends(served: Served, binary: bool) -> None:
    async def ask() -> Any:
        request = users("p1", "", k=4, exclude='["film 03, é"]', binary_data_output=binary)
        if binary:
            request.inputs[0].set_data_from_numpy(np.array([b"p1", b""], dtype=np.object_))
        async with rest("v2") as client:
            return await client.infer(served.url, request, model_name="recommender")

    answer = asyncio.run(ask())
    assert answer.id == "r1"
    by_name = {output.name: output.as_numpy() for output in answer.outputs}
    assert by_name["item_id"].shape == by_name["score"].shape == (2, 4)
    assert by_name["length"].tolist() == [4, 4]
    assert by_name["rung"].tolist()[0] in ("personalised", b"personalised")
    assert by_name["score"].dtype == np.float32
    v1 = httpx.post(
        f"{served.url}/v1/models/recommender:predict",
        json={"instances": [{"user_id": "p1", "k": 4, "exclude": ["film 03, é"]}]},
    ).json()["predictions"][0]
    items = [i.decode() if isinstance(i, bytes) else i for i in by_name["item_id"][0].tolist()]
    assert items == [item["item_id"] for item in v1["items"]]
    assert by_name["score"][0] == pytest.approx([item["score"] for item in v1["items"]], rel=1e-5)
    assert answer.parameters["release_id"] == served.release_id


@pytest.mark.parametrize("binary", [False, True])
def test_grpc_recommends(served: Served, binary: bool) -> None:
    async def ask() -> Any:
        request = users("p1", k=4)
        if binary:
            request.inputs[0].set_data_from_numpy(np.array([b"p1"], dtype=np.object_), binary_data=True)
        async with InferenceGRPCClient(served.grpc) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready("recommender")
            return await client.infer(request)

    answer = asyncio.run(ask())
    by_name = {output.name: output.as_numpy() for output in answer.outputs}
    assert by_name["item_id"].shape == (1, 4)
    assert by_name["exposure_id"].tolist() == [b"exposure of p1"]


def test_v2_ranks_and_gives_the_outputs_asked_for(served: Served) -> None:
    body = {
        "inputs": [{"name": "item_id", "shape": [1, 3], "datatype": "BYTES", "data": [[*FILMS, "none"]]}],
        "outputs": [{"name": "known"}, {"name": "score"}],
    }
    answer = httpx.post(f"{served.url}/v2/models/ranker/infer", json=body).json()
    known, score = answer["outputs"]
    assert (known["name"], known["shape"], known["datatype"]) == ("known", [1, 3], "BOOL")
    assert known["data"] == [True, True, False]
    assert score["name"] == "score"
    assert score["data"][2] == 0.0


def test_grpc_says_what_is_wrong(served: Served) -> None:
    async def ask(request: InferRequest) -> str:
        async with InferenceGRPCClient(served.grpc) as client:
            with pytest.raises(Exception) as caught:  # noqa: PT011 (grpc.aio.AioRpcError, untyped)
                await client.infer(request)
        return f"{caught.value.code().name} {caught.value.details()}"  # type: ignore[attr-defined]

    assert asyncio.run(ask(users("p1", k=0))) == "INVALID_ARGUMENT parameters.k: 0 is below 1; send 1 to 100"
    assert asyncio.run(ask(users("test:overloaded"))).startswith("RESOURCE_EXHAUSTED server: 64 requests")
    assert asyncio.run(ask(users("test:draining"))).startswith("UNAVAILABLE")
    broken = asyncio.run(ask(users("test:broken")))
    assert broken.startswith("INTERNAL server: unexpected error")
    assert "secret" not in broken


def test_the_metadata_name_release_and_variant(served: Served) -> None:
    for url in (served.url, served.plain):
        answer = httpx.get(f"{url}/v2/models/recommender").json()
        assert answer["versions"] == [served.release_id]
        assert answer["platform"] == "slate_stable"
        assert answer["inputs"] == [{"name": "user_id", "datatype": "BYTES", "shape": [-1]}]


def test_probes_tell_the_truth(served: Served) -> None:
    probes = ["/v2/health/ready", "/v1/models/recommender", "/v2/models/ranker/ready"]
    predict = f"{served.url}/v1/models/recommender:predict"

    def statuses(url: str) -> list[int]:
        return [httpx.get(url + probe).status_code for probe in probes]

    async def grpc_ready() -> list[bool]:
        async with InferenceGRPCClient(served.grpc) as client:
            return [await client.is_server_ready(), await client.is_model_ready("recommender")]

    assert httpx.post(predict, json={"instances": [{"user_id": "test:lose"}]}).status_code == 200
    try:
        assert statuses(served.url) == statuses(served.plain) == [503, 503, 503]
        assert asyncio.run(grpc_ready()) == [False, False]
        assert httpx.get(f"{served.url}/v2/health/live").json() == {"live": True}
    finally:
        httpx.post(predict, json={"instances": [{"user_id": "test:regain"}]})
    assert statuses(served.url) == statuses(served.plain) == [200, 200, 200]
    assert asyncio.run(grpc_ready()) == [True, True]


def test_kserve_counts_as_it_does(served: Served) -> None:
    httpx.post(f"{served.url}/v1/models/recommender:predict", json={"instances": [{}]})
    text = httpx.get(f"{served.url}/metrics").text
    assert 'request_predict_seconds_count{model_name="recommender"}' in text
    assert 'request_preprocess_seconds_count{model_name="recommender"}' in text
