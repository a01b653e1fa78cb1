"""Money: integers of minor units, one currency at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_AMOUNT_MINOR = 10**12
"""Greatest price of one seat; 50 of them stay far below 2^63."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole minor units of an ISO 4217 currency."""

    currency_code: str
    amount_minor: int


def total(prices: Iterable[Money], currency_code: str) -> Money:
    """Add prices of one currency. Raises ValueError for a price of another."""
    amount_minor = 0
    for price in prices:
        if price.currency_code != currency_code:
            raise ValueError(f"cannot add {price.currency_code} to {currency_code}")
        amount_minor += price.amount_minor
    return Money(currency_code, amount_minor)
