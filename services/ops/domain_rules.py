"""The rules of an audit: what must agree with what, in any snapshot of an event at rest. Pure.

Each rule takes a snapshot, whole or of some seats, orders and holds only, and gives what differs. It judges only
what the snapshot has; whether a difference is damage or a sale in progress is decided in `domain_settle.py`.
Source: issue 6, "Invariants", I1-I5.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from services.common.states import EventState, HoldState, OrderState, PaymentState, SeatStatus
from services.ops.domain import (
    UNTOUCHED,
    Finding,
    FindingKind,
    HoldFacts,
    OrderFacts,
    PaymentFacts,
    Snapshot,
    TicketFacts,
)

GRACE: Final = timedelta(seconds=5)
"""How long after its end a hold may still be there. Source: invariant I4."""

LETTERS: Final = {
    SeatStatus.AVAILABLE: "A",
    SeatStatus.HELD: "H",
    SeatStatus.SOLD: "S",
    SeatStatus.BLOCKED: "B",
}
"""How the seat map writes a status. Stated here again: the audit takes no rule from what it audits."""


def findings(snapshot: Snapshot) -> list[Finding]:
    """Give everything that differs, each difference once, under the name that tells the most."""
    twice = list(seats_in_two_orders(snapshot))
    sold_twice = {seat_id for finding in twice for seat_id in finding.seat_ids}
    missing = [finding for finding in orders_without_seat(snapshot) if not sold_twice.issuperset(finding.seat_ids)]
    explained = sold_twice | {seat_id for finding in missing for seat_id in finding.seat_ids}
    strange = [finding for finding in seats_out_of_place(snapshot) if explained.isdisjoint(finding.seat_ids)]
    ended = list(holds_not_ended(snapshot))
    late = {seat_id for finding in ended for seat_id in finding.seat_ids}
    return [
        *twice,
        *missing,
        *strange,
        *ended,
        *(finding for finding in seats_without_hold(snapshot) if (explained | late).isdisjoint(finding.seat_ids)),
        *holds_without_seat(snapshot),
        *orders_abandoned(snapshot),
        *money_out_of_place(snapshot),
        *map_differs(snapshot),
        *counts_differ(snapshot),
        *snapshot.unreadable,
    ]


def seats_in_two_orders(snapshot: Snapshot) -> Iterator[Finding]:
    """I1: a seat is in at most one confirmed order."""
    owners: dict[str, list[str]] = {}
    for order in _confirmed(snapshot):
        for seat_id in order.seat_ids:
            owners.setdefault(seat_id, []).append(order.order_id)
    for seat_id, order_ids in owners.items():
        if len(order_ids) > 1:
            order_ids.sort()
            text = f"seat {seat_id} is in {len(order_ids)} confirmed orders: {', '.join(order_ids)}"
            yield Finding(FindingKind.SEAT_IN_TWO_ORDERS, text, (seat_id,), tuple(order_ids))


def orders_without_seat(snapshot: Snapshot) -> Iterator[Finding]:
    """I3: each confirmed order has exactly its seats."""
    for order in _confirmed(snapshot):
        for seat_id in order.seat_ids:
            ticket = snapshot.tickets.get(seat_id, UNTOUCHED)
            if ticket.status is not SeatStatus.SOLD or ticket.order_id != order.order_id:
                text = f"order {order.order_id} is confirmed, but its seat {seat_id} is {_told(ticket)}"
                yield Finding(FindingKind.ORDER_WITHOUT_SEAT, text, (seat_id,), (order.order_id,))


def seats_out_of_place(snapshot: Snapshot) -> Iterator[Finding]:
    """I3 the other way round: a sold seat is its order's; and every seat is in the layout."""
    layout = {seat_id for section in snapshot.event.sections for seat_id in section.seat_ids}
    for seat_id, ticket in snapshot.tickets.items():
        if seat_id not in layout and ticket.status is not SeatStatus.AVAILABLE:
            text = f"seat {seat_id} is {_told(ticket)}, but the layout has no such seat"
            yield Finding(FindingKind.SEAT_NOT_IN_LAYOUT, text, (seat_id,))
        elif ticket.status is SeatStatus.SOLD:
            why = _why_not_its_order(seat_id, ticket, snapshot.orders.get(ticket.order_id))
            if why:
                text = f"seat {seat_id} is sold to order {ticket.order_id}, {why}"
                yield Finding(FindingKind.SEAT_WITHOUT_ORDER, text, (seat_id,), (ticket.order_id,))


