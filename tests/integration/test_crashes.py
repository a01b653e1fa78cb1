"""Crashes in the middle of a payment: of an invocation, of an endpoint, of Restate itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import pytest

from tests.integration.checkout_fixtures import Shop, new_order_id, until
from tests.integration.client import Answer
from tests.integration.payment_gate import Halt


class Sale(NamedTuple):
    """A one-step sale that is under way, and the gates at which its payment calls halt."""

    shop: Shop
    event_id: str
    buyer: str
    order_id: str
    halts: dict[str, Halt]

    def start(self, card: str = "card_success") -> asyncio.Task[Answer]:
        """Begin to buy two seats."""
        address = f"{self.order_id}@example.org"
        seat_ids = ("A-1-1", "A-1-2")
        return self.shop.start(self.buyer, self.event_id, *seat_ids, card=card, order_id=self.order_id, email=address)

    def halt(self, call: str, *, is_done_first: bool = False) -> Halt:
        """Shut the gate for a call."""
        made = self.halts[call] = Halt(is_done_first=is_done_first)
        self.shop.gate.put(self.order_id, call, made)
        return made


async def new_sale(shop: Shop) -> Sale:
    return Sale(shop, await shop.event(), shop.buyer(), new_order_id(), {})


Caught = Callable[[Sale], Awaitable[None]]
"""Brings a new sale to a step, kills its `process` there, and lets everything else go on."""


@asynccontextmanager
async def killed_there(sale: Sale, buying: asyncio.Task[Answer]) -> AsyncIterator[None]:
    """Kill `process` when the block is through; the buyer's call then fails."""
    yield
    await sale.shop.kill_process(sale.order_id)
    assert (await buying).status >= 500


async def in_hold(sale: Sale) -> None:
    with sale.shop.stopped("ticket"):
        async with killed_there(sale, sale.start()):
            await sale.shop.tried(sale.order_id, "hold")


async def in_authorize_before_the_provider_acted(sale: Sale) -> None:
    halt = sale.halt("authorize")
    async with killed_there(sale, sale.start()):
        await halt.arrived()


async def in_authorize_after_the_provider_acted(sale: Sale) -> None:
    halt = sale.halt("authorize", is_done_first=True)
    async with killed_there(sale, sale.start()):
        await halt.arrived()


async def in_authorize_before_its_record_was_stored(sale: Sale) -> None:
    """The step's record was still on its way to Restate when the provider had already acted."""
    await in_authorize_after_the_provider_acted(sale)
    before_hold = {"tried": ["hold"], "state": "ORDER_STATE_PENDING", "total": None, "pay_until": None, "seats": []}
    await sale.shop.change_state("Checkout", sale.order_id, "order", **before_hold)


async def in_the_pause_between_attempts(sale: Sale) -> None:
    async with killed_there(sale, sale.start("card_error")):

        async def is_in_long_pause() -> bool:
            # After the third attempt the pause is four seconds.
            return len(await sale.shop.ledger(sale.order_id)) == 3

        await until(is_in_long_pause, "the third attempt")


async def in_confirm(sale: Sale) -> None:
    halt = sale.halt("authorize")
    buying = sale.start()
    await halt.arrived()
    with sale.shop.stopped("ticket"):
        async with killed_there(sale, buying):
            halt.open()
            await sale.shop.tried(sale.order_id, "confirm")


async def in_capture_before_the_provider_acted(sale: Sale) -> None:
    halt = sale.halt("capture")
    async with killed_there(sale, sale.start()):
        await halt.arrived()
        await sale.shop.tried(sale.order_id, "capture")


async def in_capture_after_the_provider_acted(sale: Sale) -> None:
    halt = sale.halt("capture", is_done_first=True)
    async with killed_there(sale, sale.start()):
        await halt.arrived()
        await sale.shop.tried(sale.order_id, "capture")


async def in_finish_after_the_capture(sale: Sale) -> None:
    halt = sale.halt("capture")
    buying = sale.start()
    await halt.arrived()
    with sale.shop.stopped("ticket"):
        async with killed_there(sale, buying):
            halt.open()
            await sale.shop.tried(sale.order_id, "ORDER_STATE_CONFIRMED")


async def in_finish_after_a_decline(sale: Sale) -> None:
    halt = sale.halt("authorize")
    buying = sale.start("card_decline")
    await halt.arrived()
    with sale.shop.stopped("ticket"):
        async with killed_there(sale, buying):
            halt.open()
            await sale.shop.tried(sale.order_id, "ORDER_STATE_DECLINED")


async def in_revoke_after_a_declined_capture(sale: Sale) -> None:
    halt = sale.halt("capture")
    buying = sale.start("card_capture_decline")
    await halt.arrived()
    with sale.shop.stopped("ticket"):
        async with killed_there(sale, buying):
            halt.open()
            await sale.shop.tried(sale.order_id, "ORDER_STATE_DECLINED")


async def in_void_after_a_cancellation(sale: Sale) -> None:
    authorize, void = sale.halt("authorize"), sale.halt("void")
    buying = sale.start()
    await authorize.arrived()
    assert (await sale.shop.cancel(sale.buyer, sale.order_id)).status == 200
    authorize.open()
    async with killed_there(sale, buying):
        await void.arrived()


EXPIRED, CONFIRMED, DECLINED, CANCELLED = (
    f"ORDER_STATE_{name}" for name in ("EXPIRED", "CONFIRMED", "DECLINED", "CANCELLED")
)


