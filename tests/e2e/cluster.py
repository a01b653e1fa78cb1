"""The cluster of the current kubeconfig: namespaces, pods, what runs inside them, doors into them."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kubernetes
from kubernetes.client import ApiException
from kubernetes.stream import portforward, stream

from tests.e2e.waiting import until

NOT_FOUND = 404
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "nexus.dev/e2e": "true"}

SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Done:
    """A command that ended inside a pod."""

    code: int
    out: str
    err: str


class Cluster:
    """Kubernetes as the tests need it; each object is of one namespace, but for the namespaces themselves."""

    def __init__(self) -> None:
        kubernetes.config.load_kube_config()
        self.core = kubernetes.client.CoreV1Api()
        self.apps = kubernetes.client.AppsV1Api()
        self.batch = kubernetes.client.BatchV1Api()

    def create_namespace(self, name: str) -> None:
        """Make a namespace that enforces Pod Security `restricted`."""
        self.core.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})

    def delete_namespace(self, name: str, seconds: float = 120) -> None:
        """Remove a namespace with all that is in it, and wait until it is gone."""
        self.core.delete_namespace(name)
        until(lambda: self._is_gone(lambda: self.core.read_namespace(name)), f"the end of namespace {name}", seconds)

    def pods(self, namespace: str, **labels: str) -> list[Any]:
        """List pods by labels; `component` and `instance` stand for app.kubernetes.io/..., others for themselves."""
        found = self.core.list_namespaced_pod(namespace, label_selector=selector(labels)).items
        return sorted(found, key=lambda pod: pod.metadata.creation_timestamp)

    def ready_pods(self, namespace: str, **labels: str) -> list[Any]:
        """List those that serve and do not end."""
        return [pod for pod in self.pods(namespace, **labels) if is_ready(pod)]

    def kill(self, namespace: str, pod: str) -> None:
        """Delete a pod with no grace: its processes get SIGKILL."""
        self.core.delete_namespaced_pod(pod, namespace, grace_period_seconds=0)

    def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """Read a Secret."""
        data = self.core.read_namespaced_secret(name, namespace).data or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def names(self, namespace: str, instance: str) -> set[str]:
        """Name everything in the namespace that carries a release's label, as `Kind/name`."""
        label = selector({"instance": instance})
        core, apps, batch = self.core, self.apps, self.batch
        rbac = kubernetes.client.RbacAuthorizationV1Api()
        network = kubernetes.client.NetworkingV1Api()
        policy = kubernetes.client.PolicyV1Api()
        scaling = kubernetes.client.AutoscalingV2Api()
        lists = {
            "Pod": core.list_namespaced_pod,
            "Service": core.list_namespaced_service,
            "Secret": core.list_namespaced_secret,
            "ConfigMap": core.list_namespaced_config_map,
            "ServiceAccount": core.list_namespaced_service_account,
            "PersistentVolumeClaim": core.list_namespaced_persistent_volume_claim,
            "Deployment": apps.list_namespaced_deployment,
            "ReplicaSet": apps.list_namespaced_replica_set,
            "StatefulSet": apps.list_namespaced_stateful_set,
            "Job": batch.list_namespaced_job,
            "CronJob": batch.list_namespaced_cron_job,
            "Role": rbac.list_namespaced_role,
            "RoleBinding": rbac.list_namespaced_role_binding,
            "NetworkPolicy": network.list_namespaced_network_policy,
            "Ingress": network.list_namespaced_ingress,
            "PodDisruptionBudget": policy.list_namespaced_pod_disruption_budget,
            "HorizontalPodAutoscaler": scaling.list_namespaced_horizontal_pod_autoscaler,
        }
        return {
            f"{kind}/{item.metadata.name}"
            for kind, listed in lists.items()
            for item in listed(namespace, label_selector=label).items
        }

    def run_pod(
        self,
        namespace: str,
        name: str,
        image: str,
        labels: dict[str, str],
        command: Sequence[str],
        seconds: float = 60,
        *,
        user: int | None = None,
    ) -> None:
        """Start a pod under the restricted profile with a writable /tmp, and wait until it is ready.

        `user`: its uid, in place of the image's own.
        """
        container = {
            "name": "main",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(command),
            "securityContext": SECURITY | ({} if user is None else {"runAsUser": user, "runAsGroup": user}),
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
        spec = {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }
        self.core.create_namespaced_pod(
            namespace,
            {"metadata": {"name": name, "labels": {full_label(k): v for k, v in labels.items()}}, "spec": spec},
        )
        until(lambda: is_ready(self.core.read_namespaced_pod(name, namespace)), f"pod {name}", seconds)

    def exec(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        line: str | None = None,
        seconds: float = 60,
        container: str | None = None,
    ) -> Done:
        """Run a command in a pod; `line` is written to its standard input. Fails where it does not end in time."""
        # A connection of its own: the client cannot share one between threads while it streams.
        api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient())
        channel = stream(
            api.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=list(command),
            stdin=line is not None,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
            **({"container": container} if container else {}),
        )
        try:
            if line is not None:
                channel.write_stdin(line + "\n")
            channel.run_forever(timeout=seconds)
            out, err = channel.read_stdout(timeout=1) or "", channel.read_stderr(timeout=1) or ""
            assert not channel.is_open(), (
                f"{pod}: {command} did not end within {seconds:.0f} s: {out[-500:]}{err[-500:]}"
            )
            return Done(channel.returncode, out, err)
        finally:
            channel.close()

    def delete_pod(self, namespace: str, name: str) -> None:
        """Remove a pod of ours at once, if it is there."""
        try:
            self.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise

    @staticmethod
    def _is_gone(read: Any) -> bool:
        try:
            read()
        except ApiException as error:
            if error.status == NOT_FOUND:
                return True
            raise
        return False


