"""Names that stand in two places are the same in both: Terraform, manifests, images, configuration."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from components.image import PLACEHOLDER
from infra_checks.manifests import SECRETS
from infra_checks.pods import Pod, pods
from infra_checks.provider import resources_of
from infra_checks.render import K8S, named, of_kind
from infra_checks.terraform import load, text, values
from slate.config import FeedbackConfig, ServingConfig
from slate.release import layout
from slate.web.door import IDLE_SECONDS
from tests.infra.rendered import rendered

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
MODULES = TERRAFORM / "modules"
CLOUD = ("dev", "prod")


def given(name: str) -> dict[str, object]:
    return values(TERRAFORM / "environments" / name / "terraform.tfvars")


def workloads() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = load(MODULES / "identity").locals["workloads"]
    return found


def pod(documents: list[dict[str, object]], owner: str) -> Pod:
    return next(each for each in pods(documents) if each.owner == owner)


@pytest.mark.parametrize("name", CLOUD)
def test_service_accounts_act_as_the_identities_that_terraform_makes(name: str) -> None:
    accounts = {each["metadata"]["name"]: each for each in of_kind(rendered(name), "ServiceAccount")}
    ours = {f"slate-{key}" for key, each in workloads().items() if "serving" in str(each["namespace"])}
    assert set(accounts) == ours
    for account, document in accounts.items():
        email = document["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
        assert email == f"{account}@{given(name)['project']}.iam.gserviceaccount.com"
    assert f"slate-{'pipeline'}" not in accounts


def test_the_namespaces_are_those_that_identities_are_bound_to() -> None:
    default = load(MODULES / "identity").variables["namespaces"]["type"]
    assert re.search(r'serving\s*=\s*optional\(string, "slate"\)', default)
    assert named(rendered("prod"), "Namespace", "slate")


@pytest.mark.parametrize("name", CLOUD)
def test_the_store_is_the_bucket_that_terraform_makes(name: str) -> None:
    project = given(name)["project"]
    (bucket,) = (
        b for b in resources_of(load(MODULES / "storage"), "google_storage_bucket") if b.name == "releases"
    )
    made = bucket.body["name"].replace("${var.prefix}", str(project))
    assert load(MODULES / "slate").calls["storage"]["prefix"] == "${var.project}"
    store = named(rendered(name), "ConfigMap", "slate-settings")["data"]["store"]
    prefix = load(MODULES / "identity").variables["store_prefix"]["default"]
    assert store == f"gs://{made}/{prefix}"
    assert load(MODULES / "storage").outputs["store"]["value"].endswith(f"/{prefix}")


@pytest.mark.parametrize("name", CLOUD)
def test_images_come_from_the_registry_that_terraform_makes(name: str) -> None:
    repository = load(MODULES / "registry").variables["name"]["default"]
    address = f"{given(name)['region']}-docker.pkg.dev/{given(name)['project']}/{repository}/"
    for each in pods(rendered(name)):
        assert all(container["image"].startswith(address) for container in each.containers)


@pytest.mark.parametrize("name", CLOUD)
def test_signatures_are_asked_of_that_registry(name: str) -> None:
    (policy,) = of_kind(rendered(name), "ClusterImagePolicy")
    pattern = policy["spec"]["images"][0]["glob"].replace("**", "*")
    for each in pods(rendered(name)):
        for container in each.containers:
            assert Path(container["image"].partition("@")[0]).match(pattern)


@pytest.mark.parametrize("name", CLOUD)
def test_the_host_is_the_one_that_is_watched(name: str) -> None:
    (gateway,) = of_kind(rendered(name), "Gateway")
    assert gateway["spec"]["listeners"][0]["hostname"] == given(name)["host"]


def test_identities_write_where_the_library_writes() -> None:
    folders = {folder for each in workloads().values() for folder in (*each["adds"], *each["writes"])}  # type: ignore[misc]
    assert {layout.RELEASES, layout.CHANNELS, layout.ROLLOUTS} <= {f"{folder}/" for folder in folders}
    assert workloads()["pipeline"]["adds"] == ["releases"]
    assert not any("releases" in str(each["writes"]) for each in workloads().values())


def test_pods_choose_pools_that_exist() -> None:
    for name in CLOUD:
        pools = given(name)["pools"]
        assert isinstance(pools, dict)
        for each in pods(rendered(name)):
            pool = each.spec.get("nodeSelector", {}).get("slate.dev/pool")
            if pool is not None:
                assert pool in pools
                tolerated = {t["value"] for t in each.spec["tolerations"] if t.get("key") == "slate.dev/pool"}
                assert (pool in tolerated) or not pools[pool].get("tainted")
    label = text([r.body for r in resources_of(load(MODULES / "gke"), "google_container_node_pool")])
    assert "slate.dev/pool" in label


def test_policies_name_the_addresses_of_the_network() -> None:
    ranges = dict(
        re.findall(
            r'(\w+)\s*=\s*optional\(string, "([^"]+)"\)',
            load(MODULES / "network").variables["ranges"]["type"],
        )
    )
    documents = rendered("prod")
    for policy, name in (("to-valkey", "nodes"), ("rollout-to-kubernetes", "masters")):
        (hole,) = named(documents, "NetworkPolicy", policy)["spec"]["egress"]
        assert hole["to"] == [{"ipBlock": {"cidr": ranges[name]}}]


def test_namespaces_of_the_charts_are_those_that_policies_let_in() -> None:
    charts = {r.name: r.body["namespace"] for r in resources_of(load(MODULES / "platform"), "helm_release")}
    documents = rendered("prod")
    for policy, chart in (("gateway-to-serving", "envoy_gateway"), ("metrics", "prometheus")):
        (hole,) = named(documents, "NetworkPolicy", policy)["spec"]["ingress"]
        labels = hole["from"][0]["namespaceSelector"]["matchLabels"]
        assert labels == {"kubernetes.io/metadata.name": charts[chart]}


def test_prometheus_is_asked_where_its_chart_is() -> None:
    charts = {r.name: r.body["namespace"] for r in resources_of(load(MODULES / "platform"), "helm_release")}
    for service in of_kind(rendered("prod"), "InferenceService"):
        metric = service["spec"]["predictor"]["autoScaling"]["metrics"][1]["external"]["metric"]
        assert metric["serverAddress"] == f"http://prometheus-operated.{charts['prometheus']}.svc:9090"


def test_the_gateway_ends_idle_connections_before_the_servers_do() -> None:
    policy = named(rendered("prod"), "BackendTrafficPolicy", "slate")
    assert float(policy["spec"]["timeout"]["http"]["connectionIdleTimeout"].removesuffix("s")) < IDLE_SECONDS


def test_ports_are_those_of_the_servers() -> None:
    documents = rendered("prod")
    serving = pod(documents, "InferenceService recommender-stable").containers[0]
    events = pod(documents, "Deployment slate-events").containers[0]
    assert [port["containerPort"] for port in serving["ports"]] == [ServingConfig().http_port]
    assert [port["containerPort"] for port in events["ports"]] == [FeedbackConfig().port]
    for policy, port in (
        ("gateway-to-serving", ServingConfig().http_port),
        ("gateway-to-events", FeedbackConfig().port),
    ):
        (hole,) = named(documents, "NetworkPolicy", policy)["spec"]["ingress"]
        assert [each["port"] for each in hole["ports"]] == [port]
    exposed = re.search(r"^EXPOSE (.+)$", (ROOT / "serving" / "Containerfile").read_text(), re.MULTILINE)
    assert exposed is not None
    assert str(ServingConfig().http_port) in exposed[1].split()


@pytest.mark.parametrize("containerfile", ["serving", "pipelines"])
def test_pods_run_as_the_user_of_their_image(containerfile: str) -> None:
    user = re.search(
        r"^USER (\d+):(\d+)$", (ROOT / containerfile / "Containerfile").read_text(), re.MULTILINE
    )
    assert user is not None
    for each in pods(rendered("prod")):
        for container in each.containers:
            assert str(container["securityContext"]["runAsUser"]) == user[1], each.owner
        assert str(each.spec["securityContext"]["fsGroup"]) == user[2]


def test_the_server_writes_only_where_volumes_are() -> None:
    entry = re.search(r"^ENTRYPOINT (.+)$", (ROOT / "serving" / "Containerfile").read_text(), re.MULTILINE)
    assert entry is not None
    serving = pod(rendered("prod"), "InferenceService recommender-stable").containers[0]
    mounts = {mount["mountPath"] for mount in serving["volumeMounts"] if not mount.get("readOnly")}
    written = {Path(path).parent for path in re.findall(r'"(/[\w./]+)"', entry[1])}
    assert {str(path) for path in written} <= mounts


def test_variants_are_those_that_the_server_knows() -> None:
    services = of_kind(rendered("prod"), "InferenceService")
    # Importing the server would load TensorFlow.
    source = (ROOT / "serving" / "run.py").read_text()
    shadow = re.search(r'^SHADOW: Final = "(\w+)"$', source, re.MULTILINE)
    known = re.search(r"^VARIANTS: Final = \((.+), SHADOW\)$", source, re.MULTILINE)
    assert shadow is not None
    assert known is not None
    variants = {each["metadata"]["labels"]["slate.dev/variant"] for each in services}
    assert variants == {*re.findall(r'"(\w+)"', known[1]), shadow[1]}


def test_arguments_of_the_server_exist() -> None:
    source = (ROOT / "serving" / "__main__.py").read_text()
    for name in ("prod", "pinned-release"):
        for each in pods(rendered(name)):
            for argument in each.containers[0].get("args", []):
                assert f'"{argument.partition("=")[0]}"' in source, argument


def test_commands_exist() -> None:
    from slate.cli.main import app

    known = get_command(app)
    assert "events" in known.commands  # type: ignore[attr-defined]
    for each in pods(rendered("prod")):
        command = [word for word in each.containers[0].get("command", []) if not word.startswith("-")]
        if not command:
            continue
        words = command[1:] if command[0] == "slate" else command[2:]
        group = known.commands.get(words[0])  # type: ignore[attr-defined]
        if group is None or not hasattr(group, "commands"):
            continue  # comes with a later part
        assert words[1] in group.commands, " ".join(words)


def test_secrets_are_those_that_terraform_keeps_a_place_for() -> None:
    (made,) = resources_of(load(MODULES / "identity"), "google_secret_manager_secret")
    assert {"slate-signing-keys", "slate-api-keys"} <= SECRETS
    for name in ("slate-signing-keys", "slate-api-keys", "slate-redis-url"):
        assert name in str(made.body["for_each"])


def test_the_placeholders_are_of_one_kind() -> None:
    registry = PLACEHOLDER.partition("/")[0]
    for path in [*(K8S / "base").rglob("*.yaml"), *(K8S / "options").rglob("*.yaml")]:
        for image in re.findall(r"image: (\S+)", path.read_text()):
            assert image.startswith(f"{registry}/"), path


def test_the_configuration_of_the_base_is_the_projects_own() -> None:
    mounted = (K8S / "base" / "slate.yaml").read_text()
    assert mounted == (ROOT / "conf" / "movielens.yaml").read_text()
