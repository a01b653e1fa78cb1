"""Providers that fail, forget, come late or go away: money and seats always end where they belong.

The long cases, which must outlive a payment's deadline of a minute, run side by side from the start of
this module; their tests stand last and judge them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.integration.checkout_fixtures import Shop, detail, new_order_id
from tests.integration.client import Answer
from tests.integration.payment_gate import Away, Busy, Halt, Late, Says, lost

PAY_SECONDS = 60
"""Shortest time from begin_checkout to pay_until; what shop.event's hold_seconds leads to."""


async def test_a_flaky_provider_captures_once(shop: Shop) -> None:
    """Three failures, then success: the order is confirmed after the backoff and captured once."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    bought = await shop.buy(ada, event_id, "A-1-1", card="card_flaky", order_id=order_id)
    assert bought.json["state"] == "ORDER_STATE_CONFIRMED"
    assert bought.json["payment"]["attempts"] == 5, "four authorizations and one capture"
    assert [(entry["call"], entry["status"]) for entry in await shop.ledger(order_id)] == [
        *[("authorize", 503)] * 3,
        ("authorize", 200),
        ("capture", 200),
    ]
    assert await shop.effects(order_id) == ["authorized", "captured"]


@pytest.mark.parametrize("call", ["authorize", "capture"])
async def test_a_lost_answer_moves_money_once(shop: Shop, call: str) -> None:
    """The provider acts and its answer is lost: the repeat finds what was done; CONFIRMED, captured once."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    switches = {"lose_answer": [call], "times": 1, "payment_keys": [order_id]}
    await shop.put(f"{shop.stack.payments_url}/switches", switches)
    bought = await shop.buy(ada, event_id, "A-1-1", order_id=order_id)
    assert bought.json["state"] == "ORDER_STATE_CONFIRMED"
    assert await shop.effects(order_id) == ["authorized", "captured"]
    assert [entry["call"] for entry in await shop.ledger(order_id)].count(call) == 2
    keys = {entry["idempotency_key"] for entry in await shop.ledger(order_id) if entry["call"] == call}
    assert len(keys) == 1, "the repeat is the same request to the provider"


async def test_a_provider_that_asks_for_time_gets_it(shop: Shop) -> None:
    """Retry-After longer than the backoff is respected; the order is confirmed all the same."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    busy = Busy(retry_after_seconds=3)
    shop.gate.put(order_id, "authorize", busy)
    assert (await shop.buy(ada, event_id, "A-1-1", order_id=order_id)).json["state"] == "ORDER_STATE_CONFIRMED"
    [first, second] = busy.asked_at
    assert 3 <= second - first < 4.5
    assert await shop.effects(order_id) == ["authorized", "captured"]


async def test_a_capture_declined_for_good_takes_the_tickets_back(shop: Shop) -> None:
    """The order ends DECLINED: tickets revoked, hold ended, authorization voided, nothing captured."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1", "A-1-2")
    halt = Halt()
    shop.gate.put(order_id, "capture", halt)
    buying = shop.start(ada, event_id, hold_id=hold["hold_id"], card="card_capture_decline", order_id=order_id)
    await halt.arrived()
    assert await shop.seat(event_id, "A-1-1") == "SOLD", "confirmed before the capture"
    halt.open()
    bought = await buying
    assert (bought.status, bought.reason) == (402, "PAYMENT_DECLINED")
    assert detail(bought, "order_id") == order_id
    for seat_id in ("A-1-1", "A-1-2"):
        await shop.seat_becomes(event_id, seat_id, "AVAILABLE")
    assert await shop.effects(order_id) == ["authorized", "declined", "voided"]
    order = await shop.order(ada, order_id)
    assert (order["state"], order["payment"]["state"]) == ("ORDER_STATE_DECLINED", "PAYMENT_STATE_VOIDED")
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_RELEASED"


