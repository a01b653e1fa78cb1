"""The rules of an audit: a whole event has no difference, and each damage has its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.common.states import EventState, HoldState, OrderState, PaymentState, SeatStatus
from services.ops.domain import (
    EventFacts,
    FindingKind,
    HoldFacts,
    MapSeat,
    OrderFacts,
    PaymentFacts,
    Section,
    SectionCount,
    Snapshot,
    TicketFacts,
    counts,
    money,
)
from services.ops.domain_rules import LETTERS, findings

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SEATS = ["A-1", "A-2", "A-3", "A-4", "A-5"]
LATER = NOW + timedelta(minutes=30)


def whole() -> Snapshot:
    """One sold seat, one held, one being paid, one blocked, one free."""
    tickets = {
        "A-1": TicketFacts(SeatStatus.SOLD, 2, "h-1", "o-1"),
        "A-2": TicketFacts(SeatStatus.HELD, 1, "h-2", "", LATER),
        "A-3": TicketFacts(SeatStatus.SOLD, 2, "h-3", "o-3"),
        "A-4": TicketFacts(SeatStatus.BLOCKED, 1),
    }
    statuses = [tickets[seat_id].status if seat_id in tickets else SeatStatus.AVAILABLE for seat_id in SEATS]
    revisions = [tickets[seat_id].revision if seat_id in tickets else -1 for seat_id in SEATS]
    shown = zip(SEATS, statuses, revisions, strict=True)
    return Snapshot(
        event=EventFacts("e", EventState.ON_SALE, "EUR", NOW, [Section("A", 5, SEATS)]),
        at=NOW,
        tickets=tickets,
        orders={
            "o-1": OrderFacts("o-1", OrderState.CONFIRMED, ("A-1",), "h-1", "EUR", 4500),
            "o-3": OrderFacts("o-3", OrderState.AUTHORIZING, ("A-3",), "h-3", "EUR", 4500, is_worked_on=True),
            "o-4": OrderFacts("o-4", OrderState.DECLINED, ("A-5",), "h-4", "EUR", 4500),
        },
        holds={
            "h-1": HoldFacts("h-1", HoldState.SOLD, ("A-1",), NOW, NOW, "o-1"),
            "h-2": HoldFacts("h-2", HoldState.OPEN, ("A-2",), LATER, LATER),
            "h-3": HoldFacts("h-3", HoldState.PAYING, ("A-3",), NOW - timedelta(minutes=5), LATER, "o-3"),
            "h-4": HoldFacts("h-4", HoldState.RELEASED, ("A-5",), LATER, LATER, "o-4"),
        },
        payments={
            "o-1": PaymentFacts(PaymentState.CAPTURED, "EUR", 4500),
            "o-3": PaymentFacts(PaymentState.CAPTURED, "EUR", 4500),
            "o-4": PaymentFacts(PaymentState.VOIDED, "EUR", 4500),
        },
        maps={
            "A": {
                place: MapSeat(seat_id, LETTERS[status], revision)
                for place, (seat_id, status, revision) in enumerate(shown)
            }
        },
    )


def named(snapshot: Snapshot) -> list[tuple[str, tuple[str, ...], tuple[str, ...], str]]:
    return [(one.kind.name, one.seat_ids, one.order_ids, one.hold_id) for one in findings(snapshot)]


def test_a_whole_event_has_no_difference() -> None:
    """Also with a hold that is being paid past expires_at, an order in progress whose money is taken, and a decline."""
    assert named(whole()) == []


def test_counts_and_sums_are_those_of_the_seats_and_the_provider() -> None:
    """Held seats past their hard deadline are free; captured money of an order in progress is told apart."""
    snapshot = whole()
    assert counts(snapshot) == [SectionCount("A", 5, available=1, held=1, sold=2, blocked=1)]
    assert counts(replace(snapshot, at=LATER)) == [SectionCount("A", 5, available=2, held=0, sold=2, blocked=1)]
    sums = money(snapshot)
    assert (sums.captured, sums.refunded, sums.confirmed, sums.in_progress) == (9000, 0, 4500, 4500)


def test_a_seat_in_two_orders_is_one_finding() -> None:
    """It is not told again as an order without its seat."""
    snapshot = whole()
    snapshot.orders["o-9"] = OrderFacts("o-9", OrderState.CONFIRMED, ("A-1",), "h-1", "EUR", 4500)
    snapshot.payments["o-9"] = PaymentFacts(PaymentState.CAPTURED, "EUR", 4500)
    assert named(snapshot) == [("SEAT_IN_TWO_ORDERS", ("A-1",), ("o-1", "o-9"), "")]


@pytest.mark.parametrize(
    "ticket",
    [
        TicketFacts(),
        TicketFacts(SeatStatus.SOLD, 2, "h-1", "o-other"),
        TicketFacts(SeatStatus.HELD, 2, "h-9", "", LATER),
    ],
)
def test_an_order_whose_seat_is_not_its_own(ticket: TicketFacts) -> None:
    """Free, sold to another or held: told once, as the order's loss."""
    snapshot = whole()
    snapshot.tickets["A-1"] = ticket
    snapshot.maps = {}
    assert named(snapshot) == [("ORDER_WITHOUT_SEAT", ("A-1",), ("o-1",), "")]


