"""The numbers that an operator sees are those of the ledger: facts rise once, not once per replay."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.cli.local import LocalStack
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
