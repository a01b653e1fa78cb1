"""Bytes that are hardly HTTP: what two readers could take for two different requests, and what never ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.integration.doors import http_outcome
from tests.integration.modes import normal_mode_only
from tests.integration.world import World

pytestmark = normal_mode_only("the HTTP door")

HOLDS = "/v1/events/$event/holds"
GOOD = b'{"seat_ids": ["A-2-1"]}'
BODY_SECONDS = 10


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to the door, on which bytes go out as they are; no wait there is longer than 5 s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.behind.stack.ports.http_port)
    try:
        async with asyncio.timeout(5):
            yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def raw(world: World, request: bytes) -> tuple[int, str]:
    """Send bytes as they are; give status and text of the answer."""
    async with connected(world) as (reader, writer):
        writer.write(request)
        received = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in received.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        body = await reader.readexactly(int(length.split(b":")[1]))
        return int(received.split(b" ", 2)[1]), (received + body).decode("latin-1")


def head(world: World, line: str, *headers: str, token: str | None = None) -> bytes:
    """Write the head of a request by the buyer."""
    line = line.replace("$event", world.names["event"])
    lines = [f"{line} HTTP/1.1", "host: nexus", f"authorization: Bearer {token or world.buyer}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


FRAMES: dict[str, tuple[list[str], bytes]] = {
    "chunked with content-length": (
        ["content-length: 23", "transfer-encoding: chunked"],
        b"17\r\n" + GOOD + b"\r\n0\r\n\r\n",
    ),
    "two lengths": (["content-length: 23", "content-length: 24"], GOOD),
    "a length below zero": (["content-length: -1"], GOOD),
    "a length in words": (["content-length: many"], GOOD),
    "a chunk's length in words": (["transfer-encoding: chunked"], b"zz\r\n" + GOOD),
    "key with CR/LF": (["content-length: 23", "idempotency-key: a\r\n b"], GOOD),
    "key with CR": (["content-length: 23", "idempotency-key: a\rb"], GOOD),
    "key with NUL": (["content-length: 23", "idempotency-key: a\0b"], GOOD),
    "key not ASCII": (["content-length: 23", "idempotency-key: \xe9"], GOOD),
    "key with a space": (["content-length: 23", "idempotency-key: a b"], GOOD),
    "empty key": (["content-length: 23", "idempotency-key:"], GOOD),
    "key of 256 characters": (["content-length: 23", "idempotency-key: " + "k" * 256], GOOD),
    "key twice": (["content-length: 23", "idempotency-key: a", "idempotency-key: a"], GOOD),
    "header of 1 MB": (["content-length: 23", "x: " + "x" * 1_000_000], GOOD),
    "name of a header with a space": (["content-length: 23", "x y: z"], GOOD),
    "two hosts": (["content-length: 23", "host: other"], GOOD),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_bytes_that_are_hardly_http_are_refused(world: World, name: str) -> None:
    """What two readers could read as two different requests is refused, and the connection is no trap."""
    headers, content = FRAMES[name]
    async with world.untouched():
        status, text = await raw(
            world, head(world, f"POST {HOLDS}", "content-type: application/json", *headers) + content
        )
    assert status in (400, 413, 431), text
    assert "Traceback" not in text


async def test_no_request_is_smuggled_behind_a_refused_one(world: World) -> None:
    """After chunked with content-length the connection is closed: where that request ends, nobody can tell."""
    first = head(
        world, f"POST {HOLDS}", "content-type: application/json", "content-length: 5", "transfer-encoding: chunked"
    )
    second = head(world, f"POST {HOLDS}", "content-type: application/json", "content-length: 23") + GOOD
    async with world.untouched(), connected(world) as (reader, writer):
        writer.write(first + b"0\r\n\r\n" + second)
        received = await reader.read()
    assert received.count(b"HTTP/1.1 ") == 1, received


async def test_a_body_that_trickles_in_is_given_up(world: World) -> None:
    """A client that sends a byte now and then is told so after ten seconds; others are answered meanwhile."""

    async def trickle() -> AsyncIterator[bytes]:
        for byte in GOOD * 4:
            yield bytes([byte])
            await asyncio.sleep(0.25)

    path = HOLDS.replace("$event", world.names["event"])
    async with world.untouched():
        begun = time.monotonic()
        session = world.hall.client.session
        headers = {"authorization": f"Bearer {world.buyer}", "content-type": "application/json"}
        slow = asyncio.ensure_future(session.post(path, data=trickle(), headers=headers))
        asked = 0
        while not slow.done():
            answer = await world.http.send("GET", "/livez")
            assert answer.seconds < 1, answer
            asked += 1
            await asyncio.sleep(0.5)
        response = await slow
        outcome = http_outcome(response.status, await response.text())
    assert (response.status, outcome.code, list(outcome.violations)) == (408, "INVALID_ARGUMENT", ["body"])
    assert BODY_SECONDS - 1 < time.monotonic() - begun < BODY_SECONDS + 5
    assert asked > 5
