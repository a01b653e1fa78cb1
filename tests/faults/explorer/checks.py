"""What must hold in every state: I1-I4, told of buyers' records, tickets and the provider, not of one alone."""

from __future__ import annotations

from services.checkout.domain import Order
from services.common.states import HoldState, OrderState, SeatStatus
from services.ticket import domain as tickets
from services.ticket.domain_buyer import Hold
from tests.faults.explorer.orders import Sale
from tests.faults.explorer.state import SEATS, State, clock

UNDONE = (OrderState.DECLINED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED)


def broken(sale: Sale, state: State) -> str:
    """Name the invariant that a state breaks; empty where all hold."""
    return one_owner(sale, state) or money_and_seats(sale, state) or holds_end(sale, state)


def one_owner(sale: Sale, state: State) -> str:
    """I1: a seat has at most one live hold or sale, and its Ticket says the same."""
    claimed: dict[int, str] = {}
    for number, buyer in enumerate(state.buyers):
        hold: Hold | None = sale.shelf[buyer.hold]
        if hold is None or not _counts(sale, state, number, hold):
            continue
        for seat in sale.plan.seats[number]:
            if seat in claimed:
                return f"I1: {SEATS[seat]} belongs to {claimed[seat]} and to h{number}"
            claimed[seat] = f"h{number}"
            ticket = sale.shelf[state.tickets[seat]]
            if ticket.hold_id != f"h{number}":
                return (
                    f"I1: {SEATS[seat]} is {ticket.status.name} by {ticket.hold_id or 'nobody'}, not by live h{number}"
                )
    paid: dict[int, int] = {}
    for order in range(len(state.processes)):
        if not _is_paid(sale, state, order):
            continue
        for seat in sale.plan.seats[sale.plan.orders[order]]:
            owner = claimed.get(seat, f"h{sale.plan.orders[order]}")
            if seat in paid or owner != f"h{sale.plan.orders[order]}":
                return f"I1: {SEATS[seat]} is paid by o{order} and belongs to {paid.get(seat, owner)}"
            paid[seat] = order
    return ""


def _counts(sale: Sale, state: State, number: int, hold: Hold) -> bool:
    """Tell whether a hold is live: made, not past its time, not of an order that is being undone."""
    buyer = state.buyers[number]
    if buyer.claim is not None or not hold.is_live or clock(state.now) >= hold.hard_deadline:
        return False
    if hold.state is HoldState.OPEN:
        # One whose maker was killed in between may lack seats: it was acknowledged to nobody.
        return buyer.is_acknowledged and clock(state.now) < hold.expires_at
    order = int(hold.order_id[1:])
    record: Order = sale.shelf[state.processes[order].order]
    return record.verdict not in UNDONE and state.processes[order].phase[0] != "dead"


def _is_paid(sale: Sale, state: State, order: int) -> bool:
    effects = [effect for _, effect in state.money[order].done]
    process = state.processes[order]
    is_undone = process.order and sale.shelf[process.order].verdict in UNDONE
    return "captured" in effects and "refunded" not in effects and not is_undone and process.phase[0] != "dead"


def money_and_seats(sale: Sale, state: State) -> str:
    """I2 and I3: an order that has ended has its money and all its seats, or neither."""
    for order, process in enumerate(state.processes):
        effects = [effect for _, effect in state.money[order].done]
        if len(set(effects)) != len(effects):
            return f"I2: o{order} moved money twice: {effects}"
        record: Order | None = sale.shelf[process.order]
        wanted = sale.plan.seats[sale.plan.orders[order]]
        has = [sale.shelf[state.tickets[seat]].order_id == f"o{order}" for seat in wanted]
        if _is_paid(sale, state, order) and not all(has):
            return f"I3: o{order} is paid and lacks a seat"
        if record is None or process.phase[0] != "ended":
            continue
        is_confirmed = record.state is OrderState.CONFIRMED
        is_open = "authorized" in effects and not {"captured", "voided"} & set(effects)
        is_kept = "captured" in effects and "refunded" not in effects
        if is_open or is_kept != is_confirmed:
            return f"I2: o{order} has ended {record.state.name} with {effects}"
        if any(has) != is_confirmed or all(has) != is_confirmed:
            return f"I3: o{order} has ended {record.state.name} with {sum(has)} of {len(has)} seats"
    return ""


def holds_end(sale: Sale, state: State) -> str:
    """I4: a live hold has a timer on its way, or is being made; at rest nothing is held."""
    for number, buyer in enumerate(state.buyers):
        hold: Hold | None = sale.shelf[buyer.hold]
        if hold is not None and hold.is_live and all(number != whose for _, whose in state.timers):
            return f"I4: nothing will ever end h{number}, which is {hold.state.name}"
    if _rests(state):
        if any(process.phase[0] not in ("new", "ended") for process in state.processes):
            return "I4: an order is stuck"
        held = [sale.shelf[number] for number in state.tickets]
        # A late duplicate of a reserve may hold a seat for nobody; the Ticket's own hard deadline frees it.
        is_allowed = state.left.duplicates < sale.plan.left.duplicates
        for seat, ticket in enumerate(held):
            if not is_allowed and tickets.status_at(ticket, clock(state.now)) is SeatStatus.HELD:
                return f"I4: {SEATS[seat]} is held by {ticket.hold_id}, which has ended"
    return ""


def _rests(state: State) -> bool:
    is_busy = any(buyer.claim for buyer in state.buyers) or any(process.requests for process in state.processes)
    is_running = any(process.phase[0] in ("ready", "answered", "sleep", "dead") for process in state.processes)
    return not (state.mail or state.timers or is_busy or is_running)
