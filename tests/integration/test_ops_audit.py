"""The audit names each damage exactly, and calls no sale in progress one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.ops.signing import is_signed, public_key
from tests.integration.booking import PATIENCE, Hall, until
from tests.integration.client import sign
from tests.integration.modes import normal_mode_only
from tests.integration.operating import Operator, new_id

pytestmark = normal_mode_only("what ops reads")


async def bought(hall: Hall, *seat_ids: str) -> str:
    """Sell seats and give the order's id."""
    answer = await hall.buy(hall.buyer(), *seat_ids)
    assert answer.status == 200, answer
    await hall.become("SOLD", *seat_ids)
    return str(answer.json["order_id"])


async def test_an_event_that_is_whole_passes(operator: Operator) -> None:
    """With sold, held, blocked, released and declined seats; counts and money are those of the sales."""
    hall = await operator.hall(rows=2)
    await bought(hall, "A-1-1", "A-1-2")
    buyer = hall.buyer()
    await hall.held(buyer, "A-1-3")
    hold = await hall.held(buyer, "A-1-4")
    assert (await hall.release(buyer, hold)).status == 200
    assert (await hall.do("/seats:block", {"seat_ids": ["A-2-1"]})).status == 200
    refused = await hall.buy(hall.buyer(), "A-1-5", payment_method="card_decline")
    assert refused.status == 402, refused
    report = await operator.verify(hall.event_id)
    assert report["verdict"] == "VERDICT_PASSED", report
    assert report["sections"] == [
        {"section_id": "A", "capacity": 20, "available": 16, "held": 1, "sold": 2, "blocked": 1}
    ]
    assert {name: int(amount["amount_minor"]) for name, amount in report["money"].items()} == {
        "captured": 9000,
        "refunded": 0,
        "confirmed": 9000,
        "in_progress": 0,
    }
    assert (report["order_count"], report["confirmed_count"]) == (2, 1)


async def test_a_seat_with_two_orders_is_named(operator: Operator) -> None:
    """The seat and both orders, nothing else; and the metric counts it."""
    hall = await operator.hall()
    order_id, other_id = await bought(hall, "A-1-1"), new_id("zz")
    record = (await operator.behind.state("Checkout", order_id))["order"] | {"order_id": other_id}
    await operator.write("Checkout", other_id, {"order": json.dumps(record).encode()})
    await operator.pay(other_id, "authorize", "capture")
    assert await operator.findings(hall.event_id) == {("SEAT_IN_TWO_ORDERS", "A-1-1", f"{order_id},{other_id}", "")}
    metrics = f"http://127.0.0.1:{operator.stack.ports.ops_metrics_port}/metrics"
    async with operator.client.session.get(metrics) as answer:
        assert f'nexus_oversold_seats{{event="{hall.event_id}"}} 1.0' in await answer.text()


async def test_a_capture_without_an_order_is_named(operator: Operator) -> None:
    """Whether its order never was, or has ended otherwise; given back, it is none any more."""
    hall = await operator.hall()
    stray, declined = new_id("stray"), new_id("declined")
    await operator.pay(stray, "authorize", "capture")
    answer = await hall.buy(hall.buyer(), "A-1-1", order_id=declined, payment_method="card_decline")
    assert answer.status == 402, answer
    await operator.damage("Checkout", order := await bought(hall, "A-1-2"), "order", state="ORDER_STATE_DECLINED")
    found = await operator.findings(hall.event_id)
    assert found == {
        ("CAPTURE_WITHOUT_ORDER", "", stray, ""),
        ("CAPTURE_WITHOUT_ORDER", "", order, ""),
        ("SEAT_WITHOUT_ORDER", "A-1-2", order, ""),
    }
    await operator.pay(stray, "refund")
    assert ("CAPTURE_WITHOUT_ORDER", "", stray, "") not in await operator.findings(hall.event_id)


async def test_money_that_is_only_reserved_is_named(operator: Operator) -> None:
    """No authorization stays open for an order that is none."""
    hall, stray = await operator.hall(), new_id("reserved")
    await operator.pay(stray, "authorize")
    assert await operator.findings(hall.event_id) == {("AUTHORIZATION_LEFT_OPEN", "", stray, "")}
    await operator.pay(stray, "void")
    assert await operator.findings(hall.event_id) == set()


async def test_an_order_without_a_seat_is_named(operator: Operator) -> None:
    """One of its two seats is somebody else's."""
    hall = await operator.hall()
    order_id = await bought(hall, "A-1-1", "A-1-2")
    await operator.damage("Ticket", f"{hall.event_id}:A-1-2", "ticket", order_id="somebody-else")
    assert await operator.findings(hall.event_id) == {("ORDER_WITHOUT_SEAT", "A-1-2", order_id, "")}


