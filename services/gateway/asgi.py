"""The little of ASGI that the HTTP door needs: a request read within bounds, an answer, a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from services.common.errors import InvalidRequestError, NexusError
from services.gateway.status import http_body, retry_after
from services.gateway.validate import words_for_size

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS: Final = 10.0
"""Longest that a body may take to arrive."""

MAX_DRAINED_BYTES: Final = 16 * 1024 * 1024
"""How much of a refused body is still read, so that its client comes to see the refusal."""

JSON_TYPE: Final = "application/json"


class HttpRefusal(Exception):  # noqa: N818 - a refusal in the words of HTTP
    """A refusal with a status or headers of its own."""

    def __init__(self, status: int, error: NexusError, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})


class Disconnected(Exception):  # noqa: N818 - no error: the client went away
    """The client is gone; there is nobody to answer."""


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, send: Send, *, is_head: bool) -> None:
        """Send it; to HEAD the headers only."""
        headers = {"content-type": self.content_type, "x-content-type-options": "nosniff", **self.headers}
        if self.status == HTTPStatus.NOT_MODIFIED:
            del headers["content-type"]
        else:
            headers["content-length"] = str(len(self.body))
        await send({"type": "http.response.start", "status": self.status, "headers": encode_headers(headers)})
        await send({"type": "http.response.body", "body": b"" if is_head else self.body})


def refusal_answer(error: NexusError, status: int | None = None, headers: dict[str, str] | None = None) -> Answer:
    """Give the answer that a refusal is."""
    code = error.http_status if status is None else status
    extra = {**(headers or {}), **retry_after(error)}
    if code == HTTPStatus.UNAUTHORIZED:
        extra["www-authenticate"] = "Bearer"
    return Answer(code, msgspec.json.encode(http_body(error, code)), headers={"cache-control": "no-store", **extra})


def encode_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Give headers as ASGI has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class Request:
    """A request whose body is read on demand."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path = bytes(scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self.query: bytes = scope["query_string"]
        self.peer: str = (scope.get("client") or ("",))[0]
        self.receive = receive
        self.headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        self._has_more = True
        self.waiting = 0
        """Bytes of its large answer, as the outbox counts them."""

    @property
    def is_head(self) -> bool:
        """Whether only the headers of GET are asked for."""
        return self.method == "HEAD"

    def header(self, name: str) -> str:
        """Give a header's first value, empty where it is not there."""
        return self.headers.get(name, [""])[0]

    def check_framing(self) -> None:
        """Refuse, and close the connection, where two readers may disagree on where the request ends.

        Source: RFC 9112, section 6.3.
        """
        if "transfer-encoding" in self.headers and "content-length" in self.headers:
            error = InvalidRequestError({"content-length": "must not be given with transfer-encoding"})
            raise HttpRefusal(400, error, {"connection": "close"})

    async def body(self, max_bytes: int) -> bytes:
        """Read the body. Raises HttpRefusal: 400, 408, 413, 415; Disconnected."""
        self._check_headers()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while self._has_more:
                    chunk = await self._chunk()
                    size += len(chunk)
                    if size > MAX_DRAINED_BYTES:
                        break
                    if size > max_bytes:
                        chunks.clear()
                    else:
                        chunks.append(chunk)
        except TimeoutError as error:
            self._has_more = False
            late = InvalidRequestError({"body": f"must arrive within {BODY_SECONDS:.0f} s"})
            raise HttpRefusal(408, late, {"connection": "close"}) from error
        if size > max_bytes:
            raise HttpRefusal(413, InvalidRequestError(words_for_size(max_bytes)))
        content = b"".join(chunks)
        if content and self.header("content-type").partition(";")[0].strip().lower() != JSON_TYPE:
            raise HttpRefusal(415, InvalidRequestError({"content-type": f"must be {JSON_TYPE}"}))
        return content

    async def drain(self) -> None:
        """Read what is left of the body without keeping it."""
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while self._has_more and size <= MAX_DRAINED_BYTES:
                    size += len(await self._chunk())
        except TimeoutError:
            self._has_more = False

    async def disconnected(self) -> None:
        """Return when the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _chunk(self) -> bytes:
        event = await self.receive()
        if event["type"] == "http.disconnect":
            raise Disconnected
        self._has_more = event.get("more_body", False)
        chunk: bytes = event.get("body", b"")
        return chunk

    def _check_headers(self) -> None:
        if self.header("content-encoding").lower() not in {"", "identity"}:
            raise HttpRefusal(415, InvalidRequestError({"content-encoding": "must not be given"}))
        charset = self.header("content-type").lower().partition("charset=")[2].strip("\"' ")
        if charset not in {"", "utf-8", "utf8"}:
            raise HttpRefusal(415, InvalidRequestError({"content-type": "must be UTF-8"}))
