"""The judge of the cluster tests' loads: what is wrong with sales, orders and money is said, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.programs.judge import CONFIRMED, Sale, Seen, longest_gap, money_moved, violations

SALE = Sale("o-1", "ada", ("A-1-1",), "ok", 1.0)
ORDER = Seen(CONFIRMED, "PAYMENT_STATE_CAPTURED", ("A-1-1",))
ONCE = Counter(authorized=1, captured=1)


def judged(sale: Sale = SALE, order: Seen = ORDER, money: Counter[str] = ONCE) -> str:
    return "; ".join(violations([sale], {sale.order_id: order} if order.state else {}, {sale.order_id: money}))


def test_a_sale_with_its_order_and_one_capture_is_well() -> None:
    """Nothing is said, also where the map shows the seat."""
    assert violations([SALE], {"o-1": ORDER}, {"o-1": ONCE}, sold_seats=1) == []


def test_a_refusal_without_order_and_money_is_well() -> None:
    """Whether or not the order is kept."""
    assert judged(SALE._replace(state="refused"), Seen("", "", ()), Counter()) == ""
    assert judged(SALE._replace(state="refused"), Seen("ORDER_STATE_FAILED", "", ()), Counter(voided=1)) == ""


def test_a_sale_of_unknown_outcome_may_have_happened_or_not() -> None:
    """But not halfway."""
    unknown = SALE._replace(state="unknown")
    assert judged(unknown) == ""
    assert judged(unknown, Seen("ORDER_STATE_EXPIRED", "", ()), Counter(voided=1)) == ""
    assert "with 1 captures kept" in judged(unknown, Seen("ORDER_STATE_EXPIRED", "", ()))
    assert "does not end" in judged(unknown, Seen("ORDER_STATE_AUTHORIZING", "", ()), Counter())


@pytest.mark.parametrize(
    ("order", "money", "said"),
    [
        (Seen("", "", ()), Counter(), "told of a sale, and it is not there"),
        (Seen("ORDER_STATE_FAILED", "", ()), Counter(voided=1), "told of a sale, and it is ORDER_STATE_FAILED"),
        (ORDER, Counter(captured=2), "captured 2 times"),
        (ORDER, Counter(), "with 0 captures kept"),
        (ORDER, Counter(captured=1, refunded=1), "with 0 captures kept"),
        (ORDER._replace(seat_ids=("A-1-2",)), ONCE, "asked for ('A-1-1',), has ('A-1-2',)"),
    ],
)
def test_a_lost_sale_or_wrong_money_is_said(order: Seen, money: Counter[str], said: str) -> None:
    """Each of them by itself."""
    assert said in judged(SALE, order, money)


def test_a_seat_sold_twice_is_said() -> None:
    """Though each order looks well by itself."""
    other = SALE._replace(order_id="o-2")
    said = violations([SALE, other], {"o-1": ORDER, "o-2": ORDER}, {"o-1": ONCE, "o-2": ONCE}, sold_seats=1)
    assert said == ["seat A-1-1 is sold to o-1 and o-2"]


def test_a_map_that_disagrees_is_said() -> None:
    """As one that has lost a seat."""
    assert violations([SALE], {"o-1": ORDER}, {"o-1": ONCE}, sold_seats=0) == [
        "the seat map shows 0 seats sold, the orders have 1"
    ]


def test_the_ledger_is_counted_by_payment() -> None:
    """Each effect of each payment key."""
    entries = [{"payment_key": "a", "effect": effect} for effect in ("authorized", "captured", "captured")]
    assert money_moved(entries) == {"a": Counter(authorized=1, captured=2)}


def test_the_longest_gap_counts_begin_and_end() -> None:
    """A service that never comes back has a gap until the end."""
    assert longest_gap([1.0, 2.0, 9.0], 0.0, 10.0) == 7.0
    assert longest_gap([1.0], 0.0, 10.0) == 9.0
    assert longest_gap([], 0.0, 4.0) == 4.0
