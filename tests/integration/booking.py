"""One event of a test, with its buyers and its organizer at the HTTP door."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import pytest

from services.ticket.sheets import FRESH_SECONDS
from tests.integration.client import Answer, Client, new_event, sign
from tests.integration.modes import IS_SUSPENDED

Found = TypeVar("Found")

PATIENCE = 6.0 if IS_SUSPENDED else 1.0
"""By how much deadlines are stretched where every await is suspended and replayed."""

STANDARD = {"category_id": "std", "title": "Standard", "amount_minor": "4500"}


async def until(check: Callable[[], Awaitable[Found]], what: str, seconds: float = 10) -> Found:
    """Ask again until the answer is true, and give it; fail after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds * PATIENCE
    while True:
        found = await check()
        if found:
            return found
        if loop.time() > deadline:
            pytest.fail(f"waited {seconds * PATIENCE:.0f} s for {what}; the last answer was {found!r}")
        await asyncio.sleep(0.02)


def small_event() -> dict[str, Any]:
    """Give the fields of an event of one seat, without its id."""
    seat = {"seat_id": "A-1-1", "category_id": "std", "x": 1.5, "y": 0}
    return {
        "title": "Gala",
        "venue": "Hall",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [STANDARD],
        "sections": [{"section_id": "A", "title": "A", "rows": [{"row_id": "1", "seats": [seat]}]}],
    }


def moment(text: str) -> datetime:
    """Read a time of an answer."""
    return datetime.fromisoformat(text)


def details(answer: Answer) -> dict[str, str]:
    """Give the details of a refusal."""
    return dict(answer.json["error"]["details"][0].get("metadata", {}))


def conflicts(answer: Answer) -> dict[str, str]:
    """Give the seats that a refusal names, with their status."""
    assert (answer.status, answer.reason) == (409, "SEAT_UNAVAILABLE"), answer
    return dict(pair.split("=") for pair in details(answer)["conflicts"].split(","))


def refusal(answer: Answer) -> tuple[int, str]:
    """Give status and reason of a refusal."""
    return answer.status, answer.reason


