"""Buyer: the virtual object of one buyer of one event, key `event:buyer`.

State: `holds` (HoldList), `orders` (OrderList), `hold:{hold_id}` (Hold).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import restate
import structlog

from services.common import facts, paging
from services.common.errors import HoldNotFoundError, SeatUnavailableError, UnavailableError
from services.common.handlers import (
    Moment,
    add_ping,
    call,
    finish,
    load,
    moment,
    now,
    private,
    public,
    save,
    send,
    start,
)
from services.common.ids import object_key, split_key
from services.common.messages import Caller, Nothing
from services.common.money import Money, total
from services.common.seats import HeldSeat
from services.common.states import SeatStatus
from services.seatmap.messages import QUOTE, Quote, QuoteRequest
from services.ticket import domain_buyer as domain
from services.ticket import domain_cooldown as cooldown
from services.ticket.domain_buyer import Hold, HoldList, OrderEntry, OrderList
from services.ticket.messages import (
    ARM,
    BEGIN_CHECKOUT,
    EXPIRE,
    EXTEND,
    FINISH_CHECKOUT,
    GET_HOLD,
    HOLD,
    HOLD_FOR_ORDER,
    LIST_ORDERS,
    LOOK,
    RELEASE_HOLD,
    RELEASE_SEAT,
    RESERVE,
    BeginCheckoutRequest,
    ExpireRequest,
    FinishCheckoutRequest,
    HoldForOrderRequest,
    HoldSeats,
    HoldView,
    ListOrders,
    NameHold,
    OrderIds,
    PayableHold,
    ReleaseRequest,
    ReserveRequest,
)

BUYER = restate.VirtualObject("Buyer")
log = structlog.get_logger()
add_ping(BUYER)

HOLDS = "holds"
ORDERS = "orders"


@public(BUYER, HOLD)
async def hold(ctx: restate.ObjectContext, request: HoldSeats, caller: Caller) -> HoldView:
    """Claim seats until expires_at, all or none."""
    # The clock of the hold, and an id that cannot be guessed.
    at = await moment(ctx)
    return _view(await _claim(ctx, request.seat_ids, at, f"h-{at.token}", caller))


@private(BUYER, HOLD_FOR_ORDER)
async def hold_for_order(ctx: restate.ObjectContext, request: HoldForOrderRequest) -> PayableHold:
    """Claim seats for an order and begin its payment at once."""
    at = await moment(ctx)
    caller = Caller(split_key(ctx.key())[1])
    # Born PAYING: nobody could do anything with it in between, and it spares a round of writes.
    return _payable(await _claim(ctx, request.seat_ids, at, request.hold_id, caller, request.order_id), at.at)


@private(BUYER, BEGIN_CHECKOUT)
async def begin_checkout(ctx: restate.ObjectContext, request: BeginCheckoutRequest) -> PayableHold:
    """Move an OPEN hold to PAYING for an order."""
    found = await _require(ctx, request.hold_id)
    at = await now(ctx)
    paying = domain.begin_checkout(found, order_id=request.order_id, now=at)
    await _keep(ctx, paying)
    return _payable(paying, at)


@private(BUYER, FINISH_CHECKOUT)
async def finish_checkout(ctx: restate.ObjectContext, request: FinishCheckoutRequest) -> Nothing:
    """End the hold that an order paid or made, and record the order."""
    found = await load(ctx, _name(request.hold_id), Hold)
    verdict = domain.finish_checkout(found, order_id=request.order_id, outcome=request.outcome)
    seat_ids = found.seat_ids if found else request.seat_ids
    if verdict.must_release:
        _send_releases(ctx, request.hold_id, seat_ids)
    if verdict.hold is not None and verdict.hold is not found:
        await _keep(ctx, verdict.hold)
        facts.count(facts.HOLDS, outcome=verdict.hold.state.name.lower())
    orders = await load(ctx, ORDERS, OrderList) or OrderList()
    entry = OrderEntry(request.order_id, request.outcome, len(seat_ids), request.created_at)
    save(ctx, ORDERS, domain.recorded(orders, entry))
    return Nothing()


@private(BUYER, ARM, shared=True)
async def arm(ctx: restate.ObjectSharedContext, request: ExpireRequest) -> Nothing:
    """Set a hold's timer, apart from the hold: killing an invocation also kills the sends that it made.

    Source: seen with Restate 1.7.12, where `kill` ends delayed sends of the killed invocation too.
    """
    _set_timer(ctx, request.hold_id, request.seat_ids, request.due_at, await now(ctx))
    return Nothing()


@private(BUYER, EXPIRE)
async def expire(ctx: restate.ObjectContext, request: ExpireRequest) -> Nothing:
    """Do what the hold's timer is for: end it, come again later, or nothing."""
    found = await load(ctx, _name(request.hold_id), Hold)
    verdict = domain.on_timer(found, due_at=request.due_at)
    if verdict.ended is not None:
        _send_releases(ctx, request.hold_id, request.seat_ids)
        await _keep(ctx, verdict.ended)
        facts.count(facts.HOLDS, outcome="expired")
    elif verdict.next_due_at is not None:
        _set_timer(ctx, request.hold_id, request.seat_ids, verdict.next_due_at, await now(ctx))
    else:
        log.info("stale timer ignored", hold_id=request.hold_id, state=found.state.name if found else "UNKNOWN")
    return Nothing()


