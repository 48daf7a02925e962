"""The TFJob of a training: what Kubeflow's training operator (1.9) makes pods of, with their TF_CONFIG."""

from typing import Any, Final, NamedTuple

from slate.config import WorkersConfig

#: The operator puts TF_CONFIG into the container of this name, and names this port in it.
CONTAINER: Final = "tensorflow"
PORT: Final = 2222
NAME_LABEL: Final = "training.kubeflow.org/job-name"
_USER: Final = 10001
_GPU: Final = "nvidia.com/gpu"


class Own(NamedTuple):
    """What the launcher's pod is, and its workers are too: image by digest, and Kubernetes account."""

    image: str
    service_account: str


def tfjob(name: str, own: Own, workers: WorkersConfig, address: str) -> dict[str, Any]:
    """The job ``name`` whose workers do what is asked for at ``address``; the first is the chief.

    A worker whose node goes away is started again, and with it, since they have lost it, all the others;
    the chief goes on from the last checkpoint.
    """
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "slate-training"}},
        "spec": {
            "runPolicy": {
                "cleanPodPolicy": "Running",
                "backoffLimit": workers.attempts * workers.count,
                "activeDeadlineSeconds": round(workers.deadline_h * 3600),
                "ttlSecondsAfterFinished": 86_400,
            },
            "tfReplicaSpecs": {
                "Worker": {
                    "replicas": workers.count,
                    "restartPolicy": "OnFailure",
                    "template": _template(own, workers, address),
                }
            },
        },
    }


def _template(own: Own, workers: WorkersConfig, address: str) -> dict[str, Any]:
    tolerations = [
        {"key": "slate.dev/pool", "operator": "Equal", "value": workers.pool, "effect": "NoSchedule"}
    ]
    if workers.gpus:
        tolerations.append({"key": _GPU, "operator": "Exists", "effect": "NoSchedule"})
    return {
        "metadata": {
            "labels": {"app.kubernetes.io/name": "slate-training", "slate.dev/component": "training"},
            # A proxy beside the worker would not end with it.
            "annotations": {"sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "serviceAccountName": own.service_account,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 30,
            "nodeSelector": {"slate.dev/pool": workers.pool},
            "tolerations": tolerations,
            "containers": [_container(own.image, workers, address)],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": workers.disk}}],
        },
    }


def _container(image: str, workers: WorkersConfig, address: str) -> dict[str, Any]:
    sizes = {"cpu": str(workers.cpu), "memory": workers.memory, "ephemeral-storage": workers.disk}
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["slate", "train-worker", f"--at={address}"],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - the pod's own volume
        "ports": [{"name": "tfjob-port", "containerPort": PORT}],
        "resources": {
            "requests": sizes,
            "limits": {**sizes, **({_GPU: str(workers.gpus)} if workers.gpus else {})},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own volume
    }