class Door:
    """HTTP to a port of a pod through the API server, as `kubectl port-forward`; a connection for each request."""

    def __init__(self, namespace: str, pod: str, port: int) -> None:
        self._namespace, self._pod, self._port = namespace, pod, port

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, seconds: float = 15
    ) -> tuple[int, Any]:
        """Give status and decoded JSON (text where it is none)."""
        api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient())
        forward = portforward(
            api.connect_get_namespaced_pod_portforward, self._pod, self._namespace, ports=str(self._port)
        )
        connection = _Forwarded(forward.socket(self._port), seconds)
        try:
            data = None if body is None else json.dumps(body)
            sent = {"content-type": "application/json", "accept": "application/json"} | (headers or {})
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
            forward.close()
        try:
            return answer.status, json.loads(text)
        except json.JSONDecodeError:
            return answer.status, text


class _Forwarded(http.client.HTTPConnection):
    """An HTTP connection over a socket that is open already."""

    def __init__(self, opened: socket.socket, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        opened.settimeout(seconds)
        self.sock = opened

    def connect(self) -> None:
        """Nothing is left to do."""


def full_label(name: str) -> str:
    """Write out the short names of the chart's labels."""
    return f"app.kubernetes.io/{name}" if name in ("name", "instance", "component") else name


def metadata_labels(labels: dict[str, str]) -> dict[str, str]:
    """Write out all names of labels."""
    return {full_label(name): value for name, value in labels.items()}


def selector(labels: dict[str, str]) -> str:
    """Make a label selector."""
    return ",".join(f"{name}={value}" for name, value in metadata_labels(labels).items())


def is_ready(pod: Any) -> bool:
    """Tell whether a pod serves and does not end."""
    conditions = pod.status.conditions or []
    return pod.metadata.deletion_timestamp is None and any(c.type == "Ready" and c.status == "True" for c in conditions)


def quoted(text: str) -> str:
    """Quote a text for a URL."""
    return urllib.parse.quote(text, safe="")