@public(BUYER, EXTEND)
async def extend(ctx: restate.ObjectContext, request: NameHold, _caller: Caller) -> HoldView:
    """Give an OPEN hold more time."""
    found = await _require(ctx, request.hold_id)
    extended = domain.extend(found, now=await now(ctx))
    await _keep(ctx, extended)
    return _view(extended)


@public(BUYER, RELEASE_HOLD)
async def release(ctx: restate.ObjectContext, request: NameHold, _caller: Caller) -> HoldView:
    """Give the seats of an OPEN hold back."""
    found = await _require(ctx, request.hold_id)
    released = domain.release(found)
    if released is not found:
        _send_releases(ctx, found.hold_id, found.seat_ids)
        await _keep(ctx, released)
        facts.count(facts.HOLDS, outcome="released")
    return _view(released)


@public(BUYER, GET_HOLD, shared=True)
async def get(ctx: restate.ObjectSharedContext, request: NameHold, _caller: Caller) -> HoldView:
    """Show a hold."""
    found = await _require(ctx, request.hold_id)
    return _view(domain.shown(found, await now(ctx)))


@public(BUYER, LIST_ORDERS, shared=True)
async def list_orders(ctx: restate.ObjectSharedContext, request: ListOrders, _caller: Caller) -> OrderIds:
    """List the ids of the buyer's orders, newest first."""
    orders = await load(ctx, ORDERS, OrderList) or OrderList()
    ids = [entry.order_id for entry in orders.entries]
    return OrderIds(*paging.page(ids, request.page_size or 20, request.page_token))


async def _claim(
    ctx: restate.ObjectContext, seat_ids: list[str], at: Moment, hold_id: str, caller: Caller, order_id: str = ""
) -> Hold:
    """Write the hold, set its timer, then reserve its seats one after another.

    `order_id`: the order that makes the hold and pays it at once.
    """
    # Event alone knows terms and prices; it never waits, so neither do we for long.
    quote = await call(
        ctx, QUOTE, split_key(ctx.key())[0], QuoteRequest(sorted(seat_ids), Caller(caller.subject), for_sale_at=at.at)
    )
    holds = await load(ctx, HOLDS, HoldList) or HoldList()
    orders = await load(ctx, ORDERS, OrderList) or OrderList()
    domain.require_within_limit(holds, orders, wanted=len(seat_ids), limit=quote.max_seats_per_buyer, now=at.at)
    cooldown.require_rested(holds, hold_seconds=quote.hold_seconds, now=at.at)
    made = _hold_of(ctx, quote, at.at, hold_id)
    if order_id:
        made = domain.begin_checkout(replace(made, made_by=order_id), order_id=order_id, now=at.at)
    # Before the first reserve: whatever happens to this invocation, the timer frees the seats.
    _store(ctx, holds, made)
    send(ctx, ARM, ctx.key(), ExpireRequest(hold_id, made.expires_at, made.seat_ids))
    await _reserve_all(ctx, made, quote, at.at)
    facts.count(facts.HOLDS, outcome="made")
    return made


async def _reserve_all(ctx: restate.ObjectContext, made: Hold, quote: Quote, at: datetime) -> None:
    """Reserve in sorted order, so that of two overlapping requests one always wins."""
    event_id, buyer = split_key(ctx.key())
    for index, seat in enumerate(quote.seats):
        request = ReserveRequest(made.hold_id, buyer, seat.section_id, seat.position, made.hard_deadline, at)
        try:
            # Ticket alone decides who has the seat.
            await call(ctx, RESERVE, object_key(event_id, seat.seat_id), request)
        except SeatUnavailableError as refused:
            rest = [later.seat_id for later in quote.seats[index + 1 :]]
            await _give_up(ctx, made, index + 1)
            raise SeatUnavailableError(refused_seat(refused) | await _conflicts(ctx, event_id, rest)) from refused
        except restate.TerminalError as doubt:
            await _give_up(ctx, made, index + 1)
            raise UnavailableError("a seat did not answer; nothing is held") from doubt


