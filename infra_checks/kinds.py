"""The custom resources that we use, as far as we use them. What is not named here is refused.

Kubernetes ships no schemas of these. The published ones are far larger; a field that is added to a manifest
is added here too, after a look at its documentation.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Port = Annotated[int, Field(ge=1, le=65_535)]
Duration = Annotated[str, Field(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
Pairs = dict[str, str]


class Strict(BaseModel):
    """Unknown fields are refused, and 1 is not "1"."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=False)


class Metadata(Strict):
    name: str
    namespace: str | None = None
    labels: Pairs = {}
    annotations: Pairs = {}


class Resource(Strict):
    api_version: str
    kind: str
    metadata: Metadata


# ------------------------------------------------------------------ KServe


class ModelFormat(Strict):
    name: str
    version: str | None = None
    auto_select: bool = False


class RuntimeSpec(Strict):
    # Containers and volumes are Kubernetes' own: they are checked as the pods that they become.
    containers: Annotated[list[dict[str, Any]], Field(min_length=1)]
    volumes: list[dict[str, Any]] = []
    supported_model_formats: list[ModelFormat]
    multi_model: bool
    protocol_versions: list[Literal["v1", "v2"]]


class ServingRuntime(Resource):
    api_version: Literal["serving.kserve.io/v1alpha1"]
    spec: RuntimeSpec


class Model(Strict):
    model_format: ModelFormat
    runtime: str
    protocol_version: Literal["v1", "v2"]
    args: list[str]
    storage_uri: str | None = None


class MetricTarget(Strict):
    type: Literal["Utilization"]
    average_utilization: Annotated[int, Field(ge=1, le=100)]


class MetricResource(Strict):
    name: Literal["cpu", "memory"]
    target: MetricTarget


class ResourceMetric(Strict):
    type: Literal["Resource"]
    resource: MetricResource


class ExternalTarget(Strict):
    # KServe reads `value` and no other field; KEDA takes it as the average of a replica.
    type: Literal["Value"]
    value: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]


class ExternalQuery(Strict):
    backend: Literal["prometheus"]
    server_address: Annotated[str, Field(pattern=r"^http://")]
    query: str


class MetricExternal(Strict):
    metric: ExternalQuery
    target: ExternalTarget


class ExternalMetric(Strict):
    type: Literal["External"]
    external: MetricExternal


class Scaling(Strict):
    stabilization_window_seconds: Annotated[int, Field(ge=0)]


class Behaviour(Strict):
    scale_up: Scaling
    scale_down: Scaling


class AutoScaling(Strict):
    metrics: list[Annotated[ResourceMetric | ExternalMetric, Field(discriminator="type")]]
    behavior: Behaviour


class Predictor(Strict):
    model: Model
    min_replicas: Annotated[int, Field(ge=1)]
    max_replicas: Annotated[int, Field(ge=1)]
    service_account_name: str
    automount_service_account_token: Literal[False]
    labels: Pairs
    security_context: dict[str, Any]
    topology_spread_constraints: list[dict[str, Any]]
    termination_grace_period_seconds: int | None = None
    deployment_strategy: dict[str, Any] | None = None
    auto_scaling: AutoScaling | None = None
    canary_traffic_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    node_selector: Pairs | None = None
    tolerations: list[Pairs] | None = None


class InferenceServiceSpec(Strict):
    predictor: Predictor


class InferenceService(Resource):
    api_version: Literal["serving.kserve.io/v1beta1"]
    spec: InferenceServiceSpec


# ------------------------------------------------------------------ Gateway API


class GatewayClassSpec(Strict):
    controller_name: str


