"""Who may reach whom: the NetworkPolicies and the endpoints' own check of who calls."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.e2e.cluster import Cluster, Door
from tests.e2e.driver import Driver
from tests.e2e.release import ENDPOINTS, Images, Release

PROBE = (Path(__file__).parent / "programs" / "probe.py").read_text()
PORTS = {"ticket": 9081, "seatmap": 9082, "checkout": 9083}


def probe(cluster: Cluster, namespace: str, pod: str, addresses: list[str]) -> dict[str, bool]:
    """Try to connect from a pod of ours to each address."""
    done = cluster.exec(namespace, pod, ["python3", "-c", PROBE, *addresses], seconds=60)
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def endpoint_address(trial: Release, endpoint: str) -> str:
    """Name the newest version's Service."""
    version = trial.versions(endpoint)[-1].metadata.labels["nexus.dev/version"]
    return trial.address(f"{endpoint}-{version}", PORTS[endpoint])


def test_a_foreign_pod_reaches_nothing_behind_the_gateway(
    cluster: Cluster, images: Images, trial: Release, new_namespace: Callable[[], str]
) -> None:
    """Neither endpoints nor ingress, admin and node port; the gateway it does reach, so that the probe is one."""
    elsewhere = new_namespace()
    pod = f"foreign-{uuid.uuid4().hex[:6]}"
    cluster.run_pod(elsewhere, pod, images.nexus, {"component": "foreign"}, ["sleep", "infinity"])
    restate = trial.ready_pods("restate")[0].status.pod_ip
    closed = [
        *(endpoint_address(trial, endpoint) for endpoint in ENDPOINTS),
        trial.address("restate", 8080),
        trial.address("restate", 9070),
        f"{restate}:5122",
    ]
    assert probe(cluster, elsewhere, pod, closed) == dict.fromkeys(closed, False)
    gateway = trial.address("gateway", 50051)
    assert probe(cluster, elsewhere, pod, [gateway]) == {gateway: True}


def test_the_gateway_reaches_the_ingress_alone(cluster: Cluster, trial: Release) -> None:
    """Not the endpoints, whatever they would answer, nor the admin and node ports."""
    pod = trial.ready_pods("gateway")[0].metadata.name
    restate = trial.ready_pods("restate")[0].status.pod_ip
    closed = [endpoint_address(trial, "ticket"), trial.address("restate", 9070), f"{restate}:5122"]
    ingress = trial.address("restate", 8080)
    assert probe(cluster, trial.namespace, pod, [*closed, ingress]) == dict.fromkeys(closed, False) | {ingress: True}


def test_the_test_pod_reaches_what_it_judges_by_and_no_more(cluster: Cluster, trial: Release, driver: Driver) -> None:
    """Gateway, simulator and mail sink; not the ingress."""
    open_to_it = [
        trial.address("gateway", 50051),
        trial.address("payment-simulator", 8901),
        trial.address("mail-sink", 8902),
    ]
    ingress = trial.address("restate", 8080)
    found = probe(cluster, trial.namespace, driver.pod, [*open_to_it, ingress])
    assert found == dict.fromkeys(open_to_it, True) | {ingress: False}


def test_an_unsigned_call_to_an_endpoint_is_401(trial: Release) -> None:
    """Also for whoever got past the NetworkPolicies, as a port-forward does; only the health is open."""
    for endpoint in ENDPOINTS:
        pod = trial.ready_pods(endpoint)[0].metadata.name
        door = Door(trial.namespace, pod, PORTS[endpoint])
        assert door.request("GET", "/health")[0] == 200
        assert door.request("GET", "/discover")[0] == 401
        assert door.request("POST", "/invoke/Ticket/get", {})[0] == 401
