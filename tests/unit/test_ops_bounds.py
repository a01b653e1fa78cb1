"""The rules of an audit at their bounds: what is still fine, what no longer is, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.common.states import HoldState, OrderState, PaymentState, SeatStatus
from services.ops.domain import (
    EventFacts,
    Finding,
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
from tests.unit.test_ops_rules import LATER, NOW, SEATS, named, whole

GRACE = timedelta(seconds=5)
MOMENT = timedelta(microseconds=1)


def test_facts_that_are_not_read_mean_nothing_happened() -> None:
    """A seat without state is free, an order without an invocation is not worked on, a payment without sum is 0."""
    assert TicketFacts() == TicketFacts(SeatStatus.AVAILABLE, 0, "", "", None)
    order = OrderFacts("o", OrderState.PENDING, (), "", "EUR", 1)
    assert order == OrderFacts("o", OrderState.PENDING, (), "", "EUR", 1, is_worked_on=False)
    hold = HoldFacts("h", HoldState.OPEN, (), NOW, NOW)
    assert hold == HoldFacts("h", HoldState.OPEN, (), NOW, NOW, "")
    assert PaymentFacts(PaymentState.NONE) == PaymentFacts(PaymentState.NONE, "", 0)
    assert SectionCount("A", 5) == SectionCount("A", 5, 0, 0, 0, 0)
    kind = FindingKind.MAP_DIFFERS
    assert Finding(kind, "text") == Finding(kind, "text", (), (), "", "")


def test_the_map_s_letters_are_those_of_the_seat_map() -> None:
    """The audit states them by itself, and so does this test."""
    assert {status.name: letter for status, letter in LETTERS.items()} == {
        "AVAILABLE": "A",
        "HELD": "H",
        "SOLD": "S",
        "BLOCKED": "B",
    }


def test_a_look_that_has_read_nothing_finds_nothing() -> None:
    """An event of which no seat was ever touched, and no order, hold, payment or map is there."""
    snapshot = Snapshot(whole().event, NOW)
    assert (named(snapshot), snapshot.has_money) == ([], True)


def test_a_finding_is_about_the_same_whatever_its_text() -> None:
    """Kind, seats, orders, hold and section tell findings apart; the text may change from look to look."""
    one = Finding(FindingKind.MAP_DIFFERS, "now", ("A-1",), ("o-1",), "h-1", "A")
    assert one.about == (FindingKind.MAP_DIFFERS, ("A-1",), ("o-1",), "h-1", "A")
    assert one.about == replace(one, text="then").about


def test_only_open_and_paying_holds_live() -> None:
    """An ended hold holds nothing."""
    live = {state for state in HoldState if replace(whole().holds["h-2"], state=state).is_live}
    assert live == {HoldState.OPEN, HoldState.PAYING}


def test_a_held_seat_without_a_deadline_counts_as_held() -> None:
    """Only a deadline that has passed frees it; a sold seat's old deadline says nothing."""
    snapshot = whole()
    snapshot.tickets["A-2"] = TicketFacts(SeatStatus.HELD, 1, "h-2")
    snapshot.tickets["A-1"] = TicketFacts(SeatStatus.SOLD, 1, "h-1", "o-1", NOW - GRACE)
    assert counts(snapshot) == [SectionCount("A", 5, available=1, held=1, sold=2, blocked=1)]
    just_before = replace(whole(), at=LATER - MOMENT)
    assert counts(just_before)[0].held == 1


def test_money_is_that_of_the_event_s_orders_in_its_currency() -> None:
    """Refunded money was captured first; another currency and another event's payment are no part of the sums."""
    snapshot = whole()
    snapshot.orders["o-5"] = OrderFacts("o-5", OrderState.DECLINED, (), "", "EUR", 700)
    snapshot.payments |= {
        "o-4": PaymentFacts(PaymentState.CAPTURED, "USD", 9000),
        "o-5": PaymentFacts(PaymentState.REFUNDED, "EUR", 700),
        "o-other": PaymentFacts(PaymentState.CAPTURED, "EUR", 5),
    }
    sums = money(snapshot)
    assert (sums.captured, sums.refunded, sums.confirmed, sums.in_progress) == (9700, 700, 4500, 4500)
    snapshot.payments["o-3"] = PaymentFacts(PaymentState.AUTHORIZED, "EUR", 4500)
    sums = money(snapshot)
    assert (sums.captured, sums.in_progress) == (5200, 0)


