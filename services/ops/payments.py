"""Reads what the payment provider has: its whole list since the event was made, then single payments again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from services.checkout.provider import Outcome, PaymentProvider, ProviderPage, ProviderPayment
from services.common.errors import UnavailableError
from services.common.states import PaymentState
from services.ops.domain import PaymentFacts, Snapshot
from services.ops.statetable import StateTable

ATTEMPTS: Final = 5
ATTEMPT_PAUSE_SECONDS: Final = 1.0

CLOCKS_APART: Final = timedelta(minutes=15)
"""How far the provider's clock may be behind ours: its list is asked from so much earlier."""

LOOKUPS: Final = 8
"""Payments that are looked up at a time: the provider has a sale to serve."""

MOVED: Final = (PaymentState.AUTHORIZED, PaymentState.CAPTURED, PaymentState.REFUNDED)
"""States in which money was moved or reserved."""


class Payments:
    """Asks one provider."""

    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider
        self._few = asyncio.Semaphore(LOOKUPS)

    async def read_all(self, state: StateTable, snapshot: Snapshot) -> None:
        """Read the payments of the event's orders, and those of no order at all.

        Raises UnavailableError where the provider does not answer.
        """
        created_at = snapshot.event.created_at
        since = None if created_at is None else created_at - CLOCKS_APART
        strange: dict[str, PaymentFacts] = {}
        token = ""
        while True:
            page = await self._page(since, token)
            for payment in page.payments:
                facts = _facts(payment)
                if payment.payment_key in snapshot.orders:
                    snapshot.payments[payment.payment_key] = facts
                elif payment.state in MOVED:
                    strange[payment.payment_key] = facts
            token = page.next_page_token
            if not token:
                break
        if strange:
            # Most are other events' orders; a key is asked for only after its payment was seen.
            async for order_id in state.keys("Checkout", "order"):
                strange.pop(order_id, None)
        snapshot.orphans.update(strange)

    async def read_again(self, state: StateTable, snapshot: Snapshot, order_ids: Collection[str]) -> None:
        """Read the payments under these keys. Raises UnavailableError."""
        found = await asyncio.gather(*(self._lookup(order_id) for order_id in sorted(order_ids)))
        strange = {}
        for payment in found:
            if payment is None:
                continue
            if payment.payment_key in snapshot.orders:
                snapshot.payments[payment.payment_key] = _facts(payment)
            elif payment.state in MOVED:
                strange[payment.payment_key] = _facts(payment)
        async for row in state.named("Checkout", strange, "key = 'order'"):
            strange.pop(row.service_key, None)
        snapshot.orphans.update(strange)

    async def _page(self, since: datetime | None, token: str) -> ProviderPage:
        for attempt in range(ATTEMPTS):
            page = await self._provider.list(since, token)
            if page.outcome is Outcome.DONE:
                return page
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS * attempt)
        raise UnavailableError("the payment provider does not answer its list")

    async def _lookup(self, order_id: str) -> ProviderPayment | None:
        for attempt in range(ATTEMPTS):
            async with self._few:
                payment = await self._provider.lookup(order_id)
            if payment is None or payment.state is not PaymentState.UNKNOWN:
                return payment
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS * attempt)
        raise UnavailableError("the payment provider does not answer a lookup")


def _facts(payment: ProviderPayment) -> PaymentFacts:
    amount = payment.amount
    return PaymentFacts(payment.state, amount.currency_code if amount else "", amount.amount_minor if amount else 0)
