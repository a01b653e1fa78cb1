"""The numbers that an operator sees are those of the ledger: facts rise once, not once per replay."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.cli.local import LocalStack
from services.gateway.gen.nexus.v1 import event_pb2, seatmap_pb2
from tests.integration.booking import until
from tests.integration.client import Client, make_stack, new_event, register, sign


@pytest.fixture(scope="module")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A stack of its own, in which nothing happens but what the test does."""
    made = make_stack(Path(tmp_path_factory.mktemp("quiet")))
    try:
        await asyncio.to_thread(made.start_all)
        await register(made)
        await asyncio.to_thread(made.wait_ready, "gateway", ready=True)
        client = Client(made)
        yield client
        await client.session.close()
    finally:
        await asyncio.to_thread(made.stop_all)


def numbers(stack: LocalStack, component: str) -> dict[str, float]:
    """Read a component's counters: `name{label=value}` -> value."""
    port = getattr(stack.ports, f"{component}_metrics_port")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    # When a process made a counter is no fact about sales.
    assert "_created" not in text
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ledger_effects(stack: LocalStack) -> list[str]:
    """Read what the provider's ledger says has happened to money."""
    with urllib.request.urlopen(f"{stack.payments_url}/ledger", timeout=5) as answer:
        return [entry["effect"] for entry in json.load(answer)["entries"]]


async def test_numbers_agree_with_the_ledger(quiet: Client) -> None:
    """Holds, orders and payment calls are counted once each, also where every await is replayed."""
    event_id, _ = await new_event(quiet, rows=2, seats_per_row=10)
    buyer = sign(quiet.stack, f"buyer-{uuid.uuid4().hex[:8]}")

    async def buy(seat: str, card: str) -> int:
        body = {"event_id": event_id, "seat_ids": [seat], "payment_method": card, "email": "ada@example.org"}
        return (await quiet.call("POST", "/v1/orders", buyer, body)).status

    assert [await buy(f"A-1-{number}", "card_success") for number in (1, 2, 3)] == [200, 200, 200]
    assert await buy("A-1-4", "card_decline") == 402
    assert await buy("A-1-1", "card_success") == 409
    held = await quiet.call("POST", f"/v1/events/{event_id}/holds", buyer, {"seat_ids": ["A-2-1"]})
    released = await quiet.call("POST", f"/v1/events/{event_id}/holds/{held.json['hold_id']}:release", buyer, {})
    assert released.status == 200

    effects = ledger_effects(quiet.stack)
    checkout, ticket = numbers(quiet.stack, "checkout"), numbers(quiet.stack, "ticket")
    assert checkout["nexus_payment_calls_total|capture|done"] == effects.count("captured") == 3
    assert checkout["nexus_payment_calls_total|authorize|done"] == effects.count("authorized") == 3
    assert checkout["nexus_payment_calls_total|authorize|declined"] == effects.count("declined") == 1
    assert checkout["nexus_orders_total||confirmed"] == 3
    assert checkout["nexus_orders_total|PAYMENT_DECLINED|declined"] == 1
    assert checkout["nexus_orders_total|SEAT_UNAVAILABLE|failed"] == 1
    assert checkout["nexus_payments_total|captured"] == 3
    assert checkout["nexus_hold_to_sale_seconds_count"] == 3
    # Made: three sold, one declined, one released; the refused one held nothing.
    assert ticket["nexus_holds_total|made"] == 5
    assert ticket["nexus_holds_total|sold"] == 3
    assert ticket["nexus_holds_total|released"] == 2


async def test_the_gateway_counts_calls_and_live_maps(quiet: Client) -> None:
    """RPCs under the names of go-grpc-middleware, each code as Go spells it; maps, their watchers and their reads."""
    event_id, _ = await new_event(quiet)
    before = numbers(quiet.stack, "gateway")
    async with grpc.aio.insecure_channel(quiet.stack.grpc_address) as channel:
        get = channel.unary_unary("/nexus.v1.EventService/GetEvent", event_pb2.GetEventRequest.SerializeToString)
        await get(event_pb2.GetEventRequest(event_id=event_id))
        with pytest.raises(grpc.aio.AioRpcError):
            await get(event_pb2.GetEventRequest(event_id="there-is-none"))
        request = seatmap_pb2.WatchSeatMapRequest(event_id=event_id)
        watch = channel.unary_stream(
            "/nexus.v1.SeatMapService/WatchSeatMap", seatmap_pb2.WatchSeatMapRequest.SerializeToString
        )(request)
        await watch.read()
        during = numbers(quiet.stack, "gateway")
        watch.cancel()

    def risen(name: str, after: dict[str, float] = during) -> float:
        return after.get(name, 0) - before.get(name, 0)

    # Labels in the order of their names: grpc_code, grpc_method, grpc_service, grpc_type.
    assert risen("grpc_server_handled_total|OK|GetEvent|nexus.v1.EventService|unary") == 1
    assert risen("grpc_server_handled_total|NotFound|GetEvent|nexus.v1.EventService|unary") == 1
    assert risen("grpc_server_started_total|GetEvent|nexus.v1.EventService|unary") == 2
    assert risen("grpc_server_handling_seconds_count|GetEvent|nexus.v1.EventService|unary") == 2
    watched = "WatchSeatMap|nexus.v1.SeatMapService|server_stream"
    assert risen(f"grpc_server_started_total|{watched}") == 1
    assert (risen("nexus_gateway_map_views"), risen("nexus_gateway_map_watchers")) == (1, 1)
    assert risen("nexus_gateway_map_reads_total|ok") >= 1

    async def counted() -> bool:
        after = numbers(quiet.stack, "gateway")
        return (
            risen(f"grpc_server_handled_total|Canceled|{watched}", after) == 1
            and risen("nexus_gateway_map_watchers", after) == 0
        )

    await until(counted, "the watcher's end to be counted")
