"""The same request twice is one order, whoever repeats it and whenever."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import aiohttp
import pytest

from tests.integration.checkout_fixtures import Shop, detail, new_order_id
from tests.integration.payment_gate import Halt


async def test_the_same_order_id_is_one_order_in_parallel_and_later(shop: Shop) -> None:
    """Twenty equal requests at once, and one more later, give one order, one answer and one capture."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    answers = await asyncio.gather(*(shop.buy(ada, event_id, "A-1-1", order_id=order_id) for _ in range(20)))
    answers.append(await shop.buy(ada, event_id, "A-1-1", order_id=order_id))
    assert {answer.status for answer in answers} == {200}
    assert all(answer.json == answers[0].json for answer in answers)
    assert answers[0].json["state"] == "ORDER_STATE_CONFIRMED"
    assert await shop.effects(order_id) == ["authorized", "captured"]
    assert len((await shop.client.call("GET", f"/v1/events/{event_id}/orders", ada)).json["orders"]) == 1


async def test_a_repeated_request_gets_the_same_refusal(shop: Shop) -> None:
    """An order that was declined stays declined for its id, also where the seat is free again; nothing is tried."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    first = await shop.buy(ada, event_id, "A-1-1", card="card_decline", order_id=order_id)
    seen = await shop.ledger(order_id)
    again = await shop.buy(ada, event_id, "A-1-1", card="card_decline", order_id=order_id)
    assert (first.status, first.reason) == (402, "PAYMENT_DECLINED")
    assert (again.status, again.json) == (first.status, first.json)
    assert await shop.ledger(order_id) == seen


async def test_another_request_under_the_same_order_id_is_refused(shop: Shop) -> None:
    """Another body is REQUEST_REUSED while the order runs and after it, and takes nothing."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, "A-1-1", order_id=order_id)
    await halt.arrived()
    others: list[dict[str, Any]] = [{"seat_ids": ["A-1-2"]}, {"card": "card_flaky"}, {"email": "eve@example.org"}]

    async def refused() -> None:
        for other in others:
            answer = await shop.buy(ada, event_id, order_id=order_id, **{"seat_ids": ["A-1-1"]} | other)
            assert (answer.status, answer.reason) == (409, "REQUEST_REUSED"), other

    async with asyncio.timeout(8):
        # Sooner than the payment gives up waiting: it is refused because it differs, not because of an end.
        await refused()
    assert not buying.done()
    halt.open()
    assert (await buying).status == 200
    await refused()
    assert await shop.seat(event_id, "A-1-2") == "AVAILABLE"
    assert await shop.effects(order_id) == ["authorized", "captured"]


async def test_another_callers_order_id_is_taken_and_tells_nothing(shop: Shop) -> None:
    """Another caller gets ALREADY_EXISTS from Checkout, NOT_FOUND from reads and cancel, while it runs and after."""
    event_id, ada, bob, eve, order_id = await shop.event(), *(shop.buyer() for _ in range(3)), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, "A-1-1", order_id=order_id)
    await halt.arrived()

    async def refused() -> None:
        for other, seat_id in ((bob, "A-1-1"), (eve, "A-1-2")):
            answer = await shop.buy(other, event_id, seat_id, order_id=order_id)
            assert (answer.status, answer.reason) == (409, "ALREADY_EXISTS")
            assert "ORDER_STATE" not in str(answer.json)
        for hidden in (
            await shop.client.call("GET", f"/v1/orders/{order_id}", bob),
            await shop.client.call("GET", f"/v1/orders/{order_id}:watch", bob),
            await shop.cancel(bob, order_id),
        ):
            assert (hidden.status, hidden.reason) == (404, "ORDER_NOT_FOUND")

    async with asyncio.timeout(8):
        await refused()
    assert not buying.done()
    halt.open()
    assert (await buying).json["state"] == "ORDER_STATE_CONFIRMED"
    await refused()
    assert await shop.seat(event_id, "A-1-2") == "AVAILABLE"


