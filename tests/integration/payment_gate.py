"""A gate between Checkout and the payment simulator, which a test shuts for one call of one payment.

All money is still decided by the simulator and told by its ledger. The gate only delays requests, loses
their answers, or stands for a provider that is away: for each payment by itself, so that tests run side
by side, and at an exact moment, so that no test has to guess one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

Forward = Callable[[], Awaitable[web.Response]]
Rule = Callable[[Forward], Awaitable[web.Response | None]]
"""What happens to a request: forwards it or not, and gives the answer; None resets the connection."""


class Halt:
    """Holds requests until the test lets them go; with `is_done_first` the provider acts before the halt."""

    def __init__(self, *, is_done_first: bool = False) -> None:
        self._is_done_first = is_done_first
        self._arrived = asyncio.Event()
        self._open = asyncio.Event()

    async def __call__(self, forward: Forward) -> web.Response:
        answer = await forward() if self._is_done_first else None
        self._arrived.set()
        await self._open.wait()
        return answer or await forward()

    async def arrived(self, seconds: float = 30) -> None:
        """Wait until a request stands before the gate."""
        async with asyncio.timeout(seconds):
            await self._arrived.wait()

    def open(self) -> None:
        """Let every request pass, those that come later as well."""
        self._open.set()


class Late:
    """Answers 504 at once; the requests reach the provider when the test delivers them."""

    def __init__(self) -> None:
        self._kept: list[Forward] = []

    async def __call__(self, forward: Forward) -> web.Response:
        self._kept.append(forward)
        return web.json_response({"error": "late"}, status=504)

    async def deliver(self) -> list[int]:
        """Let the requests arrive; give the statuses that the provider answered."""
        return [(await forward()).status for forward in self._kept]


class Away:
    """A provider that is not there, until the test says that it is back."""

    def __init__(self) -> None:
        self.is_back = False

    async def __call__(self, forward: Forward) -> web.Response:
        return await forward() if self.is_back else web.json_response({"error": "unavailable"}, status=503)


class Busy:
    """A provider that wants the first request to come again later, and takes the next."""

    def __init__(self, *, retry_after_seconds: int) -> None:
        self._headers = {"Retry-After": str(retry_after_seconds)}
        self.asked_at: list[float] = []

    async def __call__(self, forward: Forward) -> web.Response:
        self.asked_at.append(time.monotonic())
        if len(self.asked_at) > 1:
            return await forward()
        return web.json_response({"error": "busy"}, status=429, headers=self._headers)


async def lost(forward: Forward) -> None:
    """The provider acts, the answer is lost."""
    await forward()


class Says:
    """The provider acts, and the answer says something else."""

    def __init__(self, status: int, error: str) -> None:
        self._status, self._error = status, error

    async def __call__(self, forward: Forward) -> web.Response:
        await forward()
        return web.json_response({"error": self._error}, status=self._status)


class Gate:
    """Serves in the test's own loop; passes on what no rule concerns."""

    def __init__(self) -> None:
        self.url = ""
        self.provider_url = ""
        self.in_flight = 0
        self._rules: dict[tuple[str, str], Rule] = {}
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        """Stop listening."""
        if self._session is not None and self._runner is not None:
            await self._session.close()
            await self._runner.cleanup()

    def put(self, payment_key: str, call: str, rule: Rule) -> None:
        """Let a rule decide over each such call (authorize, capture, void, refund) of a payment."""
        self._rules[payment_key, call] = rule

    async def _pass(self, request: web.Request) -> web.Response:
        content, session = await request.read(), self._session
        assert session is not None

        async def forward() -> web.Response:
            headers = {name: request.headers[name] for name in ("Idempotency-Key", "Content-Type")}
            url = self.provider_url + request.path_qs
            async with session.request(request.method, url, data=content, headers=headers) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)

        payment_key, _, call = request.path.removeprefix("/v1/payments/").partition("/")
        rule = self._rules.get((payment_key, call))
        self.in_flight += 1
        try:
            answered = await rule(forward) if rule is not None else await forward()
        finally:
            self.in_flight -= 1
        if answered is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answered