async def test_money_taken_behind_a_declined_capture_is_given_back(shop: Shop) -> None:
    """A provider that says declined and has captured all the same: the void finds out, the money is refunded."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    shop.gate.put(order_id, "capture", Says(402, "card_declined"))
    bought = await shop.buy(ada, event_id, "A-1-1", order_id=order_id)
    assert (bought.status, bought.reason) == (402, "PAYMENT_DECLINED")
    await shop.effects_become(order_id, "authorized", "captured", "refunded")
    order = await shop.order(ada, order_id)
    assert (order["state"], order["payment"]["state"]) == ("ORDER_STATE_DECLINED", "PAYMENT_STATE_REFUNDED")
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")


@pytest.mark.parametrize("cause", ["hard_deadline", "another_hold"])
async def test_a_confirm_refused_after_the_authorization_undoes_everything(shop: Shop, cause: str) -> None:
    """A seat whose hold has ended meanwhile: what was confirmed is revoked, the money voided, the order EXPIRED."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, "A-1-1", "A-1-2", order_id=order_id)
    await halt.arrived()
    past = {"hard_deadline": "2020-01-01T00:00:00Z"}
    changes = past if cause == "hard_deadline" else {"hold_id": "h-another", "buyer": "another"}
    await shop.change_state("Ticket", f"{event_id}:A-1-2", "ticket", **changes)
    halt.open()
    bought = await buying
    assert (bought.status, bought.reason) == (410, "HOLD_EXPIRED")
    assert detail(bought, "order_id") == order_id
    assert await shop.effects(order_id) == ["authorized", "voided"]
    assert (await shop.order(ada, order_id))["state"] == "ORDER_STATE_EXPIRED"
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")
    if cause == "hard_deadline":
        await shop.seat_becomes(event_id, "A-1-2", "AVAILABLE")
    else:
        ticket = await shop.state("Ticket", f"{event_id}:A-1-2", "ticket")
        assert (ticket["status"], ticket["hold_id"]) == ("SEAT_STATUS_HELD", "h-another"), "left to its new hold"


class Case(NamedTuple):
    """A long case that is over: its order, how Checkout answered, and what the test kept to judge."""

    event_id: str
    buyer: str
    order_id: str
    answer: Answer
    ended_at: datetime
    kept: dict[str, Any]


async def never_authorized(shop: Shop, case: dict[str, Any]) -> Answer:
    """card_error: 503 for ever."""
    answer = await shop.buy(case["buyer"], case["event_id"], "A-1-1", card="card_error", order_id=case["order_id"])
    case["seat"] = await shop.seat(case["event_id"], "A-1-1")
    return answer


async def authorized_too_late(shop: Shop, case: dict[str, Any]) -> Answer:
    """Every authorization is answered 504 and arrives when the order is over."""
    late = Late()
    shop.gate.put(case["order_id"], "authorize", late)
    answer = await shop.buy(case["buyer"], case["event_id"], "A-1-1", order_id=case["order_id"])
    case["statuses"] = await late.deliver()
    return answer


async def away_before_the_capture(shop: Shop, case: dict[str, Any]) -> Answer:
    """The provider authorizes, goes away before the first capture and comes back after pay_until."""
    away = Away()
    shop.gate.put(case["order_id"], "capture", away)
    shop.gate.put(case["order_id"], "void", away)
    buying = shop.start(case["buyer"], case["event_id"], "A-1-1", order_id=case["order_id"])
    await shop.tried(case["order_id"], "capture")
    pay_until = datetime.fromisoformat((await shop.state("Checkout", case["order_id"], "order"))["pay_until"])
    # A deadline that must pass is the case itself; nothing tells of it but the clock.
    await asyncio.sleep((pay_until - datetime.now(pay_until.tzinfo)).total_seconds() + 1)
    case["meanwhile"] = await shop.order(case["buyer"], case["order_id"])
    case["seat_meanwhile"] = await shop.seat(case["event_id"], "A-1-1")
    away.is_back = True
    return await buying


async def capture_answers_lost(shop: Shop, case: dict[str, Any]) -> Answer:
    """The first capture succeeds; its answer and those of all repeats are lost until pay_until."""
    shop.gate.put(case["order_id"], "capture", lost)
    return await shop.buy(case["buyer"], case["event_id"], "A-1-1", order_id=case["order_id"])


LongCase = Callable[[Shop, dict[str, Any]], Coroutine[Any, Any, Answer]]


