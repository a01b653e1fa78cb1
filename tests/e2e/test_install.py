"""The trial as it is installed: what a person sees who follows the README."""

from __future__ import annotations

import http.client
import json
import time
import uuid

from tests.e2e.cluster import Cluster, Door
from tests.e2e.driver import Driver
from tests.e2e.release import ENDPOINTS, Images, Release
from tests.e2e.waiting import until

READY_SECONDS = 90


def test_the_defaults_are_ready_in_90_seconds(trial: Release) -> None:
    """In a namespace that enforces `restricted`, from `helm install` until the gateway can serve."""
    assert trial.ready_after <= READY_SECONDS
    assert all(len(trial.hashes(name)) == 1 for name in ENDPOINTS)


def test_registering_again_changes_nothing(trial: Release) -> None:
    """`make register` on a release that is registered: the same deployments serve, and no other was made."""
    before = trial.serving(), {found["id"] for found in trial.deployments()}
    told = trial.run_job("register")
    assert (trial.serving(), {found["id"] for found in trial.deployments()}) == before
    for service in ("Ticket", "Checkout", "SeatMap"):
        assert service in told


def test_the_image_runs_as_any_user(cluster: Cluster, images: Images, trial: Release) -> None:
    """Some clusters choose the user themselves: a process serves under a uid that the image does not know."""
    pod = f"stranger-{uuid.uuid4().hex[:6]}"
    # Not of the release: no NetworkPolicy of its components is to let it in or out.
    cluster.run_pod(trial.namespace, pod, images.nexus, {"component": "any"}, ["nexus", "run", "mail-sink"], user=12345)

    def is_healthy() -> bool:
        try:
            return Door(trial.namespace, pod, 8902).request("GET", "/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    until(is_healthy, "a mail sink of another user", 30)
    done = cluster.exec(trial.namespace, pod, ["python3", "-c", "import os; print(os.getuid())"])
    assert done.out.strip() == "12345"
    bill = cluster.exec(trial.namespace, pod, ["cat", "/usr/share/nexus/sbom.cdx.json"])
    assert {"pkg:pypi", "pkg:deb"} <= {one["purl"].split("/")[0] for one in json.loads(bill.out)["components"]}
    cluster.delete_pod(trial.namespace, pod)


def test_the_walk_of_the_readme_sells_a_seat(trial: Release, driver: Driver) -> None:
    """grpcurl, as a person types it: an event, a hold, a checkout, the order, the mail."""
    key = driver.write("sign-in.pem", trial.sign_in_key())
    gateway = trial.address("gateway", 50051)
    event_id = f"gala-{time.time_ns()}"

    def rpc(name: str, request: object, subject: str, *roles: str) -> dict[str, object]:
        bearer = driver.sh(
            ["nexus", "token", subject, "--key", key, *(part for role in roles for part in ("--role", role))]
        )
        assert bearer.code == 0, bearer.err
        sent = ["-H", f"authorization: Bearer {bearer.out.strip()}", "-d", json.dumps(request)]
        done = driver.sh(["grpcurl", "-plaintext", *sent, gateway, f"nexus.v1.{name}"])
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    event = {
        "event_id": event_id,
        "title": "Gala",
        "venue": "Town Hall",
        "starts_at": "2035-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4500}],
        "sections": [
            {"section_id": "A", "title": "Stalls", "row_count": 2, "seats_per_row": 5, "category_id": "std"},
        ],
    }
    rpc("EventService/CreateEvent", {"event": event}, "grace", "organizer")
    rpc("EventService/PublishEvent", {"event_id": event_id}, "grace", "organizer")
    held = rpc("TicketService/HoldSeats", {"event_id": event_id, "seat_ids": ["A-1-1", "A-1-2"]}, "ada")
    email = f"{event_id}@example.org"
    payment = {"event_id": event_id, "hold_id": held["hold_id"], "payment_method": "card_success", "email": email}
    order = rpc("CheckoutService/Checkout", payment, "ada")
    assert order["state"] == "ORDER_STATE_CONFIRMED"
    sold = rpc("TicketService/GetTicket", {"event_id": event_id, "seat_id": "A-1-1"}, "ada")
    assert sold["status"] == "SEAT_STATUS_SOLD"
    mails = f"http://{trial.address('mail-sink', 8902)}/messages"
    until(lambda: email in json.dumps(driver.ask("GET", mails)), "the mail with the tickets", 20)


def test_helm_test_passes(trial: Release) -> None:
    """A hundred buyers for one seat: 1 SOLD, 99 refusals, 1 capture, 1 mail."""
    told = trial.helm("test", trial.name, "--logs", "--timeout", "3m")
    assert "Succeeded" in told


def test_a_token_of_another_key_is_refused(trial: Release, driver: Driver) -> None:
    """The sign-in of the trial is a real one: nothing else is believed."""
    other = driver.sh(["nexus", "keys", "--folder", "/tmp/other"])
    assert other.code == 0, other.err
    bearer = driver.sh(["nexus", "token", "ada", "--key", "/tmp/other/auth-private.pem"])
    assert bearer.code == 0, bearer.err
    call = ["nexus", "call", "ListOrders", '{"event_id": "x"}', "--gateway", trial.address("gateway", 50051)]
    done = driver.sh([*call, "--token", bearer.out.strip()])
    assert "not signed in" in done.err, done
