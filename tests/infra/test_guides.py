"""The commands of the guides, as far as they can be carried out without a cluster."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from typer.main import get_command

from infra_checks import manifests, schemas
from infra_checks.render import K8S, Document, named
from infra_checks.terraform import load, values
from slate.cli.main import app
from tests.infra.rendered import rendered

ROOT = Path(__file__).parents[2]
WALK = ROOT / "docs" / "guides" / "kubectl-walk-through.md"
GUIDES = (WALK, *(ROOT / "docs" / "guides" / name for name in ("deploy-on-gke.md", "multi-worker.md")))
ROLLOUTS = ROOT / "docs" / "guides" / "rollouts.md"
KINDS = {
    "inferenceservice": "InferenceService",
    "httproute": "HTTPRoute",
    "envoyextensionpolicy": "EnvoyExtensionPolicy",
    "configmap": "ConfigMap",
    "deploy": "Deployment",
}


def commands(guide: Path, program: str) -> list[list[str]]:
    blocks = re.findall(r"^```\n(.*?)^```$", guide.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    inline = re.findall(rf"`({program} [^`]+)`", guide.read_text())
    found = [
        shlex.split(line.removesuffix(" &")) for line in [*lines, *inline] if line.startswith(f"{program} ")
    ]
    assert found
    return found


def patched(document: Document, operation: dict[str, Any]) -> None:
    """One JSON Patch `replace`, which needs what it replaces."""
    *steps, last = operation["path"].strip("/").split("/")
    place: Any = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    assert operation["op"] == "replace"
    assert last in place
    place[last] = operation["value"]


def test_every_patch_of_the_walk_through_fits_what_is_deployed() -> None:
    documents = rendered("dev")
    thresholds = []
    for words in commands(WALK, "kubectl"):
        if "patch" not in words:
            continue
        kind, name = words[words.index("patch") + 1 :][:2]
        document = named(documents, KINDS[kind], name)
        for operation in json.loads(words[words.index("-p") + 1]):
            patched(document, operation)
        assert schemas.problems(documents) + manifests.problems(documents) == []
        if kind == "envoyextensionpolicy":
            thresholds.append(document["spec"]["lua"][0]["filterContext"]["threshold"])
    assert thresholds == [0, 500, 2500, 0, 0]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_what_kubectl_is_asked_about_exists(guide: Path) -> None:
    documents = rendered("dev")
    for words in commands(guide, "kubectl"):
        for word in words:
            kind, _, name = word.partition("/")
            if kind in KINDS and name:
                assert named(documents, KINDS[kind], name)
        if "apply" in words and "k8s" in words[-1]:
            assert (ROOT / words[-1] / "kustomization.yaml").exists()


@pytest.mark.parametrize("guide", [*GUIDES, ROLLOUTS], ids=lambda guide: guide.stem)
def test_the_commands_of_slate_are_understood(guide: Path) -> None:
    for words in commands(guide, "slate"):
        command: Any = get_command(app)
        rest = words[1:]
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            if rest[0] not in command.commands:
                break  # comes with a later part
            command, rest = command.commands[rest[0]], rest[1:]
            if not rest:
                break
        else:
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in rest if word.startswith("--")} <= known | {"--help"}, words


def test_the_guide_names_what_the_environment_names() -> None:
    text = GUIDES[1].read_text()
    folder = ROOT / "terraform" / "environments" / "dev"
    given = values(folder / "terraform.tfvars")
    assert f"gs://{values(folder / 'backend.hcl')['bucket']}" in text
    for value in (given["location"], f"gs://{given['project']}-releases/slate", f"https://{given['host']}/"):
        assert value in text
    for secret in manifests.SECRETS - {"slate-gateway-tls"}:
        assert f"create secret generic {secret} " in text
    for config in manifests.CONFIG_BY_HAND:
        assert f"create configmap {config} " in text
    assert set(re.findall(r"terraform output (?:-json )?(\w+)", text)) <= set(load(folder).outputs)
    assert (K8S / "overlays" / "dev").is_dir()
