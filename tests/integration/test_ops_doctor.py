"""The doctor names what is stuck and why; a retry lets it end; the timeline tells it all."""

from __future__ import annotations

from typing import Any

from tests.integration.booking import moment, until
from tests.integration.operating import Operator, new_id

FINAL = ("CONFIRMED", "DECLINED", "EXPIRED", "CANCELLED", "FAILED")


async def listed(operator: Operator, order_id: str) -> dict[str, Any]:
    """Give what the doctor tells of an order; nothing where it is fine."""
    answer = await operator.call("GET", "/v1/unfinished?page_size=1000")
    assert answer.status == 200, answer
    return next((one for one in answer.json["unfinished"] if one["order_id"] == order_id), {})


async def begun(operator: Operator, seat_id: str = "A-1-1", **fields: Any) -> tuple[str, str]:
    """Begin an order whose provider is away, so that it cannot end; give its id and its invocation's."""
    hall, order_id = await operator.hall(hold_seconds=30), new_id("o")
    answer = await hall.buy(hall.buyer(), seat_id, order_id=order_id, **{"async": True} | fields)
    assert answer.status == 200, answer

    async def invocation() -> str:
        running = await operator.behind.running(f"Checkout/{order_id}/process")
        order = (await operator.behind.state("Checkout", order_id)).get("order", {})
        return running[0] if running and "authorize" in order.get("tried", []) else ""

    return order_id, await until(invocation, "the order to be under way")


async def pause(operator: Operator, order_id: str, invocation_id: str) -> None:
    """Pause an order's invocation, which Restate does only while it runs or is to be tried again."""

    async def is_paused() -> bool:
        if (await listed(operator, order_id)).get("status") == "paused":
            return True
        await operator.admin("PATCH", f"/invocations/{invocation_id}/pause")
        return False

    await until(is_paused, "the order to be paused", 20)


async def test_a_paused_order_is_named_and_resumed(operator: Operator) -> None:
    """With its status, why, and the command; after the cause is mended the retry lets it end."""
    await operator.switch(away=True)
    try:
        order_id, invocation_id = await begun(operator)
        await pause(operator, order_id, invocation_id)
        told = await listed(operator, order_id)
        assert (told["severity"], told["invocation_id"]) == ("SEVERITY_STUCK", invocation_id)
        assert f"nexus retry {order_id}" in told["advice"]
        assert "kill" not in told["advice"]
        doctor = operator.nexus("doctor")
        assert doctor.returncode == 6, doctor
        assert f"stuck order {order_id} process paused" in doctor.stdout
    finally:
        await operator.switch()
    answer = await operator.call("POST", f"/v1/orders/{order_id}:retry", {})
    assert (answer.json["action"], answer.json["invocation_id"]) == ("RETRY_ACTION_RESUMED", invocation_id)

    async def has_ended() -> bool:
        again = await operator.call("POST", f"/v1/orders/{order_id}:retry", {})
        return bool(again.json["action"] == "RETRY_ACTION_FINAL")

    await until(has_ended, "the order to end", 40)
    assert await listed(operator, order_id) == {}


async def test_an_order_that_nothing_works_on_is_named_and_taken_up(operator: Operator) -> None:
    """Its process was killed: the audit and the doctor name it, the retry undoes it, and then the event is whole."""
    await operator.switch(away=True)
    try:
        order_id, invocation_id = await begun(operator)
        await operator.behind.kill(invocation_id)

        async def is_abandoned() -> bool:
            return (await listed(operator, order_id)).get("status") == "abandoned"

        await until(is_abandoned, "the order to be named")
        order = (await operator.behind.state("Checkout", order_id))["order"]
    finally:
        await operator.switch()
    assert (await listed(operator, order_id))["advice"] == f"nexus retry {order_id}"
    assert ("ORDER_ABANDONED", "A-1-1", order_id, "") in await operator.findings(order["event_id"])
    done = operator.nexus("retry", order_id)
    assert done.returncode == 0, done
    assert f"order {order_id} goes on from its record" in done.stdout

    async def has_ended() -> bool:
        state = (await operator.behind.state("Checkout", order_id))["order"]["state"]
        return bool(state == "ORDER_STATE_EXPIRED")

    await until(has_ended, "the order to end")
    report = await operator.verify(order["event_id"])
    assert report["verdict"] == "VERDICT_PASSED", report
    assert report["sections"][0]["available"] == report["sections"][0]["capacity"]


async def test_a_timer_that_is_yet_to_come_is_fine(operator: Operator) -> None:
    """It is listed on request only."""
    hall = await operator.hall()
    await hall.held(hall.buyer(), "A-1-1")

    async def timers(path: str) -> list[tuple[str, str]]:
        answer = await operator.call("GET", path)
        mine = [one for one in answer.json["unfinished"] if one["key"].startswith(hall.event_id)]
        return [(one["status"], one["severity"]) for one in mine if one["handler"] == "expire"]

    async def is_listed() -> bool:
        return await timers("/v1/unfinished?include_fine=true&page_size=1000") == [("scheduled", "SEVERITY_FINE")]

    await until(is_listed, "the hold's timer")
    assert await timers("/v1/unfinished?page_size=1000") == []


