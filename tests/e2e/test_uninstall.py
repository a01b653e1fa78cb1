"""Two releases side by side, and what is left of one that was uninstalled."""

from __future__ import annotations

import re

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import NewRelease
from tests.e2e.driver import Driver
from tests.e2e.release import Images, Release
from tests.e2e.waiting import until

LEFT = re.compile(r"^(PersistentVolumeClaim/.*|Secret/.*-(identity|keys|trial-auth))$")
"""What NOTES.txt says is left: volumes and keys, which cannot be made again."""


def test_two_releases_in_one_namespace_do_not_meet(
    cluster: Cluster, images: Images, trial: Release, driver: Driver, new_release: NewRelease
) -> None:
    """Both sell at the same time, each in its own Restate; uninstalling one leaves its volume and keys."""
    trial.wait_until_ready()
    second = new_release(trial.namespace, "second")
    second.wait_until_ready()
    other = Driver(cluster, second.namespace, images.test, second.name)
    with driver.load(trial.load(per_second=6)) as here:
        with other.load(second.load(per_second=6)) as there:
            here.wait_for_sales(10)
            there.wait_for_sales(10)
        cluster.delete_pod(second.namespace, other.pod)
        notes = second.helm("get", "notes", second.name)
        second.helm("uninstall", second.name, "--wait", "--timeout", "3m")
        here.wait_for_sales(10)
    for load in (here, there):
        assert load.report["violations"] == []
        assert load.report["errors"] == []

    def too_much() -> set[str]:
        return {name for name in cluster.names(second.namespace, second.name) if not LEFT.match(name)}

    # helm waits for its objects, not for pods that still drain.
    until(lambda: not too_much(), "the end of the pods", 60)
    left = cluster.names(second.namespace, second.name)
    assert left
    for name in left:
        if name.startswith("Secret/"):
            assert name.removeprefix("Secret/") in notes
