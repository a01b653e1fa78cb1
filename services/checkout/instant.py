"""A payment provider in the memory of the process, which takes no time.

A setting of the benchmark alone (NEXUS_PAYMENTS_URL=instant:): it shows what the engine does without
a provider. It forgets everything with the process, so no test of money uses it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.checkout.provider import Outcome, ProviderAnswer, ProviderPage, ProviderPayment
from services.common.money import Money
from services.common.states import PaymentState

INSTANT_URL: Final = "instant:"

_DONE: Final = ProviderAnswer(Outcome.DONE, "instant")


class InstantProvider:
    """Answers at once. Every card is good but `card_decline`."""

    def __init__(self) -> None:
        self._payments: dict[str, ProviderPayment] = {}

    async def authorize(
        self, payment_key: str, idempotency_key: str, amount: Money, payment_method: str
    ) -> ProviderAnswer:
        """Set money aside."""
        del idempotency_key
        if self._state(payment_key) is PaymentState.VOIDED:
            return ProviderAnswer(Outcome.VOIDED)
        if payment_method == "card_decline":
            return ProviderAnswer(Outcome.DECLINED)
        if self._state(payment_key) is PaymentState.NONE:
            self._payments[payment_key] = ProviderPayment(payment_key, PaymentState.AUTHORIZED, amount, "instant")
        return _DONE

    async def capture(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Take the money."""
        del idempotency_key
        if self._state(payment_key) is PaymentState.VOIDED:
            return ProviderAnswer(Outcome.VOIDED)
        self._payments[payment_key] = ProviderPayment(payment_key, PaymentState.CAPTURED, amount, "instant")
        return _DONE

    async def void(self, payment_key: str, idempotency_key: str) -> ProviderAnswer:
        """Refuse what comes later."""
        del idempotency_key
        if self._state(payment_key) in (PaymentState.CAPTURED, PaymentState.REFUNDED):
            return ProviderAnswer(Outcome.ALREADY_CAPTURED, "instant")
        self._payments[payment_key] = ProviderPayment(payment_key, PaymentState.VOIDED, None, "instant")
        return _DONE

    async def refund(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Give the money back."""
        del idempotency_key
        self._payments[payment_key] = ProviderPayment(payment_key, PaymentState.REFUNDED, amount, "instant")
        return _DONE

    async def lookup(self, payment_key: str) -> ProviderPayment | None:
        """Tell what there is under a payment key."""
        return self._payments.get(payment_key)

    async def list(self, since: datetime | None, page_token: str) -> ProviderPage:
        """List everything on one page."""
        del since, page_token
        return ProviderPage(Outcome.DONE, [*self._payments.values()])

    async def close(self) -> None:
        """Do nothing."""

    def _state(self, payment_key: str) -> PaymentState:
        payment = self._payments.get(payment_key)
        return payment.state if payment else PaymentState.NONE