async def test_an_order_without_its_money_is_named(operator: Operator) -> None:
    """Another amount than was captured, and money that was given back."""
    hall = await operator.hall()
    dear, returned = await bought(hall, "A-1-1"), await bought(hall, "A-1-2")
    await operator.damage("Checkout", dear, "order", total={"currency_code": "EUR", "amount_minor": 1})
    await operator.pay(returned, "refund")
    assert await operator.findings(hall.event_id) == {
        ("AMOUNT_DIFFERS", "A-1-1", dear, ""),
        ("ORDER_WITHOUT_CAPTURE", "A-1-2", returned, ""),
    }


async def test_a_drifted_map_is_named(operator: Operator) -> None:
    """The one seat that it shows otherwise; a rebuild mends it."""
    hall = await operator.hall()
    await bought(hall, "A-1-1")
    state = await operator.behind.state("SeatMap", f"{hall.event_id}:A")
    statuses = state["status:0"]["statuses"]
    await operator.damage("SeatMap", f"{hall.event_id}:A", "status:0", statuses=statuses[:4] + "S" + statuses[5:])
    assert await operator.findings(hall.event_id) == {("MAP_DIFFERS", "A-1-5", "", "")}
    assert (await hall.do("/seatmap:rebuild", {})).status == 200

    async def is_whole() -> bool:
        return await operator.findings(hall.event_id) == set()

    await until(is_whole, "the map to be rebuilt", 20)


async def test_a_hold_that_never_ended_is_named(operator: Operator) -> None:
    """Its timer was lost: with the hold's id and its seats, once it is 5 s late."""
    hall = await operator.hall(hold_seconds=1)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1", "A-1-2")
    timer = f"target_service_key LIKE '{hall.event_id}:%' AND target_handler_name = 'expire' AND status = 'scheduled'"

    async def timers() -> list[dict[str, str]]:
        return await operator.behind.query(f"SELECT id FROM sys_invocation WHERE {timer}")

    for row in await until(timers, "the hold's timer"):
        await operator.behind.kill(row["id"])
    expected = {("HOLD_NOT_ENDED", "A-1-1,A-1-2", "", hold["hold_id"])}

    async def is_found() -> bool:
        return await operator.findings(hall.event_id) == expected

    assert await operator.findings(hall.event_id) == set(), "it was not late yet"
    await until(is_found, "the hold to be late", 20)


async def test_a_seat_that_is_nobodys_is_named(operator: Operator) -> None:
    """Held by a hold that never was, sold to an order that never was, and what cannot be read."""
    hall = await operator.hall()
    held, sold, broken = (f"{hall.event_id}:A-1-{number}" for number in (1, 2, 3))
    where = {"section_id": "A", "revision": 1, "schema_version": 1}
    deadline = {"hard_deadline": "2040-01-01T00:00:00Z"}
    await operator.damage(
        "Ticket", held, "ticket", status="SEAT_STATUS_HELD", hold_id="h-nobody", position=0, **where, **deadline
    )
    await operator.damage("Ticket", sold, "ticket", status="SEAT_STATUS_SOLD", order_id="o-nobody", position=1, **where)
    await operator.write("Ticket", broken, {"ticket": b'{"status": 7}'})
    assert await operator.findings(hall.event_id) == {
        ("SEAT_WITHOUT_HOLD", "A-1-1", "", "h-nobody"),
        ("SEAT_WITHOUT_ORDER", "A-1-2", "o-nobody", ""),
        ("STATE_UNREADABLE", "A-1-3", "", ""),
        ("MAP_DIFFERS", "A-1-1", "", ""),
        ("MAP_DIFFERS", "A-1-2", "", ""),
    }


@asynccontextmanager
async def busy(hall: Hall, seats: list[str], buyers: int) -> AsyncIterator[list[int]]:
    """Let buyers go for the seats until the block ends; gives how often one had what it wanted."""
    is_over, sold = asyncio.Event(), [0]

    async def buyer(number: int) -> None:
        place = number
        while not is_over.is_set():
            token, seat_id = hall.buyer(), seats[place % len(seats)]
            place += 7
            if place % 3:
                answer = await hall.buy(token, seat_id)
                sold[0] += answer.status == 200
            else:
                answer = await hall.hold(token, seat_id)
                if answer.status == 200:
                    await hall.release(token, answer.json)

    tasks = [asyncio.create_task(buyer(number)) for number in range(buyers)]
    try:
        yield sold
    finally:
        is_over.set()
        await asyncio.gather(*tasks)


