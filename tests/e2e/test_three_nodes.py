"""Restate as a replicated cluster: each of its nodes may be lost."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import NewRelease
from tests.e2e.driver import Driver
from tests.e2e.release import Images, Release
from tests.e2e.waiting import until

SALES = 20


def test_each_node_of_three_can_be_lost(
    cluster: Cluster, images: Images, new_namespace: Callable[[], str], new_release: NewRelease
) -> None:
    """One after another is killed under load; nothing acknowledged is lost, and sales go on each time."""
    release = new_release(new_namespace(), "three", {"restate": {"replicas": 3}})
    release.wait_until_ready()
    driver = Driver(cluster, release.namespace, images.test, release.name)
    with driver.load(release.load(seconds=400, per_second=8)) as load:
        for name in sorted(pod.metadata.name for pod in release.ready_pods("restate")):
            load.wait_for_sales(SALES, 90)
            uid = cluster.core.read_namespaced_pod(name, release.namespace).metadata.uid
            cluster.kill(release.namespace, name)
            until(lambda uid=uid: is_whole_without(release, uid), f"another {name}", 120)
            load.wait_for_sales(SALES, 120)
    assert load.report["violations"] == []
    assert load.report["counts"].get("unknown", 0) == 0, load.report["errors"]


def is_whole_without(release: Release, uid: str) -> bool:
    """Tell whether three nodes are ready and the lost pod is not one of them."""
    uids = {pod.metadata.uid for pod in release.ready_pods("restate")}
    return len(uids) == 3 and uid not in uids
