"""A release of the chart: what helm does to it, its names, and what its Restate knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, Door, is_ready
from tests.e2e.waiting import until

PROJECT = Path(__file__).resolve().parents[2]
CHART = PROJECT / "charts" / "nexus"
ENDPOINTS = ("ticket", "seatmap", "checkout")
ADMIN_PORT = 9070
HELM_SECONDS = 300


@dataclass(frozen=True)
class Images:
    """What the tests run. `repository` without a tag, as the chart's value wants it."""

    repository: str
    version: str

    @property
    def nexus(self) -> str:
        """Name the image of every process."""
        return f"{self.repository}:{self.version}"

    @property
    def test(self) -> str:
        """Name the image with the test suite."""
        return f"{self.repository}-test:{self.version}"


class HelmError(Exception):
    """helm ended with a failure; the text is what it said."""


class Release:
    """One release in one namespace."""

    def __init__(self, cluster: Cluster, images: Images, namespace: str, name: str) -> None:
        self.cluster, self.images, self.namespace, self.name = cluster, images, namespace, name
        self.fullname = name if "nexus" in name else f"{name}-nexus"
        self.ready_after = 0.0
        """Seconds from `helm install` until all was ready, once that was waited for."""

    def install(self, values: dict[str, Any] | None = None, *arguments: str) -> str:
        """Install or upgrade; `values` are only those of this call. Raises HelmError."""
        image = {"repository": self.images.repository, "tag": self.images.version}
        merged = {"image": image} | (values or {})
        return self.helm(
            "upgrade", "--install", self.name, str(CHART), "--values", "-", *arguments, told=json.dumps(merged)
        )

    def helm(self, verb: str, *arguments: str, told: str | None = None, seconds: float = HELM_SECONDS) -> str:
        """Run helm in the release's namespace and give what it said. Raises HelmError."""
        command = [os.environ.get("HELM", "helm"), verb, *arguments, "--namespace", self.namespace]
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=seconds + 30, check=False)
        if done.returncode != 0:
            raise HelmError(f"{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def revision(self) -> int:
        """Give the release's revision."""
        done = self.helm("status", self.name, "--output", "json")
        return int(json.loads(done)["version"])

    def pods(self, component: str) -> list[Any]:
        """List the pods of a component."""
        return self.cluster.pods(self.namespace, instance=self.name, component=component)

    def ready_pods(self, component: str) -> list[Any]:
        """List those that serve."""
        return [pod for pod in self.pods(component) if is_ready(pod)]

    def wait_until_ready(self, seconds: float = 180) -> None:
        """Wait until every Deployment and StatefulSet has what it wants; a gateway is ready when it can serve."""
        until(lambda: not self.unready(), f"all of {self.name} to be ready", seconds)

    def unready(self) -> list[str]:
        """Name the Deployments and StatefulSets that lack a ready pod."""
        label = f"app.kubernetes.io/instance={self.name}"
        apps = self.cluster.apps
        deployments = apps.list_namespaced_deployment(self.namespace, label_selector=label).items
        sets = apps.list_namespaced_stateful_set(self.namespace, label_selector=label).items
        return [
            f"{item.kind or type(item).__name__} {item.metadata.name}"
            for item in (*deployments, *sets)
            if (item.status.ready_replicas or 0) < (item.spec.replicas or 0)
            or (item.status.observed_generation or 0) < item.metadata.generation
        ] or ([] if deployments else ["nothing is there yet"])

    def versions(self, endpoint: str) -> list[Any]:
        """List the Kubernetes Deployments of an endpoint, oldest first."""
        label = f"app.kubernetes.io/instance={self.name},nexus.dev/endpoint={endpoint}"
        found = self.cluster.apps.list_namespaced_deployment(self.namespace, label_selector=label).items
        return sorted(found, key=lambda item: item.metadata.creation_timestamp)

    def hashes(self, endpoint: str) -> set[str]:
        """Name the versions of an endpoint that are there."""
        return {item.metadata.labels["nexus.dev/version"] for item in self.versions(endpoint)}

    def address(self, service: str, port: int) -> str:
        """Name a Service of the release with its port, as pods of other namespaces would."""
        return f"{self.fullname}-{service}.{self.namespace}.svc:{port}"

    @property
    def admin(self) -> Door:
        """Open the admin API of the first Restate node that is ready."""
        pods = until(lambda: self.ready_pods("restate"), "a Restate node", 60)
        return Door(self.namespace, pods[0].metadata.name, ADMIN_PORT)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate's introspection."""
        status, answer = self.admin.request("POST", "/query", {"query": sql})
        assert status == 200, answer
        return list(answer["rows"])

    def deployments(self) -> list[dict[str, Any]]:
        """List what is registered with Restate."""
        status, answer = self.admin.request("GET", "/deployments")
        assert status == 200, answer
        return list(answer["deployments"])

    def serving(self) -> dict[str, str]:
        """Map each Restate service to the address that new invocations go to."""
        rows = self.query(
            "select s.name, d.endpoint from sys_service s join sys_deployment d on s.deployment_id = d.id"
        )
        return {row["name"]: row["endpoint"] for row in rows}

    def nexus(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the `nexus` command of this machine on the kubeconfig, as `make register` does."""
        command = [sys.executable, "-m", "services.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=PROJECT, check=False)

    def run_job(self, command: str) -> str:
        """Run `nexus cluster run register|rotate-identity` and give what it said; fails unless it ended well."""
        done = self.nexus("cluster", "run", command, "--namespace", self.namespace, "--release", self.name)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sign_in_key(self, name: str = "auth-private.pem") -> str:
        """Give a private key of the trial, for tokens."""
        return self.cluster.secret(self.namespace, f"{self.fullname}-trial-auth")[name].decode()

    def load(self, **changes: Any) -> dict[str, Any]:
        """Describe a load for the driver: a dozen sales a second by eight buyers."""
        return {
            "address": self.address("gateway-headless", 50051),
            "payments_url": f"http://{self.address('payment-simulator', 8901)}",
            "key": self.sign_in_key(),
            "seconds": 120,
            "buyers": 8,
            "per_second": 12,
            "seed": 1,
            "call_seconds": 30,
        } | changes

    @contextmanager
    def uninstalled_at_end(self) -> Iterator[Release]:
        """Uninstall at the end of the block, if it is still there."""
        try:
            yield self
        finally:
            # Where it cannot: the namespace goes next, with all that is in it.
            with suppress(HelmError):
                self.helm("uninstall", self.name, "--wait", "--ignore-not-found")