class Hall:
    """One event: what its buyers and its organizer do at the HTTP door."""

    def __init__(self, client: Client, event_id: str, organizer: str) -> None:
        self.client = client
        self.event_id = event_id
        self.organizer = organizer
        self.path = f"/v1/events/{event_id}"

    def buyer(self, name: str = "") -> str:
        """Give a buyer's token; a new buyer's where no name is given."""
        return sign(self.client.stack, name or f"buyer-{uuid.uuid4().hex}")

    async def hold(self, token: str, *seat_ids: str, **more: Any) -> Answer:
        """Ask for seats."""
        headers = more.pop("headers", None)
        return await self.client.call("POST", f"{self.path}/holds", token, {"seat_ids": seat_ids} | more, headers)

    async def held(self, token: str, *seat_ids: str, **more: Any) -> dict[str, Any]:
        """Hold seats that can be had."""
        answer = await self.hold(token, *seat_ids, **more)
        assert answer.status == 200, answer
        return dict(answer.json)

    async def look(self, token: str, hold: Mapping[str, Any]) -> Answer:
        """Look at a hold."""
        return await self.client.call("GET", f"{self.path}/holds/{hold['hold_id']}", token)

    async def state(self, token: str, hold: Mapping[str, Any]) -> str:
        """Give a hold's state without its prefix."""
        return str((await self.look(token, hold)).json["state"]).removeprefix("HOLD_STATE_")

    async def extend(self, token: str, hold: Mapping[str, Any]) -> Answer:
        """Ask for more time."""
        return await self.client.call("POST", f"{self.path}/holds/{hold['hold_id']}:extend", token, {})

    async def release(self, token: str, hold: Mapping[str, Any]) -> Answer:
        """Give a hold back."""
        return await self.client.call("POST", f"{self.path}/holds/{hold['hold_id']}:release", token, {})

    async def buy(self, token: str, *seat_ids: str, card: str = "card_success", **more: Any) -> Answer:
        """Check out, in one step or the hold that `hold_id` names."""
        body = {"event_id": self.event_id, "payment_method": card, "email": "a@example.org"} | more
        return await self.client.call("POST", "/v1/orders", token, body | ({"seat_ids": seat_ids} if seat_ids else {}))

    async def ticket(self, seat_id: str, token: str | None = None) -> Answer:
        """Ask a seat's ticket."""
        return await self.client.call("GET", f"{self.path}/tickets/{seat_id}", token)

    async def status(self, seat_id: str) -> str:
        """Give a seat's status without its prefix."""
        answer = await self.ticket(seat_id)
        assert answer.status == 200, answer
        return str(answer.json["status"]).removeprefix("SEAT_STATUS_")

    async def statuses(self, *seat_ids: str) -> list[str]:
        """Give the statuses of seats."""
        return list(await asyncio.gather(*(self.status(seat_id) for seat_id in seat_ids)))

    async def become(self, status: str, *seat_ids: str, seconds: float = 5) -> None:
        """Wait until seats have a status."""

        async def check() -> bool:
            return set(await self.statuses(*seat_ids)) == {status}

        await until(check, f"{seat_ids} to be {status}", seconds)

    async def do(self, action: str, body: Mapping[str, Any] | None = None, token: str | None = None) -> Answer:
        """Let the organizer act: `:publish`, `/seats:block`, ..."""
        return await self.client.call("POST", f"{self.path}{action}", token or self.organizer, dict(body or {}))

    async def update(self, event: Mapping[str, Any], mask: str = "", token: str | None = None) -> Answer:
        """Let the organizer change the event."""
        query = f"?update_mask={quote(mask)}" if mask else ""
        return await self.client.call("PATCH", self.path + query, token or self.organizer, dict(event))

    async def in_force(self) -> None:
        """Wait until what the organizer changed counts for every hold: a second, as the design says."""
        await asyncio.sleep(2 * FRESH_SECONDS)

    async def show(self, query: str = "", token: str | None = None) -> Answer:
        """Look at the event."""
        return await self.client.call("GET", self.path + query, token)

    async def map(self, query: str = "") -> dict[str, Any]:
        """Look at the seat map."""
        answer = await self.client.call("GET", f"{self.path}/seatmap{query}")
        assert answer.status == 200, answer
        return dict(answer.json)

    async def shown(self, section_id: str = "A") -> dict[str, str]:
        """Give what a section of the map shows: status by seat."""
        (section,) = (await self.map(f"?section_id={section_id}"))["sections"]
        return {seat["seat_id"]: seat["status"].removeprefix("SEAT_STATUS_") for seat in section["seats"]}

    async def audit(self) -> list[dict[str, Any]]:
        """Read the whole audit, two entries a page."""
        entries: list[dict[str, Any]] = []
        token = ""
        while True:
            page = await self.show(f"/audit?page_size=2&page_token={token}", self.organizer)
            assert page.status == 200, page
            entries += page.json["entries"]
            token = page.json["next_page_token"]
            if not token:
                return entries

    async def map_shows(self, wanted: dict[str, str]) -> None:
        """Wait until the map shows these seats with these statuses."""

        async def check() -> bool:
            shown = await self.shown()
            return {seat_id: shown.get(seat_id) for seat_id in wanted} == wanted

        await until(check, f"the map to show {wanted}", 5)

    async def watch(self, query: str = "", last_event_id: str = "") -> AsyncIterator[dict[str, Any]]:
        """Yield the messages of the map's server-sent events, without heartbeats. To be closed by `aclosing`."""
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        session, path = self.client.session, f"{self.path}/seatmap:watch{query}"
        async with session.get(path, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            event_id = ""
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    event_id = value
                elif name == "data":
                    message = json.loads(value)
                    assert message["resume_token"] == event_id
                    if not message["heartbeat"]:
                        yield message


async def first(messages: AsyncIterator[Found], wanted: Callable[[Found], bool], seconds: float = 10) -> list[Found]:
    """Read messages up to the first one that is wanted; give all that were read."""
    read: list[Found] = []
    async with asyncio.timeout(seconds * PATIENCE):
        async for message in messages:
            read.append(message)
            if wanted(message):
                return read
    pytest.fail(f"the stream ended after {read}")


OpenHall = Callable[..., Awaitable[Hall]]


@pytest.fixture(scope="session")
def open_hall(client: Client) -> OpenHall:
    """`await open_hall(rows=2, seats_per_row=10, price=4500, is_published=True, **fields)` -> Hall."""

    async def opened(**fields: Any) -> Hall:
        return Hall(client, *await new_event(client, **fields))

    return opened
