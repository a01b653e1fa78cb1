"""Checkout: the virtual object of one order, key `order`, state `order` (Order)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import restate
import structlog

from services.checkout import domain, saga, steps
from services.checkout.domain import Order
from services.checkout.messages import (
    CANCEL_ORDER,
    FORGET_ORDER,
    GET_ORDER,
    PEEK,
    PROCESS,
    CheckoutRequest,
    NameOrder,
    OrderStep,
    OrderView,
    PaymentView,
)
from services.common import facts
from services.common.errors import NexusError
from services.common.handlers import (
    GIVES_UP,
    PATIENT,
    add_ping,
    load,
    moment,
    private,
    public,
    save,
    send,
)
from services.common.messages import Caller, Envelope, Nothing
from services.common.serde import serde
from services.common.states import OrderState

CHECKOUT = restate.VirtualObject("Checkout")
add_ping(CHECKOUT)

STATE = "order"
FORGOTTEN_AFTER = timedelta(days=30)
log = structlog.get_logger()


@public(CHECKOUT, PROCESS, takes_envelope=True, retry=PATIENT)
async def process(ctx: restate.ObjectContext, envelope: Envelope[CheckoutRequest]) -> OrderView:
    """Take an order to its end; take up one that was cut off; answer one that has ended."""
    cancel_id, cancelled = ctx.awakeable(serde=serde(str))
    order = await load(ctx, STATE, Order)
    if order is None:
        order = await _accept(ctx, envelope)
    else:
        domain.require_same_request(order, owner=envelope.caller.subject, fingerprint=envelope.fingerprint)
        order = saga.resume(order)
    order = replace(order, cancel_id=cancel_id)
    refusal: NexusError | None = None
    while (step := saga.next_step(order)) is not None:
        order = saga.about_to(order, step)
        if saga.is_stored_before(step):
            # Whoever takes this order up must know what may have happened.
            save(ctx, STATE, order)
        performed = await steps.PERFORMERS[step](ctx, order, cancelled)
        refusal = performed.refusal or refusal
        order = saga.record(order, step, performed.outcome)
        if order.state.is_final:
            _keep_ended(ctx, order)
    return _answer(order, refusal)


@public(CHECKOUT, GET_ORDER, shared=True, retry=GIVES_UP)
async def get(ctx: restate.ObjectSharedContext, _request: NameOrder, caller: Caller) -> OrderView:
    """Show the order."""
    order = await load(ctx, STATE, Order)
    return _view(domain.require_visible(order, subject=caller.subject, is_admin=caller.is_admin))


@public(CHECKOUT, PEEK, shared=True, takes_envelope=True, retry=GIVES_UP)
async def peek(ctx: restate.ObjectSharedContext, envelope: Envelope[NameOrder]) -> OrderView:
    """Show the order that runs under an id, or refuse at once another request that uses the id."""
    order = await load(ctx, STATE, Order)
    if order is not None:
        domain.require_same_request(order, owner=envelope.caller.subject, fingerprint=envelope.fingerprint)
    return _view(domain.require_visible(order, subject=envelope.caller.subject, is_admin=False))


@public(CHECKOUT, CANCEL_ORDER, shared=True)
async def cancel(ctx: restate.ObjectSharedContext, _request: NameOrder, caller: Caller) -> OrderView:
    """Ask `process` to give the order up; it looks between the attempts."""
    order = await load(ctx, STATE, Order)
    order = domain.require_visible(order, subject=caller.subject, is_admin=caller.is_admin)
    if domain.require_cancellable(order):
        # Not Restate's cancellation, which would abandon a provider call in flight. Source: FACTS.md.
        ctx.resolve_awakeable(order.cancel_id, "cancel", serde=serde(str))
    return _view(order)


@private(CHECKOUT, FORGET_ORDER)
async def forget(ctx: restate.ObjectContext, _request: Nothing) -> Nothing:
    """Forget an order that was refused before any money was asked for."""
    order = await load(ctx, STATE, Order)
    if order is not None and domain.was_refused_early(order):
        ctx.clear(STATE)
    return Nothing()


async def _accept(ctx: restate.ObjectContext, envelope: Envelope[CheckoutRequest]) -> Order:
    request = envelope.request
    # The order's clock, and the id of the hold that it may make.
    at = await moment(ctx)
    return domain.new_order(
        order_id=ctx.key(),
        owner=envelope.caller.subject,
        fingerprint=envelope.fingerprint,
        event_id=request.event_id,
        hold_id=request.hold_id,
        made_hold_id=f"h-{at.token}",
        seat_ids=request.seat_ids,
        payment_method=request.payment_method,
        email=request.email,
        at=at.at,
    )


def _keep_ended(ctx: restate.ObjectContext, order: Order) -> None:
    save(ctx, STATE, domain.trimmed(order))
    log.info("order ended", state=order.state.name, reason=order.reason)
    facts.count(facts.ORDERS, state=order.state.name.lower(), reason=order.reason)
    facts.count(facts.PAYMENTS, state=order.payment.name.lower())
    if order.state is OrderState.CONFIRMED:
        facts.observe(
            facts.HOLD_TO_SALE_SECONDS, (order.history[-1].at - (order.held_at or order.created_at)).total_seconds()
        )
    if domain.was_refused_early(order):
        send(ctx, FORGET_ORDER, ctx.key(), Nothing(), delay=FORGOTTEN_AFTER)


def _answer(order: Order, refusal: NexusError | None) -> OrderView:
    """Answer a final order: a confirmed one, or the refusal that it ended with."""
    ending = domain.ending(order)
    if ending is None:
        return _view(order)
    if refusal is not None and refusal.reason == ending.reason:
        raise refusal.rebuild(refusal.message, {**refusal.details, **ending.details})
    raise ending


def _view(order: Order) -> OrderView:
    return OrderView(
        order_id=order.order_id,
        event_id=order.event_id,
        created_at=order.created_at,
        state=order.state,
        payment=PaymentView(order.payment, order.provider_reference, order.attempts),
        seats=order.seats,
        total=order.total,
        history=[OrderStep(entry.step, entry.at) for entry in order.history],
        reason=order.reason if order.state.is_final else "",
        hold_id=order.hold_id,
    )
