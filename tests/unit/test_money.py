"""Money is whole minor units of one currency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.money import MAX_AMOUNT_MINOR, Money, total

LARGEST_INT64 = 2**63 - 1
SEATS_PER_REQUEST = 50


@given(amounts=st.lists(st.integers(min_value=0, max_value=MAX_AMOUNT_MINOR), max_size=SEATS_PER_REQUEST))
def test_total_is_the_exact_sum_and_fits_the_contract(amounts: list[int]) -> None:
    """However many seats a request may have, their total is exact and fits the proto's int64."""
    added = total((Money("EUR", amount) for amount in amounts), "EUR")
    assert added == Money("EUR", sum(amounts))
    assert added.amount_minor <= LARGEST_INT64


def test_nothing_costs_nothing_in_the_asked_currency() -> None:
    """The total of no prices is zero of the currency that was asked for."""
    assert total([], "JPY") == Money("JPY", 0)


def test_total_refuses_a_second_currency() -> None:
    """Prices of different currencies are never added, wherever the odd one stands."""
    for prices in ([Money("USD", 1), Money("EUR", 1)], [Money("EUR", 1), Money("USD", 1)], [Money("USD", 0)]):
        with pytest.raises(ValueError, match="cannot add USD to EUR"):
            total(prices, "EUR")


def test_dearest_seats_stay_far_below_the_contract() -> None:
    """A full request of the dearest seats is a long way from overflowing int64."""
    assert MAX_AMOUNT_MINOR * SEATS_PER_REQUEST < LARGEST_INT64 // 1000