def seats_without_hold(snapshot: Snapshot) -> Iterator[Finding]:
    """I1, I4: a held seat is held by a live hold that names it."""
    for seat_id, ticket in snapshot.tickets.items():
        if ticket.status is not SeatStatus.HELD:
            continue
        hold = snapshot.holds.get(ticket.hold_id)
        if hold is None:
            why = "which does not exist, or no longer"
        elif not hold.is_live:
            why = f"which is {hold.state.name}"
        elif seat_id not in hold.seat_ids:
            why = "which does not name it"
        else:
            continue
        text = f"seat {seat_id} is held by {ticket.hold_id}, {why}"
        yield Finding(FindingKind.SEAT_WITHOUT_HOLD, text, (seat_id,), hold_id=ticket.hold_id)


def holds_without_seat(snapshot: Snapshot) -> Iterator[Finding]:
    """I1: of the live holds that name a seat, the seat knows one; a paid hold's seats may be sold already."""
    for hold in snapshot.holds.values():
        if not hold.is_live or _is_late(hold, snapshot) or _is_being_paid(hold, snapshot):
            continue
        for seat_id in hold.seat_ids:
            ticket = snapshot.tickets.get(seat_id, UNTOUCHED)
            if ticket.status not in (SeatStatus.HELD, SeatStatus.SOLD) or ticket.hold_id != hold.hold_id:
                text = f"hold {hold.hold_id} is {hold.state.name}, but its seat {seat_id} is {_told(ticket)}"
                yield Finding(FindingKind.HOLD_WITHOUT_SEAT, text, (seat_id,), hold_id=hold.hold_id)


def holds_not_ended(snapshot: Snapshot) -> Iterator[Finding]:
    """I4: a hold ends at most 5 s after expires_at, or, being paid, after its hard deadline; so do its seats."""
    late: set[str] = set()
    for hold in snapshot.holds.values():
        if hold.is_live and _is_late(hold, snapshot):
            late.add(hold.hold_id)
            end = hold.expires_at if hold.state is HoldState.OPEN else hold.hard_deadline
            text = f"hold {hold.hold_id} is {hold.state.name}, but should have ended at {end.isoformat()}"
            yield Finding(FindingKind.HOLD_NOT_ENDED, text, hold.seat_ids, hold_id=hold.hold_id)
    for seat_id, ticket in snapshot.tickets.items():
        ends_at = ticket.ends_at()
        if ends_at is not None and snapshot.at > ends_at + GRACE and ticket.hold_id not in late:
            text = f"seat {seat_id} is held by {ticket.hold_id}, but only until {ends_at.isoformat()}"
            yield Finding(FindingKind.HOLD_NOT_ENDED, text, (seat_id,), hold_id=ticket.hold_id)


def orders_abandoned(snapshot: Snapshot) -> Iterator[Finding]:
    """No state waits for a person: an order that is not final is being worked on."""
    for order in snapshot.orders.values():
        if not order.state.is_final and not order.is_worked_on:
            text = f"order {order.order_id} is {order.state.name}, and nothing works on it"
            yield Finding(FindingKind.ORDER_ABANDONED, text, order.seat_ids, (order.order_id,))


def money_out_of_place(snapshot: Snapshot) -> Iterator[Finding]:
    """I2, I5: each capture is a confirmed order's, and each such order's; no authorization stays open."""
    if not snapshot.has_money:
        return
    for order in snapshot.orders.values():
        payment = snapshot.payments.get(order.order_id)
        if order.state is OrderState.CONFIRMED:
            yield from _confirmed_money(order, payment)
        elif order.state.is_final and payment is not None:
            yield from _stray_money(order.order_id, payment, f"which is {order.state.name}")
    for key, payment in snapshot.orphans.items():
        yield from _stray_money(key, payment, "which does not exist")


