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
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from services.gateway import metrics
from services.gateway.ratelimit import Limit, take

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_BUCKETS: Final = 200_000
"""Buckets that one process keeps, the last used; about 200 bytes each."""

STORE_SECONDS: Final = 0.5
"""How long an answer of the store is waited for."""

PAUSE_SECONDS: Final = 5.0
"""How long a store that was away is not asked."""

MAX_BATCH: Final = 256
"""Calls that are asked for at once."""

PREFIX: Final = "nexus:rate:"

log = structlog.get_logger(__name__)

Wanted = Sequence[tuple[str, Limit]]
"""Buckets by name, each with its limit; a token is taken of all of them or of none."""

_Question = tuple[Wanted, "asyncio.Future[tuple[int, float] | None]"]


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
    """Buckets of all gateways in one store; of this process alone while the store does not answer.

    Calls that come while the store is being asked are asked for together, over one connection.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the store's address, as in `redis://:password@host:6379/0` (or `rediss://`). Raises ValueError."""
        # Here, where a store is wanted: it brings all of OpenTelemetry with it.
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._failures = (RedisError, OSError, TimeoutError, TypeError, ValueError)
        self._store: Redis = Redis.from_url(
            url,
            socket_timeout=STORE_SECONDS,
            socket_connect_timeout=STORE_SECONDS,
            # A call does not wait for a second attempt: there is a way without the store.
            retry=Retry(NoBackoff(), 0),
        )
        self._local = LocalBuckets(clock=clock)
        self._clock = clock
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._is_away = False
        self._ask_at = float("-inf")

    async def take(self, wanted: Wanted) -> tuple[int, float]:
        """See Buckets. Never raises because of the store."""
        if self._clock() < self._ask_at:
            return self._local.take_now(wanted)
        if self._is_away:
            # One call looks whether it is back; the others do not wait for that.
            self._ask_at = self._clock() + PAUSE_SECONDS
        answer: asyncio.Future[tuple[int, float] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await answer or self._local.take_now(wanted)

    async def close(self) -> None:
        """See Buckets."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        await self._store.aclose()

    async def _ask_all(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            found: Sequence[tuple[int, float] | None] = []
            try:
                async with asyncio.timeout(STORE_SECONDS):
                    found = await self._ask([wanted for wanted, _ in asked])
                self._found()
            except self._failures as error:
                self._lost(error)
                # An answer that comes late is not to be taken for that of the next question.
                await self._store.connection_pool.disconnect()
            finally:
                if not found:
                    # Those that came meanwhile do not wait for the same store once more; nobody waits for ever.
                    asked, self._waiting = [*asked, *self._waiting], []
                    found = [None] * len(asked)
                for (_, answer), result in zip(asked, found, strict=True):
                    if not answer.done():
                        answer.set_result(result)

    async def _ask(self, questions: Sequence[Wanted]) -> list[tuple[int, float]]:
        async with self._store.pipeline(transaction=False) as pipe:
            for wanted in questions:
                numbers = [text for _, limit in wanted for text in (f"{limit.interval:.9f}", str(limit.burst))]
                # The text and not its hash: a store that was restarted knows none.
                pipe.eval(_SCRIPT, len(wanted), *(PREFIX + name for name, _ in wanted), *numbers)
            return [(int(index), float(wait)) for index, wait in await pipe.execute()]

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
