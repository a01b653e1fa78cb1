"""What bad requests meet: one event with everything in it that must not change, and the proof that nothing did."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc.aio
import pytest

from tests.integration.behind import Behind
from tests.integration.booking import Hall, until
from tests.integration.client import Client, new_event, sign
from tests.integration.doors import DEADLINE_SECONDS, GrpcDoor, HttpDoor, Outcome

REFUSALS = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "ALREADY_EXISTS",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
}
"""What bad input may be answered with. Source: BADINPUT.md."""

VERDICTS = ("Event", "Ticket", "SeatMap")
"""Objects in which a request that reached its handler and was refused leaves nothing at all."""


@dataclass
class World:
    """An event on sale: `A-1-1` is held, `A-1-2` sold, `A-1-3` blocked; all by `buyer` and `organizer`."""

    hall: Hall
    behind: Behind
    http: HttpDoor
    grpc: GrpcDoor
    buyer: str
    stranger: str
    admin: str
    drafter: str
    names: dict[str, str]

    @property
    def organizer(self) -> str:
        """The token of the event's organizer."""
        return self.hall.organizer

    def token(self, who: str) -> str | None:
        """Give the token of `buyer`, `stranger`, `organizer`, `admin`; None for `nobody`."""
        return None if who == "nobody" else str(getattr(self, who))

    def fill(self, value: Any) -> Any:
        """Put the names of this world in place of `$event`, `$hold`, `$order`, `$other`, `$draft`, `$new`."""
        if isinstance(value, dict):
            return {name: self.fill(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$"):
            return f"new-{uuid.uuid4().hex}" if value == "$new" else self.names.get(value[1:], value)
        return value

    async def both(self, rpc: str, request: dict[str, Any], who: str = "buyer", **more: Any) -> tuple[Outcome, Outcome]:
        """Call an RPC at both doors."""
        filled, token = self.fill(request), self.token(who)
        metadata = more.get("headers", ())
        return (
            await self.http.call(rpc, filled, token, metadata),
            await self.grpc.call(rpc, filled, token, metadata),
        )

    @asynccontextmanager
    async def untouched(self, *, reaches_handler: bool = False) -> AsyncIterator[None]:
        """Prove that nothing done inside leaves the gateway; where it `reaches_handler`, that it changes nothing.

        Also: the gateway is the same process, and wrote neither error nor traceback into its log.
        """
        processes = self.behind.stack.processes
        log, look = processes.log_file("gateway"), self._state_and_money if reaches_handler else self._ingress_calls
        begin, record, before = log.stat().st_size, processes.record("gateway"), await look()
        yield
        assert await look() == before
        with log.open("rb") as lines:
            lines.seek(begin)
            written = lines.read().decode(errors="replace")
        assert "Traceback" not in written, written
        assert '"level":"error"' not in written, written
        assert record is not None
        assert processes.record("gateway") == record, "the gateway has died"

    async def _ingress_calls(self) -> int:
        """Count the calls that came in by Restate's ingress; what is not called cannot change anything."""
        # The gateway itself pings, and goes on reading maps for a while after the last watcher has left.
        own = "target_handler_name = 'ping' OR target_service_name = 'SeatMap'"
        counted = f"SELECT count(1) AS calls FROM sys_invocation WHERE invoked_by = 'ingress' AND NOT ({own})"
        return int((await self.behind.query(counted))[0]["calls"])

    async def _state_and_money(self) -> tuple[set[tuple[str, ...]], int]:
        """Give the state of the world's objects, the names of all events, and the length of the ledger."""
        async with self.hall.client.session.get(f"{self.behind.stack.payments_url}/ledger") as answer:
            entries = len((await answer.json())["entries"])
        own = " OR ".join(f"service_key LIKE '{self.names[name]}%'" for name in ("event", "other", "draft"))
        services = ", ".join(f"'{service}'" for service in VERDICTS)

        async def is_quiet() -> bool:
            # What was done before may still be on its way to the map by sends.
            waiting = "target_service_key LIKE 'test-%' AND status NOT IN ('completed', 'scheduled')"
            return not await self.behind.query(f"SELECT id FROM sys_invocation WHERE {waiting} LIMIT 1")

        await until(is_quiet, "all messages delivered")
        names = "service_name, service_key, key"
        rows = await self.behind.query(
            f"SELECT {names}, value_utf8 FROM state WHERE service_name IN ({services}) AND ({own}) "
            # Requests to make an event name one that does not exist yet.
            f"UNION SELECT DISTINCT {names}, '' FROM state WHERE service_name = 'Event'"
        )
        return {tuple(str(value) for value in row.values()) for row in rows}, entries


def judge(outcome: Outcome, case: str = "") -> None:
    """Say that an outcome is a proper refusal: coded, quick, telling nothing of the inside."""
    assert outcome.code in REFUSALS, (case, outcome)
    assert outcome.http_status == 0 or 400 <= outcome.http_status < 500, (case, outcome)
    assert outcome.seconds < DEADLINE_SECONDS, (case, outcome)
    for inside in ("Traceback", 'File "', "restate", "aiohttp", "json_format", "google.protobuf."):
        assert inside not in outcome.text, (case, outcome)


def event_body(**fields: Any) -> dict[str, Any]:
    """Give a request's event that would be accepted but for `fields`; None takes a field away."""
    event = {
        "event_id": "$new",
        "title": "Gala",
        "venue": "Hall",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4500}],
        "sections": [{"section_id": "A", "row_count": 2, "seats_per_row": 10, "category_id": "std"}],
    } | fields
    return {name: value for name, value in event.items() if value is not None}


@pytest.fixture(scope="session")
async def world(client: Client, behind: Behind) -> AsyncIterator[World]:
    """Make a world, and wait until all that it set going has come to rest."""
    # What the server refuses is to be seen, so the client refuses nothing.
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 4 * 1024 * 1024)]
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        grpc.aio.insecure_channel(behind.stack.grpc_address, options) as channel,
    ):
        yield await _make(client, behind, HttpDoor(behind.stack, session), GrpcDoor(channel))


async def _make(client: Client, behind: Behind, http: HttpDoor, rpc: GrpcDoor) -> World:
    event_id, organizer = await new_event(client, rows=3)
    section = {"section_id": "Z", "title": "Z", "row_count": 1, "seats_per_row": 5, "category_id": "std"}
    other_id, _ = await new_event(client, sections=[section])
    draft_id, drafter = await new_event(client, is_published=False)
    hall = Hall(client, event_id, organizer)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    order = await hall.buy(buyer, "A-1-2")
    assert order.status == 200, order
    blocked = await hall.do("/seats:block", {"seat_ids": ["A-1-3"]})
    assert blocked.status == 200, blocked
    names = {
        "event": event_id,
        "hold": hold["hold_id"],
        "order": order.json["order_id"],
        "other": other_id,
        "draft": draft_id,
    }
    admin = sign(client.stack, f"admin-{uuid.uuid4().hex}", "admin")
    made = World(hall, behind, http, rpc, buyer, hall.buyer(), admin, drafter, names)

    async def rests() -> bool:
        rows = await behind.query("SELECT target FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled')")
        return not any(name in row["target"] for row in rows for name in names.values())

    await hall.become("SOLD", "A-1-2")
    await until(rests, "the world to come to rest")
    return made