@pytest.fixture(scope="module", autouse=True)
async def long_cases(shop: Shop) -> AsyncIterator[dict[LongCase, asyncio.Task[Case]]]:
    """Start the long cases before the first test."""

    async def run(long_case: LongCase) -> Case:
        case = {"event_id": await shop.event(), "buyer": shop.buyer(), "order_id": new_order_id()}
        answer = await long_case(shop, case)
        if answer.status == 504:
            assert answer.headers["nexus-order-id"] == case["order_id"]
            assert (answer.reason, detail(answer, "order_id")) == ("DEADLINE_EXCEEDED", case["order_id"])
        order = await shop.ended(case["buyer"], case["order_id"], seconds=60)
        ended_at = datetime.fromisoformat(order["history"][-1]["at"])
        return Case(case["event_id"], case["buyer"], case["order_id"], answer, ended_at, case)

    cases: list[LongCase] = [never_authorized, authorized_too_late, away_before_the_capture, capture_answers_lost]
    tasks = {long_case: asyncio.create_task(run(long_case)) for long_case in cases}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_an_outage_is_retried_with_backoff_and_then_given_up(
    shop: Shop, long_cases: dict[LongCase, asyncio.Task[Case]]
) -> None:
    """card_error: attempts 1, 2, 4, 8, 15 s apart until pay_until; EXPIRED, voided, the seat free at once."""
    case = await long_cases[never_authorized]
    assert (case.answer.status, case.answer.reason) == (503, "PAYMENT_UNAVAILABLE")
    assert detail(case.answer, "order_id") == case.order_id
    assert case.kept["seat"] == "AVAILABLE"
    ledger = await shop.ledger(case.order_id)
    attempts = [datetime.fromisoformat(entry["at"]) for entry in ledger if entry["call"] == "authorize"]
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(attempts)]
    expected = [1, 2, 4, 8, 15, 15]
    assert pauses == [pytest.approx(seconds, abs=0.9) for seconds in expected]
    assert (attempts[-1] - attempts[0]).total_seconds() < PAY_SECONDS
    assert [entry["call"] for entry in ledger] == ["authorize"] * 7 + ["void"]
    assert await shop.effects(case.order_id) == ["voided"]
    order = await shop.order(case.buyer, case.order_id)
    assert (order["state"], order["reason"]) == ("ORDER_STATE_EXPIRED", "PAYMENT_UNAVAILABLE")
    assert order["payment"]["state"] == "PAYMENT_STATE_VOIDED"


async def test_an_authorization_that_lands_too_late_is_refused(
    shop: Shop, long_cases: dict[LongCase, asyncio.Task[Case]]
) -> None:
    """Authorizations that arrive after the order was given up meet the void: all refused, nothing captured."""
    case = await long_cases[authorized_too_late]
    assert (case.answer.status, case.answer.reason) == (503, "PAYMENT_UNAVAILABLE")
    assert len(case.kept["statuses"]) == 7
    assert set(case.kept["statuses"]) == {409}
    assert await shop.effects(case.order_id) == ["voided"]
    assert (await shop.order(case.buyer, case.order_id))["payment"]["state"] == "PAYMENT_STATE_VOIDED"
    await shop.seat_becomes(case.event_id, "A-1-1", "AVAILABLE")


async def test_a_provider_away_before_the_capture_is_waited_for(
    shop: Shop, long_cases: dict[LongCase, asyncio.Task[Case]]
) -> None:
    """After pay_until the seats stay SOLD and the payment UNKNOWN until the provider is back; then void decides."""
    case = await long_cases[away_before_the_capture]
    meanwhile = case.kept["meanwhile"]
    assert (meanwhile["state"], meanwhile["payment"]["state"]) == ("ORDER_STATE_AUTHORIZING", "PAYMENT_STATE_UNKNOWN")
    assert case.kept["seat_meanwhile"] == "SOLD"
    assert case.answer.status == 504, "an HTTP call waits a minute; the order went on"
    assert await shop.effects(case.order_id) == ["authorized", "voided"]
    order = await shop.order(case.buyer, case.order_id)
    assert (order["state"], order["payment"]["state"]) == ("ORDER_STATE_EXPIRED", "PAYMENT_STATE_VOIDED")
    await shop.seat_becomes(case.event_id, "A-1-1", "AVAILABLE")


async def test_a_capture_whose_answers_are_all_lost_confirms_the_order(
    shop: Shop, long_cases: dict[LongCase, asyncio.Task[Case]]
) -> None:
    """The void after pay_until learns that the money was captured: CONFIRMED, captured once, not refunded."""
    case = await long_cases[capture_answers_lost]
    assert case.answer.status in {200, 504}
    assert await shop.effects(case.order_id) == ["authorized", "captured"]
    order = await shop.order(case.buyer, case.order_id)
    assert (order["state"], order["payment"]["state"]) == ("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED")
    assert await shop.seat(case.event_id, "A-1-1") == "SOLD"
    again = await shop.buy(case.buyer, case.event_id, "A-1-1", order_id=case.order_id)
    assert (again.status, again.json) == (200, order)
