"""The Kubernetes API, as far as a training job needs it."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, Final

from slate.errors import ClusterError
from slate.steps.workers.job import NAME_LABEL, Own

_NAMESPACE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_KIND: Final = {"group": "kubeflow.org", "version": "v1", "plural": "tfjobs"}
_REQUEST_S: Final = 30
_MEANINGS: Final = {
    401: "the token of this pod is not valid",
    403: "this pod's service account may not; apply k8s/training, which holds its role",
    404: "not there; for a job this means that the cluster knows no TFJob: install Kubeflow's training "
    "operator 1.9 (docs/guides/multi-worker.md)",
}


class Cluster:
    """Jobs of one namespace.

    Args:
        client: a ``kubernetes.client.ApiClient``.
        pod: the pod in which this runs.

    Every method raises:
        ClusterError: the API refused, or does not answer.
    """

    def __init__(self, client: Any, namespace: str, pod: str) -> None:
        from kubernetes import client as api

        self._jobs, self._pods = api.CustomObjectsApi(client), api.CoreV1Api(client)
        self._namespace, self._pod = namespace, pod

    @classmethod
    def here(cls) -> "Cluster":
        """The cluster in whose pod this runs.

        Raises:
            ClusterError: it runs in none.
        """
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            config.load_incluster_config(settings)
            with open(_NAMESPACE, encoding="utf-8") as file:  # noqa: PTH123 - as the pod has it
                namespace = file.read().strip()
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                f"training on several workers: this process runs in no pod of a cluster ({error}); submit "
                "the pipeline with 'slate submit --pipeline distributed', or train here with 'slate run'"
            ) from error
        return cls(client.ApiClient(settings), namespace, os.environ.get("HOSTNAME", ""))

    def own(self) -> Own:
        """The image and the service account of the pod in which this runs."""
        with _readable(f"reading pod {self._pod}"):
            spec = self._pods.read_namespaced_pod(
                self._pod, self._namespace, _request_timeout=_REQUEST_S
            ).spec
        image = next(
            (each.image for each in spec.containers if each.name == "main"), spec.containers[0].image
        )
        return Own(image, spec.service_account_name)

    def create(self, job: dict[str, Any]) -> None:
        """Start a job."""
        with _readable(f"creating TFJob {job['metadata']['name']}"):
            self._jobs.create_namespaced_custom_object(
                **_KIND, namespace=self._namespace, body=job, _request_timeout=_REQUEST_S
            )

    def get(self, name: str) -> dict[str, Any] | None:
        """The job, None where there is none of this name."""
        from kubernetes.client import ApiException

        with _readable(f"reading TFJob {name}"):
            try:
                found: dict[str, Any] = self._jobs.get_namespaced_custom_object(
                    **_KIND, namespace=self._namespace, name=name, _request_timeout=_REQUEST_S
                )
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
        return found

    def delete(self, name: str) -> None:
        """Remove a job with its pods; one that is not there is as good."""
        from kubernetes.client import ApiException

        with _readable(f"deleting TFJob {name}"):
            try:
                self._jobs.delete_namespaced_custom_object(
                    **_KIND,
                    namespace=self._namespace,
                    name=name,
                    propagation_policy="Foreground",
                    _request_timeout=_REQUEST_S,
                )
            except ApiException as error:
                if error.status != 404:
                    raise

    def troubles(self, name: str) -> list[str]:
        """Why pods of the job do not run: those that wait for a node or an image."""
        found = []
        for pod in self._of(name):
            for condition in pod.status.conditions or ():
                if condition.type == "PodScheduled" and condition.status == "False":
                    found.append(f"{pod.metadata.name}: {condition.message}")
            for container in pod.status.container_statuses or ():
                if container.state.waiting and container.state.waiting.message:
                    found.append(f"{pod.metadata.name}: {container.state.waiting.message}")
        return found

    def last_words(self, name: str, lines: int = 20) -> str:
        """The end of the log of a pod of the job that failed, empty where none did."""
        failed = [pod.metadata.name for pod in self._of(name) if pod.status.phase == "Failed"]
        if not failed:
            return ""
        with _readable(f"reading the log of {failed[0]}"):
            log = self._pods.read_namespaced_pod_log(
                failed[0], self._namespace, tail_lines=lines, _request_timeout=_REQUEST_S
            )
        return f"{failed[0]}:\n{log}"

    def _of(self, name: str) -> Any:
        with _readable(f"listing the pods of {name}"):
            return self._pods.list_namespaced_pod(
                self._namespace, label_selector=f"{NAME_LABEL}={name}", _request_timeout=_REQUEST_S
            ).items


@contextlib.contextmanager
def _readable(doing: str) -> Iterator[None]:
    """Turn what the client raises into an error a person can act on."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        meaning = _MEANINGS.get(error.status, f"the API answered {error.status} {error.reason}")
        raise ClusterError(f"{doing}: {meaning}{_said(error)}") from error
    except HTTPError as error:
        raise ClusterError(f"{doing}: no answer from the Kubernetes API ({error})") from error


def _said(error: Any) -> str:
    """What the API said in its error body, if it is readable."""
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({message})"
