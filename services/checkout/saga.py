r"""Checkout's saga as a pure state machine: which step comes next, and what its result means.

Authorize, confirm, capture. The compensation of a step follows from what was `tried`, which is stored
before the step: seats first, then money. After a capture that succeeded the saga only goes forward.
`handlers.py` performs the steps; nothing here waits, asks a clock, or speaks to anyone.

    hold -> authorize -> confirm -> capture -> finish -> mail -> close            CONFIRMED
      \         \          \         \
       close     finish      revoke     void decides: already captured -> finish -> mail -> close
                 void        finish                   voided -> revoke -> finish -> close
                 close       void, close
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.checkout.domain import EventInfo, HistoryEntry, Order
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import OrderState, PaymentState


class Step(StrEnum):
    """What `process` does next."""

    HOLD = "hold"
    BEGIN = "begin_checkout"
    AUTHORIZE = "authorize"
    WAIT = "wait"
    CONFIRM = "confirm"
    CAPTURE = "capture"
    REVOKE = "revoke"
    FINISH = "finish_checkout"
    VOID = "void"
    REFUND = "refund"
    MAIL = "mail"
    CLOSE = "close"


class Result(StrEnum):
    """How a step ended."""

    DONE = "done"
    REFUSED = "refused"
    DECLINED = "declined"
    VOIDED = "voided"
    ALREADY_CAPTURED = "already_captured"
    UNKNOWN = "unknown"
    TOO_LATE = "too_late"


BACKOFF_SECONDS = (1, 2, 4, 8, 15)
"""Pauses between attempts; the last one goes on."""

PAST_TENSE = {
    Step.HOLD: "held",
    Step.BEGIN: "payment_begun",
    Step.AUTHORIZE: "authorized",
    Step.CONFIRM: "confirmed",
    Step.CAPTURE: "captured",
    Step.REVOKE: "revoked",
    Step.FINISH: "finished",
    Step.VOID: "voided",
    Step.REFUND: "refunded",
    Step.MAIL: "mailed",
}

GIVEN_UP, HOLD_EXPIRED = "capture_given_up", "HOLD_EXPIRED"
TOO_LATE = (OrderState.EXPIRED, HOLD_EXPIRED)
UNAVAILABLE = (OrderState.EXPIRED, "PAYMENT_UNAVAILABLE")
DECLINED = (OrderState.DECLINED, "PAYMENT_DECLINED")
CANCELLED = (OrderState.CANCELLED, "ORDER_CANCELLED")


@dataclass(frozen=True, slots=True)
class Held:
    """What a successful hold or begin_checkout tells."""

    seats: list[HeldSeat]
    total: Money
    pay_until: datetime
    event: EventInfo
    held_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended, when, and what it told.

    `reason`: of a refusal. `is_cancelled`: the buyer gave the order up meanwhile.
    """

    result: Result
    at: datetime
    held: Held | None = None
    reason: str = ""
    reference: str = ""
    retry_after_seconds: float | None = None
    is_cancelled: bool = False


def next_step(order: Order) -> Step | None:
    """Tell what to do next; None where the order is final."""
    if order.state.is_final:
        return None
    if order.verdict is None:
        return _next_forward(order)
    if order.verdict is OrderState.CONFIRMED:
        return _first_undone(order, Step.FINISH, Step.MAIL)
    steps = []
    if Step.CONFIRM in order.tried:
        steps.append(Step.REVOKE)
    if Step.AUTHORIZE in order.tried or Step.HOLD in order.tried or Step.BEGIN in order.tried:
        steps.append(Step.FINISH)
    if Step.AUTHORIZE in order.tried and order.payment not in (PaymentState.DECLINED, PaymentState.VOIDED):
        steps.append(Step.VOID)
    if order.is_refund_due:
        steps.append(Step.REFUND)
    return _first_undone(order, *steps)


def _first_undone(order: Order, *steps: Step) -> Step:
    return next((step for step in steps if step not in order.done), Step.CLOSE)


