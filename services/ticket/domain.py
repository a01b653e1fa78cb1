"""Ticket: who has a seat. The rules of one seat, as pure functions.

AVAILABLE -> HELD(hold_id) -> SOLD(order_id, hold_id), AVAILABLE <-> BLOCKED. Each function takes the
ticket and gives the ticket after it: the very same object where nothing changes. Buyer's rules are in
`domain_buyer.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.common.errors import HoldExpiredError, SeatUnavailableError
from services.common.states import SeatStatus


@dataclass(frozen=True, slots=True)
class Ticket:
    """The stored state of a seat. A seat that nobody ever touched has none and is AVAILABLE.

    `revision` counts the changes. `section_id` and `position` tell where the seat map keeps the seat.
    """

    status: SeatStatus = SeatStatus.AVAILABLE
    revision: int = 0
    section_id: str = ""
    position: int = 0
    hold_id: str = ""
    order_id: str = ""
    buyer: str = ""
    block_id: str = ""
    hard_deadline: datetime | None = None
    schema_version: int = 1


def status_at(ticket: Ticket, now: datetime) -> SeatStatus:
    """Tell the status that counts now: a hold past its hard deadline holds nothing."""
    if ticket.status is SeatStatus.HELD and ticket.hard_deadline is not None and now >= ticket.hard_deadline:
        return SeatStatus.AVAILABLE
    return ticket.status


def reserve(
    ticket: Ticket,
    *,
    seat_id: str,
    hold_id: str,
    buyer: str,
    section_id: str,
    position: int,
    hard_deadline: datetime,
    now: datetime,
) -> Ticket:
    """Give an AVAILABLE seat to a hold; idempotent for the hold that has it.

    Raises SeatUnavailableError with the seat's status.
    """
    if ticket.status is SeatStatus.HELD and ticket.hold_id == hold_id:
        return ticket
    _require_available(ticket, seat_id, now)
    return Ticket(
        status=SeatStatus.HELD,
        revision=ticket.revision + 1,
        section_id=section_id,
        position=position,
        hold_id=hold_id,
        buyer=buyer,
        hard_deadline=hard_deadline,
    )


def confirm(ticket: Ticket, *, hold_id: str, order_id: str, now: datetime) -> Ticket:
    """Sell a seat to the order that pays its hold; idempotent for that order.

    Raises HoldExpiredError where the seat is not held by this hold, or no longer.
    """
    if ticket.status is SeatStatus.SOLD and (ticket.order_id, ticket.hold_id) == (order_id, hold_id):
        return ticket
    if status_at(ticket, now) is not SeatStatus.HELD or ticket.hold_id != hold_id:
        raise HoldExpiredError("the seat is not held by this hold any more")
    return replace(ticket, status=SeatStatus.SOLD, revision=ticket.revision + 1, order_id=order_id, hard_deadline=None)


def release(ticket: Ticket, *, hold_id: str) -> Ticket:
    """Free a seat that this hold holds; anything else stays as it is."""
    if ticket.status is SeatStatus.HELD and ticket.hold_id == hold_id:
        return _freed(ticket)
    return ticket


def is_stale_release(ticket: Ticket, *, hold_id: str) -> bool:
    """Tell whether a release came for a seat that another hold has by now."""
    return ticket.status in (SeatStatus.HELD, SeatStatus.SOLD) and ticket.hold_id != hold_id


def revoke(ticket: Ticket, *, order_id: str) -> Ticket:
    """Take a sale back that its own order has not completed; anything else stays as it is."""
    if ticket.status is SeatStatus.SOLD and ticket.order_id == order_id:
        return _freed(ticket)
    return ticket


def block(ticket: Ticket, *, seat_id: str, block_id: str, section_id: str, position: int, now: datetime) -> Ticket:
    """Take an AVAILABLE seat out of the sale; idempotent for the same request (`block_id`).

    Raises SeatUnavailableError with the seat's status.
    """
    if ticket.status is SeatStatus.BLOCKED and ticket.block_id == block_id:
        return ticket
    _require_available(ticket, seat_id, now)
    return Ticket(
        status=SeatStatus.BLOCKED,
        revision=ticket.revision + 1,
        section_id=section_id,
        position=position,
        block_id=block_id,
    )


def unblock(ticket: Ticket, *, block_id: str) -> Ticket:
    """Put a BLOCKED seat back; with a block_id only if that request blocked it."""
    if ticket.status is SeatStatus.BLOCKED and block_id in ("", ticket.block_id):
        return _freed(ticket)
    return ticket


def may_see_order(ticket: Ticket, *, subject: str, is_admin: bool, owner: str) -> bool:
    """Tell whether a caller may learn which order has the seat: its buyer and the organizer."""
    return bool(subject) and (is_admin or subject in (ticket.buyer, owner))


def _require_available(ticket: Ticket, seat_id: str, now: datetime) -> None:
    status = status_at(ticket, now)
    if status is not SeatStatus.AVAILABLE:
        raise SeatUnavailableError({seat_id: status.name})


def _freed(ticket: Ticket) -> Ticket:
    return Ticket(revision=ticket.revision + 1, section_id=ticket.section_id, position=ticket.position)
