"""How each step of the saga is performed: the calls that `process` makes, and what they came to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import restate
from restate.context import RestateDurableFuture

from services.checkout.domain import EventInfo, Order
from services.checkout.messages import SEND_MAIL, MailRequest
from services.checkout.outside import provider
from services.checkout.payments import Outcome as ProviderOutcome
from services.checkout.payments import ProviderAnswer
from services.checkout.saga import Held, Outcome, Result, Step
from services.common import facts
from services.common.errors import (
    BuyerLimitError,
    NexusError,
    RateLimitedError,
    SeatUnavailableError,
    UnavailableError,
)
from services.common.handlers import STEP_SECONDS, call, finish, now, send, start
from services.common.ids import object_key
from services.common.messages import Target
from services.common.serde import serde
from services.ticket.messages import (
    BEGIN_CHECKOUT,
    CONFIRM,
    FINISH_CHECKOUT,
    HOLD_FOR_ORDER,
    REVOKE,
    BeginCheckoutRequest,
    ConfirmRequest,
    FinishCheckoutRequest,
    HoldForOrderRequest,
    PayableHold,
    RevokeRequest,
)

Cancelled = RestateDurableFuture[Any]


@dataclass(frozen=True, slots=True)
class Performed:
    """How a step ended, and the refusal to answer the client with, details included."""

    outcome: Outcome
    refusal: NexusError | None = None


class Attempt(msgspec.Struct, frozen=True):
    """What is journaled of a provider call: its answer (None: too late to try) and when it came."""

    answer: ProviderAnswer | None
    at: datetime


class ProviderSilentError(Exception):
    """The provider gave no usable answer; Restate tries the step again."""


RESULTS = {
    ProviderOutcome.DONE: Result.DONE,
    ProviderOutcome.DECLINED: Result.DECLINED,
    ProviderOutcome.VOIDED: Result.VOIDED,
    ProviderOutcome.ALREADY_CAPTURED: Result.ALREADY_CAPTURED,
    ProviderOutcome.UNKNOWN: Result.UNKNOWN,
}

ENDLESS: restate.RunOptions[Attempt] = restate.RunOptions(
    serde=serde(Attempt),
    initial_retry_interval=timedelta(seconds=1),
    retry_interval_factor=2.0,
    max_retry_interval=timedelta(seconds=15),
)
"""One journaled step whose retries make the attempts (1, 2, 4, 8, 15 s, without end)."""

ONCE: restate.RunOptions[Attempt] = restate.RunOptions(serde=serde(Attempt))


async def hold(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Hold the seats of a one-step sale and begin to pay them."""
    # Buyer alone makes and ends holds.
    return await _hold(ctx, order, HOLD_FOR_ORDER, HoldForOrderRequest(order.order_id, order.hold_id, order.seat_ids))