def test_five_seconds_are_still_in_time_for_what_is_paid_and_for_seats() -> None:
    """Grace ends after them, not with them: for a hold being paid from its hard deadline, for a seat from its own."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.holds["h-3"] = replace(snapshot.holds["h-3"], hard_deadline=NOW - GRACE)
    snapshot.tickets["A-2"] = replace(snapshot.tickets["A-2"], hard_deadline=NOW - GRACE)
    assert named(snapshot) == []
    snapshot.tickets["A-2"] = replace(snapshot.tickets["A-2"], hard_deadline=NOW - GRACE - MOMENT)
    found = findings(snapshot)
    assert [(one.kind.name, one.seat_ids, one.hold_id) for one in found] == [("HOLD_NOT_ENDED", ("A-2",), "h-2")]


def test_a_hold_that_does_not_end_is_told_with_its_end() -> None:
    """OPEN should have ended at expires_at, PAYING at its hard deadline."""
    past, earlier = NOW - timedelta(minutes=1), NOW - timedelta(minutes=2)
    snapshot = whole()
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], expires_at=past, hard_deadline=LATER)
    snapshot.holds["h-3"] = replace(snapshot.holds["h-3"], expires_at=earlier, hard_deadline=past)
    assert [one.text for one in findings(snapshot)] == [
        f"hold h-2 is OPEN, but should have ended at {past.isoformat()}",
        f"hold h-3 is PAYING, but should have ended at {past.isoformat()}",
    ]


@pytest.mark.parametrize("state", [HoldState.SOLD, HoldState.RELEASED, HoldState.EXPIRED])
def test_a_hold_that_has_ended_is_not_late(state: HoldState) -> None:
    """However long ago that was."""
    snapshot = whole()
    long_ago = NOW - timedelta(days=1)
    snapshot.holds["h-9"] = HoldFacts("h-9", state, ("A-5",), long_ago, long_ago)
    assert named(snapshot) == []


def test_a_late_hold_is_not_told_again_by_its_seats() -> None:
    """Not as a hold without its seat either, although its seat is free by now."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.tickets["A-2"] = TicketFacts(SeatStatus.AVAILABLE, 2)
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], expires_at=NOW - timedelta(minutes=1))
    assert named(snapshot) == [("HOLD_NOT_ENDED", ("A-2",), (), "h-2")]


def test_a_paid_hold_keeps_its_seats_whether_sold_or_held() -> None:
    """Its seats are sold before it ends; an OPEN one has no such excuse for a seat of somebody else."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.orders["o-3"] = replace(snapshot.orders["o-3"], state=OrderState.CONFIRMED)
    assert named(snapshot) == []
    snapshot.tickets["A-2"] = TicketFacts(SeatStatus.BLOCKED, 2, "h-2")
    assert named(snapshot) == [("HOLD_WITHOUT_SEAT", ("A-2",), (), "h-2")]
    snapshot = whole()
    snapshot.maps = {}
    snapshot.holds["h-2"] = replace(snapshot.holds["h-2"], order_id="o-3")
    snapshot.tickets["A-2"] = TicketFacts(SeatStatus.AVAILABLE, 2)
    assert named(snapshot) == [("HOLD_WITHOUT_SEAT", ("A-2",), (), "h-2")]
    snapshot = whole()
    del snapshot.orders["o-3"], snapshot.payments["o-3"]
    snapshot.tickets["A-3"] = TicketFacts(SeatStatus.HELD, 1, "h-3", "", LATER)
    snapshot.maps = {}
    assert named(snapshot) == []
    snapshot.tickets["A-3"] = TicketFacts()
    assert named(snapshot) == [("HOLD_WITHOUT_SEAT", ("A-3",), (), "h-3")]


def test_what_a_seat_is_instead_is_told_with_its_change() -> None:
    """Who holds it, who bought it, or its status: enough to look it up."""
    told = []
    for ticket in (
        TicketFacts(SeatStatus.HELD, 7, "h-9", "", LATER),
        TicketFacts(SeatStatus.SOLD, 8, "h-9", "o-9"),
        TicketFacts(SeatStatus.BLOCKED, 9),
    ):
        snapshot = whole()
        snapshot.maps = {}
        snapshot.tickets["A-1"] = ticket
        told.append(findings(snapshot)[0].text)
    assert told == [
        "order o-1 is confirmed, but its seat A-1 is HELD by h-9 (change 7)",
        "order o-1 is confirmed, but its seat A-1 is SOLD to o-9 (change 8)",
        "order o-1 is confirmed, but its seat A-1 is BLOCKED (change 9)",
    ]


def test_a_seat_that_names_an_order_is_not_yet_sold_to_it() -> None:
    """No rule of the Ticket's is taken for granted: only SOLD and the order's id together make it the order's."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.tickets["A-1"] = TicketFacts(SeatStatus.HELD, 2, "h-1", "o-1", LATER)
    assert named(snapshot) == [("ORDER_WITHOUT_SEAT", ("A-1",), ("o-1",), "")]


def test_why_a_held_seat_has_no_hold_is_told() -> None:
    """It does not exist, has ended, or does not name the seat."""
    told = []
    for hold in (
        None,
        replace(whole().holds["h-2"], state=HoldState.EXPIRED),
        replace(whole().holds["h-2"], seat_ids=()),
    ):
        snapshot = whole()
        del snapshot.holds["h-2"]
        if hold is not None:
            snapshot.holds["h-2"] = hold
        told += [one.text for one in findings(snapshot)]
    assert told == [
        "seat A-2 is held by h-2, which does not exist, or no longer",
        "seat A-2 is held by h-2, which is EXPIRED",
        "seat A-2 is held by h-2, which does not name it",
    ]


