"""Where buckets are kept: in this process, or in a store that all gateways share (valkey, or redis).

The shared store decides with its own clock in one script, so that gateways need not agree on the time and
two calls never take the same token. While it is away each gateway counts for itself: no call is refused, and
none waits long, because of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.gateway import metrics
from services.gateway.ratelimit import Limit, take

MAX_BUCKETS: Final = 200_000
"""Buckets that one process keeps, the last used; about 200 bytes each."""

STORE_SECONDS: Final = 0.25
"""How long a call waits for the store."""

PAUSE_SECONDS: Final = 5.0
"""How long a store that was away is not asked."""

MAX_CONNECTIONS: Final = 32
PREFIX: Final = "nexus:rate:"

log = structlog.get_logger(__name__)

Wanted = Sequence[tuple[str, Limit]]
"""Buckets by name, each with its limit; a token is taken of all of them or of none."""


class Buckets(Protocol):
    """Takes tokens."""

    async def take(self, wanted: Wanted) -> tuple[int, float]:
        """Take one token of each bucket; gives 0 seconds, or which bucket (by index) is empty and for how long."""

    async def close(self) -> None:
        """Let go of connections."""


class LocalBuckets:
    """Buckets of this process alone; the least recently used are forgotten, which can only let more through."""

    def __init__(self, max_buckets: int = MAX_BUCKETS, clock: Callable[[], float] = time.monotonic) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._max_buckets = max_buckets
        self._clock = clock

    def __len__(self) -> int:
        return len(self._full_at)

    async def take(self, wanted: Wanted) -> tuple[int, float]:
        """See Buckets."""
        return self.take_now(wanted)

    def take_now(self, wanted: Wanted) -> tuple[int, float]:
        """Take without waiting for anything."""
        now = self._clock()
        taken = [take(self._full_at.get(name, now), now, limit) for name, limit in wanted]
        longest = max(range(len(taken)), key=lambda index: taken[index][1], default=0)
        if taken and taken[longest][1] > 0:
            return longest, taken[longest][1]
        for (name, _), (full_at, _) in zip(wanted, taken, strict=True):
            self._full_at[name] = full_at
            self._full_at.move_to_end(name)
        while len(self._full_at) > self._max_buckets:
            self._full_at.popitem(last=False)
        return 0, 0.0

    async def close(self) -> None:
        """See Buckets; there is nothing to let go of."""


# The same as `take`, for several buckets at once: look at all, then write all or none. Numbers go as text, because
# Lua's integers would cut what is behind the point.
_SCRIPT: Final = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local full, worst, wait = {}, 0, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local begin = math.max(tonumber(redis.call('GET', key) or now), now)
  local left = begin + interval - burst * interval - now
  if left > 0.000001 and left > wait then worst, wait = i - 1, left end
  full[i] = begin + interval
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.6f', full[i]), 'PX', math.ceil((full[i] - now) * 1000) + 1)
  end
end
return {worst, string.format('%.6f', wait)}
"""


class SharedBuckets:
    """Buckets of all gateways in one store; of this process alone while the store does not answer."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the store's address, as in `redis://:password@host:6379/0` (or `rediss://`). Raises ValueError."""
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=STORE_SECONDS,
            socket_timeout=STORE_SECONDS,
            socket_connect_timeout=STORE_SECONDS,
            # A call does not wait for a second attempt: there is a way without the store.
            retry=Retry(NoBackoff(), 0),
        )
        self._store: Redis = Redis(connection_pool=pool)
        self._pool = pool
        self._script = self._store.register_script(_SCRIPT)
        self._local = LocalBuckets(clock=clock)
        self._clock = clock
        self._is_away = False
        self._ask_at = float("-inf")

    async def take(self, wanted: Wanted) -> tuple[int, float]:
        """See Buckets. Never raises because of the store."""
        if self._clock() < self._ask_at:
            return self._local.take_now(wanted)
        if self._is_away:
            # One call looks whether it is back; the others do not wait for that.
            self._ask_at = self._clock() + PAUSE_SECONDS
        numbers = [text for _, limit in wanted for text in (f"{limit.interval:.9f}", str(limit.burst))]
        try:
            async with asyncio.timeout(STORE_SECONDS):
                index, wait = await self._script([PREFIX + name for name, _ in wanted], numbers)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return self._local.take_now(wanted)
        self._found()
        return int(index), float(wait)

    async def close(self) -> None:
        """See Buckets."""
        await self._store.aclose()
        await self._pool.aclose()

    def _lost(self, error: Exception) -> None:
        metrics.RATE_LIMIT_STORE_AWAY.set(1)
        self._ask_at = self._clock() + PAUSE_SECONDS
        if not self._is_away:
            self._is_away = True
            # Its name only: a text of the library may hold the address, and with it a password.
            log.warning("the rate limit store is away: each gateway counts for itself", error=type(error).__name__)

    def _found(self) -> None:
        if self._is_away:
            self._is_away = False
            self._ask_at = float("-inf")
            metrics.RATE_LIMIT_STORE_AWAY.set(0)
            log.info("the rate limit store is back")
