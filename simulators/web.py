"""How a simulator serves HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import hmac
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

Body = TypeVar("Body", bound=msgspec.Struct)

STOP_SECONDS = 3
"""How long requests in flight may go on after SIGTERM; longer than `card_slow` takes."""


class FieldError(Exception):
    """A request that says something impossible; answered with 400."""


def respond(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json")


async def read(request: web.Request, body_type: type[Body]) -> Body:
    """Read a JSON body; an empty one is `{}`. Raises FieldError."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=body_type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FieldError(str(error)) from error


@web.middleware
async def refuse_bad_fields(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn a FieldError into status 400 with its text."""
    try:
        return await handler(request)
    except FieldError as error:
        return respond({"error": "invalid_request", "message": str(error)}, 400)


def demand_token(token: str, path: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Make a middleware that answers 401 under a path to whoever has not the bearer token."""
    wanted = f"Bearer {token}".encode()

    @web.middleware
    async def refuse_strangers(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if request.path.startswith(path) and not hmac.compare_digest(given, wanted):
            return respond({"error": "unauthorized"}, 401)
        return await handler(request)

    return refuse_strangers


async def health(_request: web.Request) -> web.Response:
    """Answer that the process serves."""
    return respond({"status": "ok"})


async def serve_until_stopped(app: web.Application, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then let requests in flight end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        await stopping.wait()
    finally:
        await runner.cleanup()
