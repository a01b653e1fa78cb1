"""A buyer gives an order up: possible until the first capture attempt, never after it."""

from __future__ import annotations

import asyncio

from tests.integration.checkout_fixtures import Shop, detail, new_order_id, until
from tests.integration.payment_gate import Halt


async def test_an_order_is_cancelled_while_its_card_is_authorized(shop: Shop) -> None:
    """A cancellation during authorize waits for the call in flight, then everything is given back."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1")
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, hold_id=hold["hold_id"], order_id=order_id)
    await halt.arrived()
    accepted = await shop.cancel(ada, order_id)
    assert accepted.status == 200, accepted
    assert await shop.seat(event_id, "A-1-1") == "HELD", "the call in flight is awaited"
    assert not buying.done()
    halt.open()
    bought = await buying
    assert (bought.status, bought.reason) == (409, "ORDER_CANCELLED")
    assert detail(bought, "order_id") == order_id
    order = await shop.order(ada, order_id)
    assert (order["state"], order["reason"]) == ("ORDER_STATE_CANCELLED", "ORDER_CANCELLED")
    assert order["payment"]["state"] == "PAYMENT_STATE_VOIDED"
    assert await shop.effects(order_id) == ["authorized", "voided"]
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_RELEASED"
    again = await shop.cancel(ada, order_id)
    assert (again.status, again.json["state"]) == (200, "ORDER_STATE_CANCELLED")


async def test_an_order_is_cancelled_between_two_attempts(shop: Shop) -> None:
    """A cancellation ends the pause before the next attempt; none is made after it."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    buying = shop.start(ada, event_id, "A-1-1", card="card_error", order_id=order_id)

    async def is_in_long_pause() -> bool:
        # After the third attempt the pause is four seconds.
        return len(await shop.ledger(order_id)) == 3

    await until(is_in_long_pause, "the third attempt")
    assert (await shop.cancel(ada, order_id)).status == 200
    async with asyncio.timeout(3.5):
        bought = await buying
    assert (bought.status, bought.reason) == (409, "ORDER_CANCELLED")
    assert [entry["call"] for entry in await shop.ledger(order_id)] == ["authorize"] * 3 + ["void"]
    assert await shop.effects(order_id) == ["voided"]
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")


async def test_a_cancelled_order_frees_its_seats_before_the_void_answers(shop: Shop) -> None:
    """Before the first capture attempt the seats are freed first, and the void follows, however long it takes."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    authorize, void = Halt(), Halt()
    shop.gate.put(order_id, "authorize", authorize)
    shop.gate.put(order_id, "void", void)
    buying = shop.start(ada, event_id, "A-1-1", order_id=order_id)
    await authorize.arrived()
    assert (await shop.cancel(ada, order_id)).status == 200
    authorize.open()
    await void.arrived()
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE", seconds=5)
    assert not buying.done()
    assert await shop.effects(order_id) == ["authorized"]
    void.open()
    assert (await buying).reason == "ORDER_CANCELLED"
    assert await shop.effects(order_id) == ["authorized", "voided"]


async def test_an_order_is_cancelled_while_its_tickets_are_confirmed(shop: Shop) -> None:
    """A cancellation between authorization and capture still counts: tickets taken back, money voided."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, "A-1-1", "A-1-2", order_id=order_id)
    await halt.arrived()
    with shop.stopped("ticket"):
        halt.open()
        await shop.tried(order_id, "confirm")
        assert (await shop.cancel(ada, order_id)).status == 200
    bought = await buying
    assert (bought.status, bought.reason) == (409, "ORDER_CANCELLED")
    assert await shop.effects(order_id) == ["authorized", "voided"]
    for seat_id in ("A-1-1", "A-1-2"):
        await shop.seat_becomes(event_id, seat_id, "AVAILABLE")


async def test_an_order_cannot_be_cancelled_from_the_first_capture_attempt_on(shop: Shop) -> None:
    """A cancellation during the capture is INVALID_TRANSITION and changes nothing; the order is confirmed."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "capture", halt)
    buying = shop.start(ada, event_id, "A-1-1", order_id=order_id)
    await halt.arrived()
    await shop.tried(order_id, "capture")
    refused = await shop.cancel(ada, order_id)
    assert (refused.status, refused.reason) == (409, "INVALID_TRANSITION")
    halt.open()
    assert (await buying).json["state"] == "ORDER_STATE_CONFIRMED"
    late = await shop.cancel(ada, order_id)
    assert (late.status, late.reason) == (409, "INVALID_TRANSITION")
    assert await shop.seat(event_id, "A-1-1") == "SOLD"
    assert await shop.effects(order_id) == ["authorized", "captured"]


async def test_a_cancellation_that_loses_to_a_decline_changes_nothing(shop: Shop) -> None:
    """A card that is declined while the buyer cancels leaves an order that ended once, with no money moved."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, "A-1-1", card="card_decline", order_id=order_id)
    await halt.arrived()
    assert (await shop.cancel(ada, order_id)).status == 200
    halt.open()
    assert (await buying).reason in {"PAYMENT_DECLINED", "ORDER_CANCELLED"}
    assert (await shop.order(ada, order_id))["state"] in {"ORDER_STATE_DECLINED", "ORDER_STATE_CANCELLED"}
    assert await shop.effects(order_id) in (["declined"], ["declined", "voided"])
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")