@pytest.mark.parametrize(
    ("order_id", "hold_id", "why"),
    [
        ("o-none", "h-4", "which does not exist in this event"),
        ("o-4", "h-4", "which is DECLINED"),
        ("o-1", "h-1", "which does not name it"),
    ],
)
def test_a_sold_seat_whose_order_is_not_its_own(order_id: str, hold_id: str, why: str) -> None:
    """An order that does not exist, has ended otherwise, or does not name the seat."""
    snapshot = whole()
    snapshot.tickets["A-5"] = TicketFacts(SeatStatus.SOLD, 1, hold_id, order_id)
    snapshot.maps = {}
    assert named(snapshot) == [("SEAT_WITHOUT_ORDER", ("A-5",), (order_id,), "")]
    assert findings(snapshot)[0].text == f"seat A-5 is sold to order {order_id}, {why}"


def test_an_order_under_way_may_take_its_seats_back_before_its_hold_ends() -> None:
    """But a paid hold whose order has ended is without its seat, and one sold to it by another hold is strange."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.tickets["A-3"] = TicketFacts(SeatStatus.AVAILABLE, 3)
    assert named(snapshot) == []
    snapshot.orders["o-3"] = replace(snapshot.orders["o-3"], state=OrderState.EXPIRED)
    snapshot.payments["o-3"] = PaymentFacts(PaymentState.VOIDED, "EUR", 4500)
    assert named(snapshot) == [("HOLD_WITHOUT_SEAT", ("A-3",), (), "h-3")]
    snapshot = whole()
    snapshot.tickets["A-3"] = TicketFacts(SeatStatus.SOLD, 2, "h-other", "o-3")
    assert named(snapshot) == [("SEAT_WITHOUT_ORDER", ("A-3",), ("o-3",), "")]


def test_a_held_seat_needs_a_live_hold_that_names_it() -> None:
    """Ended, unknown, of other seats."""
    for hold in (None, replace(whole().holds["h-2"], state=HoldState.EXPIRED), whole().holds["h-1"]):
        snapshot = whole()
        del snapshot.holds["h-2"]
        if hold is not None:
            snapshot.holds["h-2"] = replace(hold, hold_id="h-2")
        assert named(snapshot) == [("SEAT_WITHOUT_HOLD", ("A-2",), (), "h-2")]


def test_two_live_holds_of_one_seat() -> None:
    """The one that the seat does not know is named."""
    snapshot = whole()
    snapshot.holds["h-9"] = HoldFacts("h-9", HoldState.OPEN, ("A-2",), LATER, LATER)
    assert named(snapshot) == [("HOLD_WITHOUT_SEAT", ("A-2",), (), "h-9")]


def test_a_hold_has_five_seconds_to_end() -> None:
    """OPEN from expires_at, PAYING from the hard deadline, its seats from theirs; told once."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], expires_at=NOW - timedelta(seconds=5))
    assert named(snapshot) == []
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], expires_at=NOW - timedelta(seconds=6))
    assert named(snapshot) == [("HOLD_NOT_ENDED", ("A-2",), (), "h-2")]
    snapshot = whole()
    snapshot.holds["h-3"] = replace(snapshot.holds["h-3"], hard_deadline=NOW - timedelta(seconds=6))
    assert named(snapshot) == [("HOLD_NOT_ENDED", ("A-3",), (), "h-3")]
    snapshot = whole()
    snapshot.tickets["A-2"] = replace(snapshot.tickets["A-2"], hard_deadline=NOW - timedelta(seconds=6))
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], expires_at=NOW - timedelta(minutes=9))
    assert named(snapshot) == [("HOLD_NOT_ENDED", ("A-2",), (), "h-2")]
    del snapshot.holds["h-2"]
    assert named(snapshot) == [("HOLD_NOT_ENDED", ("A-2",), (), "h-2")]