async def test_an_async_checkout_is_repeated_like_any_other(shop: Shop) -> None:
    """A repeated async checkout shows the one order; another body or caller is refused, while it runs and after."""
    event_id, ada, bob, order_id = await shop.event(), shop.buyer(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    asked: dict[str, Any] = {"order_id": order_id, "async": True}
    assert (await shop.buy(ada, event_id, "A-1-1", **asked)).status == 200
    await halt.arrived()
    await shop.tried(order_id, "authorize")

    async def repeated(state: str) -> None:
        again = await shop.buy(ada, event_id, "A-1-1", **asked)
        assert (again.status, again.json.get("state")) == (200, state)
        reused = await shop.buy(ada, event_id, "A-1-2", **asked)
        assert (reused.status, reused.reason) == (409, "REQUEST_REUSED")
        taken = await shop.buy(bob, event_id, "A-1-1", **asked)
        assert (taken.status, taken.reason) == (409, "ALREADY_EXISTS")

    async with asyncio.timeout(8):
        await repeated("ORDER_STATE_AUTHORIZING")
    halt.open()
    assert (await shop.ended(ada, order_id))["state"] == "ORDER_STATE_CONFIRMED"
    await repeated("ORDER_STATE_CONFIRMED")
    assert await shop.effects(order_id) == ["authorized", "captured"]
    # The same order, now waited for.
    assert (await shop.buy(ada, event_id, "A-1-1", order_id=order_id)).json["state"] == "ORDER_STATE_CONFIRMED"


@pytest.mark.parametrize("given_as", ["field", "header"])
async def test_a_request_id_alone_makes_a_repeat_safe(shop: Shop, given_as: str) -> None:
    """A client whose answer was lost repeats with its request_id and gets the one order that there is."""
    event_id, ada, request_id = await shop.event(), shop.buyer(), f"try-{uuid.uuid4().hex}"
    given = {"request_id": request_id} if given_as == "field" else {"headers": {"idempotency-key": request_id}}
    # card_slow takes two seconds; this client does not wait for its answer.
    with pytest.raises((TimeoutError, aiohttp.ClientError)):
        await shop.buy(ada, event_id, "A-1-1", card="card_slow", timeout_seconds=0.5, **given)
    answers = [await shop.buy(ada, event_id, "A-1-1", card="card_slow", **given) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    order_id = answers[0].json["order_id"]
    assert {answer.headers["nexus-order-id"] for answer in answers} == {order_id}
    assert await shop.effects(order_id) == ["authorized", "captured"]
    assert len((await shop.client.call("GET", f"/v1/events/{event_id}/orders", ada)).json["orders"]) == 1
    reused = await shop.buy(ada, event_id, "A-1-2", card="card_slow", **given)
    assert (reused.status, reused.reason) == (409, "REQUEST_REUSED")
    # Request ids are each caller's own.
    other = await shop.buy(shop.buyer(), event_id, "A-1-2", card="card_success", **given)
    assert other.status == 200
    assert other.json["order_id"] != order_id


async def test_a_request_id_in_two_places_must_be_the_same(shop: Shop) -> None:
    """request_id and Idempotency-Key that differ are INVALID_ARGUMENT."""
    event_id, ada = await shop.event(), shop.buyer()
    answer = await shop.buy(ada, event_id, "A-1-1", request_id="one", headers={"idempotency-key": "two"})
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")
    assert await shop.seat(event_id, "A-1-1") == "AVAILABLE"


async def test_every_answer_names_the_order(shop: Shop) -> None:
    """Refusals of orders, also of ids that we made, carry nexus-order-id, under which the order can be read."""
    event_id, ada = await shop.event(), shop.buyer()
    await shop.hold(shop.buyer(), event_id, "A-1-2")
    for answer, reason in (
        (await shop.buy(ada, event_id, "A-1-1", card="card_decline"), "PAYMENT_DECLINED"),
        (await shop.buy(ada, event_id, "A-1-2", request_id=uuid.uuid4().hex), "SEAT_UNAVAILABLE"),
        (await shop.buy(ada, event_id, hold_id="h-unknown"), "HOLD_NOT_FOUND"),
    ):
        assert answer.reason == reason
        order_id = answer.headers["nexus-order-id"]
        assert detail(answer, "order_id") == order_id
        assert (await shop.order(ada, order_id))["reason"] == reason
    malformed = await shop.buy(ada, event_id, "not a seat")
    assert malformed.status == 400
    assert malformed.headers["nexus-order-id"]
