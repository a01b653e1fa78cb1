"""The identity key is changed while people buy."""

from __future__ import annotations

from tests.e2e.driver import Driver
from tests.e2e.release import Release


def test_the_identity_key_is_rotated_without_a_failed_call(trial: Release, driver: Driver) -> None:
    """Afterwards Restate signs with another key, the endpoints accept only that one, and no client saw an error."""
    trial.wait_until_ready()
    before = trial.cluster.secret(trial.namespace, f"{trial.fullname}-identity")
    with driver.load(trial.load(seconds=400)) as load:
        load.wait_for_sales(20)
        trial.run_job("rotate-identity")
        load.wait_for_sales(20, 90)
    after = trial.cluster.secret(trial.namespace, f"{trial.fullname}-identity")
    assert after["identity.pem"] != before["identity.pem"]
    assert b"," not in after["identity-keys"].strip()
    assert after["identity-keys"] != before["identity-keys"]
    assert load.report["violations"] == []
    assert load.report["errors"] == []
