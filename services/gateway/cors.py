"""Which web pages of other origins a browser lets use the HTTP door. Off where no origin is set.

Source: WHATWG Fetch, "CORS protocol". It protects nobody from anything but a browser: who may do what
is decided by sign-in, here as everywhere.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.gateway import metrics
from services.gateway.asgi import App, Event, Receive, Scope, Send, encode_headers
from services.gateway.routes import Route

ANY: Final = "*"
MAX_AGE_SECONDS: Final = 600
"""How long a browser need not ask again. Chromium keeps it for two hours at most, others for less."""

REQUEST_HEADERS: Final = (
    "authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id", "traceparent", "x-api-key",
)  # fmt: skip
"""What a page may send. Not x-nexus-subject: a laptop that believes names must not believe every page's."""

ANSWER_HEADERS: Final = ("allow", "etag", "retry-after", "www-authenticate")
"""What a page may read, beside the headers with made ids, which the routes name."""

ORIGIN_WORDS: Final = "origins as in https://shop.example.org (scheme, host and port, no path), or * alone"

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


def is_origin_list(origins: Iterable[str]) -> bool:
    """Tell whether these are origins as browsers write them, or `*` alone."""
    listed = list(origins)
    return listed == [ANY] or all(_ORIGIN.fullmatch(origin) for origin in listed)


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Who may call from a browser, and with what. `origins`: exact ones, or `*` alone."""

    origins: frozenset[str]
    methods: str
    exposed: str

    @classmethod
    def of(cls, origins: Iterable[str], routes: Iterable[Route]) -> CorsPolicy:
        """Make the policy for these routes."""
        known = list(routes)
        made = {route.made_id_header for route in known if route.made_id_header}
        methods = {route.http_method for route in known} | {"GET", "HEAD"}
        return cls(frozenset(origins), ", ".join(sorted(methods)), ", ".join(sorted({*ANSWER_HEADERS, *made})))

    def for_answer(self, origin: str) -> dict[str, str]:
        """Give the headers of an answer to a page of this origin; `origin` is empty where none was named."""
        if ANY in self.origins:
            # Without credentials: what a browser sends by itself, such as a client certificate, is not for everybody.
            return {"access-control-allow-origin": ANY, "access-control-expose-headers": self.exposed}
        # Said also where the origin is not allowed: a cache must not give its answer to another one.
        headers = {"vary": "origin"}
        if origin in self.origins:
            headers["access-control-allow-origin"] = origin
            headers["access-control-allow-credentials"] = "true"
            headers["access-control-expose-headers"] = self.exposed
        return headers

    def for_preflight(self, origin: str) -> dict[str, str]:
        """Give the headers of the answer to a browser that asks before it sends."""
        headers = self.for_answer(origin)
        headers.pop("access-control-expose-headers", None)
        if "access-control-allow-origin" in headers:
            headers["access-control-allow-methods"] = self.methods
            headers["access-control-allow-headers"] = ", ".join(REQUEST_HEADERS)
            headers["access-control-max-age"] = str(MAX_AGE_SECONDS)
        return headers


class CorsDoor:
    """An ASGI application that says of each answer of another who may read it."""

    def __init__(self, app: App, policy: CorsPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, and let anything else through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = _header(scope, b"origin")
        if scope["method"] == "OPTIONS" and origin and _header(scope, b"access-control-request-method"):
            await self._preflight(origin, send)
            return
        added = self._policy.for_answer(origin)

        async def send_with(event: Event) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": _joined(list(event["headers"]), added)}
            await send(event)

        await self._app(scope, receive, send_with)

    async def _preflight(self, origin: str, send: Send) -> None:
        begun = time.perf_counter()
        headers = encode_headers(self._policy.for_preflight(origin))
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        metrics.http("OPTIONS", "preflight", 204, time.perf_counter() - begun)


def _header(scope: Scope, name: bytes) -> str:
    """Give a header's value, empty where it is missing or given more than once."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _joined(headers: list[tuple[bytes, bytes]], added: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Add headers; an answer's own `vary` goes on counting."""
    varies = [value for name, value in headers if name.lower() == b"vary"]
    if varies and "vary" in added:
        headers = [(name, value) for name, value in headers if name.lower() != b"vary"]
        added = {**added, "vary": ", ".join([*(value.decode("latin-1") for value in varies), added["vary"]])}
    return [*headers, *encode_headers(added)]
