"""How many calls a process lets in while what is behind it falls back: fewer, until a small question is quick again.

A queue that only grows serves nobody: everybody waits until the client gives up. How long calls take does not tell
whether there is one, because a payment may take seconds on an idle machine. What tells is how long handlers take that
do nothing: their `ping`, through Restate and the endpoints that sell. A short burst is let through and worked off.
Where nothing is in a hurry, nothing is asked.

Source: the idea of a standing queue and of patience with bursts is RFC 8289 (CoDel), section 3; fewer by a factor and
more by a step is RFC 5681, section 3.1.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.gateway import metrics

LOOK_SECONDS: Final = 0.5
CALM_LOOK_SECONDS: Final = 1.0
"""Between two looks: while fewer calls are let in than could be, and while all are."""

SLOW_SECONDS: Final = 0.25
"""A ping that takes longer has waited in line; a sale takes seven to twelve times as long (bench/visits.py)."""

PATIENCE: Final = 3
"""So many looks on end must find it slow before anything is refused: a burst is none, nor an endpoint that restarts."""

LEAST_CALLS: Final = 16
"""Let in however slow it is: enough to keep two cores busy, and what a slow machine gets done in seconds."""

FEWER: Final = 0.8
MORE: Final = 1.1
MORE_CALLS: Final = 4
Ping = Callable[[], Awaitable[bool]]
"""Calls a handler that does nothing; tells whether it answered."""

Pings = Sequence[Ping]


@dataclass(frozen=True, slots=True)
class Valve:
    """How far the door is open. `limit`: calls at once; `slow`: looks on end that found pings slow."""

    limit: int
    slow: int = 0


def turned(valve: Valve, *, most: int, in_flight: int, is_slow: bool) -> Valve:
    """Give the valve after a look. `most`: the limit where all is well."""
    if not is_slow:
        # Further only where the limit is felt, or nothing is left to be felt: else it would open unnoticed.
        is_felt = in_flight >= valve.limit * FEWER or in_flight <= LEAST_CALLS
        return Valve(min(most, int(valve.limit * MORE) + MORE_CALLS) if is_felt else valve.limit)
    slow = valve.slow + 1
    if valve.limit >= most and slow < PATIENCE:
        return Valve(valve.limit, slow)
    # From what is there, not from a limit that nobody was near; who was let in stays.
    fewer = int(min(valve.limit, in_flight) * FEWER)
    return Valve(min(most, max(LEAST_CALLS, fewer)), slow)


class Pressure:
    """Watches what is behind the gateway, and says how many calls may be in it."""

    def __init__(self, most: int, in_flight: Callable[[], int], slow_seconds: float = SLOW_SECONDS) -> None:
        """Begin fully open. `most`: calls at once where all is well; `in_flight`: tells how many there are now.

        `slow_seconds`: a ping that takes longer is slow; 0 lets none be.
        """
        self._most = most
        self._slow_seconds = slow_seconds
        self._in_flight = in_flight
        self._valve = Valve(most)

    @property
    def limit(self) -> int:
        """How many calls may be in the gateway now."""
        return self._valve.limit

    async def look(self, pings: Pings) -> None:
        """Open or close the valve a little, by how long the slowest ping takes. Where all is well nothing is asked."""
        seconds = 0.0 if self._is_at_rest() else await slowest(pings)
        if seconds is not None:
            is_slow = seconds > self._slow_seconds
            self._valve = turned(self._valve, most=self._most, in_flight=self._in_flight(), is_slow=is_slow)
        metrics.CALLS_LIMIT.set(self._valve.limit)

    def _is_at_rest(self) -> bool:
        return not self._slow_seconds or (self._in_flight() <= LEAST_CALLS and self._is_open())

    def _is_open(self) -> bool:
        return self._valve.limit >= self._most

    async def follow(self, pings: Pings) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look(pings)
            await asyncio.sleep(CALM_LOOK_SECONDS if self._is_open() else LOOK_SECONDS)


async def slowest(pings: Pings) -> float | None:
    """Ask all at once; give the time of the slowest answer, None where one does not answer at all.

    What is away is not slow: the calls themselves wait for it (waiting.py), and refusing others would not help.
    """

    async def ask(ping: Ping) -> float | None:
        begun = time.monotonic()
        is_there = await ping()
        return time.monotonic() - begun if is_there else None

    found = await asyncio.gather(*(ask(ping) for ping in pings))
    known = [seconds for seconds in found if seconds is not None]
    return max(known) if known and len(known) == len(found) else None
