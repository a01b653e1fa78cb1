"""Buyer: the virtual object of one buyer of one event, key `event:buyer`.

State: `holds` (HoldList), `orders` (OrderList), `hold:{hold_id}` (Hold).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import restate
import structlog

from services.common import facts, paging
from services.common.errors import HoldNotFoundError
from services.common.handlers import (
    add_ping,
    load,
    now,
    private,
    public,
    save,
    send,
)
from services.common.ids import split_key
from services.common.messages import Caller, Nothing
from services.ticket import domain_buyer as domain
from services.ticket.claims import begin, claim
from services.ticket.domain_buyer import Hold, OrderEntry, OrderList
from services.ticket.holdstore import ORDERS, keep, name, send_releases
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
    RELEASE_HOLD,
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
)

BUYER = restate.VirtualObject("Buyer")
log = structlog.get_logger()
add_ping(BUYER)


@public(BUYER, HOLD)
async def hold(ctx: restate.ObjectContext, request: HoldSeats, caller: Caller) -> HoldView:
    """Claim seats until expires_at, all or none."""
    begun = await begin(ctx, request.seat_ids)
    return _view(await claim(ctx, begun, request.seat_ids, f"h-{begun.token}", caller))


@private(BUYER, HOLD_FOR_ORDER)
async def hold_for_order(ctx: restate.ObjectContext, request: HoldForOrderRequest) -> PayableHold:
    """Claim seats for an order and begin its payment at once."""
    begun = await begin(ctx, request.seat_ids)
    caller = Caller(split_key(ctx.key())[1])
    # Born PAYING: nobody could do anything with it in between, and it spares a round of writes.
    return _payable(await claim(ctx, begun, request.seat_ids, request.hold_id, caller, request.order_id), begun.at)


@private(BUYER, BEGIN_CHECKOUT)
async def begin_checkout(ctx: restate.ObjectContext, request: BeginCheckoutRequest) -> PayableHold:
    """Move an OPEN hold to PAYING for an order."""
    found = await _require(ctx, request.hold_id)
    at = await now(ctx)
    paying = domain.begin_checkout(found, order_id=request.order_id, now=at)
    await keep(ctx, paying)
    return _payable(paying, at)


@private(BUYER, FINISH_CHECKOUT)
async def finish_checkout(ctx: restate.ObjectContext, request: FinishCheckoutRequest) -> Nothing:
    """End the hold that an order paid or made, and record the order."""
    found = await load(ctx, name(request.hold_id), Hold)
    verdict = domain.finish_checkout(found, order_id=request.order_id, outcome=request.outcome)
    seat_ids = found.seat_ids if found else request.seat_ids
    if verdict.must_release:
        send_releases(ctx, request.hold_id, seat_ids)
    if verdict.hold is not None and verdict.hold is not found:
        await keep(ctx, verdict.hold)
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
    _set_timer(ctx, request.hold_id, request.seat_ids, request.due_at)
    return Nothing()


@private(BUYER, EXPIRE)
async def expire(ctx: restate.ObjectContext, request: ExpireRequest) -> Nothing:
    """Do what the hold's timer is for: end it, come again later, or nothing."""
    found = await load(ctx, name(request.hold_id), Hold)
    verdict = domain.on_timer(found, due_at=request.due_at)
    if verdict.ended is not None:
        send_releases(ctx, request.hold_id, request.seat_ids)
        await keep(ctx, verdict.ended)
        facts.count(facts.HOLDS, outcome="expired")
    elif verdict.next_due_at is not None:
        _set_timer(ctx, request.hold_id, request.seat_ids, verdict.next_due_at)
    else:
        log.info("stale timer ignored", hold_id=request.hold_id, state=found.state.name if found else "UNKNOWN")
    return Nothing()


@public(BUYER, EXTEND)
async def extend(ctx: restate.ObjectContext, request: NameHold, _caller: Caller) -> HoldView:
    """Give an OPEN hold more time."""
    found = await _require(ctx, request.hold_id)
    extended = domain.extend(found, now=await now(ctx))
    await keep(ctx, extended)
    return _view(extended)


@public(BUYER, RELEASE_HOLD)
async def release(ctx: restate.ObjectContext, request: NameHold, _caller: Caller) -> HoldView:
    """Give the seats of an OPEN hold back."""
    found = await _require(ctx, request.hold_id)
    released = domain.release(found)
    if released is not found:
        send_releases(ctx, found.hold_id, found.seat_ids)
        await keep(ctx, released)
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


def _payable(paying: Hold, at: datetime) -> PayableHold:
    return PayableHold(
        _view(paying), at, paying.pay_until or at, paying.event_title, paying.event_venue, paying.event_starts_at
    )


async def _require(ctx: restate.ObjectContext | restate.ObjectSharedContext, hold_id: str) -> Hold:
    found = await load(ctx, name(hold_id), Hold)
    if found is None:
        raise HoldNotFoundError("no such hold", {"hold_id": hold_id})
    return found


def _set_timer(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, hold_id: str, seat_ids: list[str], due_at: datetime
) -> None:
    # A clock that is not journaled: the SDK makes a time of the delay at once, and a replay keeps the time that
    # was recorded. It cannot send with a negative delay, and a timer may come when its successor is due as well.
    delay = max(due_at - datetime.now(UTC), timedelta(0))
    send(ctx, EXPIRE, ctx.key(), ExpireRequest(hold_id, due_at, seat_ids), delay=delay)


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
