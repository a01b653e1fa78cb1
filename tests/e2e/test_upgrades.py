"""Other versions of an endpoint come and go while orders are on their way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.release import HelmError, Release
from tests.e2e.waiting import until

IN_FLIGHT = 50
PROCESSES = (
    "select pinned_deployment_id, count(*) as n from sys_invocation where target_service_name = 'Checkout' "
    "and target_handler_name = 'process' and status != 'completed' group by pinned_deployment_id"
)
ENDED = (
    "select pinned_deployment_id, count(*) as n from sys_invocation where target_service_name = 'Checkout' "
    "and target_handler_name = 'process' and target_service_key like '{event_id}-%' group by pinned_deployment_id"
)
QUICK = {"register": {"keepSeconds": 5}}
"""A drained version is removed by the next run of the CronJob, within a minute."""


def with_version(mark: str, **more: Any) -> dict[str, Any]:
    """Give values that make another version of the endpoint `checkout`."""
    return QUICK | {"checkout": {"podAnnotations": {"nexus.dev/e2e": mark}}} | more


@pytest.fixture
def upgraded(trial: Release) -> Iterator[Release]:
    """Bring the shared release back to the defaults in the end."""
    trial.wait_until_ready()
    yield trial
    trial.install({}, "--timeout", "4m")
    trial.wait_until_ready()


def deployment_at(release: Release, service: str) -> str:
    """Name the Restate deployment that new invocations of a service go to."""
    rows = release.query(f"select deployment_id from sys_service where name = '{service}'")
    return str(rows[0]["deployment_id"])


def test_an_upgrade_and_a_rollback_lose_no_order_in_flight(upgraded: Release, driver: Driver) -> None:
    """Fifty checkouts that were begun on the old version end on it; it then goes; a rollback serves anew."""
    release = upgraded
    release.install(with_version("one"))
    first = {release.versions("checkout")[-1].metadata.labels["nexus.dev/version"]}
    old = deployment_at(release, "Checkout")
    revision = release.revision()
    switches = f"http://{release.address('payment-simulator', 8901)}/switches"
    driver.ask("PUT", switches, {"away": True})
    try:
        with driver.load(release.load(at_once=IN_FLIGHT, call_seconds=240, seconds=300)) as load:
            until(lambda: release.query(PROCESSES) == [{"pinned_deployment_id": old, "n": IN_FLIGHT}], "50 orders", 60)
            release.install(with_version("two"))
            new = deployment_at(release, "Checkout")
            assert new != old
            assert release.query(PROCESSES) == [{"pinned_deployment_id": old, "n": IN_FLIGHT}]
            driver.ask("PUT", switches, {})
    finally:
        driver.ask("PUT", switches, {})
    assert load.report["counts"] == {"ok": IN_FLIGHT}
    assert load.report["errors"] == []
    assert load.report["violations"] == []
    ended = ENDED.format(event_id=load.report["event_id"])
    assert release.query(ended) == [{"pinned_deployment_id": old, "n": IN_FLIGHT}]
    until(lambda: not first & release.hashes("checkout"), "the end of the old version", 150)
    assert old not in {found["id"] for found in release.deployments()}

    release.helm("rollback", release.name, str(revision), "--timeout", "4m")
    assert release.hashes("checkout") >= first
    assert deployment_at(release, "Checkout") not in {old, new}
    with driver.load(release.load(at_once=5)) as after:
        pass
    assert after.report["counts"] == {"ok": 5}


def test_an_upgrade_that_restate_refuses_leaves_the_old_version_serving(upgraded: Release, driver: Driver) -> None:
    """An endpoint that does not believe this Restate cannot be registered: helm fails, buyers notice nothing."""
    release = upgraded
    before = release.serving()
    stranger = "publickeyv1_CFKDUkBvRFXBfqSWC2CjjNiJ3eNzYqjmLyLDQdTsPJV8"
    env = [
        {"name": "NEXUS_IDENTITY_KEYS_FILE", "value": ""},
        {"name": "NEXUS_IDENTITY_KEYS", "value": stranger},
    ]
    with driver.load(release.load()) as load:
        with pytest.raises(HelmError) as refused:
            release.install(QUICK | {"ticket": {"env": env}})
        load.wait_for_sales(10)
    assert "register" in str(refused.value)
    assert release.serving() == before
    assert load.report["errors"] == []
    assert load.report["violations"] == []
