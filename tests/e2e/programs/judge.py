"""Pure judgement of a load: what the buyers were told against what orders and the ledger say."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

CONFIRMED = "ORDER_STATE_CONFIRMED"
FINAL = frozenset({CONFIRMED, *(f"ORDER_STATE_{name}" for name in ("DECLINED", "EXPIRED", "CANCELLED", "FAILED"))})


class Sale(NamedTuple):
    """One buyer's purchase as the buyer saw it. `state`: ok, refused or unknown; `at`: seconds since the load began."""

    order_id: str
    subject: str
    seat_ids: tuple[str, ...]
    state: str
    at: float


class Seen(NamedTuple):
    """An order as GetOrder shows it afterwards; `state` is empty where there is none."""

    state: str
    payment: str
    seat_ids: tuple[str, ...]


def money_moved(entries: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Count the effects of each payment key (an order's id) in the ledger."""
    moved: dict[str, Counter[str]] = {}
    for entry in entries:
        moved.setdefault(entry["payment_key"], Counter())[entry["effect"]] += 1
    return moved


def violations(
    sales: Iterable[Sale], orders: Mapping[str, Seen], moved: Mapping[str, Counter[str]], sold_seats: int | None = None
) -> list[str]:
    """Say what is wrong: a lost sale, money taken twice or for nothing, a seat sold twice. Empty: all is well.

    `sold_seats`: how many the seat map shows, where it was asked.
    """
    said: list[str] = []
    owners: dict[str, str] = {}
    for sale in sales:
        order = orders.get(sale.order_id, Seen("", "", ()))
        what = f"order {sale.order_id} ({sale.state})"
        said += [f"{what}: {wrong}" for wrong in (*_of_order(sale, order), *_of_money(order, moved.get(sale.order_id)))]
        for seat_id in order.seat_ids if order.state == CONFIRMED else ():
            if seat_id in owners:
                said.append(f"seat {seat_id} is sold to {owners[seat_id]} and {sale.order_id}")
            owners[seat_id] = sale.order_id
    if sold_seats is not None and sold_seats != len(owners):
        said.append(f"the seat map shows {sold_seats} seats sold, the orders have {len(owners)}")
    return said


def _of_order(sale: Sale, order: Seen) -> Iterator[str]:
    """Compare an order with what its buyer was told."""
    if sale.state == "ok" and order.state != CONFIRMED:
        yield f"its buyer was told of a sale, and it is {order.state or 'not there'}"
    if sale.state == "refused" and order.state == CONFIRMED:
        yield "its buyer was refused, and it is confirmed"
    if order.state and order.state not in FINAL:
        yield f"it does not end, it is {order.state}"
    if order.state == CONFIRMED and sorted(order.seat_ids) != sorted(sale.seat_ids):
        yield f"asked for {sale.seat_ids}, has {order.seat_ids}"


def _of_money(order: Seen, moved: Counter[str] | None) -> Iterator[str]:
    """Compare an order with the ledger: one capture where it is confirmed, none kept where it is not."""
    money = moved or Counter()
    if money["captured"] > 1:
        yield f"captured {money['captured']} times"
    kept = money["captured"] - money["refunded"]
    if kept != (order.state == CONFIRMED):
        yield f"it is {order.state or 'not there'} with {kept} captures kept"


def longest_gap(successes: Iterable[float], begun: float, ended: float) -> float:
    """Give the longest time in seconds without a success between two instants."""
    instants = [begun, *sorted(at for at in successes if begun <= at <= ended), ended]
    return max(after - before for before, after in itertools.pairwise(instants))