def _next_forward(order: Order) -> Step:
    if order.total is None:
        return Step.HOLD if order.makes_hold else Step.BEGIN
    if order.wait_seconds is not None:
        return Step.WAIT
    if Step.AUTHORIZE not in order.done:
        return Step.AUTHORIZE
    if Step.CONFIRM not in order.done:
        return Step.CONFIRM
    # A capture whose outcome stays unknown is decided by the void, which the provider remembers.
    return Step.VOID if GIVEN_UP in order.done else Step.CAPTURE


def about_to(order: Order, step: Step) -> Order:
    """Mark a step as tried; stored before the step, it tells what may have to be undone."""
    if step in order.tried or step not in (Step.HOLD, Step.BEGIN, Step.AUTHORIZE, Step.CONFIRM, Step.CAPTURE):
        return order
    return replace(order, tried=[*order.tried, step])


def is_stored_before(step: Step) -> bool:
    """Tell whether the order is stored before a step. The last two may be repeated without harm."""
    return step not in (Step.MAIL, Step.CLOSE)


def resume(order: Order) -> Order:
    """Take up an order whose `process` was cut off: nothing new is authorized or captured for it.

    Before the first capture attempt everything is undone; after it, void decides.
    """
    order = replace(order, wait_seconds=None)
    if order.state.is_final or order.verdict is not None:
        return order
    if order.is_captured_tried:
        return _give_capture_up(order)
    # A step begins while the record that names it is still on its way to Restate's disk, so the provider
    # may have been asked already. A void that finds nothing does no harm.
    return _decide(about_to(order, Step.AUTHORIZE), *UNAVAILABLE)


def _give_capture_up(order: Order) -> Order:
    done = order.done if GIVEN_UP in order.done else [*order.done, GIVEN_UP]
    return replace(order, done=done, payment=PaymentState.UNKNOWN)


def record(order: Order, step: Step, outcome: Outcome) -> Order:
    """Take in how a step ended."""
    after = RECORDERS[step](order, outcome) if step in RECORDERS else order
    name = PAST_TENSE.get(step)
    is_done = outcome.result is Result.DONE and name is not None
    if is_done and all(entry.step != name for entry in after.history):
        after = replace(after, history=[*after.history, HistoryEntry(str(name), outcome.at)])
    if outcome.result is Result.DONE and step not in after.done:
        after = replace(after, done=[*after.done, step])
    return after


def _decide(order: Order, verdict: OrderState, reason: str) -> Order:
    return replace(order, verdict=verdict, reason=reason, wait_seconds=None)


def _record_hold(order: Order, outcome: Outcome) -> Order:
    if outcome.held is not None:
        return replace(
            order,
            state=OrderState.AUTHORIZING,
            seats=outcome.held.seats,
            seat_ids=[seat.seat_id for seat in outcome.held.seats],
            total=outcome.held.total,
            pay_until=outcome.held.pay_until,
            event=outcome.held.event,
            held_at=outcome.held.held_at,
        )
    verdict = OrderState.EXPIRED if outcome.reason == HOLD_EXPIRED else OrderState.FAILED
    order = _decide(order, verdict, outcome.reason)
    # A refusal holds nothing: Buyer has given back what it tried, or never began. A doubt may hold.
    return replace(order, tried=[]) if outcome.result is Result.REFUSED else order


def _attempted(order: Order, outcome: Outcome) -> Order:
    if outcome.result is Result.TOO_LATE:
        return order
    return replace(
        order,
        attempts=order.attempts + 1,
        provider_reference=outcome.reference or order.provider_reference,
        failed_in_a_row=order.failed_in_a_row + 1 if outcome.result is Result.UNKNOWN else 0,
    )


