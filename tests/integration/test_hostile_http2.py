"""HTTP/2 and gRPC as no library speaks them: floods, bombs, frames out of place; at both doors."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from services.gateway.outbox import TAKE_SECONDS
from tests.hostile import http2
from tests.hostile.http2 import BOTH_DOORS, SECONDS, Attack, Attacker, Head, connected
from tests.hostile.target import Target
from tests.integration.booking import until
from tests.integration.client import new_event
from tests.integration.doors import wire
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("both doors")

RECOVERY_SECONDS = 15.0
"""Until both doors answer again after a flood, two cores being busy with other tests."""

TICKET = "TicketService/GetTicket"
SEAT = {"event_id": "$event", "seat_id": "A-2-1"}


def port(target: Target, door: str) -> int:
    return target.stack.ports.grpc_port if door == "grpc" else target.stack.ports.http_port


def head(target: Target, door: str, rpc: str = TICKET, path: str = "", **more: str) -> Head:
    """Write the head of a request that would be answered."""
    event_id = target.world.names["event"]
    method, at = (b"POST", f"/nexus.v1.{rpc}") if door == "grpc" else (b"GET", path or f"/v1/events/{event_id}")
    lines = [(b":method", method), (b":scheme", b"http"), (b":path", at.encode()), (b":authority", b"x")]
    if door == "grpc":
        lines += [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return lines + [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]


SHED = {"OK", "CANCELLED", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
"""What others may be told over gRPC while its door is flooded: its core drops calls from a queue that is full."""


async def others(target: Target, over: asyncio.Event) -> int:
    """Ask at both doors until the attack is over; tell how often that went well."""
    answered = 0
    while not over.is_set():
        for door in (target.world.http, target.world.grpc):
            with suppress(TimeoutError):
                outcome = await door.call(TICKET, target.world.fill(SEAT))
                assert outcome.code in SHED, outcome
                answered += outcome.code == "OK"
        await asyncio.sleep(0.05)
    return answered


async def both_doors_answer(target: Target) -> bool:
    try:
        outcomes = [await door.call(TICKET, target.world.fill(SEAT)) for door in (target.world.http, target.world.grpc)]
    except TimeoutError:
        return False
    return all(outcome.code == "OK" for outcome in outcomes)


async def attacked(target: Target, door: str, attack: Attack, lines: Head, connections: int, window: int) -> None:
    """Attack from several connections at once, while others use the doors."""

    async def one() -> None:
        # A server that hangs up has defended itself.
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(SECONDS), connected(port(target, door), lines, window) as attacker:
                await attack(attacker)

    await target.rest()
    state, over = await target.whole_state(), asyncio.Event()
    with target.unharmed():
        asking = asyncio.ensure_future(others(target, over))
        await asyncio.gather(*(one() for _ in range(connections)))
        over.set()
        await asking
        await until(
            partial(both_doors_answer, target), f"both doors to answer after {attack.__name__}", RECOVERY_SECONDS
        )
    await target.rest()
    assert await target.whole_state() == state


@pytest.mark.parametrize("attack", BOTH_DOORS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("door", ["grpc", "http"])
async def test_floods_do_no_harm(target: Target, door: str, attack: Attack) -> None:
    """Both doors answer afterwards; no process dies, grows or writes a traceback; nothing that is kept changes."""
    await attacked(target, door, attack, head(target, door), connections=4, window=65_535)


BOMBS: dict[str, tuple[str, Any]] = {
    "256 MB of zeros by gzip": ("gzip", lambda: http2.grpc_call(http2.bomb(256), is_compressed=True)),
    "gzip that is none": ("gzip", lambda: http2.grpc_call(b"\x1f\x8b" + b"a" * 60_000, is_compressed=True)),
    "64 MB": ("identity", lambda: http2.grpc_call(b"\0" * (64 << 20))),
    "a length of 4 GB": ("identity", lambda: b"\0\xff\xff\xff\xff" + b"a" * (8 << 20)),
    "10,000 messages in one": ("identity", lambda: http2.grpc_call(b"") * 10_000),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_bombs_do_no_harm(target: Target, name: str) -> None:
    """A message that is large, or becomes large, takes no more room than one that is allowed."""
    encoding, make = BOMBS[name]
    message = await asyncio.to_thread(make)

    async def call(attacker: Attacker) -> None:
        await http2.call_with(attacker, message)

    lines = head(target, "grpc", "EventService/CreateEvent", grpc_encoding=encoding)
    await attacked(target, "grpc", call, lines, connections=2, window=65_535)


@pytest.mark.parametrize("door", ["grpc", "http"])
async def test_answers_that_nobody_takes_are_not_hoarded(target: Target, door: str) -> None:
    """A client that asks for hundreds of large answers and takes none makes the gateway hold a few at most."""
    section = {"section_id": "A", "title": "A", "row_count": 50, "seats_per_row": 100, "category_id": "std"}
    event_id, _ = await new_event(target.client, sections=[section])
    lines = head(target, door, "SeatMapService/GetSeatMap", f"/v1/events/{event_id}/seatmap")
    body = http2.grpc_call(wire("SeatMapService/GetSeatMap", {"event_id": event_id}))

    async def never_read(attacker: Attacker) -> None:
        await http2.never_read(attacker, body if door == "grpc" else b"")

    await attacked(target, door, never_read, lines, connections=2, window=0)

    async def map_is_answered() -> bool:
        outcome = await getattr(target.world, door).call("SeatMapService/GetSeatMap", {"event_id": event_id})
        return bool(outcome.code == "OK")

    # What waited is forgotten with the connections, or when it has waited long enough.
    await until(map_is_answered, "the map to be had again", TAKE_SECONDS + RECOVERY_SECONDS)
