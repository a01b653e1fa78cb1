"""The calls of the Kubernetes API that the registrar needs, in its own words. No decision is made here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from services.registrar.errors import ClusterError
from services.registrar.versions import Present, Version

TEST: Final = "test"
ENDPOINT: Final = "nexus.dev/endpoint"
VERSION: Final = "nexus.dev/version"
DRAINED_AT: Final = "nexus.dev/drained-at"
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"

_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_RETRY_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 15
_PATIENCE_SECONDS: Final = 30.0
"""A Job's first calls may come before the network lets them pass."""


class EndpointService(msgspec.Struct, frozen=True):
    """A Service of one version of an endpoint."""

    name: str
    version: Version
    cluster_ip: str
    port: int


class Part(msgspec.Struct, frozen=True):
    """One object of a version. `kind`: Deployment, ReplicaSet (one that nobody owns) or Service."""

    kind: str
    name: str
    uid: str
    resource_version: str
    version: Version
    created_at: float
    drained_at: float | None = None


class Kube:
    """One namespace, through the pod's own account in a cluster, else through the kubeconfig."""

    def __init__(self, namespace: str) -> None:
        # Imported here: it takes half a second that no other command should pay.
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException

        self.namespace = namespace
        configuration = client.Configuration()
        # Its own retries would hide what went wrong; ours are in call().
        configuration.retries = False
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST"):
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise ClusterError(f"there is no cluster to talk to: {error}; KUBECONFIG names the file to use") from None
        api = client.ApiClient(configuration)
        self.core = client.CoreV1Api(api)
        self.apps = client.AppsV1Api(api)
        self.batch = client.BatchV1Api(api)

    def call(self, what: str, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make a call, again for 30 s while the API is away. None for what does not exist.

        `what`: the words after "may not" and "cannot". Raises ClusterError, its `status` that of the answer.
        """
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return method(*args, **({"_request_timeout": _CALL_SECONDS} | options))
            except ApiException as error:
                if error.status == _NOT_FOUND:
                    return None
                if (error.status < _SERVER_ERROR and error.status != _TOO_MANY) or time.monotonic() > deadline:
                    raise ClusterError(
                        f"cannot {what} in namespace {self.namespace}: {_message(error)}", error.status
                    ) from None
            except HTTPError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(f"the Kubernetes API cannot be reached: {error}") from None
            time.sleep(_RETRY_SECONDS)

    def services(self, release: str) -> list[EndpointService]:
        """List the Services of the release's endpoints, every version."""
        found = self.call(
            "list Services", self.core.list_namespaced_service, self.namespace, label_selector=_of(release)
        )
        return [
            EndpointService(item.metadata.name, _version(item), item.spec.cluster_ip, port.port)
            for item in found.items
            for port in item.spec.ports
            if port.name == "endpoint"
        ]

    def parts(self, release: str, *, with_replica_sets: bool) -> list[Part]:
        """List what the versions of the release's endpoints consist of."""
        selector = {"label_selector": _of(release)}
        listings: dict[str, Any] = {
            "Deployment": self.apps.list_namespaced_deployment,
            "Service": self.core.list_namespaced_service,
        }
        if with_replica_sets:
            listings["ReplicaSet"] = self.apps.list_namespaced_replica_set
        return [
            _part(kind, item)
            for kind, listing in listings.items()
            for item in self.call(f"list {kind}s", listing, self.namespace, **selector).items
            if kind != "ReplicaSet" or not item.metadata.owner_references
        ]

    def mark(self, part: Part, drained_at: float | None) -> None:
        """Write down, or strike out, since when a version is drained."""
        text = None if drained_at is None else str(int(drained_at))
        body = {"metadata": {"annotations": {DRAINED_AT: text}}}
        self.call("patch Deployments", self.apps.patch_namespaced_deployment, part.name, self.namespace, body)

    def delete(self, part: Part, *, orphan: bool = False, only_unchanged: bool = False) -> bool:
        """Delete the object that was seen. False where another one has its name by now.

        `orphan`: what it owns, the ReplicaSets and pods, stays and goes on running. `only_unchanged`: also False
        where anything about it has changed since it was seen.
        """
        from kubernetes.client import V1DeleteOptions, V1Preconditions

        method = {
            "Deployment": self.apps.delete_namespaced_deployment,
            "ReplicaSet": self.apps.delete_namespaced_replica_set,
            "Service": self.core.delete_namespaced_service,
        }[part.kind]
        options = V1DeleteOptions(
            preconditions=V1Preconditions(
                uid=part.uid, resource_version=part.resource_version if only_unchanged else None
            ),
            propagation_policy="Orphan" if orphan else "Background",
        )
        try:
            self.call(f"delete {part.kind}s", method, part.name, self.namespace, body=options)
        except ClusterError as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True

    def pods(self, selector: str) -> list[Any]:
        """List pods as the client knows them."""
        return list(
            self.call("list Pods", self.core.list_namespaced_pod, self.namespace, label_selector=selector).items
        )

    def last_log_line(self, pod: str, container: str, *, previous: bool) -> str:
        """Give the last line that a container wrote; empty where it cannot be had."""
        try:
            text = self.call(
                "read logs",
                self.core.read_namespaced_pod_log,
                pod,
                self.namespace,
                container=container,
                previous=previous,
                tail_lines=5,
            )
        except ClusterError:
            # Logs only explain; not to be allowed to read them is no failure of its own.
            return ""
        lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def log_head(self, pod: str, most_bytes: int) -> str:
        """Give the beginning of a pod's log; empty where it cannot be had."""
        try:
            return str(
                self.call("read logs", self.core.read_namespaced_pod_log, pod, self.namespace, limit_bytes=most_bytes)
                or ""
            )
        except ClusterError:
            return ""

    def config_map(self, name: str) -> Mapping[str, str] | None:
        """Give what a ConfigMap holds."""
        found = self.call("read ConfigMaps", self.core.read_namespaced_config_map, name, self.namespace)
        return None if found is None else dict(found.data or {})

    def patch_config_map(self, name: str, data: Mapping[str, str]) -> None:
        """Change what a ConfigMap holds."""
        self.call("patch ConfigMaps", self.core.patch_namespaced_config_map, name, self.namespace, {"data": dict(data)})

    def delete_config_map(self, name: str) -> None:
        """Delete a ConfigMap, if there is one."""
        self.call("delete ConfigMaps", self.core.delete_namespaced_config_map, name, self.namespace)

    def delete_finished_jobs(self, release: str) -> list[str]:
        """Delete the release's Jobs that have ended, with their pods; give their names."""
        listed = self.call(
            "list Jobs", self.batch.list_namespaced_job, self.namespace, label_selector=f"{INSTANCE}={release}"
        )
        # The one that asks is still running.
        names = [str(item.metadata.name) for item in listed.items if not item.status.active]
        for name in names:
            self.call(
                "delete Jobs", self.batch.delete_namespaced_job, name, self.namespace, propagation_policy="Background"
            )
        return names

    def delete_finished_tests(self, release: str) -> list[str]:
        """Delete the pods of `helm test` that have ended; give their names."""
        ended = [
            str(pod.metadata.name)
            for pod in self.pods(f"{INSTANCE}={release},{COMPONENT}={TEST}")
            if pod.status.phase in ("Succeeded", "Failed")
        ]
        for name in ended:
            self.call("delete Pods", self.core.delete_namespaced_pod, name, self.namespace)
        return ended


def presents(parts: list[Part]) -> list[Present]:
    """See the objects as versions."""
    found = []
    for version in sorted({part.version for part in parts}):
        own = [part for part in parts if part.version == version]
        deployments = [part for part in own if part.kind == "Deployment"]
        drained = [part.drained_at for part in deployments if part.drained_at is not None]
        found.append(
            Present(
                version,
                created_at=max(part.created_at for part in own),
                drained_at=min(drained) if drained else None,
                has_deployment=bool(deployments),
            )
        )
    return found


def _of(release: str) -> str:
    return f"{INSTANCE}={release},{ENDPOINT},{VERSION}"


def _version(item: Any) -> Version:
    return Version(item.metadata.labels[ENDPOINT], item.metadata.labels[VERSION])


def _part(kind: str, item: Any) -> Part:
    meta = item.metadata
    created: datetime = meta.creation_timestamp
    drained = (meta.annotations or {}).get(DRAINED_AT, "")
    return Part(
        kind,
        meta.name,
        meta.uid,
        meta.resource_version,
        _version(item),
        created.timestamp(),
        # Whatever a person wrote there is read as: not seen drained yet.
        float(drained) if drained.isdecimal() else None,
    )


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
