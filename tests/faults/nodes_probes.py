"""Orders that are asked for while no majority of nodes is there: none may be acknowledged."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from tests.faults.history.audit import FINAL
from tests.faults.workload import short
from tests.integration.client import Client, sign

PATIENCE_SECONDS: Final = 8.0
ENDED_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Probe:
    """An order that was asked for. `status`: what it was answered; 0 where no answer came in time."""

    order_id: str
    token: str
    status: int


async def ask(client: Client, event_id: str, seat_id: str) -> Probe:
    """Ask once for a seat, as a buyer of its own."""
    order_id = f"probe-{uuid.uuid4().hex[:12]}"
    token = sign(client.stack, order_id)
    body = {
        "order_id": order_id,
        "event_id": event_id,
        "seat_ids": [seat_id],
        "payment_method": "card_success",
        "email": f"{order_id}@example.org",
    }
    try:
        answer = await client.call("POST", "/v1/orders", token, body, timeout_seconds=PATIENCE_SECONDS)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Probe(order_id, token, 0)
    return Probe(order_id, token, answer.status)


async def states(client: Client, probes: Sequence[Probe]) -> dict[str, str]:
    """Wait until no probe is in the making any more; give the state of each, empty where there is no order."""
    deadline = time.monotonic() + ENDED_SECONDS
    while True:
        found = {probe.order_id: await _state(client, probe) for probe in probes}
        if all(state in ("", *FINAL) for state in found.values()) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(POLL_SECONDS)


async def _state(client: Client, probe: Probe) -> str:
    answer = await client.call("GET", f"/v1/orders/{probe.order_id}", probe.token)
    return short(answer.json["state"]) if answer.status == 200 else "" if answer.status == 404 else str(answer.status)


def judge(probes: Sequence[Probe], states: dict[str, str]) -> list[str]:
    """Name the probes that were acknowledged without a majority, and those that never ended."""
    if not probes:
        return ["I9: no order was asked for without a majority"]
    wrong = [f"I6: {probe.order_id} was acknowledged without a majority" for probe in probes if probe.status == 200]
    return wrong + [
        f"I8: {order_id} has not ended: {state}" for order_id, state in states.items() if state not in ("", *FINAL)
    ]


def told(probes: Sequence[Probe], states: dict[str, str]) -> str:
    """Say what the probes were told, and what has become of them."""
    return "; ".join(
        f"{probe.status or 'no answer'}, then {states.get(probe.order_id, '?') or 'no order'}" for probe in probes
    )
