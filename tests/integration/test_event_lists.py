"""The list of events, and the audit of one."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.behind import Behind
from tests.integration.booking import PATIENCE, OpenHall, refusal, until
from tests.integration.client import Answer, Client, sign


async def test_the_list_shows_published_events_newest_first(open_hall: OpenHall, client: Client) -> None:
    """Pages give each published event once, newest first; drafts to their organizer only."""
    made = [await open_hall() for _ in range(3)]
    draft = await open_hall(is_published=False)

    async def listed(token: str | None, size: int, pages: int = 2) -> list[dict[str, Any]]:
        """Read the first pages: the newest events, among which are those of this test."""
        events: list[dict[str, Any]] = []
        page_token = ""
        for _ in range(pages):
            page: Answer = await client.call("GET", f"/v1/events?page_size={size}&page_token={page_token}", token)
            assert page.status == 200, page
            assert len(page.json["events"]) <= size
            events += page.json["events"]
            page_token = page.json["next_page_token"]
            if not page_token:
                break
        return events

    wanted = [hall.event_id for hall in reversed(made)]

    async def all_listed() -> list[str]:
        # The list is told by sends, so it follows the events at a small distance.
        ids = [event["event_id"] for event in await listed(None, 100) if event["state"] != "EVENT_STATE_DRAFT"]
        return ids if set(wanted) <= set(ids) else []

    found = await until(all_listed, "the events in the list")
    assert [event_id for event_id in found if event_id in wanted] == wanted
    assert len(set(found)) == len(found)
    small = await listed(None, 2, pages=5)
    assert [event["event_id"] for event in small if event["event_id"] in wanted] == wanted
    assert all(not event["sections"] for event in small)
    assert draft.event_id not in {event["event_id"] for event in await listed(None, 100)}
    assert draft.event_id not in {event["event_id"] for event in await listed(made[0].organizer, 100)}

    async def own_draft() -> bool:
        return draft.event_id in {event["event_id"] for event in await listed(draft.organizer, 100)}

    await until(own_draft, "the draft in its organizer's list")


async def test_the_list_can_be_read_while_it_grows(scratch: Behind) -> None:
    """Readers of the list are answered at once, each event once and in order, though events are added meanwhile."""
    # A list of its own: Catalog's key is a convention of the gateway.
    key = f"list-{uuid.uuid4().hex}"
    stop = asyncio.Event()

    async def add(first: int) -> None:
        for number in range(first, first + 15):
            event = {
                "event_id": f"e-{number}",
                "title": "Test",
                "venue": "Hall",
                "starts_at": "2030-01-01T20:00:00Z",
                "currency_code": "EUR",
                "hold_seconds": 900,
                "max_seats_per_buyer": 8,
                "owner": "o",
                "seat_count": 1,
                "state": "EVENT_STATE_ON_SALE",
            }
            body = {"event": event, "revision": 1}
            await scratch.invoke("Envoy/carry", {"service": "Catalog", "key": key, "handler": "add", "body": body})

    async def read() -> int:
        last: list[str] = []
        while not stop.is_set():
            async with asyncio.timeout(5 * PATIENCE):
                page = (await scratch.invoke(f"Catalog/{key}/list", {"request": {"page_size": 100}}))["response"]
            ids = [event["event_id"] for event in page["events"]]
            assert len(ids) == len(set(ids))
            assert ids[len(ids) - len(last) :] == last
            last = ids
        return len(last)

    readers = [asyncio.create_task(read()) for _ in range(6)]
    try:
        await asyncio.gather(*(add(100 * place) for place in range(4)))
    finally:
        stop.set()
        read_by_each = await asyncio.gather(*readers)
    assert max(read_by_each) > 30


async def test_the_list_follows_changes(open_hall: OpenHall, client: Client) -> None:
    """The list shows an event as it is after its latest change."""
    hall = await open_hall()
    await hall.update({"title": "Changed"})
    await hall.do(":pause")

    async def shown() -> bool:
        events = (await client.call("GET", "/v1/events?page_size=100")).json["events"]
        found = [event for event in events if event["event_id"] == hall.event_id]
        return [(event["title"], event["state"]) for event in found] == [("Changed", "EVENT_STATE_PAUSED")]

    await until(shown, "the change in the list")


async def test_the_audit_tells_who_did_what_why(open_hall: OpenHall) -> None:
    """Every change by an organizer or admin is an entry with time, actor, reason and subjects; refusals are none."""
    hall = await open_hall()
    begun_at = datetime.now(UTC) - timedelta(minutes=5)
    admin = sign(hall.client.stack, f"admin-{uuid.uuid4().hex[:8]}", "admin")
    await hall.held(hall.buyer(), "A-1-9")
    await hall.do("/seats:block", {"seat_ids": ["A-1-2", "A-1-1"], "reason": "camera"})
    await hall.do("/seats:block", {"seat_ids": ["A-1-9"], "reason": "refused"})
    await hall.do("/seats:unblock", {"seat_ids": ["A-1-2"]}, admin)
    await hall.update({"title": "New", "hold_seconds": 60})
    await hall.do(":pause", {"reason": "storm"})
    await hall.do("/seatmap:rebuild", {"reason": "doubt"})
    entries = await hall.audit()
    assert [(entry["action"], entry["reason"], entry["subjects"]) for entry in entries] == [
        ("create", "", []),
        ("publish", "", []),
        ("block", "camera", ["A-1-1", "A-1-2"]),
        ("unblock", "", ["A-1-2"]),
        ("update", "", ["hold_seconds", "title"]),
        ("pause", "storm", []),
        ("rebuild", "doubt", []),
    ]
    owner = (await hall.show()).json["owner"]
    actors = [entry["actor"] for entry in entries]
    assert actors[:3] == [owner] * 3
    assert actors[3] not in ("", owner), "an admin acts under their own name"
    times = [datetime.fromisoformat(entry["at"]) for entry in entries]
    assert times == sorted(times)
    assert begun_at < times[0]
    assert refusal(await hall.show("/audit", hall.buyer())) == (403, "PERMISSION_DENIED")