def refused_seat(refused: SeatUnavailableError) -> dict[str, str]:
    """Read the conflicts back from an error that has crossed a call."""
    return dict(pair.split("=", 1) for pair in refused.details["conflicts"].split(","))


async def _give_up(ctx: restate.ObjectContext, made: Hold, tried: int) -> None:
    """Undo a hold that did not come to be: the seat in doubt is released as well."""
    _send_releases(ctx, made.hold_id, made.seat_ids[:tried])
    holds = await load(ctx, HOLDS, HoldList) or HoldList()
    save(ctx, HOLDS, domain.unlisted(holds, made.hold_id))
    ctx.clear(_name(made.hold_id))


async def _conflicts(ctx: restate.ObjectContext, event_id: str, seat_ids: list[str]) -> dict[str, str]:
    """Look at the seats that were not tried, so that the answer names every conflict."""
    asked = [(seat_id, start(ctx, LOOK, object_key(event_id, seat_id), Nothing())) for seat_id in seat_ids]
    looks = [(seat_id, await finish(LOOK, future)) for seat_id, future in asked]
    return {seat_id: look.status.name for seat_id, look in looks if look.status is not SeatStatus.AVAILABLE}


def _payable(paying: Hold, at: datetime) -> PayableHold:
    return PayableHold(
        _view(paying), at, paying.pay_until or at, paying.event_title, paying.event_venue, paying.event_starts_at
    )


async def _require(ctx: restate.ObjectContext | restate.ObjectSharedContext, hold_id: str) -> Hold:
    found = await load(ctx, _name(hold_id), Hold)
    if found is None:
        raise HoldNotFoundError("no such hold", {"hold_id": hold_id})
    return found


async def _keep(ctx: restate.ObjectContext, hold_: Hold) -> None:
    """Store a hold and its line in the list."""
    _store(ctx, await load(ctx, HOLDS, HoldList) or HoldList(), hold_)


def _store(ctx: restate.ObjectContext, holds: HoldList, hold_: Hold) -> None:
    """Store a hold and its line in the list that was read; holds that fall off the list are forgotten."""
    listed, dropped = domain.listed(holds, hold_)
    save(ctx, HOLDS, listed)
    save(ctx, _name(hold_.hold_id), hold_)
    for hold_id in dropped:
        ctx.clear(_name(hold_id))


def _set_timer(
    ctx: restate.ObjectContext | restate.ObjectSharedContext,
    hold_id: str,
    seat_ids: list[str],
    due_at: datetime,
    at: datetime,
) -> None:
    # The SDK cannot send with a negative delay, and a timer may come when its successor is due as well.
    delay = max(due_at - at, timedelta(0))
    send(ctx, EXPIRE, ctx.key(), ExpireRequest(hold_id, due_at, seat_ids), delay=delay)


def _send_releases(ctx: restate.ObjectContext, hold_id: str, seat_ids: list[str]) -> None:
    """Release seats by sends: nobody else would do it, so nobody may give up waiting for it."""
    event_id = split_key(ctx.key())[0]
    for seat_id in seat_ids:
        send(ctx, RELEASE_SEAT, object_key(event_id, seat_id), ReleaseRequest(hold_id))


def _name(hold_id: str) -> str:
    return f"hold:{hold_id}"


def _hold_of(ctx: restate.ObjectContext, quote: Quote, at: datetime, hold_id: str) -> Hold:
    seats = [
        HeldSeat(seat.seat_id, seat.category_id, seat.section_id, Money(quote.currency_code, seat.amount_minor))
        for seat in quote.seats
    ]
    return domain.new_hold(
        hold_id=hold_id,
        event_id=split_key(ctx.key())[0],
        seats=seats,
        total=total((seat.price for seat in seats), quote.currency_code),
        hold_seconds=quote.hold_seconds,
        event=(quote.title, quote.venue, quote.starts_at),
        now=at,
    )


def _view(found: Hold) -> HoldView:
    return HoldView(
        found.hold_id,
        found.event_id,
        found.seats,
        found.total,
        found.created_at,
        found.expires_at,
        found.state,
    )
