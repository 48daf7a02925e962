"""Upload a pipeline to Kubeflow Pipelines, and start or schedule runs of it."""

import contextlib
import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import kfp
import kfp_server_api
import urllib3

from pipelines.cron import six_fields
from slate.errors import ClusterError, ConfigError

_PAGE: Final = 100
_MEANINGS: Final = {
    400: "the server refused the request",
    401: "not signed in; pass a valid token with --token-env NAME",
    403: "signed in, but not allowed; ask for access to this namespace, or name another with --namespace",
    404: "not found; check --host, which is the address of the Pipelines API, not of the dashboard",
    409: "a thing of this name exists already; choose another name",
}


@dataclass(frozen=True)
class Submission:
    """What was created on the cluster."""

    pipeline_id: str
    version_id: str
    version: str
    experiment_id: str
    run_id: str
    url: str


class Cluster:
    """One Kubeflow Pipelines server.

    Args:
        host: its address, for example ``http://localhost:8888``.
        namespace: the profile to work in; needed where the server has several users, and only there.
        token: a bearer token.

    Raises:
        ClusterError: it does not answer, or not to us.
        ConfigError: it has several users and no namespace is named.
    """

    def __init__(self, host: str, namespace: str | None = None, token: str | None = None) -> None:
        self.host = (host if "://" in host else f"https://{host}").rstrip("/")
        self.namespace = namespace
        with self._readable("reaching it"):
            # kfp.Client would repeat a refused health check for half a minute.
            health = kfp_server_api.HealthzServiceApi(self._plain_client(token)).healthz_service_get_healthz()
            if health.multi_user and not namespace:
                raise ConfigError(f"{self.host}: serves several users; name your profile with --namespace")
            self._client = kfp.Client(host=self.host, existing_token=token, namespace=namespace or "kubeflow")

    def _plain_client(self, token: str | None) -> Any:
        configuration = kfp_server_api.Configuration(host=self.host)
        if token:
            configuration.api_key = {"authorization": token}
            configuration.api_key_prefix = {"authorization": "Bearer"}
        return kfp_server_api.ApiClient(configuration)

    def upload(self, name: str, package: str) -> tuple[str, str, str]:
        """Make sure that this very pipeline is on the server.

        Args:
            package: the compiled YAML. Its hash names the version, so the same YAML is uploaded once.

        Returns:
            the ids of pipeline and version, and the version's name.
        """
        version = f"{name}-{hashlib.sha256(package.encode()).hexdigest()[:16]}"
        with self._readable(f"uploading pipeline {name}"), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_text(package, encoding="utf-8")
            pipeline = self._one(self._client.list_pipelines, "pipelines", name, namespace=self.namespace)
            pipeline_id = (
                pipeline.pipeline_id
                if pipeline
                else self._client.upload_pipeline(str(path), name, namespace=self.namespace).pipeline_id
            )
            known = self._one(
                self._client.list_pipeline_versions, "pipeline_versions", version, pipeline_id=pipeline_id
            )
            uploaded = known or self._client.upload_pipeline_version(
                str(path), pipeline_version_name=version, pipeline_id=pipeline_id
            )
        return pipeline_id, uploaded.pipeline_version_id, version

    def start(
        self,
        name: str,
        package: str,
        arguments: Mapping[str, Any],
        *,
        job: str,
        experiment: str,
        service_account: str | None = None,
        pipeline_root: str | None = None,
    ) -> Submission:
        """Upload the pipeline if need be and start a run of it.

        Raises:
            ClusterError: the server refused; the message says what and why.
        """
        pipeline_id, version_id, version = self.upload(name, package)
        with self._readable(f"starting run {job}"):
            experiment_id = self._client.create_experiment(experiment, namespace=self.namespace).experiment_id
            run = self._client.run_pipeline(
                experiment_id,
                job,
                params=dict(arguments),
                pipeline_id=pipeline_id,
                version_id=version_id,
                pipeline_root=pipeline_root,
                service_account=service_account,
            )
        url = f"{self.host}/#/runs/details/{run.run_id}"
        return Submission(pipeline_id, version_id, version, experiment_id, run.run_id, url)

    def schedule(
        self,
        name: str,
        package: str,
        arguments: Mapping[str, Any],
        *,
        job: str,
        experiment: str,
        cron: str,
        service_account: str | None = None,
        pipeline_root: str | None = None,
    ) -> Submission:
        """Upload the pipeline if need be and run it again and again, one run at a time.

        Missed runs are not made up for: each takes all the data there is.

        Args:
            cron: five fields, or six with seconds first; in the server's time zone.

        Raises:
            ClusterError: the server refused; the message says what and why.
            ConfigError: the cron expression.
        """
        seconds = six_fields(cron)
        pipeline_id, version_id, version = self.upload(name, package)
        with self._readable(f"scheduling {job}"):
            experiment_id = self._client.create_experiment(experiment, namespace=self.namespace).experiment_id
            recurring = self._client.create_recurring_run(
                experiment_id,
                job,
                cron_expression=seconds,
                max_concurrency=1,
                no_catchup=True,
                params=dict(arguments),
                pipeline_id=pipeline_id,
                version_id=version_id,
                pipeline_root=pipeline_root,
                service_account=service_account,
            )
        identity = recurring.recurring_run_id
        url = f"{self.host}/#/recurringrun/details/{identity}"
        return Submission(pipeline_id, version_id, version, experiment_id, identity, url)

    def _one(self, listing: Any, field: str, name: str, **where: Any) -> Any:
        """The one object of this display name, or None."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        page = listing(page_size=_PAGE, filter=json.dumps({"predicates": [predicate]}), **where)
        found = getattr(page, field) or []
        if len(found) > 1:
            raise ClusterError(f"{self.host}: {len(found)} {field} are called {name}; delete all but one")
        return found[0] if found else None

    @contextlib.contextmanager
    def _readable(self, doing: str) -> Iterator[None]:
        """Turn what the client raises into errors a person can act on, and keep it quiet."""
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.filterwarnings("ignore", category=FutureWarning, module="kfp")
                warnings.filterwarnings(
                    "ignore", message="This client only works with", category=FutureWarning
                )
                yield
        except kfp_server_api.ApiException as error:
            meaning = _MEANINGS.get(error.status, f"the server answered {error.status} {error.reason}")
            raise ClusterError(f"{self.host}: {doing} failed: {meaning}{_said(error)}") from error
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ClusterError(
                f"{self.host}: {doing} failed: no answer ({reason}); check the address, and that the port "
                "is forwarded: kubectl port-forward -n kubeflow svc/ml-pipeline 8888"
            ) from error


def _said(error: kfp_server_api.ApiException) -> str:
    """What the server said in its error body, if it is readable."""
    try:
        body = json.loads(error.body or "")
    except ValueError:
        return ""
    said = body.get("message") or body.get("error_message") or body.get("error")
    return f" ({said})" if said else ""
