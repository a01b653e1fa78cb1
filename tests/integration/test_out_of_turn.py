"""Good requests at the wrong time: refused with their reason at both doors, and no money moves."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from tests.integration.bad_input import BUYING
from tests.integration.booking import OpenHall, until
from tests.integration.doors import Outcome
from tests.integration.world import World, judge

HOLD, CHECKOUT = "TicketService/HoldSeats", "CheckoutService/Checkout"
EXTEND, RELEASE = "TicketService/ExtendHold", "TicketService/ReleaseHold"


async def both(world: World, rpc: str, request: dict[str, Any], token: str) -> list[Outcome]:
    """Call at both doors; the refusals must be the same."""
    http, grpc = await world.http.call(rpc, request, token), await world.grpc.call(rpc, request, token)
    for outcome in (http, grpc):
        judge(outcome)
    assert (http.code, http.reason) == (grpc.code, grpc.reason)
    return [http, grpc]


async def test_an_expired_hold_is_good_for_nothing(world: World, open_hall: OpenHall) -> None:
    """After its time a hold is neither paid nor extended, and releasing it does not take what others hold now."""
    hall = await open_hall(hold_seconds=1)
    ann, bob = hall.buyer(), hall.buyer()
    hold = await hall.held(ann, "A-1-1")
    await hall.become("AVAILABLE", "A-1-1")
    request = {"event_id": hall.event_id, "hold_id": hold["hold_id"]}
    await hall.buy(bob, "A-1-1")
    for rpc, body in ((CHECKOUT, BUYING | request), (EXTEND, request), (RELEASE, request)):
        http, _ = await both(world, rpc, body, ann)
        assert (http.code, http.reason) == ("FAILED_PRECONDITION", "HOLD_EXPIRED"), rpc
    assert await hall.status("A-1-1") == "SOLD"


async def test_a_hold_paid_twice_at_once_is_paid_once(world: World, open_hall: OpenHall) -> None:
    """Two orders for one hold, one at each door in the same moment: one is confirmed, one capture is made."""
    hall = await open_hall()
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1", "A-1-2")
    orders = [uuid.uuid4().hex, uuid.uuid4().hex]
    body = BUYING | {"event_id": hall.event_id, "hold_id": hold["hold_id"]}
    outcomes = await asyncio.gather(
        world.http.call(CHECKOUT, body | {"order_id": orders[0]}, buyer),
        world.grpc.call(CHECKOUT, body | {"order_id": orders[1]}, buyer),
    )
    assert sorted(outcome.code for outcome in outcomes) == ["FAILED_PRECONDITION", "OK"], outcomes
    (refused,) = (outcome for outcome in outcomes if outcome.code != "OK")
    assert refused.reason in ("HOLD_IN_PAYMENT", "INVALID_TRANSITION")
    assert sorted([await captured(world, order_id) for order_id in orders]) == [0, 9000]


async def captured(world: World, order_id: str) -> int:
    """Add up what the provider took for an order."""
    url = f"{world.behind.stack.payments_url}/ledger?payment_key={order_id}"
    async with world.hall.client.session.get(url) as answer:
        entries = (await answer.json())["entries"]
    return sum(int(entry["amount_minor"]) for entry in entries if entry["effect"] == "captured")


async def test_what_is_captured_is_not_cancelled(world: World) -> None:
    """An order that is confirmed stays so, whatever its buyer asks."""
    async with world.untouched(reaches_handler=True):
        http, _ = await both(world, "CheckoutService/CancelOrder", {"order_id": world.names["order"]}, world.buyer)
    assert (http.code, http.reason) == ("FAILED_PRECONDITION", "INVALID_TRANSITION")
    shown = await world.grpc.call("CheckoutService/GetOrder", {"order_id": world.names["order"]}, world.buyer)
    assert (shown.answer["state"], shown.answer["payment"]["state"]) == (
        "ORDER_STATE_CONFIRMED",
        "PAYMENT_STATE_CAPTURED",
    )


async def test_nothing_is_bought_before_or_after_the_sale(world: World, open_hall: OpenHall) -> None:
    """Before the window, after it, in a pause and after the close, neither a hold nor an order gets a seat."""
    early = await open_hall(sale_starts_at="2029-01-01T00:00:00Z")
    late = await open_hall(sale_starts_at="2020-01-01T00:00:00Z", sale_ends_at="2020-01-02T00:00:00Z")
    paused, closed = await open_hall(), await open_hall()
    assert (await paused.do(":pause")).status == 200
    assert (await closed.do(":close")).status == 200

    async def reasons(hall: Any) -> set[str]:
        buyer, seats = hall.buyer(), {"event_id": hall.event_id, "seat_ids": ["A-1-1"]}
        refused = [*await both(world, HOLD, seats, buyer), *await both(world, CHECKOUT, BUYING | seats, buyer)]
        assert {outcome.code for outcome in refused} == {"FAILED_PRECONDITION"}
        assert await hall.status("A-1-1") == "AVAILABLE"
        return {outcome.reason for outcome in refused}

    assert await reasons(early) == {"SALES_NOT_OPEN"}
    assert await reasons(late) == {"SALES_CLOSED"}

    # Terms may be a second old where holds are made.
    async def is_told(hall: Any, reason: str) -> bool:
        answer = await hall.hold(hall.buyer(), "A-2-1")
        return bool(answer.reason == reason)

    await until(lambda: is_told(paused, "SALES_PAUSED"), "the pause to be known")
    await until(lambda: is_told(closed, "SALES_CLOSED"), "the close to be known")
    assert await reasons(paused) == {"SALES_PAUSED"}
    assert await reasons(closed) == {"SALES_CLOSED"}