def test_each_damage_beside_another_is_told() -> None:
    """One seat sold twice hides neither the other lost seat of the same order nor another seat's damage."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.orders["o-1"] = replace(snapshot.orders["o-1"], seat_ids=("A-1", "A-5"))
    snapshot.orders["o-9"] = OrderFacts("o-9", OrderState.CONFIRMED, ("A-1",), "h-1", "EUR", 4500)
    snapshot.payments["o-9"] = PaymentFacts(PaymentState.CAPTURED, "EUR", 4500)
    del snapshot.holds["h-2"]
    assert named(snapshot) == [
        ("SEAT_IN_TWO_ORDERS", ("A-1",), ("o-1", "o-9"), ""),
        ("ORDER_WITHOUT_SEAT", ("A-5",), ("o-1",), ""),
        ("SEAT_WITHOUT_HOLD", ("A-2",), (), "h-2"),
    ]


def test_the_orders_of_a_seat_are_named_in_order() -> None:
    """Two looks that see them in another order have seen the same difference."""
    snapshot = whole()
    for order_id in ("o-2", "o-0"):
        snapshot.orders[order_id] = OrderFacts(order_id, OrderState.CONFIRMED, ("A-1",), "h-1", "EUR", 4500)
        snapshot.payments[order_id] = PaymentFacts(PaymentState.CAPTURED, "EUR", 4500)
    assert named(snapshot) == [("SEAT_IN_TWO_ORDERS", ("A-1",), ("o-0", "o-1", "o-2"), "")]
    assert findings(snapshot)[0].text == "seat A-1 is in 3 confirmed orders: o-0, o-1, o-2"


def test_an_order_s_hold_is_compared_only_where_the_order_names_one() -> None:
    """An order in progress that makes its hold itself has none yet in an early look."""
    snapshot = whole()
    snapshot.orders["o-3"] = replace(snapshot.orders["o-3"], hold_id="")
    assert named(snapshot) == []


def test_an_open_authorization_of_an_order_in_progress_is_its_own() -> None:
    """Nothing is stray before the order has ended; a decline that still reserves money is."""
    snapshot = whole()
    snapshot.payments["o-3"] = PaymentFacts(PaymentState.AUTHORIZED, "EUR", 4500)
    assert named(snapshot) == []
    snapshot.payments["o-4"] = PaymentFacts(PaymentState.AUTHORIZED, "EUR", 4500)
    assert named(snapshot) == [("AUTHORIZATION_LEFT_OPEN", (), ("o-4",), "")]
    del snapshot.payments["o-4"]
    assert named(snapshot) == []


def test_a_confirmed_order_without_money_tells_what_the_provider_has() -> None:
    """Nothing at all, or the state that it is in."""
    snapshot = whole()
    del snapshot.payments["o-1"]
    assert findings(snapshot)[0].text == "order o-1 is confirmed, but the provider has nothing under it"
    snapshot.payments["o-1"] = PaymentFacts(PaymentState.VOIDED, "EUR", 4500)
    assert findings(snapshot)[0].text == "order o-1 is confirmed, but the provider has VOIDED under it"


def test_what_of_a_map_was_not_read_is_not_judged() -> None:
    """A section or place that this look left out; the next place still is."""
    snapshot = whole()
    snapshot.event = EventFacts(
        "e", snapshot.event.state, "EUR", NOW, [Section("B", 1, ["B-1"]), snapshot.event.sections[0]]
    )
    del snapshot.maps["A"][0]
    assert named(snapshot) == []
    snapshot.maps["A"][1] = MapSeat("A-2", "?", 1)
    found = findings(snapshot)
    assert [(one.kind, one.section_id) for one in found] == [(FindingKind.MAP_DIFFERS, "A")]
    assert found[0].text == "the map shows seat A-2 as '?', but it is HELD by h-2 (change 1)"
    snapshot.maps["A"][1] = MapSeat("A-2", "A", 1)
    assert findings(snapshot)[0].text == "the map shows seat A-2 as AVAILABLE, but it is HELD by h-2 (change 1)"
    snapshot.maps["A"][1] = MapSeat("", "A", 1)
    assert findings(snapshot)[0].text == "the map has no seat in the place of seat A-2"
    snapshot.maps["A"][1] = MapSeat("A-9", "A", 1)
    assert findings(snapshot)[0].text == "the map has A-9 in the place of seat A-2"


def test_a_section_that_does_not_add_up_is_named() -> None:
    """With the seats that it says it has and those that it names."""
    snapshot = whole()
    snapshot.maps = {}
    snapshot.event = replace(snapshot.event, sections=[Section("A", 6, SEATS)])
    (found,) = findings(snapshot)
    assert (found.section_id, found.text) == ("A", "section A has 6 seats, but names 5")


def test_state_that_cannot_be_read_is_damage_too() -> None:
    """It is told as it was found."""
    snapshot = whole()
    snapshot.unreadable = [Finding(FindingKind.STATE_UNREADABLE, "no JSON", ("A-1",))]
    assert findings(snapshot) == snapshot.unreadable
