"""Training on several workers: the job as the launcher makes it, and what it may ask of the cluster."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra_checks import manifests, schemas
from infra_checks.pods import pods
from infra_checks.render import K8S, Document, named, of_kind, render
from infra_checks.terraform import load, values
from slate.config import WorkersConfig
from slate.steps.workers.job import PORT, Own, tfjob

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
IMAGE = "europe-west1-docker.pkg.dev/slate-example-dev/slate/slate-pipeline@sha256:" + "ab" * 32
ADDRESS = "gs://slate-example-dev-artefacts/checkpoints/exchange/slate-towers-0123456789abcdef"
SIZES = {"cpu": WorkersConfig(), "gpu": WorkersConfig(count=4, gpus=1, pool="gpu")}
# Of the rules for what serves: a job has no budget, no route and no namespace of its own to close.
RULES = (
    manifests.images,
    manifests.restricted,
    manifests.resources,
    manifests.secrets,
    manifests.training,
)


def job(workers: WorkersConfig) -> Document:
    return tfjob("slate-towers-0123456789abcdef", Own(IMAGE, "slate-pipeline"), workers, ADDRESS)


def problems(documents: list[Document]) -> list[str]:
    return schemas.problems(documents) + [problem for rule in RULES for problem in rule(documents)]


@pytest.mark.parametrize("size", SIZES)
def test_the_job_is_accepted_and_breaks_no_rule(size: str) -> None:
    assert problems([job(SIZES[size])]) == []


def template(document: Document) -> Any:
    return document["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]


MISTAKES: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a container of another name": (
        lambda d: template(d)["containers"][0].update(name="worker"),
        "TF_CONFIG reaches the container tensorflow alone",
    ),
    "a token": (
        lambda d: template(d).update(automountServiceAccountToken=True),
        "automountServiceAccountToken is not false",
    ),
    "the servers' nodes": (lambda d: template(d).pop("nodeSelector"), "names no pool"),
    "a tag": (lambda d: template(d)["containers"][0].update(image="r/slate:1"), "has no digest"),
    "a worker alone": (
        lambda d: d["spec"]["tfReplicaSpecs"]["Worker"].update(replicas=1),
        "greater than or equal to 2",
    ),
    "a misspelt policy": (
        lambda d: d["spec"]["runPolicy"].update(cleanPodPolicies="All"),
        "Extra inputs are not permitted",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_job_is_found(name: str) -> None:
    mistake, words = MISTAKES[name]
    document = job(WorkersConfig())
    mistake(document)
    found = problems([document])
    assert any(words in problem for problem in found), found


def test_workers_take_the_pool_they_are_given_and_its_gpus() -> None:
    spec = template(job(SIZES["gpu"]))
    assert spec["nodeSelector"] == {"slate.dev/pool": "gpu"}
    assert {each["key"] for each in spec["tolerations"]} == {"slate.dev/pool", "nvidia.com/gpu"}
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in template(job(SIZES["cpu"]))["containers"][0]["resources"]["limits"]
    pools = values(TERRAFORM / "environments" / "prod" / "terraform.tfvars")["pools"]
    assert pools["gpu"]["gpu"]["count"] == 1
    for name in ("dev", "prod"):
        pools = values(TERRAFORM / "environments" / name / "terraform.tfvars")["pools"]
        assert pools[WorkersConfig().pool]["tainted"]


def test_a_worker_fits_on_a_node_of_its_pool() -> None:
    """Of an n2-standard-8, 8 cores and 32 GiB, the system takes some."""
    for name in ("dev", "prod"):
        machine = values(TERRAFORM / "environments" / name / "terraform.tfvars")["pools"]["training"]
        cores = int(machine["machine_type"].rpartition("-")[2])
        assert WorkersConfig().cpu <= cores - 1
        assert int(WorkersConfig().memory.removesuffix("Gi")) <= 4 * cores - 4


def test_the_command_exists_and_the_user_is_the_images() -> None:
    from typer.main import get_command

    from slate.cli.main import app

    (pod,) = pods([job(WorkersConfig())])
    (container,) = pod.containers
    command = get_command(app).commands[container["command"][1]]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in container["command"][2:]} <= options
    assert container["ports"] == [{"name": "tfjob-port", "containerPort": PORT}]
    user = re.search(r"^USER (\d+):", (ROOT / "pipelines" / "Containerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert str(container["securityContext"]["runAsUser"]) == user[1]


def test_the_launcher_may_do_what_it_does_and_no_more() -> None:
    documents = render(K8S / "training")
    assert schemas.problems(documents) == []
    assert {document["metadata"]["namespace"] for document in documents} == {"kubeflow"}
    rules = {
        resource: set(rule["verbs"])
        for rule in named(documents, "Role", "slate-training")["rules"]
        for resource in rule["resources"]
    }
    source = (ROOT / "slate" / "steps" / "workers" / "cluster.py").read_text()
    calls = {
        "tfjobs": {
            verb for verb in ("create", "get", "delete", "patch") if f"{verb}_namespaced_custom" in source
        },
        "pods": {"get" for _ in re.findall(r"read_namespaced_pod\(", source)}
        | {"list" for _ in re.findall(r"list_namespaced_pod\(", source)},
        "pods/log": {"get" for _ in re.findall(r"read_namespaced_pod_log\(", source)},
    }
    assert rules == calls


def test_the_account_is_the_identity_that_terraform_makes() -> None:
    documents = render(K8S / "training")
    (account,) = of_kind(documents, "ServiceAccount")
    workloads = load(TERRAFORM / "modules" / "identity").locals["workloads"]
    assert account["metadata"]["name"] == "slate-pipeline"
    assert "pipelines" in str(workloads["pipeline"]["namespace"])
    namespaces = load(TERRAFORM / "modules" / "identity").variables["namespaces"]["type"]
    assert re.search(r'pipelines\s*=\s*optional\(string, "kubeflow"\)', namespaces)
    for binding in of_kind(documents, "RoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == ["slate-pipeline"]