def map_differs(snapshot: Snapshot) -> Iterator[Finding]:
    """I5: the map shows each seat as its Ticket has it, and can still take the Ticket's next change in."""
    if snapshot.event.state is EventState.DRAFT:
        return
    for section in snapshot.event.sections:
        shown = snapshot.maps.get(section.section_id)
        if shown is None:
            continue
        for place, seat_id in enumerate(section.seat_ids):
            if place not in shown:
                continue
            seat = shown[place]
            ticket = snapshot.tickets.get(seat_id, UNTOUCHED)
            if seat.seat_id != seat_id:
                why = f"the map has {seat.seat_id or 'no seat'} in the place of seat {seat_id}"
            elif seat.letter != LETTERS[ticket.status]:
                why = f"the map shows seat {seat_id} as {_word(seat.letter)}, but it is {_told(ticket)}"
            elif seat.revision > ticket.revision:
                why = f"the map knows change {seat.revision} of seat {seat_id}, which has made {ticket.revision}"
            else:
                continue
            yield Finding(FindingKind.MAP_DIFFERS, why, (seat_id,), section_id=section.section_id)


def counts_differ(snapshot: Snapshot) -> Iterator[Finding]:
    """I5: capacity = available + held + sold + blocked; every named seat is one of these, so seats are counted."""
    for section in snapshot.event.sections:
        if section.capacity != len(set(section.seat_ids)):
            text = f"section {section.section_id} has {section.capacity} seats, but names {len(set(section.seat_ids))}"
            yield Finding(FindingKind.COUNT_DIFFERS, text, section_id=section.section_id)


def _confirmed(snapshot: Snapshot) -> Iterator[OrderFacts]:
    return (order for order in snapshot.orders.values() if order.state is OrderState.CONFIRMED)


def _confirmed_money(order: OrderFacts, payment: PaymentFacts | None) -> Iterator[Finding]:
    if payment is None or payment.state is not PaymentState.CAPTURED:
        state = "nothing" if payment is None else payment.state.name
        text = f"order {order.order_id} is confirmed, but the provider has {state} under it"
        yield Finding(FindingKind.ORDER_WITHOUT_CAPTURE, text, order.seat_ids, (order.order_id,))
    elif (payment.amount_minor, payment.currency_code) != (order.amount_minor, order.currency_code):
        text = (
            f"order {order.order_id} is of {order.amount_minor} {order.currency_code} (minor units), but "
            f"{payment.amount_minor} {payment.currency_code} were captured"
        )
        yield Finding(FindingKind.AMOUNT_DIFFERS, text, order.seat_ids, (order.order_id,))


def _stray_money(order_id: str, payment: PaymentFacts, why: str) -> Iterator[Finding]:
    amount = f"{payment.amount_minor} {payment.currency_code} (minor units)"
    if payment.state is PaymentState.CAPTURED:
        text = f"{amount} were captured under order {order_id}, {why}"
        yield Finding(FindingKind.CAPTURE_WITHOUT_ORDER, text, (), (order_id,))
    elif payment.state is PaymentState.AUTHORIZED:
        text = f"{amount} are reserved under order {order_id}, {why}"
        yield Finding(FindingKind.AUTHORIZATION_LEFT_OPEN, text, (), (order_id,))


def _why_not_its_order(seat_id: str, ticket: TicketFacts, order: OrderFacts | None) -> str:
    if order is None:
        return "which does not exist in this event"
    if order.state.is_final and order.state is not OrderState.CONFIRMED:
        return f"which is {order.state.name}"
    if seat_id not in order.seat_ids:
        return "which does not name it"
    # Of an order in progress: its own process confirms the seat or takes it back.
    return "" if order.hold_id in ("", ticket.hold_id) else f"but by hold {ticket.hold_id}, not the order's"


def _is_late(hold: HoldFacts, snapshot: Snapshot) -> bool:
    end = hold.expires_at if hold.state is HoldState.OPEN else hold.hard_deadline
    return snapshot.at > end + GRACE


def _is_being_paid(hold: HoldFacts, snapshot: Snapshot) -> bool:
    """Tell whether the hold's order is under way: it takes its seats back before it ends the hold."""
    order = snapshot.orders.get(hold.order_id)
    return hold.state is HoldState.PAYING and order is not None and not order.state.is_final


def _told(ticket: TicketFacts) -> str:
    if ticket.status is SeatStatus.HELD:
        return f"HELD by {ticket.hold_id} (change {ticket.revision})"
    if ticket.status is SeatStatus.SOLD:
        return f"SOLD to {ticket.order_id} (change {ticket.revision})"
    return f"{ticket.status.name} (change {ticket.revision})"


def _word(letter: str) -> str:
    return next((status.name for status, known in LETTERS.items() if known == letter), repr(letter))
