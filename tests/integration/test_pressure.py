"""A real gateway process before a Restate that falls behind."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
from aiohttp import web

from services.gateway.pressure import LEAST_CALLS
from tests.integration.modes import normal_mode_only
from tests.unit.gateway_process import SIGN_IN, Running, started

pytestmark = normal_mode_only("the gateway")

MOST = 60
CLIENTS = 50
CALL_SECONDS = 0.3


async def show_order(request: web.Request) -> web.StreamResponse:
    """Answer Checkout.get after a while."""
    fingerprint = (await request.json())["fingerprint"]
    await asyncio.sleep(CALL_SECONDS)
    return web.json_response({"response": {"order_id": "o1"}, "fingerprint": fingerprint})


async def limit_of(http: aiohttp.ClientSession, gateway: Running) -> int:
    """Read the limit that the gateway has now."""
    async with http.get(f"{gateway.probes_url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("nexus_gateway_in_flight_limit "))))


async def test_calls_are_shed_while_pings_are_slow_and_only_then() -> None:
    """Many calls and quick pings: all served. Slow pings: fewer at once, the rest is shed. Quick again: all served."""
    settings = SIGN_IN | {
        "NEXUS_MAX_IN_FLIGHT": str(MOST),
        "NEXUS_RATE_LIMIT": "false",
        "NEXUS_LOG_LEVEL": "WARNING",
    }
    seen: Counter[int] = Counter()
    last: dict[int, int] = {}
    is_over = asyncio.Event()
    async with started(settings) as gateway, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        gateway.handler, gateway.is_away = show_order, False
        await gateway.readiness(200)
        url = f"http://127.0.0.1:{gateway.ports.http_port}/v1/orders/o1"

        async def client(number: int) -> None:
            while not is_over.is_set():
                async with http.get(url, headers={"x-nexus-subject": "ann"}) as answer:
                    await answer.read()
                    seen[answer.status] += 1
                    last[number] = answer.status
                # Sooner than it was told to, as bad clients do.
                await asyncio.sleep(0.1 if answer.status == 429 else 0)

        async def until(wanted: int) -> None:
            while await limit_of(http, gateway) != wanted:  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.1)

        crowd = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
        try:
            async with asyncio.timeout(90):
                while seen[200] < 10 * CLIENTS:  # noqa: ASYNC110 - other tasks count
                    await asyncio.sleep(0.1)
                assert set(seen) == {200}
                assert await limit_of(http, gateway) == MOST
                gateway.ping_seconds = 0.4
                await until(LEAST_CALLS)
                while not seen[429]:  # noqa: ASYNC110 - other tasks count
                    await asyncio.sleep(0.1)
                gateway.ping_seconds = 0.0
                await until(MOST)
                while set(last.values()) != {200}:  # noqa: ASYNC110 - other tasks count
                    await asyncio.sleep(0.1)
                seen.clear()
                while seen[200] < 2 * CLIENTS:  # noqa: ASYNC110 - other tasks count
                    await asyncio.sleep(0.1)
                assert set(seen) == {200}
        finally:
            is_over.set()
            await asyncio.gather(*crowd)
