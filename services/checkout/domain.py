"""Order: what is stored of a buyer's purchase, and who may see it. Pure. Its steps are in `saga.py`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from services.common.errors import (
    AlreadyExistsError,
    InvalidTransitionError,
    NexusError,
    OrderNotFoundError,
    RequestReusedError,
    by_reason,
)
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import OrderState, PaymentState

CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A step that was taken, once, with its time."""

    step: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EventInfo:
    """What the tickets' mail tells of the event."""

    title: str
    venue: str
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """The stored record of an order; the lasting one, whatever Restate's retention.

    `owner`: keyed hash of the buyer's subject. `tried`: steps that were about to be tried, stored before
    they were. `verdict`: the final state that the order is on its way to, once that is decided.
    `email` is sealed. `pay_until`: no authorize or capture attempt starts after it.
    """

    order_id: str
    owner: str
    fingerprint: str
    event_id: str
    created_at: datetime
    hold_id: str = ""
    makes_hold: bool = False
    seat_ids: list[str] = field(default_factory=list)
    payment_method: str = ""
    email: str = ""
    state: OrderState = OrderState.PENDING
    verdict: OrderState | None = None
    reason: str = ""
    seats: list[HeldSeat] = field(default_factory=list)
    total: Money | None = None
    pay_until: datetime | None = None
    event: EventInfo | None = None
    held_at: datetime | None = None
    payment: PaymentState = PaymentState.NONE
    provider_reference: str = ""
    attempts: int = 0
    failed_in_a_row: int = 0
    wait_seconds: float | None = None
    tried: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    is_refund_due: bool = False
    cancel_id: str = ""
    history: list[HistoryEntry] = field(default_factory=list)
    schema_version: int = 1

    @property
    def is_captured_tried(self) -> bool:
        """Whether a capture attempt may have reached the provider."""
        return CAPTURE in self.tried


def new_order(  # noqa: PLR0913  an order is what its request says
    *,
    order_id: str,
    owner: str,
    fingerprint: str,
    event_id: str,
    hold_id: str,
    made_hold_id: str,
    seat_ids: list[str],
    payment_method: str,
    email: str,
    at: datetime,
) -> Order:
    """Begin an order: of a hold, or of seats that it will hold itself as `made_hold_id`."""
    return Order(
        order_id=order_id,
        owner=owner,
        fingerprint=fingerprint,
        event_id=event_id,
        created_at=at,
        hold_id=hold_id or made_hold_id,
        makes_hold=not hold_id,
        seat_ids=sorted(seat_ids),
        payment_method=payment_method,
        email=email,
        history=[HistoryEntry("accepted", at)],
    )


def require_same_request(order: Order, *, owner: str, fingerprint: str) -> None:
    """Accept a repeated request; another caller's id is taken, another body is a reuse."""
    if order.owner != owner:
        raise AlreadyExistsError("the order id is taken")
    if order.fingerprint != fingerprint:
        raise RequestReusedError("the order id stands for another request", {"order_id": order.order_id})


def require_visible(order: Order | None, *, subject: str, is_admin: bool) -> Order:
    """Give the order to its buyer (or an admin); to others there is no such order."""
    if order is None or not (is_admin or order.owner == subject):
        raise OrderNotFoundError("no such order")
    return order


def require_cancellable(order: Order) -> bool:
    """Tell whether a cancellation has to be passed on; an order that was cancelled needs none.

    Raises InvalidTransitionError from the first capture attempt on, and for other final orders.
    """
    if OrderState.CANCELLED in (order.state, order.verdict):
        return False
    if order.state.is_final or order.is_captured_tried or order.verdict is not None:
        raise InvalidTransitionError(
            "the order can no longer be cancelled", {"order_id": order.order_id, "state": order.state.name}
        )
    return True


def was_refused_early(order: Order) -> bool:
    """Tell whether the order ended before any money was asked for."""
    return order.state.is_final and "authorize" not in order.tried


def trimmed(order: Order) -> Order:
    """Cut an order down to what is kept; of one refused early: owner, fingerprint, event, time, state, reason."""
    if not was_refused_early(order):
        # Its purpose is over once the mail is on its way; nothing that is not needed is kept.
        return replace(order, email="", payment_method="")
    return Order(
        order_id=order.order_id,
        owner=order.owner,
        fingerprint=order.fingerprint,
        event_id=order.event_id,
        created_at=order.created_at,
        state=order.state,
        verdict=order.verdict,
        reason=order.reason,
    )


TEXTS = {
    "PAYMENT_DECLINED": "the payment was declined",
    "HOLD_EXPIRED": "the hold has expired",
    "PAYMENT_UNAVAILABLE": "the payment provider could not be asked in time; nothing was kept",
    "ORDER_CANCELLED": "the order was cancelled",
    "SEAT_UNAVAILABLE": "seats are not available",
}


def ending(order: Order) -> NexusError | None:
    """Give the refusal that a final order is answered with; None for a confirmed one."""
    if order.state is OrderState.CONFIRMED:
        return None
    kind = by_reason()[order.reason]
    return kind.rebuild(TEXTS.get(order.reason, "the order was refused"), {"order_id": order.order_id})
