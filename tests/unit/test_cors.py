"""What browsers are told: raw requests to the HTTP door with CORS, and without it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from services.gateway.asgi import App, Receive, Scope, Send
from services.gateway.cors import CorsDoor, CorsPolicy, is_origin_list
from services.gateway.routes import load_routes
from tests.unit.test_doors import Doors, doors  # noqa: F401  a fixture

SHOP = "https://shop.example.org"
OTHER = "https://evil.example.org"
PATH = "/v1/events/gala/tickets/A-1-1"


def policy(*origins: str) -> CorsPolicy:
    return CorsPolicy.of(origins, load_routes().values())


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([], True),
        (["*"], True),
        ([SHOP, "http://localhost:3000", "http://[::1]:8080"], True),
        (["*", SHOP], False),
        ([SHOP + "/"], False),
        (["https://*.example.org"], False),
        (["HTTPS://shop.example.org"], False),
        (["null"], False),
        (["shop.example.org"], False),
    ],
)
def test_origins_are_exact(origins: list[str], expected: bool) -> None:
    """Scheme, host and port as browsers write them, or `*` alone."""
    assert is_origin_list(origins) is expected


def test_credentials_never_go_with_any_origin() -> None:
    """With `*` a page may not use what the browser adds by itself; with exact origins it may."""
    for headers in (policy("*").for_answer(OTHER), policy("*").for_preflight(OTHER)):
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers
    assert policy(SHOP).for_answer(SHOP)["access-control-allow-credentials"] == "true"


def test_another_origin_is_told_nothing() -> None:
    """No header allows it, and caches keep the answers apart."""
    for headers in (policy(SHOP).for_answer(OTHER), policy(SHOP).for_preflight(OTHER), policy(SHOP).for_answer("")):
        assert headers == {"vary": "origin"}


def test_made_ids_may_be_read() -> None:
    """What the proto names as headers of made ids is exposed without being written down again."""
    exposed = policy(SHOP).for_answer(SHOP)["access-control-expose-headers"].split(", ")
    assert {"nexus-order-id", "nexus-event-id", "etag", "retry-after"} <= set(exposed)


@asynccontextmanager
async def door(app: App) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout = [f"fd://{listener.detach()}"], None, 1
    closing = asyncio.Event()
    served = asyncio.create_task(serve(app, config, shutdown_trigger=closing.wait))  # type: ignore[arg-type]
    yield address
    closing.set()
    await served


def answering(*headers: tuple[bytes, bytes], events: tuple[bytes, ...] = (b"{}",)) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": f"{event['type']}.complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_a_browser_that_asks_first_is_answered() -> None:
    """A preflight is answered without the door being asked: methods, headers, for ten minutes."""
    async with door(CorsDoor(answering(), policy(SHOP))) as url, aiohttp.ClientSession() as session:
        asked = {
            "origin": SHOP,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,idempotency-key",
        }
        async with session.options(f"{url}/v1/orders", headers=asked) as answer:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == SHOP
            allowed = answer.headers["access-control-allow-headers"].split(", ")
            assert {"authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id"} <= set(
                allowed
            )
            assert "x-nexus-subject" not in allowed
            assert {"GET", "POST", "PATCH"} <= set(answer.headers["access-control-allow-methods"].split(", "))
            assert answer.headers["access-control-max-age"] == "600"
        async with session.options(f"{url}/v1/orders", headers=asked | {"origin": OTHER}) as answer:
            assert answer.status == 204
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_events_stream_through() -> None:
    """An event stream has the headers too, and its events come as they are."""
    stream = answering((b"content-type", b"text/event-stream"), events=(b"data: 1\n\n", b"data: 2\n\n"))
    async with (
        door(CorsDoor(stream, policy(SHOP))) as url,
        aiohttp.ClientSession() as session,
        session.get(url, headers={"origin": SHOP}) as answer,
    ):
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert await answer.read() == b"data: 1\n\ndata: 2\n\n"


async def test_an_answers_own_vary_stays() -> None:
    """Caches go by the answer's own headers and by the origin."""
    app = answering((b"vary", b"authorization, x-api-key"))
    async with (
        door(CorsDoor(app, policy(SHOP))) as url,
        aiohttp.ClientSession() as session,
        session.get(url, headers={"origin": SHOP}) as answer,
    ):
        assert answer.headers.getall("vary") == ["authorization, x-api-key, origin"]


async def test_without_the_setting_no_header_is_sent(doors: Doors) -> None:  # noqa: F811
    """The door itself knows nothing of origins: a preflight is a method that it does not have."""
    headers = {"origin": SHOP, "access-control-request-method": "GET"}
    async with doors.http.options(PATH, headers=headers) as answer:
        assert answer.status == 405
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