def test_an_order_that_nothing_works_on() -> None:
    """It is not final, and no invocation of it lives."""
    snapshot = whole()
    snapshot.orders["o-3"] = replace(snapshot.orders["o-3"], is_worked_on=False)
    assert named(snapshot) == [("ORDER_ABANDONED", ("A-3",), ("o-3",), "")]


@pytest.mark.parametrize(
    ("payment", "kind"),
    [
        (None, "ORDER_WITHOUT_CAPTURE"),
        (PaymentFacts(PaymentState.AUTHORIZED, "EUR", 4500), "ORDER_WITHOUT_CAPTURE"),
        (PaymentFacts(PaymentState.REFUNDED, "EUR", 4500), "ORDER_WITHOUT_CAPTURE"),
        (PaymentFacts(PaymentState.CAPTURED, "EUR", 4501), "AMOUNT_DIFFERS"),
        (PaymentFacts(PaymentState.CAPTURED, "USD", 4500), "AMOUNT_DIFFERS"),
    ],
)
def test_a_confirmed_order_needs_its_money(payment: PaymentFacts | None, kind: str) -> None:
    """Captured, not given back, to the cent."""
    snapshot = whole()
    del snapshot.payments["o-1"]
    if payment is not None:
        snapshot.payments["o-1"] = payment
    assert named(snapshot) == [(kind, ("A-1",), ("o-1",), "")]


def test_money_needs_a_confirmed_order() -> None:
    """Of an order that has ended otherwise, and of one that never was; what was given back is nobody's."""
    snapshot = whole()
    snapshot.payments["o-4"] = PaymentFacts(PaymentState.CAPTURED, "EUR", 4500)
    snapshot.orphans = {
        "stray": PaymentFacts(PaymentState.AUTHORIZED, "EUR", 1),
        "back": PaymentFacts(PaymentState.REFUNDED, "EUR", 1),
    }
    assert named(snapshot) == [
        ("CAPTURE_WITHOUT_ORDER", (), ("o-4",), ""),
        ("AUTHORIZATION_LEFT_OPEN", (), ("stray",), ""),
    ]


def test_money_that_was_not_seen_is_not_missed() -> None:
    """An audit without the provider's list says so, and does not call every order unpaid."""
    snapshot = whole()
    snapshot.payments, snapshot.gaps = {}, ["the event's money: the payment provider does not answer its list"]
    assert named(snapshot) == []


@pytest.mark.parametrize(
    "shown",
    [MapSeat("A-1", "A", 2), MapSeat("A-1", "S", 3), MapSeat("A-2", "S", 2), MapSeat("", "S", 2)],
)
def test_a_map_that_differs(shown: MapSeat) -> None:
    """Another status, a revision that the Ticket has not made, another seat, none."""
    snapshot = whole()
    snapshot.maps["A"][0] = shown
    assert named(snapshot) == [("MAP_DIFFERS", ("A-1",), (), "")]
    draft = replace(snapshot, event=replace(snapshot.event, state=EventState.DRAFT))
    assert named(draft) == [], "a draft has no map"


def test_a_section_that_does_not_add_up() -> None:
    """Fewer seats than it says, or a seat twice; and a seat that no section has."""
    for seat_ids in (SEATS[:4], [*SEATS[:4], "A-1"]):
        snapshot = whole()
        snapshot.maps = {}
        snapshot.event = replace(snapshot.event, sections=[Section("A", 5, seat_ids)])
        assert [one.kind for one in findings(snapshot)] == [FindingKind.COUNT_DIFFERS]
    snapshot = whole()
    snapshot.tickets["Z-1"] = TicketFacts(SeatStatus.BLOCKED, 1)
    snapshot.tickets["Z-2"] = TicketFacts(SeatStatus.AVAILABLE, 2)
    assert named(snapshot) == [("SEAT_NOT_IN_LAYOUT", ("Z-1",), (), "")]
