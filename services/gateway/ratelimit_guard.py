"""The gate before both doors: how many calls are in one process, and how much a caller and an address ask for.

No call is begun beyond what the process can carry; which it is, is decided before its body is read. What has been
let in leaves again, however it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from services.common.errors import RateLimitedError, UnauthenticatedError
from services.common.messages import Caller
from services.gateway import metrics
from services.gateway.auth import Authenticator, Credentials
from services.gateway.pressure import SLOW_SECONDS, Pressure
from services.gateway.ratelimit import (
    WATCHES,
    Limit,
    Limits,
    Network,
    Proxies,
    bucket_address,
    call_class,
    contains,
)
from services.gateway.ratelimit_store import Buckets, LocalBuckets
from services.gateway.routes import Route

SHED_SECONDS: Final = 1.0
"""After which a call that found the process full may be repeated."""

WATCH_SECONDS: Final = 30.0
"""After which one who has too many streams open may try again."""

CALLER: Final = "caller"
ADDRESS: Final = "address"
IN_FLIGHT: Final = "in_flight"


class Guard:
    """Lets calls in. One per process, used by both doors."""

    def __init__(
        self,
        *,
        buckets: Buckets | None = None,
        caller: Limits | None = None,
        address: Limits | None = None,
        exempt: tuple[Network, ...] = (),
        proxies: Proxies | None = None,
        max_calls: int | None = None,
        max_watches: int | None = None,
        max_ping_seconds: float = SLOW_SECONDS,
    ) -> None:
        """Take limits; None is no limit. `exempt`: addresses without limits of their own; callers keep theirs."""
        self._buckets = LocalBuckets() if buckets is None else buckets
        self._caller = caller or Limits({})
        self._address = address or Limits({})
        self._exempt = exempt
        self._proxies = proxies or Proxies()
        self._max_watches = max_watches
        self._open = {False: 0, True: 0}
        self.pressure = None if max_calls is None else Pressure(max_calls, lambda: self._open[False], max_ping_seconds)
        self._watches: Counter[str] = Counter()

    @contextmanager
    def enter(self, route: Route, peer: str, forwarded: Iterable[str]) -> Iterator[Visit]:
        """Let a call in while the process has room. `peer`: address of the connection. Raises RateLimitedError."""
        is_watch, most = route.is_stream, self._room(is_watch=route.is_stream)
        if most is not None and self._open[is_watch] >= most:
            metrics.refused(IN_FLIGHT, WATCHES if is_watch else call_class(route).value)
            raise RateLimitedError("the gateway is full: repeat later", retry_seconds=SHED_SECONDS)
        self._open[is_watch] += 1
        gauge = metrics.CALLS_IN_FLIGHT.labels("stream" if is_watch else "unary")
        gauge.inc()
        client = self._proxies.client(peer, forwarded)
        visit = Visit(self, route, "" if contains(self._exempt, client) else bucket_address(client))
        try:
            yield visit
        finally:
            self._open[is_watch] -= 1
            gauge.dec()
            visit.leave()

    def _room(self, *, is_watch: bool) -> int | None:
        if is_watch:
            return self._max_watches
        return None if self.pressure is None else self.pressure.limit

    async def take(self, route: Route, address: str, subject: str) -> None:
        """Take a token of the address's and one of the caller's bucket, or none. Raises RateLimitedError."""
        kind = call_class(route)
        wanted: list[tuple[str, Limit]] = []
        scopes: list[str] = []
        for scope, name, limits in ((ADDRESS, address, self._address), (CALLER, subject, self._caller)):
            limit = limits.rates.get(kind)
            if name and limit is not None:
                wanted.append((f"{scope}:{kind.value}:{name}", limit))
                scopes.append(scope)
        if not wanted:
            return
        index, wait = await self._buckets.take(wanted)
        if wait > 0:
            metrics.refused(scopes[index], kind.value)
            raise RateLimitedError(f"too many {kind.value} by this {scopes[index]}", retry_seconds=wait)

    def watch(self, address: str, subject: str) -> list[str]:
        """Count an open stream, and give the names under which it is counted. Raises RateLimitedError."""
        counted = [
            (f"{scope}:{name}", scope, limits.watches)
            for scope, name, limits in ((ADDRESS, address, self._address), (CALLER, subject, self._caller))
            if name and limits.watches is not None
        ]
        for key, scope, most in counted:
            if most is not None and self._watches[key] >= most:
                metrics.refused(scope, WATCHES)
                raise RateLimitedError(f"too many streams open by this {scope}", retry_seconds=WATCH_SECONDS)
        keys = [key for key, _, _ in counted]
        self._watches.update(keys)
        return keys

    def unwatch(self, keys: Iterable[str]) -> None:
        """Take a stream that has ended out of the count; nothing is kept of who has none."""
        for key in keys:
            self._watches[key] -= 1
            if not self._watches[key]:
                del self._watches[key]

    async def close(self) -> None:
        """Let go of the store."""
        await self._buckets.close()


class Visit:
    """A call that was let in, and whose caller is to be found out."""

    __slots__ = ("_address", "_guard", "_route", "_watches")

    def __init__(self, guard: Guard, route: Route, address: str) -> None:
        self._guard = guard
        self._route = route
        self._address = address
        self._watches: list[str] = []

    async def caller(self, authenticator: Authenticator, credentials: Credentials) -> Caller:
        """Tell who calls, if they may call now.

        Raises what sign-in raises, which counts for the address alone, and RateLimitedError.
        """
        try:
            caller = await authenticator.caller(credentials)
        except UnauthenticatedError:
            await self._guard.take(self._route, self._address, "")
            raise
        await self._guard.take(self._route, self._address, caller.subject)
        if self._route.is_stream:
            self._watches = self._guard.watch(self._address, caller.subject)
        return caller

    def leave(self) -> None:
        """Give back what the call counted for as long as it was open."""
        self._guard.unwatch(self._watches)
        self._watches = []
