"""Requests and answers of Checkout and Mailer, and the addresses of their handlers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from services.common.messages import Nothing, Target
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import OrderState, PaymentState


class CheckoutRequest(msgspec.Struct, frozen=True):
    """Client request: buy the seats of a hold, or seats in one step. `email` is sealed by the gateway."""

    order_id: str
    event_id: str
    payment_method: str
    email: str
    hold_id: str = ""
    seat_ids: list[str] = []


class NameOrder(msgspec.Struct, frozen=True):
    """Client request: get or cancel an order. Other fields of the request are not looked at."""

    order_id: str


class PaymentView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Payment."""

    state: PaymentState
    provider_reference: str = ""
    attempts: int = 0


class OrderStep(msgspec.Struct, frozen=True):
    """The proto's OrderStep."""

    step: str
    at: datetime


class OrderView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Order."""

    order_id: str
    event_id: str
    created_at: datetime
    state: OrderState
    payment: PaymentView
    seats: list[HeldSeat] = []
    total: Money | None = None
    history: list[OrderStep] = []
    reason: str = ""
    hold_id: str = ""


class MailRequest(msgspec.Struct, frozen=True):
    """Mail the tickets of a confirmed order. `sealed_address` is opened by Mailer alone."""

    order_id: str
    sealed_address: str
    event_title: str
    event_venue: str
    event_starts_at: datetime
    seats: list[HeldSeat]
    total: Money


PROCESS = Target("Checkout", "process", CheckoutRequest, OrderView)
PEEK = Target("Checkout", "peek", NameOrder, OrderView)
GET_ORDER = Target("Checkout", "get", NameOrder, OrderView)
CANCEL_ORDER = Target("Checkout", "cancel", NameOrder, OrderView)
FORGET_ORDER = Target("Checkout", "forget", Nothing, Nothing)
SEND_MAIL = Target("Mailer", "send", MailRequest, Nothing)
