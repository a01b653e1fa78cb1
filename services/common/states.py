"""The states of the contract, under their names in the proto, so that JSON needs no mapping. Pure."""

from __future__ import annotations

from enum import StrEnum


class SeatStatus(StrEnum):
    """What may be done with a seat."""

    AVAILABLE = "SEAT_STATUS_AVAILABLE"
    HELD = "SEAT_STATUS_HELD"
    SOLD = "SEAT_STATUS_SOLD"
    BLOCKED = "SEAT_STATUS_BLOCKED"


class HoldState(StrEnum):
    """Where a hold is in its life."""

    OPEN = "HOLD_STATE_OPEN"
    PAYING = "HOLD_STATE_PAYING"
    SOLD = "HOLD_STATE_SOLD"
    RELEASED = "HOLD_STATE_RELEASED"
    EXPIRED = "HOLD_STATE_EXPIRED"


class EventState(StrEnum):
    """Where an event is in its life."""

    DRAFT = "EVENT_STATE_DRAFT"
    ON_SALE = "EVENT_STATE_ON_SALE"
    PAUSED = "EVENT_STATE_PAUSED"
    CLOSED = "EVENT_STATE_CLOSED"


class OrderState(StrEnum):
    """Where an order is in its life."""

    PENDING = "ORDER_STATE_PENDING"
    AUTHORIZING = "ORDER_STATE_AUTHORIZING"
    CONFIRMED = "ORDER_STATE_CONFIRMED"
    DECLINED = "ORDER_STATE_DECLINED"
    EXPIRED = "ORDER_STATE_EXPIRED"
    CANCELLED = "ORDER_STATE_CANCELLED"
    FAILED = "ORDER_STATE_FAILED"

    @property
    def is_final(self) -> bool:
        """Whether nothing can change the order any more."""
        return self not in (OrderState.PENDING, OrderState.AUTHORIZING)


class PaymentState(StrEnum):
    """Where the money is."""

    NONE = "PAYMENT_STATE_NONE"
    AUTHORIZED = "PAYMENT_STATE_AUTHORIZED"
    CAPTURED = "PAYMENT_STATE_CAPTURED"
    VOIDED = "PAYMENT_STATE_VOIDED"
    REFUNDED = "PAYMENT_STATE_REFUNDED"
    DECLINED = "PAYMENT_STATE_DECLINED"
    UNKNOWN = "PAYMENT_STATE_UNKNOWN"
