"""Events at the HTTP door: who may do what, when seats may be held, which seats are kept back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.booking import Hall, OpenHall, conflicts, details, refusal, small_event, until
from tests.integration.client import Client, sign


def later(**delta: float) -> str:
    """Write a time from now."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat().replace("+00:00", "Z")


def strangers(hall: Hall) -> list[tuple[str, str | None]]:
    """Everybody but the organizer of a hall."""
    other = sign(hall.client.stack, f"organizer-{uuid.uuid4().hex[:8]}", "organizer")
    return [("nobody", None), ("a buyer", hall.buyer()), ("another organizer", other)]


async def test_a_draft_is_seen_by_its_organizer_only(open_hall: OpenHall, client: Client) -> None:
    """To everybody else a draft does not exist: no event, no map, no tickets, no holds."""
    hall = await open_hall(is_published=False)
    draft = await hall.show(token=hall.organizer)
    assert (draft.status, draft.json["state"]) == (200, "EVENT_STATE_DRAFT")
    assert (await hall.ticket("A-1-1", hall.organizer)).status == 200
    for who, token in strangers(hall):
        for answer in (
            await hall.show(token=token),
            await hall.show("?view=EVENT_VIEW_FULL", token),
            await hall.ticket("A-1-1", token),
            await client.call("GET", f"{hall.path}/seatmap", token),
            *([await hall.hold(token, "A-1-1")] if token else []),
        ):
            assert refusal(answer) == (404, "EVENT_NOT_FOUND"), who


async def test_only_organizers_create_events(client: Client, open_hall: OpenHall) -> None:
    """A buyer is refused, and so is nobody."""
    hall = await open_hall(is_published=False)
    event = {"event_id": f"e-{uuid.uuid4().hex[:8]}"} | small_event()
    assert refusal(await client.call("POST", "/v1/events", hall.buyer(), event)) == (403, "PERMISSION_DENIED")
    assert refusal(await client.call("POST", "/v1/events", None, event)) == (401, "UNAUTHENTICATED")
    unknown = await client.call("GET", f"/v1/events/{event['event_id']}", hall.organizer)
    assert refusal(unknown) == (404, "EVENT_NOT_FOUND")


async def test_a_repeated_creation_is_one_event(open_hall: OpenHall, client: Client) -> None:
    """The same creation again gives the event as it is now; another one under its id is ALREADY_EXISTS."""
    hall = await open_hall(is_published=False)
    event_id = f"e-{uuid.uuid4().hex[:8]}"
    event = {"event_id": event_id} | small_event()
    created = await client.call("POST", "/v1/events", hall.organizer, event)
    assert created.status == 200, created
    assert (await client.call("POST", f"/v1/events/{event_id}:publish", hall.organizer, {})).status == 200
    repeated = await client.call("POST", "/v1/events", hall.organizer, event)
    assert repeated.json == created.json | {"state": "EVENT_STATE_ON_SALE"}
    other = await client.call("POST", "/v1/events", hall.organizer, event | {"title": "Other"})
    assert refusal(other) == (409, "ALREADY_EXISTS")
    stranger = sign(client.stack, f"organizer-{uuid.uuid4().hex[:8]}", "organizer")
    taken = await client.call("POST", "/v1/events", stranger, event)
    assert refusal(taken) == (409, "ALREADY_EXISTS")
    assert (await client.call("GET", f"/v1/events/{event_id}")).json["title"] == "Gala"


async def test_an_event_without_an_id_gets_one(open_hall: OpenHall, client: Client) -> None:
    """An empty event_id is made, told in a header, and the same for the same request_id."""
    hall = await open_hall(is_published=False)
    key = {"idempotency-key": uuid.uuid4().hex}
    first = await client.call("POST", "/v1/events", hall.organizer, small_event(), key)
    again = await client.call("POST", "/v1/events", hall.organizer, small_event(), key)
    free = await client.call("POST", "/v1/events", hall.organizer, small_event())
    assert [answer.status for answer in (first, again, free)] == [200, 200, 200]
    assert first.json["event_id"] == again.json["event_id"] == first.headers["nexus-event-id"]
    assert free.json["event_id"] != first.json["event_id"]


async def test_seats_of_a_draft_are_not_held_even_by_its_organizer(open_hall: OpenHall) -> None:
    """Before publication nothing is sold and nothing is blocked: SALES_NOT_OPEN."""
    hall = await open_hall(is_published=False)
    assert refusal(await hall.hold(hall.organizer, "A-1-1")) == (409, "SALES_NOT_OPEN")
    assert refusal(await hall.do("/seats:block", {"seat_ids": ["A-1-1"]})) == (409, "SALES_NOT_OPEN")
    assert refusal(await hall.do("/seatmap:rebuild")) == (409, "SALES_NOT_OPEN")