class GatewayClass(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: GatewayClassSpec


class CertificateRef(Strict):
    kind: Literal["Secret"]
    name: str


class Tls(Strict):
    mode: Literal["Terminate"]
    certificate_refs: list[CertificateRef]


class FromNamespaces(Strict):
    # `from` is Python's word too.
    from_: Literal["Same"] = Field(alias="from")


class AllowedRoutes(Strict):
    namespaces: FromNamespaces


class Listener(Strict):
    name: str
    protocol: Literal["HTTP", "HTTPS"]
    port: Port
    hostname: str | None = None
    tls: Tls | None = None
    allowed_routes: AllowedRoutes


class GatewaySpec(Strict):
    gateway_class_name: str
    listeners: list[Listener]


class Gateway(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: GatewaySpec


class PathMatch(Strict):
    type: Literal["PathPrefix", "Exact"]
    value: Annotated[str, Field(pattern="^/")]


class HeaderMatch(Strict):
    type: Literal["Exact"]
    name: str
    value: str


class Match(Strict):
    path: PathMatch
    headers: list[HeaderMatch] = []


class Backend(Strict):
    name: str
    port: Port


class Mirror(Strict):
    backend_ref: Backend
    percent: Annotated[int, Field(ge=0, le=100)]


class Filter(Strict):
    type: Literal["RequestMirror"]
    request_mirror: Mirror


class Rule(Strict):
    name: str
    matches: list[Match]
    filters: list[Filter] = []
    backend_refs: list[Backend]


class Parent(Strict):
    name: str


class RouteSpec(Strict):
    parent_refs: list[Parent]
    rules: list[Rule]


class HTTPRoute(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: RouteSpec


# ------------------------------------------------------------------ Envoy Gateway


class Target(Strict):
    group: Literal["gateway.networking.k8s.io"]
    kind: Literal["Gateway", "HTTPRoute"]
    name: str


class ValueRef(Strict):
    group: Literal[""]
    kind: Literal["ConfigMap"]
    name: str


class Assignment(Strict):
    """What the Lua of the gateway reads (k8s/base/gateway/assign.lua)."""

    salt: str
    threshold: Annotated[int, Field(ge=0, le=10_000)]
    step: str


class Lua(Strict):
    type: Literal["ValueRef"]
    value_ref: ValueRef
    filter_context: Assignment


class ExtensionSpec(Strict):
    target_refs: list[Target]
    lua: list[Lua]


class EnvoyExtensionPolicy(Resource):
    api_version: Literal["gateway.envoyproxy.io/v1alpha1"]
    spec: ExtensionSpec


class EarlyHeaders(Strict):
    remove: list[str]


class ClientHeaders(Strict):
    early_request_headers: EarlyHeaders


class ClientPath(Strict):
    escaped_slashes_action: Literal["RejectRequest"]
    disable_merge_slashes: bool


class ClientHttpTimeout(Strict):
    request_received_timeout: Duration


class ClientTimeout(Strict):
    http: ClientHttpTimeout


class ClientConnection(Strict):
    buffer_limit: str


class ClientSpec(Strict):
    target_refs: list[Target]
    headers: ClientHeaders
    path: ClientPath
    timeout: ClientTimeout
    connection: ClientConnection


class ClientTrafficPolicy(Resource):
    api_version: Literal["gateway.envoyproxy.io/v1alpha1"]
    spec: ClientSpec


class TcpTimeout(Strict):
    connect_timeout: Duration


class HttpTimeout(Strict):
    request_timeout: Duration
    connection_idle_timeout: Duration


class BackendTimeout(Strict):
    tcp: TcpTimeout
    http: HttpTimeout


class CircuitBreaker(Strict):
    max_connections: int
    max_pending_requests: int
    max_parallel_requests: int
    max_parallel_retries: int


class PassiveHealthCheck(Strict):
    interval: Duration
    consecutive_5xx_errors: Annotated[int, Field(ge=1, alias="consecutive5XxErrors")]
    base_ejection_time: Duration
    max_ejection_percent: Annotated[int, Field(ge=0, le=100)]


class HealthCheck(Strict):
    passive: PassiveHealthCheck


class BackendSpec(Strict):
    target_refs: list[Target]
    timeout: BackendTimeout
    circuit_breaker: CircuitBreaker
    health_check: HealthCheck


class BackendTrafficPolicy(Resource):
    api_version: Literal["gateway.envoyproxy.io/v1alpha1"]
    spec: BackendSpec


# ------------------------------------------------------------------ Prometheus


class Selector(Strict):
    match_labels: Pairs


class Endpoint(Strict):
    port_number: Port
    path: str
    interval: Duration


class Namespaces(Strict):
    match_names: list[str]


class PodMonitorSpec(Strict):
    namespace_selector: Namespaces | None = None
    selector: Selector
    pod_metrics_endpoints: list[Endpoint]
    pod_target_labels: list[str] = []


class PodMonitor(Resource):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: PodMonitorSpec


class PrometheusAlert(Strict):
    expr: str
    record: str | None = None
    alert: str | None = None
    # `for` is Python's word too.
    for_: Duration | None = Field(default=None, alias="for")
    labels: Pairs = {}
    annotations: Pairs = {}


class Group(Strict):
    name: str
    interval: Duration | None = None
    rules: list[PrometheusAlert]


class RulesSpec(Strict):
    groups: list[Group]


class PrometheusRule(Resource):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: RulesSpec


# ------------------------------------------------------------------ Kubeflow's training operator


class RunPolicy(Strict):
    clean_pod_policy: Literal["Running"]
    backoff_limit: Annotated[int, Field(ge=0)]
    active_deadline_seconds: Annotated[int, Field(ge=1)]
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)]


class Replicas(Strict):
    replicas: Annotated[int, Field(ge=2)]
    restart_policy: Literal["OnFailure"]
    # A pod's template is Kubernetes' own: it is checked as the pod that it becomes.
    template: dict[str, Any]


class ReplicaSpecs(Strict):
    # The operator's names of kinds of replicas begin with capitals.
    workers: Replicas = Field(alias="Worker")


class TFJobSpec(Strict):
    run_policy: RunPolicy
    tf_replica_specs: ReplicaSpecs


class TFJob(Resource):
    api_version: Literal["kubeflow.org/v1"]
    spec: TFJobSpec


# ------------------------------------------------------------------ sigstore


class Glob(Strict):
    glob: str


class Identity(Strict):
    issuer: str
    subject: str


class Keyless(Strict):
    url: str
    identities: Annotated[list[Identity], Field(min_length=1)]


class Log(Strict):
    url: str


class Authority(Strict):
    name: str
    keyless: Keyless
    ctlog: Log


class ImagePolicySpec(Strict):
    mode: Literal["enforce"]
    images: list[Glob]
    authorities: Annotated[list[Authority], Field(min_length=1)]


class ClusterImagePolicy(Resource):
    api_version: Literal["policy.sigstore.dev/v1beta1"]
    spec: ImagePolicySpec


KINDS: Final[dict[str, type[Resource]]] = {
    kind.__name__: kind
    for kind in (
        BackendTrafficPolicy,
        ClientTrafficPolicy,
        ClusterImagePolicy,
        EnvoyExtensionPolicy,
        Gateway,
        GatewayClass,
        HTTPRoute,
        InferenceService,
        PodMonitor,
        PrometheusRule,
        ServingRuntime,
        TFJob,
    )
}
