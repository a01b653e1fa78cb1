"""What the saga asks of a payment provider, whoever it is.

One call is one attempt: the saga repeats, under the same two keys. What neither the provider nor the
network may do is raise: what is not known is UNKNOWN.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from services.common.money import Money
from services.common.states import PaymentState


class Outcome(StrEnum):
    """What became of one attempt.

    DECLINED: for good. VOIDED: refused, a void was there first. ALREADY_CAPTURED: the money has been
    captured, so it cannot be voided (or captured again). UNKNOWN: it may or may not have happened.
    """

    DONE = "DONE"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    ALREADY_CAPTURED = "ALREADY_CAPTURED"
    UNKNOWN = "UNKNOWN"


class ProviderAnswer(msgspec.Struct, frozen=True):
    """An outcome. `reference`: the provider's name of the payment; `retry_after_seconds`: at most 30."""

    outcome: Outcome
    reference: str = ""
    retry_after_seconds: float | None = None


class ProviderPayment(msgspec.Struct, frozen=True):
    """What the provider has under a payment key; state UNKNOWN where it could not be asked."""

    payment_key: str
    state: PaymentState
    amount: Money | None = None
    reference: str = ""
    updated_at: datetime | None = None


class ProviderPage(msgspec.Struct, frozen=True):
    """A page of payments; an empty token ends the list. Where `outcome` is not DONE, it says nothing."""

    outcome: Outcome
    payments: list[ProviderPayment] = []
    next_page_token: str = ""


class PaymentProvider(Protocol):
    """A provider of payments. `payment_key`: one per order; what lookup and the void's fence mean.

    The same idempotency key again gives the first answer, once there is one. After a void, authorize
    and capture under its payment key are refused, also where nothing had been authorized.
    """

    async def authorize(
        self, payment_key: str, idempotency_key: str, amount: Money, payment_method: str
    ) -> ProviderAnswer:
        """Set money aside on the card: DONE, DECLINED, VOIDED or UNKNOWN."""

    async def capture(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Take the money set aside: DONE, DECLINED, VOIDED, ALREADY_CAPTURED (under another key) or UNKNOWN."""

    async def void(self, payment_key: str, idempotency_key: str) -> ProviderAnswer:
        """Give up what was or will be authorized: DONE, ALREADY_CAPTURED or UNKNOWN."""

    async def refund(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Give all captured money back: DONE, VOIDED (nothing was captured) or UNKNOWN."""

    async def lookup(self, payment_key: str) -> ProviderPayment | None:
        """Tell what there is under a payment key; None where there is nothing."""

    async def list(self, since: datetime | None, page_token: str) -> ProviderPage:
        """List payments changed since a time, 100 a page, in the order in which they began."""

    async def close(self) -> None:
        """Let go of connections."""