async def test_a_sale_opens_and_ends_by_its_window(open_hall: OpenHall) -> None:
    """No holds before sale_starts_at and from sale_ends_at on, though the event is ON_SALE."""
    early = await open_hall(sale_starts_at=later(hours=1))
    assert refusal(await early.hold(early.buyer(), "A-1-1")) == (409, "SALES_NOT_OPEN")
    over = await open_hall(sale_starts_at=later(hours=-2), sale_ends_at=later(hours=-1))
    assert refusal(await over.hold(over.buyer(), "A-1-1")) == (409, "SALES_CLOSED")
    soon = await open_hall(sale_starts_at=later(seconds=1), sale_ends_at=later(hours=1))

    async def opens() -> bool:
        answer = await soon.hold(soon.buyer(), "A-1-1")
        assert answer.status == 200 or refusal(answer) == (409, "SALES_NOT_OPEN"), answer
        return answer.status == 200

    await until(opens, "the sale to open", 5)


async def test_live_holds_survive_a_pause_and_the_end_of_the_sale(open_hall: OpenHall) -> None:
    """Paused and closed sales refuse new holds; holds that live are extended, paid and released."""
    hall = await open_hall(hold_seconds=300)
    buyers = [hall.buyer() for _ in range(4)]
    holds = [await hall.held(buyer, f"A-1-{number}") for number, buyer in enumerate(buyers, 1)]
    for action, reason, (payer, paid), (keeper, kept) in (
        (":pause", "SALES_PAUSED", (buyers[0], holds[0]), (buyers[1], holds[1])),
        (":close", "SALES_CLOSED", (buyers[2], holds[2]), (buyers[3], holds[3])),
    ):
        assert (await hall.do(action)).status == 200
        await hall.in_force()
        refused = await hall.hold(hall.buyer(), "A-2-1")
        assert refusal(refused) == (409, reason)
        assert (await hall.buy(hall.buyer(), "A-2-1")).reason == reason
        assert (await hall.extend(payer, paid)).status == 200
        assert (await hall.buy(payer, hold_id=paid["hold_id"])).json["state"] == "ORDER_STATE_CONFIRMED"
        assert (await hall.release(keeper, kept)).status == 200
        assert await hall.status("A-2-1") == "AVAILABLE"
    assert (await hall.show()).json["state"] == "EVENT_STATE_CLOSED"


async def test_transitions_are_repeatable_and_closing_is_for_good(open_hall: OpenHall) -> None:
    """Repeating a transition gives the event unchanged; what the state does not allow is INVALID_TRANSITION."""
    hall = await open_hall(is_published=False)

    async def states(*actions: str) -> list[str | tuple[int, str]]:
        answers = [await hall.do(action) for action in actions]
        return [
            answer.json["state"].removeprefix("EVENT_STATE_") if answer.status == 200 else refusal(answer)
            for answer in answers
        ]

    refused = (409, "INVALID_TRANSITION")
    assert await states(":pause", ":resume", ":close") == [refused] * 3
    assert await states(":publish", ":publish") == ["ON_SALE", "ON_SALE"]
    assert await states(":pause", ":pause", ":publish") == ["PAUSED", "PAUSED", refused]
    assert await states(":resume", ":resume") == ["ON_SALE", "ON_SALE"]
    assert await states(":pause", ":close", ":close") == ["PAUSED", "CLOSED", "CLOSED"]
    assert await states(":resume", ":pause", ":publish") == [refused] * 3
    actions = [entry["action"] for entry in await hall.audit()]
    assert actions == ["create", "publish", "pause", "resume", "pause", "close"], "a repeat is no entry"


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (":publish", {}),
        (":pause", {}),
        (":resume", {}),
        (":close", {}),
        ("/seats:block", {"seat_ids": ["A-1-1"]}),
        ("/seats:unblock", {"seat_ids": ["A-1-1"]}),
        ("/seatmap:rebuild", {}),
    ],
)
async def test_another_organizers_event_is_not_found(open_hall: OpenHall, action: str, body: dict[str, Any]) -> None:
    """An organizer changes own events only; a buyer none at all; an admin all."""
    hall = await open_hall()
    other = sign(hall.client.stack, f"organizer-{uuid.uuid4().hex[:8]}", "organizer")
    assert refusal(await hall.do(action, body, other)) == (404, "EVENT_NOT_FOUND")
    assert refusal(await hall.do(action, body, hall.buyer())) == (403, "PERMISSION_DENIED")
    assert [entry["action"] for entry in await hall.audit()] == ["create", "publish"]
    assert await hall.status("A-1-1") == "AVAILABLE"
    admin = sign(hall.client.stack, f"admin-{uuid.uuid4().hex[:8]}", "admin")
    assert (await hall.do(action, body, admin)).reason in ("", "INVALID_TRANSITION")


