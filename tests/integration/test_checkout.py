"""From hold to tickets, or to nothing at all: orders whose provider works as it should."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import grpc
import pytest

from services.gateway.gen.nexus.v1.checkout_pb2 import (
    ORDER_STATE_AUTHORIZING,
    ORDER_STATE_CONFIRMED,
    PAYMENT_STATE_AUTHORIZED,
    PAYMENT_STATE_CAPTURED,
    CheckoutRequest,
    Order,
    WatchOrderRequest,
)
from tests.integration.checkout_fixtures import FINAL, Shop, detail, new_order_id, until
from tests.integration.payment_gate import Halt


async def test_held_seats_are_sold_to_the_buyer_who_pays(shop: Shop) -> None:
    """A paid hold is SOLD, its seats are the order's, and exactly its total is captured, once."""
    event_id, ada = await shop.event(price=4500), shop.buyer()
    hold = await shop.hold(ada, event_id, "A-1-1", "A-1-2")
    bought = await shop.buy(ada, event_id, hold_id=hold["hold_id"])
    assert bought.status == 200, bought
    order = bought.json
    assert order["state"] == "ORDER_STATE_CONFIRMED"
    assert order["payment"]["state"] == "PAYMENT_STATE_CAPTURED"
    assert order["payment"]["provider_reference"]
    assert order["total"] == hold["total"] == {"currency_code": "EUR", "amount_minor": "9000"}
    steps = [entry["step"] for entry in order["history"]]
    assert steps[:1] == ["accepted"]
    assert [step for step in steps if step in {"authorized", "confirmed", "captured"}] == [
        "authorized",
        "confirmed",
        "captured",
    ]
    assert len(steps) == len(set(steps)), "each step once"
    assert [await shop.seat(event_id, seat_id) for seat_id in ("A-1-1", "A-1-2", "A-1-3")] == [
        "SOLD",
        "SOLD",
        "AVAILABLE",
    ]
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_SOLD"
    assert await shop.effects(order["order_id"]) == ["authorized", "captured"]
    captured = [entry for entry in await shop.ledger(order["order_id"]) if entry["effect"] == "captured"]
    assert [(entry["amount_minor"], entry["currency_code"]) for entry in captured] == [(9000, "EUR")]
    assert await shop.order(ada, order["order_id"]) == order
    listed = await shop.client.call("GET", f"/v1/events/{event_id}/orders", ada)
    assert listed.json["orders"] == [order]


async def test_several_seats_are_sold_in_one_step(shop: Shop) -> None:
    """Checkout with seat_ids holds and pays all of them; ListOrders shows the newest order first."""
    event_id, ada = await shop.event(), shop.buyer()
    first = await shop.buy(ada, event_id, "A-1-3", "A-1-1", "A-1-2")
    assert first.status == 200, first
    assert {seat["seat_id"] for seat in first.json["seats"]} == {"A-1-1", "A-1-2", "A-1-3"}
    assert await shop.effects(first.json["order_id"]) == ["authorized", "captured"]
    second = await shop.buy(ada, event_id, "A-2-1")
    listed = await shop.client.call("GET", f"/v1/events/{event_id}/orders", ada)
    ids = [order["order_id"] for order in listed.json["orders"]]
    assert ids == [second.json["order_id"], first.json["order_id"]]
    assert (await shop.client.call("GET", f"/v1/events/{event_id}/orders", shop.buyer())).json.get("orders", []) == []


@pytest.mark.parametrize("is_held_first", [True, False])
async def test_a_decline_gives_everything_back(shop: Shop, is_held_first: bool) -> None:
    """A declined card ends the order DECLINED at once; the seat is free and nothing was captured."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    if is_held_first:
        hold = await shop.hold(ada, event_id, "A-1-1")
        bought = await shop.buy(ada, event_id, hold_id=hold["hold_id"], card="card_decline", order_id=order_id)
        assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_RELEASED"
    else:
        bought = await shop.buy(ada, event_id, "A-1-1", card="card_decline", order_id=order_id)
    assert (bought.status, bought.reason) == (402, "PAYMENT_DECLINED")
    assert detail(bought, "order_id") == order_id
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")
    assert await shop.effects(order_id) == ["declined"]
    order = await shop.order(ada, order_id)
    assert (order["state"], order["reason"]) == ("ORDER_STATE_DECLINED", "PAYMENT_DECLINED")
    assert order["payment"]["state"] == "PAYMENT_STATE_DECLINED"
    assert (await shop.buy(shop.buyer(), event_id, "A-1-1")).status == 200


async def test_a_taken_seat_fails_the_order_before_any_money(shop: Shop) -> None:
    """A one-step sale of seats of which one is taken is refused with every conflict; the others stay free."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    assert (await shop.buy(shop.buyer(), event_id, "A-1-2")).status == 200
    await shop.hold(shop.buyer(), event_id, "A-1-4")
    bought = await shop.buy(ada, event_id, "A-1-1", "A-1-2", "A-1-3", "A-1-4", order_id=order_id)
    assert (bought.status, bought.reason) == (409, "SEAT_UNAVAILABLE")
    assert detail(bought, "order_id") == order_id
    assert detail(bought, "conflicts") == "A-1-2=SOLD,A-1-4=HELD"
    order = await shop.order(ada, order_id)
    assert (order["state"], order["reason"]) == ("ORDER_STATE_FAILED", "SEAT_UNAVAILABLE")
    assert await shop.ledger(order_id) == []
    for seat_id in ("A-1-1", "A-1-3"):
        await shop.seat_becomes(event_id, seat_id, "AVAILABLE")


