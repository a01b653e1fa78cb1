"""Values that cannot work: helm stops with one clear sentence, and nothing half-installed takes traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from tests.e2e.cluster import Cluster
from tests.e2e.release import CHART, HelmError, Images, Release

SETS = sorted((CHART / "ci").glob("*-values.yaml"))


@pytest.fixture(scope="module")
def empty(cluster: Cluster, new_namespace: Callable[[], str]) -> str:
    """A namespace with nothing but an identity Secret whose fields are empty."""
    name = new_namespace()
    secret = {"metadata": {"name": "empty-identity"}, "data": {"identity.pem": "", "identity-keys": ""}}
    cluster.core.create_namespaced_secret(name, secret)
    return name


@pytest.fixture
def release(cluster: Cluster, images: Images, empty: str) -> Iterator[Release]:
    with Release(cluster, images, empty, "nexus").uninstalled_at_end() as made:
        yield made


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gatway": {}}, "gatway"),
        ({"production": True}, "payments.url"),
        ({"restate": {"image": {"tag": "1.7.3"}}}, "1.7.4"),
        ({"keys": {"existingSecret": "missing"}}, "missing"),
        ({"identity": {"existingSecret": "empty-identity"}}, "empty-identity"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_cannot_work_are_refused(release: Release, values: dict[str, Any], named: str) -> None:
    """The sentence names the value or the Secret; no Service of a gateway or an endpoint is there."""
    core = release.cluster.core
    with pytest.raises(HelmError) as refused:
        release.install(values, "--timeout", "2m")
    assert named in str(refused.value)
    services = core.list_namespaced_service(release.namespace).items
    assert services == []


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_the_api_server_takes_every_manifest(release: Release, values: Path) -> None:
    """A dry run at the server of each set of values; only kinds that this cluster does not know are left out."""
    version = kubernetes.client.VersionApi().get_code().git_version
    rendered = release.helm("template", release.name, str(CHART), "--values", str(values), "--kube-version", version)
    client = DynamicClient(kubernetes.client.ApiClient())
    objects = [found for found in yaml.safe_load_all(rendered) if found]
    assert objects
    for manifest in objects:
        try:
            kind = client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        except ResourceNotFoundError:
            assert manifest["kind"] in {"PodMonitor", "PrometheusRule", "GRPCRoute", "HTTPRoute"}, manifest["kind"]
            continue
        kind.create(body=manifest, namespace=release.namespace, dry_run="All", field_validation="Strict")