async def begin(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Begin to pay a hold that is there."""
    # Here expiry and payment meet; Buyer decides which was first.
    return await _hold(ctx, order, BEGIN_CHECKOUT, BeginCheckoutRequest(order.order_id, order.hold_id))


async def _hold(ctx: restate.ObjectContext, order: Order, target: Target[Any, PayableHold], request: Any) -> Performed:
    try:
        paid = await call(ctx, target, _buyer(order), request)
    except UnavailableError:
        # For good, for this order: an error that invites to repeat would repeat a final answer.
        return Performed(Outcome(Result.REFUSED, await now(ctx), reason=SeatUnavailableError.reason))
    except RateLimitedError as pause:
        # The same: a buyer who has to pause buys later under another order.
        limit = BuyerLimitError(pause.message)
        return Performed(Outcome(Result.REFUSED, await now(ctx), reason=limit.reason), limit)
    except NexusError as refusal:
        return Performed(Outcome(Result.REFUSED, await now(ctx), reason=refusal.reason), refusal)
    except restate.TerminalError:
        return Performed(Outcome(Result.UNKNOWN, await now(ctx), reason=SeatUnavailableError.reason))
    event = EventInfo(paid.event_title, paid.event_venue, paid.event_starts_at)
    held = Held(paid.hold.seats, paid.hold.total, paid.pay_until, event, paid.hold.created_at)
    return Performed(Outcome(Result.DONE, paid.begun_at, held=held))


async def authorize(ctx: restate.ObjectContext, order: Order, cancelled: Cancelled) -> Performed:
    """Reserve the money; a cancellation is noticed, but the call in flight is always awaited."""
    # The provider's answer, once and for all replays.
    attempt = ctx.run_typed("authorize", _attempt, ONCE, order, "authorize")
    is_cancelled = False
    try:
        who, _ = await restate.select(cancelled=cancelled, attempt=attempt)
        is_cancelled = who == "cancelled"
        made = await attempt
    except restate.TerminalError:
        return Performed(Outcome(Result.UNKNOWN, await now(ctx), is_cancelled=is_cancelled))
    return Performed(_outcome(made, is_cancelled=is_cancelled))


async def wait(ctx: restate.ObjectContext, order: Order, cancelled: Cancelled) -> Performed:
    """Pause between attempts; before the first capture attempt a cancellation ends the pause."""
    pause = ctx.sleep(timedelta(seconds=order.wait_seconds or 0))
    is_cancelled = False
    if order.is_captured_tried:
        await pause
    else:
        who, _ = await restate.select(cancelled=cancelled, pause=pause)
        is_cancelled = who == "cancelled"
    return Performed(Outcome(Result.DONE, await now(ctx), is_cancelled=is_cancelled))


async def confirm(ctx: restate.ObjectContext, order: Order, cancelled: Cancelled) -> Performed:
    """Make the held seats the order's, side by side; a cancellation that came before the capture is noticed."""
    request = ConfirmRequest(order.hold_id, order.order_id)
    # Ticket alone decides who has the seat.
    asked = [start(ctx, CONFIRM, object_key(order.event_id, seat_id), request) for seat_id in order.seat_ids]
    is_cancelled = False
    try:
        confirmed = []
        for future in asked:
            completed, _ = await restate.wait_completed(cancelled, future)
            is_cancelled = is_cancelled or cancelled in completed
            confirmed.append(await finish(CONFIRM, future))
    except NexusError as refusal:
        return Performed(Outcome(Result.REFUSED, await now(ctx), reason=refusal.reason))
    except restate.TerminalError:
        return Performed(Outcome(Result.UNKNOWN, await now(ctx)))
    return Performed(Outcome(Result.DONE, max(answer.at for answer in confirmed), is_cancelled=is_cancelled))


async def capture(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Take the money; from here on a cancellation is ignored."""
    try:
        # The provider's answer, once and for all replays.
        made = await ctx.run_typed("capture", _attempt, ONCE, order, "capture")
    except restate.TerminalError:
        return Performed(Outcome(Result.UNKNOWN, await now(ctx)))
    return Performed(_outcome(made))


async def revoke(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Take the seats back that this order may have been sold."""
    request = RevokeRequest(order.order_id)
    # Awaited, so that an order which has ended has no seat any more.
    asked = [start(ctx, REVOKE, object_key(order.event_id, seat_id), request) for seat_id in order.seat_ids]
    for future in asked:
        await finish(REVOKE, future)
    return Performed(Outcome(Result.DONE, await now(ctx)))


async def finish_checkout(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Let Buyer end the hold, free the seats of an order that failed, and record the order."""
    if order.verdict is None:
        raise ValueError("an order without a verdict cannot be finished")
    request = FinishCheckoutRequest(order.order_id, order.hold_id, order.seat_ids, order.verdict, order.created_at)
    # Buyer alone ends a hold; awaited, so that the buyer's list shows what the answer says.
    await call(ctx, FINISH_CHECKOUT, _buyer(order), request)
    return Performed(Outcome(Result.DONE, await now(ctx)))


async def void(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Give the authorization back, or learn that the money was taken; decides what is unknown."""
    # The fence: after it the provider refuses a late authorize or capture.
    return Performed(_outcome(await ctx.run_typed("void", _until_answered, ENDLESS, order, "void")))


async def refund(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Give money back that was taken although the seats are gone."""
    # Until the provider says that it is done.
    return Performed(_outcome(await ctx.run_typed("refund", _until_answered, ENDLESS, order, "refund")))


async def mail(ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Hand the tickets' mail to Mailer, for which nobody waits."""
    if order.event is None or order.total is None:
        raise ValueError("an order without seats has no tickets")
    at = order.history[-1].at
    request = MailRequest(
        order.order_id,
        order.email,
        order.event.title,
        order.event.venue,
        order.event.starts_at,
        order.seats,
        order.total,
    )
    # A send: a mail server that is down must not hold up a sale.
    send(ctx, SEND_MAIL, None, request)
    return Performed(Outcome(Result.DONE, at))


async def close(_ctx: restate.ObjectContext, order: Order, _cancelled: Cancelled) -> Performed:
    """Do nothing: what is left is to say how the order has ended."""
    return Performed(Outcome(Result.DONE, order.created_at))


async def _attempt(order: Order, name: str) -> Attempt:
    """Ask the provider once, unless it is too late; no answer in time is an unknown outcome."""
    if order.pay_until is None or datetime.now(UTC) > order.pay_until:
        return Attempt(None, datetime.now(UTC))
    try:
        async with asyncio.timeout(STEP_SECONDS):
            answer = await _ask(order, name)
    except TimeoutError:
        answer = ProviderAnswer(ProviderOutcome.UNKNOWN)
    facts.count(facts.PAYMENT_CALLS, call=name, outcome=answer.outcome.lower())
    return Attempt(answer, datetime.now(UTC))


async def _until_answered(order: Order, name: str) -> Attempt:
    async with asyncio.timeout(STEP_SECONDS):
        answer = await _ask(order, name)
    facts.count(facts.PAYMENT_CALLS, call=name, outcome=answer.outcome.lower())
    if answer.outcome is ProviderOutcome.UNKNOWN:
        raise ProviderSilentError(name)
    return Attempt(answer, datetime.now(UTC))


async def _ask(order: Order, name: str) -> ProviderAnswer:
    """Make the provider call under the order's payment key and the step's idempotency key."""
    key, step_key = order.order_id, f"{order.order_id}:{name}"
    if name == "void":
        # Also of an order that was cut off before it knew its price.
        return await provider().void(key, step_key)
    if order.total is None:
        raise ValueError("an order without seats has no price")
    match name:
        case "authorize":
            return await provider().authorize(key, step_key, order.total, order.payment_method)
        case "capture":
            return await provider().capture(key, step_key, order.total)
        case _:
            return await provider().refund(key, step_key, order.total)


def _outcome(made: Attempt, *, is_cancelled: bool = False) -> Outcome:
    if made.answer is None:
        return Outcome(Result.TOO_LATE, made.at, is_cancelled=is_cancelled)
    return Outcome(
        RESULTS[made.answer.outcome],
        made.at,
        reference=made.answer.reference,
        retry_after_seconds=made.answer.retry_after_seconds,
        is_cancelled=is_cancelled,
    )


def _buyer(order: Order) -> str:
    return object_key(order.event_id, order.owner)


Performer = Callable[[restate.ObjectContext, Order, Cancelled], Awaitable[Performed]]

PERFORMERS: dict[Step, Performer] = {
    Step.HOLD: hold,
    Step.BEGIN: begin,
    Step.AUTHORIZE: authorize,
    Step.WAIT: wait,
    Step.CONFIRM: confirm,
    Step.CAPTURE: capture,
    Step.REVOKE: revoke,
    Step.FINISH: finish_checkout,
    Step.VOID: void,
    Step.REFUND: refund,
    Step.MAIL: mail,
    Step.CLOSE: close,
}
