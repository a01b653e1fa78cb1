"""Real gateway processes: limits that two of them share, and a spike that one of them sheds."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.integration.modes import normal_mode_only
from tests.integration.ratelimit_server import NEEDS_STORE, Store
from tests.unit.gateway_process import SIGN_IN, Running, started

pytestmark = normal_mode_only("the gateway")

ORDER = "/v1/orders/o1"
ANN = {"x-nexus-subject": "ann"}
ROOM = 50
SERVICE_SECONDS = 0.05
SPIKE_SECONDS = 6.0


async def show_order(request: web.Request) -> web.StreamResponse:
    """Answer Checkout.get after a while."""
    fingerprint = (await request.json())["fingerprint"]
    await asyncio.sleep(SERVICE_SECONDS)
    return web.json_response({"response": {"order_id": "o1"}, "fingerprint": fingerprint})


@asynccontextmanager
async def ready(settings: dict[str, str]) -> AsyncIterator[Running]:
    async with started(SIGN_IN | settings) as running:
        running.handler, running.is_away = show_order, False
        await running.readiness(200)
        yield running


async def ask(http: aiohttp.ClientSession, gateway: Running) -> tuple[int, float]:
    """Give the status, and how long it took."""
    begun = time.monotonic()
    async with http.get(f"http://127.0.0.1:{gateway.ports.http_port}{ORDER}", headers=ANN) as answer:
        if answer.status == 429:
            assert int(answer.headers["retry-after"]) >= 1
        await answer.read()
        return answer.status, time.monotonic() - begun


@NEEDS_STORE
@pytest.mark.parametrize(("is_shared", "passed"), [(True, 7), (False, 14)], ids=["shared", "each by itself"])
async def test_two_gateways_are_one_limit_with_a_store(tmp_path: Path, is_shared: bool, passed: int) -> None:
    """A caller with seven reads gets seven of two gateways that share a store, and fourteen of two that do not."""
    store = Store(tmp_path)
    await store.start()
    settings = {
        "NEXUS_RATE_LIMIT_CALLER": "reads=0.001/7",
        **({"NEXUS_RATE_LIMIT_STORE": store.url} if is_shared else {}),
    }
    try:
        async with AsyncExitStack() as opened:
            gateways = [await opened.enter_async_context(ready(settings)) for _ in range(2)]
            http = await opened.enter_async_context(aiohttp.ClientSession())
            answers = await asyncio.gather(*(ask(http, gateway) for gateway in gateways for _ in range(20)))
    finally:
        await store.stop()
    assert Counter(status for status, _ in answers) == {200: passed, 429: 40 - passed}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
async def test_a_spike_is_shed_and_leaves_nothing_behind() -> None:
    """Ten times what fits, for seconds: what fits is served, the rest refused, memory stays, then all is as before."""
    settings = {"NEXUS_MAX_IN_FLIGHT": str(ROOM), "NEXUS_RATE_LIMIT": "false", "NEXUS_LOG_LEVEL": "WARNING"}
    connector = aiohttp.TCPConnector(limit=0)
    async with ready(settings) as gateway, aiohttp.ClientSession(connector=connector) as http:

        async def client(until: float, seen: list[tuple[int, float]]) -> None:
            while time.monotonic() < until:
                status, seconds = await ask(http, gateway)
                seen.append((status, seconds))
                # A client that was shed comes back ten times sooner than it was told to.
                await asyncio.sleep(0.1 if status == 429 else 0)

        async def load(clients: int, seconds: float) -> list[tuple[int, float]]:
            seen: list[tuple[int, float]] = []
            until = time.monotonic() + seconds
            await asyncio.gather(*(client(until, seen) for _ in range(clients)))
            return seen

        before = await load(ROOM // 5, 2)
        memory = resident_bytes(gateway)
        spike = Counter(status for status, _ in await load(ROOM * 10, SPIKE_SECONDS))
        grown = resident_bytes(gateway) - memory
        after = await load(ROOM // 5, 2)

    assert gateway.process.returncode is None or gateway.process.returncode < 0, "only the test ended it"
    assert {status for status, _ in (*before, *after)} == {200}
    assert set(spike) == {200, 429}
    assert spike[200] > ROOM * SPIKE_SECONDS
    assert grown < 64 * 1024 * 1024
    medians = [statistics.median(seconds for _, seconds in seen) for seen in (before, after)]
    assert medians[1] < 2 * medians[0] + 0.05


def resident_bytes(gateway: Running) -> int:
    """Read how much memory a process holds. Source: proc(5), /proc/PID/statm, in pages."""
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096
