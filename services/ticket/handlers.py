"""Ticket: the virtual object of one seat, key `event:seat`, state `ticket`."""

from __future__ import annotations

from datetime import datetime

import restate
import structlog

from services.common.handlers import GIVES_UP, add_ping, call, load, now, private, public, save, send
from services.common.ids import object_key, split_key
from services.common.messages import Caller, Nothing
from services.common.states import SeatStatus
from services.seatmap.messages import APPLY, ApplyRequest
from services.seatmap.messages_quote import QUOTE, QuoteRequest
from services.ticket import domain
from services.ticket.domain import Ticket
from services.ticket.messages import (
    ANNOUNCE,
    BLOCK,
    CONFIRM,
    GET_TICKET,
    LOOK,
    RELEASE_SEAT,
    RESERVE,
    REVOKE,
    UNBLOCK,
    AnnounceRequest,
    BlockRequest,
    Confirmed,
    ConfirmRequest,
    GetTicket,
    ReleaseRequest,
    ReserveRequest,
    RevokeRequest,
    SeatLook,
    TicketView,
    UnblockRequest,
)

TICKET = restate.VirtualObject("Ticket")
log = structlog.get_logger()
add_ping(TICKET)

STATE = "ticket"


@private(TICKET, RESERVE, retry=GIVES_UP)
async def reserve(ctx: restate.ObjectContext, request: ReserveRequest) -> Nothing:
    """Give the seat to a hold, if it is AVAILABLE."""
    ticket = await _load(ctx)
    # The caller's clock will do: an older one only refuses more, and it spares a journal entry.
    after = domain.reserve(
        ticket,
        seat_id=_seat_id(ctx),
        hold_id=request.hold_id,
        buyer=request.buyer,
        section_id=request.section_id,
        position=request.position,
        hard_deadline=request.hard_deadline,
        now=request.at,
    )
    _keep(ctx, ticket, after)
    return Nothing()


@private(TICKET, CONFIRM, retry=GIVES_UP)
async def confirm(ctx: restate.ObjectContext, request: ConfirmRequest) -> Confirmed:
    """Sell the held seat to the order that pays the hold."""
    ticket = await _load(ctx)
    # Its own clock: a message that was on its way for long must not outlive the hard deadline.
    at = await now(ctx)
    after = domain.confirm(ticket, hold_id=request.hold_id, order_id=request.order_id, now=at)
    _keep(ctx, ticket, after)
    return Confirmed(at)


@private(TICKET, RELEASE_SEAT)
async def release(ctx: restate.ObjectContext, request: ReleaseRequest) -> Nothing:
    """Free the seat if this hold still holds it."""
    ticket = await _load(ctx)
    if domain.is_stale_release(ticket, hold_id=request.hold_id):
        log.warning("stale release ignored", hold_id=request.hold_id, seat=ctx.key(), status=ticket.status.name)
    _keep(ctx, ticket, domain.release(ticket, hold_id=request.hold_id))
    return Nothing()


@private(TICKET, REVOKE)
async def revoke(ctx: restate.ObjectContext, request: RevokeRequest) -> Nothing:
    """Take the sale to an unfinished order back."""
    ticket = await _load(ctx)
    _keep(ctx, ticket, domain.revoke(ticket, order_id=request.order_id))
    return Nothing()


@private(TICKET, BLOCK, retry=GIVES_UP)
async def block(ctx: restate.ObjectContext, request: BlockRequest) -> Nothing:
    """Take the AVAILABLE seat out of the sale."""
    ticket = await _load(ctx)
    at = await now(ctx)
    after = domain.block(
        ticket,
        seat_id=_seat_id(ctx),
        block_id=request.block_id,
        section_id=request.section_id,
        position=request.position,
        now=at,
    )
    _keep(ctx, ticket, after)
    return Nothing()


@private(TICKET, UNBLOCK)
async def unblock(ctx: restate.ObjectContext, request: UnblockRequest) -> Nothing:
    """Put the BLOCKED seat back."""
    ticket = await _load(ctx)
    _keep(ctx, ticket, domain.unblock(ticket, block_id=request.block_id))
    return Nothing()


@private(TICKET, ANNOUNCE)
async def announce(ctx: restate.ObjectContext, request: AnnounceRequest) -> Nothing:
    """Tell the seat map again what the seat is."""
    ticket = await _load(ctx)
    _tell_map(ctx, ticket, request.section_id, request.position)
    return Nothing()


@private(TICKET, LOOK, shared=True, retry=GIVES_UP)
async def look(ctx: restate.ObjectSharedContext, _request: Nothing) -> SeatLook:
    """Tell the status without waiting for anybody."""
    ticket = await _load(ctx)
    return SeatLook(domain.status_at(ticket, await now(ctx)))


@public(TICKET, GET_TICKET, shared=True, retry=GIVES_UP)
async def get(ctx: restate.ObjectSharedContext, request: GetTicket, caller: Caller) -> TicketView:
    """Show the ticket; its order to its buyer and the organizer only."""
    # Event decides whether the seat exists and whether this caller may know of the event.
    quote = await call(ctx, QUOTE, request.event_id, QuoteRequest([request.seat_id], caller))
    ticket = await _load(ctx)
    is_shown = domain.may_see_order(ticket, subject=caller.subject, is_admin=caller.is_admin, owner=quote.owner)
    return TicketView(
        event_id=request.event_id,
        seat_id=request.seat_id,
        status=domain.status_at(ticket, await now(ctx)),
        revision=ticket.revision,
        order_id=ticket.order_id if is_shown else "",
    )


async def _load(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Ticket:
    return await load(ctx, STATE, Ticket) or Ticket()


def _seat_id(ctx: restate.ObjectContext) -> str:
    return split_key(ctx.key())[1]


def _keep(ctx: restate.ObjectContext, before: Ticket, after: Ticket) -> None:
    """Store a change and tell the map; do nothing where nothing changed."""
    if after is before:
        return
    save(ctx, STATE, after)
    _tell_map(ctx, after, after.section_id, after.position)


def _tell_map(ctx: restate.ObjectContext, ticket: Ticket, section_id: str, position: int) -> None:
    """Send the section its news: a send, so that no buyer waits for the view."""
    event_id, seat_id = split_key(ctx.key())
    held_until: datetime | None = ticket.hard_deadline if ticket.status is SeatStatus.HELD else None
    news = ApplyRequest(seat_id, position, ticket.status, ticket.revision, held_until)
    send(ctx, APPLY, object_key(event_id, section_id), news)
