"""How many calls are let in while what is behind the gateway falls back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.gateway import pressure
from services.gateway.pressure import LEAST_CALLS, LOOK_SECONDS, PATIENCE, SLOW_SECONDS, Pressure, Valve, turned
from services.gateway.ratelimit_guard import Guard
from tests.unit.test_ratelimit_doors import hold_by_grpc, hold_by_http, opened, reason_of, retry_delay

MOST = 2000
CAPACITY = 100.0
"""Calls a second that the machine of these tests gets done."""

PINGS_PER_CALL = 10.0
"""How many times as long as a ping a call takes there."""


def queue(arrivals: Iterator[float], *, most: int = MOST) -> list[tuple[float, float, int]]:
    """Let calls queue up behind a valve, a look at a time; give calls in flight, served and the limit at each."""
    valve, in_flight, seen = Valve(most), 0.0, []
    for per_second in arrivals:
        served = min(in_flight, CAPACITY * LOOK_SECONDS)
        # In flight never falls below what is there; whatever comes on top is shed.
        room = max(valve.limit - (in_flight - served), 0.0)
        in_flight = in_flight - served + min(per_second * LOOK_SECONDS, room)
        is_slow = in_flight / CAPACITY / PINGS_PER_CALL > SLOW_SECONDS
        valve = turned(valve, most=most, in_flight=int(in_flight), is_slow=is_slow)
        seen.append((in_flight, served / LOOK_SECONDS, valve.limit))
    return seen


@pytest.mark.parametrize("times", [1.5, 2, 10, 100])
def test_a_standing_queue_is_kept_short_and_the_machine_busy(times: float) -> None:
    """After the first moments of a lasting overload nobody waits longer than 4 s, and as much is served as can be."""
    looks = int(60 / LOOK_SECONDS)
    seen = queue(iter([CAPACITY * times] * looks))
    settled = seen[looks // 2 :]
    assert max(in_flight for in_flight, _, _ in settled) / CAPACITY <= 4.0
    assert sum(served for _, served, _ in settled) / len(settled) >= 0.95 * CAPACITY


def test_the_door_is_wide_open_again_soon_after() -> None:
    """Twenty seconds after a spike the limit is what it was, and calls wait for nobody."""
    looks = int(20 / LOOK_SECONDS)
    seen = queue(iter([CAPACITY * 10] * looks * 3 + [CAPACITY * 0.2] * looks))
    in_flight, _, limit = seen[-1]
    assert limit == MOST
    assert in_flight / CAPACITY < 1.0


def test_a_burst_is_worked_off_and_not_shed() -> None:
    """Two slow looks on end close nothing, and the count begins anew once it is quick."""
    valve = Valve(MOST)
    for _ in range(3):
        for _ in range(2):
            valve = turned(valve, most=MOST, in_flight=1000, is_slow=True)
        assert valve.limit == MOST
        valve = turned(valve, most=MOST, in_flight=900, is_slow=False)
        assert valve == Valve(MOST)


def test_patience_ends_and_counts_what_is_in_flight() -> None:
    """The first cut is from what is there, not from a limit that nobody was near."""
    assert turned(Valve(MOST, PATIENCE - 1), most=MOST, in_flight=500, is_slow=True).limit == 400


def test_slow_payments_close_nothing() -> None:
    """However many calls wait for a provider, they are let in as long as pings are quick."""
    valve = Valve(MOST)
    for _ in range(100):
        valve = turned(valve, most=MOST, in_flight=1900, is_slow=False)
    assert valve.limit == MOST


def test_a_few_calls_are_let_in_however_slow_it_is() -> None:
    """A slow machine goes on selling."""
    valve = Valve(100, PATIENCE)
    for _ in range(100):
        valve = turned(valve, most=100, in_flight=100, is_slow=True)
    assert valve.limit == LEAST_CALLS


def test_the_limit_never_exceeds_the_setting() -> None:
    """Where the setting is below what is always let in, the setting holds."""
    slow = turned(Valve(5, PATIENCE), most=5, in_flight=5, is_slow=True)
    quick = turned(slow, most=5, in_flight=0, is_slow=False)
    assert (slow.limit, quick.limit) == (5, 5)


def test_a_limit_that_is_not_felt_does_not_grow() -> None:
    """It would else be open again by the time that the next wave comes."""
    assert turned(Valve(500), most=MOST, in_flight=200, is_slow=False).limit == 500
    assert turned(Valve(500), most=MOST, in_flight=450, is_slow=False).limit > 500


def answering(*seconds: float | None) -> list[Callable[[], Any]]:
    """Make pings that take so long; None is refused at once."""

    async def ping(wait: float | None) -> bool:
        await asyncio.sleep(wait or 0)
        return wait is not None

    return [lambda wait=wait: ping(wait) for wait in seconds]  # type: ignore[misc]


async def test_the_slowest_ping_counts() -> None:
    """One endpoint that falls back is enough."""
    slowest = await pressure.slowest(answering(0.0, 0.2, 0.01))
    assert slowest is not None
    assert 0.2 <= slowest < 1.5


async def test_who_is_away_is_not_slow() -> None:
    """Where one does not answer, the limit stays as it is: calls wait for what restarts."""
    assert await pressure.slowest(answering(0.0, None)) is None
    watching = Pressure(MOST, lambda: 1000)
    watching._valve = Valve(500, PATIENCE)
    await watching.look(answering(0.0, None))
    assert watching._valve == Valve(500, PATIENCE)


async def test_at_rest_nothing_is_asked() -> None:
    """Few calls and an open door: no ping; many: all are asked."""
    asked: list[int] = []

    async def ping() -> bool:
        asked.append(1)
        return True

    in_flight = LEAST_CALLS
    watching = Pressure(MOST, lambda: in_flight)
    await watching.look([ping, ping])
    assert asked == []
    in_flight = LEAST_CALLS + 1
    await watching.look([ping, ping])
    assert asked == [1, 1]


@pytest.mark.parametrize(("slow_seconds", "limit"), [(0.05, 400), (1.0, MOST), (0.0, MOST)])
async def test_how_slow_is_slow_is_a_setting(slow_seconds: float, limit: int) -> None:
    """Pings of 0.1 s are slow from 0.05 s on, not from 1 s, and never where it is switched off."""
    watching = Pressure(MOST, lambda: 500, slow_seconds)
    for _ in range(PATIENCE):
        await watching.look(answering(0.1))
    assert watching.limit == limit


async def test_calls_beyond_a_narrowed_limit_are_shed_at_both_doors(tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo, 429 with Retry-After; and none once the limit is wide again."""
    guard = Guard(max_calls=MOST)
    async with opened(tmp_path, guard) as doors:
        doors.restate.ok("Buyer/hold", {"hold_id": "h1"})
        assert guard.pressure is not None
        guard.pressure._valve = Valve(0)
        status, body, headers = await hold_by_http(doors)
        assert (status, reason_of(body), headers["retry-after"]) == (429, "RATE_LIMITED", "1")
        refused = await hold_by_grpc(doors)
        assert refused is not None
        assert (refused.code(), retry_delay(refused)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
        guard.pressure._valve = Valve(MOST)
        assert (await hold_by_http(doors))[0] == 200
        assert await hold_by_grpc(doors) is None
