"""What the HTTP door shows beside the RPCs: liveness, readiness, the contract and a page to try it."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from services.common.errors import InvalidRequestError
from services.gateway import metrics
from services.gateway.asgi import Answer, Request, refusal_answer
from services.gateway.calls import Gateway
from services.gateway.routes import Route

READY_SECONDS: Final = 5.0
"""How long what was found out about readiness holds."""

PING_KEY: Final = "ping"
UNKEYED: Final = ("Mailer",)
"""Services without objects that no RPC reaches but that must be there."""

SELLING: Final = ("Checkout", "Ticket")
"""A service of each endpoint that a sale waits for; the map's is none."""

PATIENT_PING_SECONDS: Final = 5.0
"""An endpoint that is only busy answers within that."""

_DOCS: Final = Path(__file__).with_name("docs.html")
# The page is one file of ours with its script and style in it, and speaks to this gateway only.
_DOCS_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Readiness:
    """Tells whether this gateway can serve; asks Restate and every service that the routes name, every five seconds.

    A Restate that restarts is waited for by the calls themselves. So a gateway that was ready stays so while
    what it needs has been away for no longer than they wait: all gateways would leave the balancer at once, and
    calls that would have been answered a little later would find nobody. One that never reached everything is not
    ready.
    """

    def __init__(
        self, gateway: Gateway, routes: Mapping[str, Route], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gateway = gateway
        self._services = {route.service: PING_KEY for route in routes.values()} | dict.fromkeys(UNKEYED)
        self._clock = clock
        self._asked_at = float("-inf")
        self._ready_at: float | None = None
        self._missing: list[str] = []
        self._one_at_a_time = asyncio.Lock()

    async def missing(self) -> list[str]:
        """Give the names of what keeps the gateway from being ready; `gateway` where it is stopping."""
        found = ["gateway"] if self._gateway.stopping.is_set() else await self._looked()
        metrics.READY.set(0 if found else 1)
        return found

    async def _looked(self) -> list[str]:
        async with self._one_at_a_time:
            if self._clock() - self._asked_at > READY_SECONDS:
                self._missing = await self._ask()
                self._asked_at = self._clock()
                if not self._missing:
                    self._ready_at = self._asked_at
        away_seconds = None if self._ready_at is None else self._clock() - self._ready_at
        return self._missing if counts(away_seconds, self._gateway.ingress.wait_seconds) else []

    def pings(self) -> list[Callable[[], Awaitable[bool]]]:
        """Give what asks each endpoint on the way of a sale for nothing: how late it answers tells how busy it is."""
        ping = self._gateway.ingress.ping
        return [
            functools.partial(ping, service, key, PATIENT_PING_SECONDS)
            for service, key in self._services.items()
            if service in SELLING
        ]

    async def _ask(self) -> list[str]:
        ingress = self._gateway.ingress
        if not await ingress.is_healthy():
            return ["restate"]
        services = sorted(self._services.items())
        answers = await asyncio.gather(*(ingress.ping(service, key) for service, key in services))
        return [service for (service, _), is_there in zip(services, answers, strict=True) if not is_there]


def counts(away_seconds: float | None, wait_seconds: float) -> bool:
    """Tell whether what is missing makes a gateway not ready. `away_seconds`: since nothing was, None for never."""
    # Looks are some seconds apart: without them an outage would seem longer than it is.
    return away_seconds is None or wait_seconds <= 0 or away_seconds > wait_seconds + READY_SECONDS


async def readiness_answer(readiness: Readiness) -> Answer:
    """Give the answer of /readyz."""
    missing = await readiness.missing()
    return _json(503 if missing else 200, {"status": "not ready" if missing else "ok", "missing": missing})


def liveness_answer() -> Answer:
    """Give the answer of /livez."""
    return _json(200, {"status": "ok"})


class Pages:
    """Answers the paths that are no RPC's."""

    def __init__(self, readiness: Readiness, document: Mapping[str, Any]) -> None:
        """Take the OpenAPI document as it is to be shown."""
        self._readiness = readiness
        self._document = msgspec.json.encode(document)
        self._docs = _DOCS.read_bytes() if _DOCS.exists() else b""

    async def find(self, request: Request) -> Answer | None:
        """Give the page of this path, None where it is none of ours."""
        if request.path not in {"/", "/livez", "/readyz", "/openapi.json", "/docs"}:
            return None
        if request.method not in {"GET", "HEAD"}:
            allowed = "GET, HEAD"
            return refusal_answer(InvalidRequestError({"method": f"must be {allowed}"}), 405, {"allow": allowed})
        if request.path == "/readyz":
            return await readiness_answer(self._readiness)
        return self._fixed(request.path)

    def _fixed(self, path: str) -> Answer:
        if path == "/":
            return Answer(307, headers={"location": "/docs"})
        if path == "/livez":
            return liveness_answer()
        if path == "/openapi.json":
            return Answer(200, self._document, headers={"cache-control": "no-cache"})
        headers = {"content-security-policy": _DOCS_POLICY, "cache-control": "no-cache"}
        return Answer(200, self._docs, "text/html; charset=utf-8", headers)


def _json(status: int, content: Mapping[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(content), headers={"cache-control": "no-store"})
