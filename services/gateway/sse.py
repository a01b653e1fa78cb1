"""Server streams over HTTP: server-sent events. Source: WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec
from google.protobuf.message import Message

from services.common.errors import NexusError
from services.gateway import metrics
from services.gateway.access import Access
from services.gateway.asgi import Request, Send, encode_headers
from services.gateway.body import print_json
from services.gateway.calls import Call, Gateway
from services.gateway.status import http_body, opaque

HEARTBEAT_SECONDS: Final = 15.0
RESUME_TOKEN: Final = "resume_token"  # noqa: S105 - the name of a field
"""Field of a request and of its answers by which a stream goes on; it is the event's id over HTTP."""

LAST_EVENT_ID: Final = "last-event-id"

_HEADERS: Final = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # Proxies of the nginx kind would otherwise hold events back.
    "x-accel-buffering": "no",
}


async def stream(
    gateway: Gateway, call: Call, request: Request, send: Send, headers: dict[str, str], access: Access
) -> None:
    """Answer with events until the stream ends, the client leaves or the gateway stops.

    A refusal before the first event is raised, so that it has a status of its own.
    """
    await request.drain()
    gone = asyncio.ensure_future(request.disconnected())
    out = _Out(send, {**_HEADERS, **headers})
    try:
        with metrics.STREAMS.labels("http").track_inprogress():
            async with contextlib.aclosing(_texts(gateway, call, gone)) as texts:
                async for text in texts:
                    await out.write(text)
    except NexusError as error:
        if not out.is_open:
            raise
        access.refused(error)
        if not gateway.stopping.is_set():
            await out.write(_error_event(error))
    else:
        if not gone.done():
            access.answered()
    finally:
        has_gone = gone.done()
        gone.cancel()
    if not has_gone:
        await out.end()


class _Out:
    """An answer that begins with its first event."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.is_open = False

    async def write(self, text: bytes) -> None:
        if not self.is_open:
            self.is_open = True
            await self._send({"type": "http.response.start", "status": 200, "headers": encode_headers(self._headers)})
        await self._send({"type": "http.response.body", "body": text, "more_body": True})

    async def end(self) -> None:
        await self.write(b"")
        await self._send({"type": "http.response.body", "body": b""})


async def _texts(gateway: Gateway, call: Call, gone: asyncio.Future[None]) -> AsyncGenerator[bytes, None]:
    """Yield events, and heartbeats where there are none, until the stream ends or the client has gone."""
    async with contextlib.aclosing(gateway.stream(call)) as messages:
        following = asyncio.ensure_future(_next(messages))
        try:
            while True:
                waited: set[asyncio.Future[Any]] = {following, gone}
                await asyncio.wait(waited, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                if not following.done():
                    yield b": heartbeat\n\n"
                    continue
                message = following.result()
                if message is None:
                    return
                yield await gateway.heavy.run(message.ByteSize(), functools.partial(_event, message))
                following = asyncio.ensure_future(_next(messages))
        finally:
            following.cancel()
            await asyncio.wait({following})


async def _next(messages: AsyncIterator[Message]) -> Message | None:
    return await anext(messages, None)


def _event(message: Message) -> bytes:
    token = getattr(message, RESUME_TOKEN, "")
    head = f"id: {token}\n".encode() if token else b""
    return head + b"data: " + print_json(message) + b"\n\n"


def _error_event(error: NexusError) -> bytes:
    return b"event: error\ndata: " + msgspec.json.encode(http_body(opaque(error))) + b"\n\n"