async def test_a_sale_in_progress_is_no_damage(operator: Operator) -> None:
    """Audits beside eight buyers find nothing; one planted beside them is found, so they were not blind."""
    hall = await operator.hall(rows=10, seats_per_row=30, max_seats_per_buyer=50)
    seats = [f"A-{row}-{number}" for row in range(1, 11) for number in range(1, 31)]
    # Longer than the map is behind on a busy machine; the default is 30.
    loop, seen, settle_seconds = asyncio.get_running_loop(), 0, round(4 * PATIENCE)
    deadline = loop.time() + 60 * PATIENCE
    async with busy(hall, seats[1:], 8) as sold:
        while sold[0] < 40 or not seen:
            report = await operator.verify(hall.event_id, settle_seconds)
            assert report["verdict"] == "VERDICT_PASSED", report["findings"]
            section = report["sections"][0]
            assert section["capacity"] == sum(section[name] for name in ("available", "held", "sold", "blocked"))
            seen += report["settled_count"]
            assert loop.time() < deadline, f"{sold[0]} sold, {seen} differences seen: too quiet to prove anything"
        await operator.damage(
            "Ticket", f"{hall.event_id}:{seats[0]}", "ticket",
            status="SEAT_STATUS_SOLD", order_id="o-nobody", section_id="A", position=0, revision=1, schema_version=1,
        )  # fmt: skip
        found = await operator.findings(hall.event_id, settle_seconds)
    assert found == {("SEAT_WITHOUT_ORDER", seats[0], "o-nobody", ""), ("MAP_DIFFERS", seats[0], "", "")}


async def test_a_provider_that_is_away_makes_the_audit_incomplete(operator: Operator) -> None:
    """Never a pass; it says what it has not seen."""
    hall = await operator.hall()
    await operator.switch(away=True)
    try:
        report = await operator.verify(hall.event_id)
    finally:
        await operator.switch()
    assert report["verdict"] == "VERDICT_INCOMPLETE"
    assert report["gaps"] == ["the event's money: the payment provider does not answer its list"]


async def test_the_report_is_signed(operator: Operator) -> None:
    """With the key of the setting, over the very text; a changed text is not what was signed."""
    hall = await operator.hall()
    answer = await operator.call("POST", f"/v1/events/{hall.event_id}:verify", {})
    signed = answer.json["signed_report"]
    key = public_key((operator.stack.home / "keys" / "report-public.pem").read_bytes())
    assert is_signed(signed["payload"], signed["signature"], key, signed["payload_type"])
    assert not is_signed(signed["payload"].replace("PASSED", "FAILED"), signed["signature"], key)
    assert json.loads(signed["payload"])["event_id"] == hall.event_id


async def test_only_admins_are_answered(operator: Operator) -> None:
    """Every RPC of ops, for everybody else."""
    hall = await operator.hall()
    paths = [
        ("POST", f"/v1/events/{hall.event_id}:verify", {}),
        ("GET", "/v1/unfinished", None),
        ("POST", "/v1/orders/o-1:retry", {}),
        ("POST", "/v1/invocations/inv_1:resume", {}),
        ("GET", "/v1/orders/o-1:timeline", None),
    ]
    for method, path, body in paths:
        assert (await operator.call(method, path, body, token=None)).status == 401
        for token in (hall.buyer(), hall.organizer, sign(operator.stack, "ada", "buyer")):
            assert (await operator.call(method, path, body, token=token)).status == 403, path


async def test_the_command_ends_with_a_code(operator: Operator) -> None:
    """0 for whole, 6 for damage; a kept report is checked, a changed one refused; an unknown event is a refusal."""
    hall = await operator.hall()
    kept = operator.stack.home / "report.json"
    whole = operator.nexus("verify", hall.event_id, "--settle", "1", "--save", str(kept))
    assert (whole.returncode, whole.stderr) == (0, ""), whole
    assert f"{hall.event_id}: whole" in whole.stdout
    assert operator.nexus("verify", "--check", str(kept)).returncode == 0
    kept.write_text(kept.read_text().replace("VERDICT_PASSED", "VERDICT_FAILED"))
    changed = operator.nexus("verify", "--check", str(kept))
    assert changed.returncode == 1
    assert "not what this key has signed" in changed.stderr
    order_id = await bought(hall, "A-1-1")
    await operator.damage("Ticket", f"{hall.event_id}:A-1-1", "ticket", order_id="somebody-else")
    damaged = operator.nexus("verify", hall.event_id, "--settle", "1")
    assert damaged.returncode == 6, damaged
    assert f"ORDER_WITHOUT_SEAT  order {order_id} is confirmed, but its seat A-1-1 is SOLD to somebody-else" in (
        damaged.stdout
    )
    assert operator.nexus("verify", "no-such-event").returncode == 1