async def test_what_is_kept_of_an_order_is_what_is_needed(shop: Shop) -> None:
    """An order refused before any money keeps a stub that a timer forgets; no ended order keeps address or card."""
    event_id, ada, refused, confirmed = await shop.event(), shop.buyer(), new_order_id(), new_order_id()
    await shop.buy(ada, event_id, hold_id="h-unknown", order_id=refused)
    await shop.buy(ada, event_id, "A-1-1", order_id=confirmed)
    stub = await shop.state("Checkout", refused, "order")
    told = {name for name, value in stub.items() if value not in ("", None, [], 0, False)}
    assert told <= {"schema_version", "order_id", "owner", "fingerprint", "event_id", "created_at"} | {
        "state",
        "verdict",
        "reason",
        "payment",
    }
    kept = await shop.state("Checkout", confirmed, "order")
    assert kept["total"]["amount_minor"] == 4500
    assert (kept.get("email", ""), kept.get("payment_method", "")) == ("", "")
    timers = await shop.query(
        "select target_service_key as key, status from sys_invocation where target_handler_name = 'forget' "
        f"and target_service_key in ('{refused}', '{confirmed}')"
    )
    assert timers == [{"key": refused, "status": "scheduled"}]


async def test_a_hold_being_paid_is_neither_released_nor_extended(shop: Shop) -> None:
    """release and extend are refused with HOLD_IN_PAYMENT while an order pays the hold, which goes on."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1")
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, hold_id=hold["hold_id"], order_id=order_id)
    await halt.arrived()
    path = f"/v1/events/{event_id}/holds/{hold['hold_id']}"
    for verb in ("release", "extend"):
        refused = await shop.client.call("POST", f"{path}:{verb}", ada, {})
        assert (refused.status, refused.reason) == (409, "HOLD_IN_PAYMENT"), verb
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_PAYING"
    halt.open()
    assert (await buying).status == 200
    assert await shop.seat(event_id, "A-1-1") == "SOLD"


async def test_a_hold_is_paid_by_one_order_only(shop: Shop) -> None:
    """A second order for a hold is refused, while the first one pays it and after; only one captures."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1")
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    buying = shop.start(ada, event_id, hold_id=hold["hold_id"], order_id=order_id)
    await halt.arrived()
    rivals = [new_order_id(), new_order_id()]
    meanwhile = await shop.buy(ada, event_id, hold_id=hold["hold_id"], order_id=rivals[0])
    assert (meanwhile.status, meanwhile.reason) == (409, "HOLD_IN_PAYMENT")
    halt.open()
    assert (await buying).status == 200
    later = await shop.buy(ada, event_id, hold_id=hold["hold_id"], order_id=rivals[1])
    assert (later.status, later.reason) == (409, "INVALID_TRANSITION")
    assert [await shop.ledger(rival) for rival in rivals] == [[], []]
    assert await shop.effects(order_id) == ["authorized", "captured"]
    assert await shop.seat(event_id, "A-1-1") == "SOLD"
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_SOLD"