async def test_an_invocation_is_resumed_by_its_id(operator: Operator) -> None:
    """A paused one goes on; one that has ended, and one that never was, are refusals."""
    await operator.switch(away=True)
    try:
        order_id, invocation_id = await begun(operator)
        await pause(operator, order_id, invocation_id)
        answer = await operator.call("POST", f"/v1/invocations/{invocation_id}:resume", {})
        assert answer.status == 200, answer
        assert answer.json["invocation"]["status"] != "paused"
    finally:
        await operator.switch()

    async def has_ended() -> bool:
        return not await operator.behind.running(f"Checkout/{order_id}/process")

    await until(has_ended, "the order to end", 40)
    again = await operator.call("POST", f"/v1/invocations/{invocation_id}:resume", {})
    assert (again.status, again.reason) == (409, "INVALID_TRANSITION")
    assert (await operator.call("POST", "/v1/invocations/inv_1nope:resume", {})).status == 400
    assert (await operator.call("POST", "/v1/orders/no-such-order:retry", {})).status == 404


async def test_the_timeline_joins_history_journal_and_provider(operator: Operator) -> None:
    """Each step of a sale in its order, each attempt that failed, what undoes something, and the provider's word."""
    hall, order_id = await operator.hall(), new_id("o")
    assert (await hall.buy(hall.buyer(), "A-1-1", order_id=order_id, payment_method="card_flaky")).status == 200
    told = (await operator.call("GET", f"/v1/orders/{order_id}:timeline")).json
    entries = told["entries"]
    times = [moment(entry["at"]) for entry in entries]
    assert times == sorted(times)
    assert (told["order"]["state"], told["gaps"]) == ("ORDER_STATE_CONFIRMED", [])
    history = [entry["what"] for entry in entries if entry["source"] == "TIMELINE_SOURCE_HISTORY"]
    assert history == ["accepted", "held", "authorized", "confirmed", "captured", "finished", "mailed"]
    attempts = [entry["detail"] for entry in entries if entry["what"] == "authorize"]
    assert attempts == ["UNKNOWN", "UNKNOWN", "UNKNOWN", "DONE"]
    steps = [entry["what"].rpartition("/")[2] for entry in entries if entry["source"] == "TIMELINE_SOURCE_JOURNAL"]
    assert [step for step in steps if step not in ("authorize", "wait")] == [
        "hold_for_order", "confirm", "capture", "finish_checkout", "send",
    ]  # fmt: skip
    assert any(entry["what"] == "the provider has it as CAPTURED" for entry in entries)
    assert not any(entry["is_compensation"] for entry in entries)
    shown = operator.nexus("timeline", order_id)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "the provider has it as CAPTURED" in shown.stdout


async def test_a_timeline_marks_what_was_undone(operator: Operator) -> None:
    """A capture declined for good: the revoked seat and the void are compensations."""
    hall, order_id = await operator.hall(), new_id("o")
    answer = await hall.buy(hall.buyer(), "A-1-1", order_id=order_id, payment_method="card_capture_decline")
    assert answer.status == 402, answer
    entries = (await operator.call("GET", f"/v1/orders/{order_id}:timeline")).json["entries"]
    undone = {entry["what"].rpartition("/")[2] for entry in entries if entry["is_compensation"]}
    assert undone == {"revoke", "void", "revoked", "voided"}


async def test_the_numbers_tell_of_what_is_stuck(operator: Operator) -> None:
    """Unfinished invocations by status, the orders among them, timers and versions; and a query that fails is one."""
    await operator.switch(away=True)
    try:
        order_id, invocation_id = await begun(operator)
        await pause(operator, order_id, invocation_id)

        async def numbers() -> dict[str, float]:
            url = f"http://127.0.0.1:{operator.stack.ports.ops_metrics_port}/metrics"
            async with operator.client.session.get(url) as answer:
                lines = (await answer.text()).splitlines()
            return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}

        paused = 'nexus_unfinished_invocations{service="Checkout",status="paused"}'

        async def is_told() -> dict[str, float] | None:
            found = await numbers()
            return found if found.get(paused, 0) >= 1 and found.get("nexus_unfinished_orders", 0) >= 1 else None

        told = await until(is_told, "the numbers", 60) or {}
        assert told['nexus_deployments{state="serving"}'] == 3
        assert told["nexus_draining_seconds"] == 0
        assert told['nexus_oldest_unfinished_seconds{service="Checkout",status="paused"}'] > 0
        assert told['nexus_ops_queries_total{outcome="failed",query="invocations"}'] == 0
        await operator.admin("PATCH", f"/invocations/{invocation_id}/resume")
    finally:
        await operator.switch()