def _record_authorize(order: Order, outcome: Outcome) -> Order:
    order = _attempted(order, outcome)
    match outcome.result:
        case Result.DONE:
            order = replace(order, payment=PaymentState.AUTHORIZED)
        case Result.DECLINED:
            # After an attempt whose answer was lost, the void makes sure that nothing stays authorized.
            is_certain = order.attempts == 1
            payment = PaymentState.DECLINED if is_certain else PaymentState.UNKNOWN
            return _decide(replace(order, payment=payment), *DECLINED)
        case Result.VOIDED:
            return _decide(replace(order, payment=PaymentState.VOIDED), *UNAVAILABLE)
        case Result.TOO_LATE:
            return _decide(order, *(UNAVAILABLE if order.attempts else TOO_LATE))
        case _:
            order = replace(order, payment=PaymentState.UNKNOWN)
    if outcome.is_cancelled:
        return _decide(order, *CANCELLED)
    if outcome.result is Result.DONE:
        return order
    return _wait_or(order, outcome, _decide(order, *UNAVAILABLE))


def _wait_or(order: Order, outcome: Outcome, given_up: Order) -> Order:
    """Plan the next attempt, or give up where it would start after pay_until."""
    place = min(order.failed_in_a_row, len(BACKOFF_SECONDS)) - 1
    seconds = max(BACKOFF_SECONDS[place], outcome.retry_after_seconds or 0)
    is_late = order.pay_until is None or outcome.at.timestamp() + seconds > order.pay_until.timestamp()
    return given_up if is_late else replace(order, wait_seconds=seconds)


def _record_wait(order: Order, outcome: Outcome) -> Order:
    order = replace(order, wait_seconds=None)
    return _decide(order, *CANCELLED) if outcome.is_cancelled and not order.is_captured_tried else order


def _record_confirm(order: Order, outcome: Outcome) -> Order:
    if outcome.result is not Result.DONE:
        return _decide(order, *TOO_LATE)
    return _decide(order, *CANCELLED) if outcome.is_cancelled else order


def _record_capture(order: Order, outcome: Outcome) -> Order:
    order = _attempted(order, outcome)
    match outcome.result:
        case Result.DONE:
            return _decide(replace(order, payment=PaymentState.CAPTURED), OrderState.CONFIRMED, "")
        case Result.DECLINED:
            return _decide(order, *DECLINED)
        case Result.VOIDED:
            return _decide(replace(order, payment=PaymentState.VOIDED), *UNAVAILABLE)
        case Result.TOO_LATE:
            # Even where no attempt is recorded: one may have been made whose answer died with its process
            # before it was journaled (FACTS.md). The seats stay SOLD until the void has answered.
            return _give_capture_up(order)
        case _:
            return _wait_or(replace(order, payment=PaymentState.UNKNOWN), outcome, _give_capture_up(order))


def _record_void(order: Order, outcome: Outcome) -> Order:
    is_captured = outcome.result is Result.ALREADY_CAPTURED
    if order.verdict is None:
        if is_captured:
            history = [*order.history, HistoryEntry(PAST_TENSE[Step.CAPTURE], outcome.at)]
            order = replace(order, payment=PaymentState.CAPTURED, history=history)
            return _decide(order, OrderState.CONFIRMED, "")
        return _decide(replace(order, payment=PaymentState.VOIDED), *UNAVAILABLE)
    if is_captured:
        # The seats are free already: the money goes back.
        return replace(order, payment=PaymentState.CAPTURED, is_refund_due=True, done=[*order.done, Step.VOID])
    return replace(order, payment=PaymentState.VOIDED)


def _record_refund(order: Order, outcome: Outcome) -> Order:
    if outcome.result is Result.VOIDED:
        # The provider has given the money back by itself.
        return replace(order, payment=PaymentState.VOIDED, is_refund_due=False)
    return replace(order, payment=PaymentState.REFUNDED)


def _record_close(order: Order, _outcome: Outcome) -> Order:
    assert order.verdict is not None  # noqa: S101  next_step closes decided orders only
    return replace(order, state=order.verdict)


RECORDERS = {
    Step.HOLD: _record_hold,
    Step.BEGIN: _record_hold,
    Step.AUTHORIZE: _record_authorize,
    Step.WAIT: _record_wait,
    Step.CONFIRM: _record_confirm,
    Step.CAPTURE: _record_capture,
    Step.VOID: _record_void,
    Step.REFUND: _record_refund,
    Step.CLOSE: _record_close,
}
