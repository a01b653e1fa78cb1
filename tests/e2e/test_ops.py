"""ops and the simulators: the audit as a Job passes on what was sold, and their deaths cost no sale."""

from __future__ import annotations

import uuid
from typing import Any

from tests.e2e.driver import Driver
from tests.e2e.release import Release
from tests.e2e.waiting import until

SALES = 20
BESIDE = ("ops", "payment-simulator", "mail-sink")
BACK_SECONDS = 60
"""Until a sale is made again: the simulator starts anew, and an order's next attempt comes after 15 s at most."""

AUDIT_SECONDS = 120


def audited(trial: Release) -> tuple[bool, str]:
    """Make a Job from the CronJob as an operator does; tell whether it succeeded, and what it said."""
    core, batch = trial.cluster.core, trial.cluster.batch
    template = batch.read_namespaced_cron_job(f"{trial.fullname}-verify", trial.namespace).spec.job_template
    name = f"verify-{uuid.uuid4().hex[:6]}"
    batch.create_namespaced_job(
        trial.namespace, {"metadata": {"name": name, "labels": template.metadata.labels}, "spec": template.spec}
    )

    def ended() -> Any:
        status = batch.read_namespaced_job(name, trial.namespace).status
        return status if status.succeeded or status.failed else None

    status = until(ended, f"the end of job {name}", AUDIT_SECONDS)
    (pod,) = core.list_namespaced_pod(trial.namespace, label_selector=f"job-name={name}").items
    return bool(status.succeeded), core.read_namespaced_pod_log(pod.metadata.name, trial.namespace)


def test_ops_and_the_simulators_die_during_sales_and_the_audit_finds_all_whole(trial: Release, driver: Driver) -> None:
    """Every acknowledged sale is there with one capture; the Job passes and names the event, which is still on sale."""
    trial.wait_until_ready()
    with driver.load(trial.load()) as load:
        load.wait_for_sales(SALES)
        victims = {component: trial.ready_pods(component)[-1].metadata for component in BESIDE}
        for victim in victims.values():
            trial.cluster.kill(trial.namespace, victim.name)
        until(
            lambda: (
                all(victims[it].uid not in {pod.metadata.uid for pod in trial.ready_pods(it)} for it in BESIDE)
                and not trial.unready()
            ),
            "others in their place",
            90,
        )
        load.wait_for_sales(SALES, BACK_SECONDS)
    report = load.report
    assert report["violations"] == []
    assert report["counts"].get("unknown", 0) == 0, report["errors"]
    has_passed, said = audited(trial)
    assert has_passed, said
    assert f"{report['event_id']}: whole" in said