async def test_what_is_not_the_callers_to_pay_is_not_found(shop: Shop) -> None:
    """Unknown holds and orders, and those of another buyer, are NOT_FOUND, and no money is asked for."""
    event_id, ada, bob = await shop.event(), shop.buyer(), shop.buyer()
    hold = await shop.hold(ada, event_id, "A-1-1")
    for hold_id in ("h-unknown", hold["hold_id"]):
        order_id = new_order_id()
        bought = await shop.buy(bob, event_id, hold_id=hold_id, order_id=order_id)
        assert (bought.status, bought.reason) == (404, "HOLD_NOT_FOUND")
        assert await shop.ledger(order_id) == []
    assert (await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_OPEN"
    for answer in (
        await shop.client.call("GET", f"/v1/orders/{new_order_id()}", ada),
        await shop.cancel(ada, new_order_id()),
        await shop.client.call("GET", f"/v1/orders/{new_order_id()}:watch", ada),
    ):
        assert (answer.status, answer.reason) == (404, "ORDER_NOT_FOUND")


async def test_an_expired_hold_cannot_be_paid(shop: Shop) -> None:
    """Checkout of a hold that has run out is HOLD_EXPIRED, and its order EXPIRED, without any money."""
    event_id, ada, order_id = await shop.event(hold_seconds=1), shop.buyer(), new_order_id()
    hold = await shop.hold(ada, event_id, "A-1-1")

    async def is_expired() -> bool:
        return bool((await shop.get_hold(ada, hold))["state"] == "HOLD_STATE_EXPIRED")

    await until(is_expired, "the hold to expire")
    bought = await shop.buy(ada, event_id, hold_id=hold["hold_id"], order_id=order_id)
    assert (bought.status, bought.reason) == (410, "HOLD_EXPIRED")
    assert (await shop.order(ada, order_id))["state"] == "ORDER_STATE_EXPIRED"
    assert await shop.ledger(order_id) == []
    await shop.seat_becomes(event_id, "A-1-1", "AVAILABLE")


async def test_an_async_checkout_answers_at_once_and_is_watched_to_its_end(shop: Shop) -> None:
    """With async the order is answered unfinished; WatchOrder streams its changes and ends with the final one."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "authorize", halt)
    at_once: dict[str, Any] = {"async": True}
    accepted = await shop.buy(ada, event_id, "A-1-1", order_id=order_id, **at_once)
    assert accepted.status == 200, accepted
    assert accepted.json["order_id"] == order_id
    assert accepted.headers["nexus-order-id"] == order_id
    assert accepted.json["state"] in {"ORDER_STATE_PENDING", "ORDER_STATE_AUTHORIZING"}
    await halt.arrived()
    await shop.tried(order_id, "authorize")
    states = []
    async with shop.client.session.get(
        f"/v1/orders/{order_id}:watch", headers={"authorization": f"Bearer {ada}"}
    ) as stream:
        assert stream.status == 200
        async for line in stream.content:
            if line.startswith(b"data: "):
                states.append(json.loads(line.removeprefix(b"data: "))["state"])
                halt.open()
    assert states[0] == "ORDER_STATE_AUTHORIZING"
    assert states[-1] == "ORDER_STATE_CONFIRMED"
    assert not set(states[:-1]) & FINAL, "only the last one is final"
    assert await shop.effects(order_id) == ["authorized", "captured"]


async def test_an_order_is_watched_over_grpc_to_its_end(shop: Shop) -> None:
    """WatchOrder streams the order as it is, then its changes, and ends with the final one."""
    event_id, ada, order_id = await shop.event(), shop.buyer(), new_order_id()
    halt = Halt()
    shop.gate.put(order_id, "capture", halt)
    buying = shop.start(ada, event_id, "A-1-1", order_id=order_id)
    await halt.arrived()
    seen: list[Order] = []
    async with grpc.aio.insecure_channel(shop.stack.grpc_address) as channel:
        watch = channel.unary_stream(
            "/nexus.v1.CheckoutService/WatchOrder",
            request_serializer=WatchOrderRequest.SerializeToString,
            response_deserializer=Order.FromString,
        )
        metadata = (("authorization", f"Bearer {ada}"),)
        async for order in watch(WatchOrderRequest(order_id=order_id), metadata=metadata, timeout=30):
            seen.append(order)
            halt.open()
    assert (seen[0].state, seen[0].payment.state) == (ORDER_STATE_AUTHORIZING, PAYMENT_STATE_AUTHORIZED)
    assert (seen[-1].state, seen[-1].payment.state) == (ORDER_STATE_CONFIRMED, PAYMENT_STATE_CAPTURED)
    assert (await buying).json["order_id"] == seen[-1].order_id


async def test_after_a_deadline_the_order_goes_on(shop: Shop) -> None:
    """A gRPC deadline ends the call with DEADLINE_EXCEEDED; the client has the order's id, and the order confirms."""
    event_id, ada = await shop.event(), shop.buyer()
    async with grpc.aio.insecure_channel(shop.stack.grpc_address) as channel:
        checkout = channel.unary_unary(
            "/nexus.v1.CheckoutService/Checkout",
            request_serializer=CheckoutRequest.SerializeToString,
            response_deserializer=Order.FromString,
        )
        request = CheckoutRequest(
            event_id=event_id, seat_ids=["A-1-1"], payment_method="card_slow", email="ada@example.org"
        )
        call = checkout(request, timeout=1, metadata=(("authorization", f"Bearer {ada}"),))
        metadata = dict(await call.initial_metadata())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    order_id = str(metadata["nexus-order-id"])
    assert re.fullmatch(r"order-[0-9a-f]{32,64}", order_id)
    assert (await shop.ended(ada, order_id))["state"] == "ORDER_STATE_CONFIRMED"
    assert await shop.effects(order_id) == ["authorized", "captured"]
    again = await shop.buy(ada, event_id, "A-1-1", card="card_slow", order_id=order_id)
    assert (again.status, again.json["order_id"]) == (200, order_id)


async def test_many_orders_at_once_do_not_disturb_one_another(shop: Shop) -> None:
    """Twenty buyers who pay twenty seats side by side all get theirs, each captured once."""
    event_id = await shop.event()
    seat_ids = [f"A-{row}-{place}" for row in (1, 2) for place in range(1, 11)]
    answers = await asyncio.gather(*(shop.buy(shop.buyer(), event_id, seat_id) for seat_id in seat_ids))
    assert [answer.json.get("state") for answer in answers] == ["ORDER_STATE_CONFIRMED"] * 20
    for seat_id, answer in zip(seat_ids, answers, strict=True):
        assert [seat["seat_id"] for seat in answer.json["seats"]] == [seat_id]
        assert await shop.effects(answer.json["order_id"]) == ["authorized", "captured"]
