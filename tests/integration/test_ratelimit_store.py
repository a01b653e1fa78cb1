"""Rate limits that gateways share, on a real redis-server or valkey-server; and what happens when it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog.testing
from redis.asyncio import Redis

from services.gateway import ratelimit_store
from services.gateway.ratelimit import Limit
from services.gateway.ratelimit_store import PREFIX, LocalBuckets, SharedBuckets
from tests.integration.modes import normal_mode_only
from tests.integration.ratelimit_server import NEEDS_STORE, Store

pytestmark = [NEEDS_STORE, normal_mode_only("the gateway")]

SLOW = Limit(1 / 3600, 40)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def passed(buckets: SharedBuckets | LocalBuckets, name: str, calls: int) -> int:
    answers = await asyncio.gather(*(buckets.take([(name, SLOW)]) for _ in range(calls)))
    return sum(wait == 0 for _, wait in answers)


async def test_gateways_take_of_the_same_bucket(store: Store) -> None:
    """Three gateways that call at once get the burst between them; each with buckets of its own, three times that."""
    gateways = [SharedBuckets(store.url) for _ in range(3)]
    counts = await asyncio.gather(*(passed(gateway, "ann", 60) for gateway in gateways))
    assert sum(counts) == 40
    alone = await asyncio.gather(*(passed(LocalBuckets(), "ann", 60) for _ in range(3)))
    assert sum(alone) == 120, "the negative control: without the store the limit is each gateway's own"
    for gateway in gateways:
        await gateway.close()


async def test_script_and_process_count_alike(store: Store) -> None:
    """The store tells the same waits as a process, takes of all buckets or of none, and keeps nothing for ever."""
    shared, local = SharedBuckets(store.url), LocalBuckets()
    wanted = [("wide", Limit(0.01, 5)), ("narrow", Limit(0.02, 2))]
    for _ in range(6):
        (index, wait), (local_index, local_wait) = await shared.take(wanted), await local.take(wanted)
        assert (index, wait) == (local_index, pytest.approx(local_wait, abs=0.5))
    async with Redis.from_url(store.url) as client:
        # Two passed: the refused calls took nothing of the wide bucket.
        assert 195_000 < await client.pttl(f"{PREFIX}wide") <= 200_001
        assert 95_000 < await client.pttl(f"{PREFIX}narrow") <= 100_001
    await shared.close()


async def test_a_wait_that_was_told_is_exact(store: Store) -> None:
    """One who comes again as late as told passes, one who comes earlier does not."""
    shared, quick = SharedBuckets(store.url), Limit(2, 1)
    assert await shared.take([("ann", quick)]) == (0, 0.0)
    _, wait = await shared.take([("ann", quick)])
    assert 0.3 < wait <= 0.5
    told = time.monotonic()
    await asyncio.sleep(wait / 2)
    assert (await shared.take([("ann", quick)]))[1] > 0
    await asyncio.sleep(max(0.0, wait - (time.monotonic() - told)) + 0.005)
    assert await shared.take([("ann", quick)]) == (0, 0.0)
    await shared.close()


async def test_a_store_that_is_away_refuses_nobody(store: Store) -> None:
    """Killed, it costs a moment once, each gateway counts for itself, one line is logged; then it is back."""
    clock = [0.0]
    shared = SharedBuckets(store.url, clock=lambda: clock[0])
    with structlog.testing.capture_logs() as logs:
        assert await passed(shared, "ann", 50) == 40
        await store.stop()
        begun = time.monotonic()
        assert await passed(shared, "ann", 50) == 40
        assert time.monotonic() - begun < 2
        assert await passed(shared, "ann", 50) == 0
        clock[0] += ratelimit_store.PAUSE_SECONDS
        assert await passed(shared, "bob", 50) == 40
        assert ratelimit_store.metrics.RATE_LIMIT_STORE_AWAY._value.get() == 1
        assert [entry["log_level"] for entry in logs] == ["warning"]
        await store.start()
        assert await passed(shared, "cy", 50) == 40
        assert ratelimit_store.metrics.RATE_LIMIT_STORE_AWAY._value.get() == 1
        clock[0] += ratelimit_store.PAUSE_SECONDS
        await shared.take([("cy", SLOW)])
        assert ratelimit_store.metrics.RATE_LIMIT_STORE_AWAY._value.get() == 0
        assert [entry["log_level"] for entry in logs] == ["warning", "info"]
    await shared.close()


async def test_a_store_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """A store that takes connections and never answers delays the first calls by half a second, then none."""

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    shared = SharedBuckets(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    begun = time.monotonic()
    assert await passed(shared, "ann", 50) == 40
    assert time.monotonic() - begun < 3 * ratelimit_store.STORE_SECONDS
    begun = time.monotonic()
    assert await passed(shared, "bob", 50) == 40
    assert time.monotonic() - begun < ratelimit_store.STORE_SECONDS
    await shared.close()
    server.close()
