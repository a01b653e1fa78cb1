"""Pods that die without a word during checkouts: no acknowledged sale is lost, and sales go on soon."""

from __future__ import annotations

import pytest

from tests.e2e.driver import Driver
from tests.e2e.release import Release
from tests.e2e.waiting import until

BACK_WITHIN = {"ticket": 10, "seatmap": 10, "checkout": 10, "gateway": 5, "restate": 30}
"""Seconds; the gateway has two replicas, Restate one node."""

SALES = 30


@pytest.mark.parametrize("component", BACK_WITHIN)
def test_a_killed_pod_costs_no_sale_and_little_time(trial: Release, driver: Driver, component: str) -> None:
    """Every acknowledged sale is there afterwards with one capture; the longest time without a sale is short."""
    trial.wait_until_ready()
    with driver.load(trial.load()) as load:
        load.wait_for_sales(SALES)
        victim = trial.ready_pods(component)[-1].metadata
        trial.cluster.kill(trial.namespace, victim.name)
        load.wait_for_sales(SALES, 90)
        # A StatefulSet's pod comes back under its name: what is new is its uid.
        until(
            lambda: victim.uid not in {pod.metadata.uid for pod in trial.ready_pods(component)} and not trial.unready(),
            f"another {component} pod",
            90,
        )
    report = load.report
    assert report["violations"] == []
    assert report["counts"]["ok"] > 2 * SALES
    assert report["counts"].get("unknown", 0) == 0, report["errors"]
    assert report["longest_gap"] <= BACK_WITHIN[component], report