async def test_another_organizer_neither_updates_nor_audits(open_hall: OpenHall) -> None:
    """Another organizer's event cannot be changed, and its audit not be read."""
    hall = await open_hall()
    other = sign(hall.client.stack, f"organizer-{uuid.uuid4().hex[:8]}", "organizer")
    assert refusal(await hall.update({"title": "Mine"}, token=other)) == (404, "EVENT_NOT_FOUND")
    assert refusal(await hall.show("/audit", other)) == (404, "EVENT_NOT_FOUND")
    assert (await hall.show()).json["title"] == "Test"


async def test_blocked_seats_cannot_be_held(open_hall: OpenHall) -> None:
    """Block takes AVAILABLE seats out of the sale, unblock puts them back; the map shows both."""
    hall = await open_hall()
    seat_ids = ["A-1-2", "A-1-1"]
    blocked = await hall.do("/seats:block", {"seat_ids": seat_ids, "reason": "camera"})
    assert blocked.json == {"event_id": hall.event_id, "seat_ids": sorted(seat_ids)}
    assert await hall.statuses(*seat_ids) == ["BLOCKED", "BLOCKED"]
    await hall.map_shows({"A-1-1": "BLOCKED", "A-1-2": "BLOCKED", "A-1-3": "AVAILABLE"})
    refused = await hall.hold(hall.buyer(), "A-1-1", "A-1-2", "A-1-3")
    assert conflicts(refused) == {"A-1-1": "BLOCKED", "A-1-2": "BLOCKED"}
    assert (await hall.buy(hall.buyer(), "A-1-1")).reason == "SEAT_UNAVAILABLE"
    assert (await hall.do("/seats:unblock", {"seat_ids": ["A-1-1"]})).json["seat_ids"] == ["A-1-1"]
    await hall.map_shows({"A-1-1": "AVAILABLE", "A-1-2": "BLOCKED"})
    await hall.held(hall.buyer(), "A-1-1")


async def test_seats_are_blocked_all_or_none(open_hall: OpenHall) -> None:
    """One seat that is not AVAILABLE refuses all, and every conflict is named; earlier blocks stay."""
    hall = await open_hall()
    await hall.held(hall.buyer(), "A-1-2")
    assert (await hall.buy(hall.buyer(), "A-1-3")).status == 200
    assert (await hall.do("/seats:block", {"seat_ids": ["A-1-4"]})).status == 200
    refused = await hall.do("/seats:block", {"seat_ids": [f"A-1-{number}" for number in range(1, 6)]})
    assert conflicts(refused) == {"A-1-2": "HELD", "A-1-3": "SOLD", "A-1-4": "BLOCKED"}
    await hall.become("AVAILABLE", "A-1-1", "A-1-5")
    assert await hall.statuses("A-1-2", "A-1-3", "A-1-4") == ["HELD", "SOLD", "BLOCKED"]


async def test_seats_are_unblocked_all_or_none(open_hall: OpenHall) -> None:
    """One seat that is not BLOCKED refuses all, and so does an unknown one."""
    hall = await open_hall()
    assert (await hall.do("/seats:block", {"seat_ids": ["A-1-1", "A-1-2"]})).status == 200
    refused = await hall.do("/seats:unblock", {"seat_ids": ["A-1-1", "A-1-3"]})
    assert refusal(refused) == (409, "INVALID_TRANSITION")
    assert details(refused)["conflicts"] == "A-1-3=AVAILABLE"
    for action in ("/seats:unblock", "/seats:block"):
        assert refusal(await hall.do(action, {"seat_ids": ["A-1-1", "Z-9"]})) == (404, "SEAT_NOT_FOUND")
    assert await hall.statuses("A-1-1", "A-1-2", "A-1-3") == ["BLOCKED", "BLOCKED", "AVAILABLE"]


async def test_a_refused_block_never_blocks_a_free_seat(open_hall: OpenHall) -> None:
    """A block that is refused for one seat leaves the others untouched: their tickets have not changed at all."""
    hall = await open_hall()
    await hall.held(hall.buyer(), "A-1-3")
    refused = await hall.do("/seats:block", {"seat_ids": ["A-1-2", "A-1-3", "A-1-4"]})
    assert refused.reason == "SEAT_UNAVAILABLE"
    for seat_id in ("A-1-2", "A-1-4"):
        ticket = (await hall.ticket(seat_id)).json
        assert (ticket["status"], int(ticket["revision"])) == ("SEAT_STATUS_AVAILABLE", 0)
