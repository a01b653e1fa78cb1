"""Buyer: its lists of holds and orders, and the limit that is counted from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from services.common.errors import (
    BuyerLimitError,
)
from services.common.states import HoldState, OrderState
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold, HoldList, OrderEntry, OrderList
from tests.unit.holds import NOW, held, seconds

TICK = timedelta(microseconds=1)
STATE_VALUE_BYTES = 64_000
MAX_SEATS_PER_BUYER = 300  # the greatest limit that the proto lets an organizer set


OPEN = held()
PAYING = domain.begin_checkout(OPEN, order_id="o1", now=NOW)
RELEASED = replace(OPEN, state=HoldState.RELEASED)
EXPIRED = replace(OPEN, state=HoldState.EXPIRED)
SOLD = replace(OPEN, state=HoldState.SOLD)


def listing(*holds: Hold) -> HoldList:
    entries = HoldList()
    for hold in holds:
        entries, _ = domain.listed(entries, hold)
    return entries


def order(order_id: str = "o1", state: OrderState = OrderState.CONFIRMED, seats: int = 2) -> OrderEntry:
    return OrderEntry(order_id, state, seats, NOW)


@pytest.mark.parametrize(
    ("holds", "orders", "now", "counted"),
    [
        ([], [], NOW, 0),
        ([OPEN], [], NOW, 2),
        ([OPEN], [], OPEN.expires_at - TICK, 2),
        ([OPEN], [], OPEN.expires_at, 0),
        ([PAYING], [], OPEN.hard_deadline, 2),
        ([RELEASED], [], NOW, 0),
        ([EXPIRED], [], NOW, 0),
        ([SOLD], [order()], NOW, 2),
        ([], [order(state=OrderState.DECLINED), order("o2", OrderState.EXPIRED)], NOW, 0),
        ([OPEN, replace(PAYING, hold_id="h2")], [order(seats=3)], NOW, 7),
    ],
)
def test_limit_counts_live_holds_and_sold_seats(
    holds: list[Hold], orders: list[OrderEntry], now: datetime, counted: int
) -> None:
    """What a buyer has is what is held, being paid or sold; lapsed and ended holds and failed orders do not count."""
    lists = listing(*holds), OrderList(orders)
    domain.require_within_limit(*lists, wanted=8 - counted, limit=8, now=now)
    with pytest.raises(BuyerLimitError) as refused:
        domain.require_within_limit(*lists, wanted=9 - counted, limit=8, now=now)
    details = {name: int(text) for name, text in refused.value.details.items()}
    assert details["held"] + details["sold"] == counted
    assert (details["limit"], details["wanted"]) == (8, 9 - counted)


def test_list_shows_a_hold_as_it_is_now() -> None:
    """A hold has one line, which changes with it."""
    extended = domain.extend(OPEN, now=NOW + seconds(60))
    entries = listing(OPEN, held("h2"), extended).entries
    assert [entry.hold_id for entry in entries] == ["h1", "h2"]
    assert entries[0] == domain.HoldEntry("h1", HoldState.OPEN, 2, extended.expires_at)


def test_last_20_ended_holds_are_kept_and_every_live_one() -> None:
    """Live holds never fall off the list; of the ended ones exactly the oldest do, and are named to be forgotten."""
    live = [held(f"live-{number}") for number in range(30)]
    holds = listing(*live)
    dropped: list[str] = []
    for number in range(25):
        holds, gone = domain.listed(holds, replace(held(f"h{number}"), state=HoldState.RELEASED))
        dropped += gone
    assert dropped == [f"h{number}" for number in range(5)]
    ids = {entry.hold_id for entry in holds.entries}
    assert ids == {hold.hold_id for hold in live} | {f"h{number}" for number in range(5, 25)}


def test_hold_that_has_just_ended_is_not_forgotten() -> None:
    """An old hold that ends after twenty younger ones is one of the last twenty: it can still be read."""
    holds = listing(OPEN, *(replace(held(f"h-{number}"), state=HoldState.RELEASED) for number in range(20)))
    holds, dropped = domain.listed(holds, domain.release(OPEN))
    assert dropped == ["h-0"]
    assert "h1" in {entry.hold_id for entry in holds.entries}


def test_hold_that_never_came_to_be_leaves_no_line() -> None:
    """A refused hold is struck from the list, and only that one."""
    assert domain.unlisted(listing(OPEN, held("h2")), "h1") == listing(held("h2"))


def test_confirmed_orders_stay_and_the_last_50_others() -> None:
    """No confirmed order is ever forgotten, so the limit holds for ever; of the others the oldest go."""
    orders = OrderList()
    for number in range(60):
        orders = domain.recorded(orders, order(f"sold-{number}"))
        orders = domain.recorded(orders, order(f"lost-{number}", OrderState.DECLINED))
    ids = [entry.order_id for entry in orders.entries]
    assert [name for name in ids if name.startswith("sold")] == [f"sold-{number}" for number in reversed(range(60))]
    assert [name for name in ids if name.startswith("lost")] == [f"lost-{number}" for number in reversed(range(10, 60))]


def test_order_is_recorded_once() -> None:
    """Finishing an order again replaces its line, so that its seats never count twice."""
    orders = domain.recorded(domain.recorded(OrderList(), order()), order())
    assert orders.entries == [order()]


def test_lists_stay_below_64_kilobytes() -> None:
    """The fullest lists that the limits allow are state values of less than 64 kB."""
    holds = listing(*(held("h-" + f"{number:032x}", 1) for number in range(MAX_SEATS_PER_BUYER)))
    orders = OrderList()
    for number in range(domain.KEPT_ENDED_HOLDS + 5):
        holds, _ = domain.listed(holds, replace(held(f"g-{number:032d}"), state=HoldState.RELEASED))
        holds, _ = domain.listed(holds, replace(held(f"l-{number:032d}"), state=HoldState.EXPIRED))
    for number in range(MAX_SEATS_PER_BUYER):
        orders = domain.recorded(orders, order(f"o-{number:062d}", seats=1))
    for number in range(domain.KEPT_OTHER_ORDERS + 5):
        orders = domain.recorded(orders, order(f"x-{number:062d}", OrderState.CANCELLED))
    assert len(holds.entries) == MAX_SEATS_PER_BUYER + domain.KEPT_ENDED_HOLDS + domain.KEPT_LAPSES
    assert len(orders.entries) == MAX_SEATS_PER_BUYER + domain.KEPT_OTHER_ORDERS
    assert len(msgspec.json.encode(holds)) < STATE_VALUE_BYTES
    assert len(msgspec.json.encode(orders)) < STATE_VALUE_BYTES
