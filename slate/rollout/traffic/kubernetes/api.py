"""The few calls of the Kubernetes API that a rollout needs."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from slate.errors import ConfigError, GatewayError
from slate.rollout.traffic.kubernetes.moves import Document, Patch
from slate.rollout.traffic.kubernetes.names import PORT, Kind, variant_selector

T = TypeVar("T")

#: Real seconds: to connect, and for an answer.
_TIMEOUT: Final = (2.0, 5.0)


class Pod(NamedTuple):
    """A pod that is ready, and where its server listens."""

    name: str
    address: str
    port: int


class Api:
    """A namespace of a cluster, as a service account or a kubeconfig reaches it.

    It is connected with the first call, so that moves can be printed without a cluster.

    Args:
        client: a ``kubernetes.client.ApiClient``; by default that of the pod's service account, or of the
            kubeconfig where there is none.

    Every method raises GatewayError where the API refuses or cannot be reached.
    """

    def __init__(self, namespace: str, client: Any = None) -> None:
        self._namespace = namespace
        self._client = client

    def get(self, kind: Kind) -> Document:
        """The object of a kind that a rollout moves."""
        found: Document = self._called(kind, "GET", None)
        return found

    def patch(self, kind: Kind, patch: Patch) -> None:
        """Change it by a JSON patch."""
        self._called(kind, "PATCH", patch)

    def _called(self, kind: Kind, method: str, body: Patch | None) -> Any:
        # The client's own call for custom objects sends every patch as a merge patch.
        def call() -> Any:
            return self._connected().call_api(
                f"/apis/{kind.group}/{kind.version}/namespaces/{self._namespace}/{kind.plural}/{kind.name}",
                method,
                header_params={"Accept": "application/json", "Content-Type": "application/json-patch+json"},
                body=body,
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )

        return self._asked(f"{kind.plural}/{kind.name}", call)

    def ready_pods(self, variant: str) -> Sequence[Pod]:
        """The pods of a variant that are ready."""
        from kubernetes.client import CoreV1Api

        def call() -> Sequence[Any]:
            found: Sequence[Any] = (
                CoreV1Api(self._connected())
                .list_namespaced_pod(
                    self._namespace, label_selector=variant_selector(variant), _request_timeout=_TIMEOUT
                )
                .items
            )
            return found

        return [_pod(each) for each in self._asked(f"pods of {variant}", call) if _is_ready(each)]

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _connect()
        return self._client

    def _asked(self, what: str, call: Callable[[], T]) -> T:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        where = f"Kubernetes, {what} in {self._namespace}"
        try:
            return call()
        except ApiException as error:
            raise GatewayError(
                f"{where}: {error.status} {error.reason}; see the Role slate-rollout and the overlay"
            ) from error
        except HTTPError as error:
            raise GatewayError(f"{where}: the API does not answer ({error})") from error


def _connect() -> Any:
    try:
        from kubernetes import config
        from kubernetes.client import ApiClient
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"rollout.gateway.driver kubernetes needs {error.name}; install slate-recommender with the extra "
            "[pipelines]"
        ) from error
    try:
        config.load_incluster_config()
    except config.ConfigException:
        try:
            config.load_kube_config()
        except config.ConfigException as error:
            raise GatewayError(f"no cluster: {error}; set KUBECONFIG, or run inside one") from error
    client = ApiClient()
    # The next tick tries again: waiting here would keep a failing candidate where it is.
    client.configuration.retries = False
    return client


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    leaving = pod.metadata.deletion_timestamp is not None
    return not leaving and any(each.type == "Ready" and each.status == "True" for each in conditions)


def _pod(pod: Any) -> Pod:
    ports = [port.container_port for each in pod.spec.containers for port in each.ports or []]
    return Pod(pod.metadata.name, pod.status.pod_ip, ports[0] if ports else PORT)
