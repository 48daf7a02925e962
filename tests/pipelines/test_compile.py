"""The compiled pipeline: golden, with every promise of resources, retries and caching in it."""

from typing import Any

import pytest
import yaml

from components.image import PLACEHOLDER
from pipelines.compile import GOLDEN, PIPELINES, compiled, golden
from pipelines.local import step_names
from pipelines.training import training
from slate.errors import ConfigError

IMAGE = "europe-docker.pkg.dev/project/slate/pipeline@sha256:" + "0123456789abcdef" * 4
UNCACHED = {
    "open-run",
    "drift",
    "gate",
    "track",
    "push-release",
    "register-release",
    "start-rollout",
    "record-outcome",
}


def tasks(spec: dict[str, Any]) -> dict[str, Any]:
    """Every task that runs a container, by name."""
    found: dict[str, Any] = {}
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    for dag in dags:
        for name, task in dag["tasks"].items():
            if "dag" not in spec["components"][task["componentRef"]["name"]]:
                found[name] = task
    return found


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(compiled("training", IMAGE))
    return loaded


@pytest.mark.parametrize("name", PIPELINES)
def test_the_golden_copy_is_what_compiles_byte_for_byte(name: str) -> None:
    assert golden(name) == (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"), "run `make golden`"


def test_every_executor_has_the_named_image_and_its_resources(spec: dict[str, Any]) -> None:
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == len(step_names(training))
    for executor in executors.values():
        assert executor["container"]["image"] == IMAGE
        assert set(executor["container"]["resources"]) >= {
            "resourceCpuRequest",
            "resourceCpuLimit",
            "resourceMemoryRequest",
            "resourceMemoryLimit",
        }


def test_expensive_steps_are_cached_and_deciding_ones_are_not(spec: dict[str, Any]) -> None:
    cached = {name for name, task in tasks(spec).items() if task["cachingOptions"].get("enableCache")}
    assert cached == set(tasks(spec)) - UNCACHED
    assert len(cached) == 8


def test_every_step_is_tried_again_with_growing_waits(spec: dict[str, Any]) -> None:
    for task in tasks(spec).values():
        assert task["retryPolicy"]["maxRetryCount"] >= 1
        assert task["retryPolicy"]["backoffFactor"] == 2.0


def test_a_cluster_meets_the_same_conditions_and_exit_handler(spec: dict[str, Any]) -> None:
    conditions = {
        task["taskInfo"]["name"]: task["triggerPolicy"]["condition"]
        for component in spec["components"].values()
        for task in component.get("dag", {}).get("tasks", {}).values()
        if "triggerPolicy" in task
    }
    assert conditions["passed"].endswith("== 'passed'")
    assert conditions["asked"].endswith("== true")
    last = spec["root"]["dag"]["tasks"]["record-outcome"]
    assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


def test_the_kfp_backend_can_read_it(spec: dict[str, Any]) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert message.pipeline_info.name == "training"
    assert message.sdk_version.startswith("kfp-")


def test_without_caching_no_step_is_cached() -> None:
    spec = yaml.safe_load(compiled("training", IMAGE, caching=False))
    assert not [name for name, task in tasks(spec).items() if task["cachingOptions"]]


@pytest.mark.parametrize(
    "image",
    ["slate:latest", "registry.io/slate", "slate@sha256:abc", PLACEHOLDER, "a b@sha256:" + "0" * 64, ""],
)
def test_an_image_that_is_not_pinned_is_refused(image: str) -> None:
    with pytest.raises(ConfigError, match="@sha256"):
        compiled("training", image)


def test_an_unknown_pipeline_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'trainning': unknown; there is training"):
        compiled("trainning")