@pytest.mark.parametrize(
    ("caught", "state", "effects"),
    [
        (in_hold, EXPIRED, ["voided"]),
        (in_authorize_before_the_provider_acted, EXPIRED, ["voided"]),
        (in_authorize_after_the_provider_acted, EXPIRED, ["authorized", "voided"]),
        (in_authorize_before_its_record_was_stored, EXPIRED, ["authorized", "voided"]),
        (in_the_pause_between_attempts, EXPIRED, ["voided"]),
        (in_confirm, EXPIRED, ["authorized", "voided"]),
        (in_capture_before_the_provider_acted, EXPIRED, ["authorized", "voided"]),
        (in_capture_after_the_provider_acted, CONFIRMED, ["authorized", "captured"]),
        (in_finish_after_the_capture, CONFIRMED, ["authorized", "captured"]),
        (in_finish_after_a_decline, DECLINED, ["declined"]),
        (in_revoke_after_a_declined_capture, DECLINED, ["authorized", "declined", "voided"]),
        (in_void_after_a_cancellation, CANCELLED, ["authorized", "voided"]),
    ],
)
async def test_a_killed_process_that_is_called_again_ends_the_order(
    shop: Shop, caught: Caught, state: str, effects: list[str]
) -> None:
    """The second call starts no authorize or first capture, seats and money end together, a third changes nothing.

    Requests that were on their way to the provider when the process was killed arrive last.
    """
    sale = await new_sale(shop)
    await caught(sale)
    before = [entry["call"] for entry in await shop.ledger(sale.order_id)]
    if void := sale.halts.get("void"):
        void.open()
    first = await shop.process_again(sale.order_id)
    order = await shop.order(sale.buyer, sale.order_id)
    assert order["state"] == state, first
    # What was on its way to the provider when the process was killed arrives now.
    for halt in sale.halts.values():
        halt.open()
    status = "SOLD" if state == CONFIRMED else "AVAILABLE"
    for seat_id in ("A-1-1", "A-1-2"):
        await shop.seat_becomes(sale.event_id, seat_id, status)
    await until(shop.gate_is_idle, "the gate to be idle")
    assert await shop.effects(sale.order_id) == effects
    by_second = [entry for entry in (await shop.ledger(sale.order_id))[len(before) :] if entry["effect"] != "refused"]
    assert {entry["call"] for entry in by_second} <= {"void"}, "no authorize and no capture by the second"
    assert (await shop.process_again(sale.order_id)) == first
    assert await shop.order(sale.buyer, sale.order_id) == order
    assert await shop.effects(sale.order_id) == effects
    listed = (await shop.client.call("GET", f"/v1/events/{sale.event_id}/orders", sale.buyer)).json
    assert [entry["state"] for entry in listed["orders"]] == [state]
    mails = f"{sale.order_id}@example.org"
    if state == CONFIRMED:
        assert len(await until(lambda: shop.mails(mails), "the mail")) == 1
    else:
        assert await shop.mails(mails) == []


async def test_a_killed_process_leaves_a_hold_that_it_had_not_begun_to_pay(shop: Shop) -> None:
    """Killed in begin_checkout and called again, the order is EXPIRED; the hold is still its buyer's to pay."""
    event_id, ada, order_id = await shop.event(hold_seconds=600), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1")
    with shop.stopped("ticket"):
        buying = shop.start(ada, event_id, hold_id=hold["hold_id"], order_id=order_id)
        await shop.tried(order_id, "begin_checkout")
        await shop.kill_process(order_id)
        assert (await buying).status >= 500
    await shop.process_again(order_id)
    assert (await shop.order(ada, order_id))["state"] == EXPIRED
    assert await shop.effects(order_id) == ["voided"]
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_OPEN"
    assert (await shop.buy(ada, event_id, hold_id=hold["hold_id"])).status == 200


@pytest.mark.parametrize("component", ["checkout", "ticket", "restate"])
async def test_a_crash_in_mid_payment_loses_nothing(shop: Shop, component: str) -> None:
    """SIGKILL of a process group while orders are before, in and after their capture: all CONFIRMED, captured once."""
    halts: list[Halt] = []

    async def begun(call: str, *, is_done_first: bool) -> tuple[Sale, asyncio.Task[Answer]]:
        sale = await new_sale(shop)
        halts.append(sale.halt(call, is_done_first=is_done_first))
        buying = sale.start()
        await halts[-1].arrived()
        return sale, buying

    sales = await asyncio.gather(
        begun("authorize", is_done_first=False),
        begun("authorize", is_done_first=True),
        begun("capture", is_done_first=False),
        begun("capture", is_done_first=True),
    )
    await shop.kill(component)
    for halt in halts:
        halt.open()
    await shop.restart(component)
    for sale, buying in sales:
        # The answer may have been lost with the crash; the same request again gets it.
        lost_or_not = await buying
        if component != "restate":
            assert lost_or_not.status == 200, lost_or_not
        assert lost_or_not.headers["nexus-order-id"] == sale.order_id
        answer = await sale.start()
        assert answer.json.get("state") == CONFIRMED, answer
        assert await shop.effects(sale.order_id) == ["authorized", "captured"]
        assert [await shop.seat(sale.event_id, seat_id) for seat_id in ("A-1-1", "A-1-2")] == ["SOLD", "SOLD"]
        assert len(await until(partial(shop.mails, f"{sale.order_id}@example.org"), "the mail")) == 1
