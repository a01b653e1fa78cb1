"""Events at the HTTP door: who may do what when, layout and prices, lists and the audit."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.booking import PATIENCE, Hall, OpenHall, conflicts, details, refusal, until
from tests.integration.client import Answer, Client, sign

EUR_STD = {"category_id": "std", "title": "Standard", "amount_minor": "4500"}


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
    event = {"event_id": f"e-{uuid.uuid4().hex[:8]}"} | base(hall)
    assert refusal(await client.call("POST", "/v1/events", hall.buyer(), event)) == (403, "PERMISSION_DENIED")
    assert refusal(await client.call("POST", "/v1/events", None, event)) == (401, "UNAUTHENTICATED")
    unknown = await client.call("GET", f"/v1/events/{event['event_id']}", hall.organizer)
    assert refusal(unknown) == (404, "EVENT_NOT_FOUND")


def base(hall: Hall) -> dict[str, Any]:
    """Give the fields of a small event."""
    del hall
    return {
        "title": "Gala",
        "venue": "Hall",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [EUR_STD],
        "sections": [
            {
                "section_id": "A",
                "title": "A",
                "rows": [{"row_id": "1", "seats": [{"seat_id": "A-1-1", "category_id": "std", "x": 1.5, "y": 0}]}],
            }
        ],
    }


async def test_a_repeated_creation_is_one_event(open_hall: OpenHall, client: Client) -> None:
    """The same creation again gives the event as it is now; another one under its id is ALREADY_EXISTS."""
    hall = await open_hall(is_published=False)
    event_id = f"e-{uuid.uuid4().hex[:8]}"
    event = {"event_id": event_id} | base(hall)
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
    first = await client.call("POST", "/v1/events", hall.organizer, base(hall), key)
    again = await client.call("POST", "/v1/events", hall.organizer, base(hall), key)
    free = await client.call("POST", "/v1/events", hall.organizer, base(hall))
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
    actions = [entry["action"] for entry in await audit(hall)]
    assert actions == ["create", "publish", "pause", "resume", "pause", "close"], "a repeat is no entry"


async def test_blocked_seats_cannot_be_held(open_hall: OpenHall) -> None:
    """Block takes AVAILABLE seats out of the sale, unblock puts them back; the map shows both."""
    hall = await open_hall()
    seat_ids = ["A-1-2", "A-1-1"]
    blocked = await hall.do("/seats:block", {"seat_ids": seat_ids, "reason": "camera"})
    assert blocked.json == {"event_id": hall.event_id, "seat_ids": sorted(seat_ids)}
    assert await hall.statuses(*seat_ids) == ["BLOCKED", "BLOCKED"]
    await map_shows(hall, {"A-1-1": "BLOCKED", "A-1-2": "BLOCKED", "A-1-3": "AVAILABLE"})
    refused = await hall.hold(hall.buyer(), "A-1-1", "A-1-2", "A-1-3")
    assert conflicts(refused) == {"A-1-1": "BLOCKED", "A-1-2": "BLOCKED"}
    assert (await hall.buy(hall.buyer(), "A-1-1")).reason == "SEAT_UNAVAILABLE"
    assert (await hall.do("/seats:unblock", {"seat_ids": ["A-1-1"]})).json["seat_ids"] == ["A-1-1"]
    await map_shows(hall, {"A-1-1": "AVAILABLE", "A-1-2": "BLOCKED"})
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
    assert [entry["action"] for entry in await audit(hall)] == ["create", "publish"]
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


async def test_an_update_without_mask_changes_what_is_set(open_hall: OpenHall) -> None:
    """Fields that the request does not name stay as they were."""
    hall = await open_hall()
    before = (await hall.show()).json
    ends_at = "2029-12-31T23:00:00Z"
    changed = await hall.update({"title": "New", "max_seats_per_buyer": 3, "sale_ends_at": ends_at})
    assert changed.json == before | {"title": "New", "max_seats_per_buyer": 3, "sale_ends_at": ends_at}
    assert (await hall.show()).json == changed.json


async def test_an_update_with_mask_changes_what_the_mask_names(open_hall: OpenHall) -> None:
    """Only masked fields change; a masked field that is not set gets its default; other names are refused."""
    hall = await open_hall(hold_seconds=77, sale_ends_at="2029-12-31T23:00:00Z")
    before = (await hall.show()).json
    event = {"title": "New", "venue": "Elsewhere"}
    changed = await hall.update(event, "title,holdSeconds,saleEndsAt")
    assert changed.status == 200, changed
    assert changed.json == without(before, "sale_ends_at") | {"title": "New", "hold_seconds": 900}
    for mask in ("state", "owner", "title,seatCount", "noSuchField"):
        assert refusal(await hall.update({"title": "X"}, mask)) == (400, "INVALID_REQUEST"), mask
    assert refusal(await hall.update({}, "title")) == (400, "INVALID_REQUEST"), "a title cannot be cleared"
    assert refusal(await hall.update({})) == (400, "INVALID_REQUEST"), "nothing to change"
    assert (await hall.show()).json == changed.json


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    """Give an event without a field."""
    return {field: value for field, value in event.items() if field != name}


async def test_the_layout_changes_only_while_the_event_is_a_draft(open_hall: OpenHall) -> None:
    """A draft's layout is replaced as a whole; on sale layout, currency and categories stay."""
    hall = await open_hall(is_published=False, rows=3, seats_per_row=100)
    sections = [{"section_id": "B", "title": "B", "row_count": 1, "seats_per_row": 2, "category_id": "vip"}]
    categories = [{"category_id": "vip", "title": "VIP", "amount_minor": "9900"}]
    change = {"sections": sections, "price_categories": categories}
    changed = await hall.update(change)
    assert (changed.status, changed.json["seat_count"]) == (200, 2)
    assert (await hall.do(":publish")).status == 200
    assert (await hall.ticket("A-1-1")).reason == "SEAT_NOT_FOUND"
    full = (await hall.show("?view=EVENT_VIEW_FULL")).json
    assert seats_of(full) == [("B", "1", "B-1-1"), ("B", "1", "B-1-2")]
    for refused in (
        {"sections": sections},
        {"currency_code": "CHF"},
        {"price_categories": [*categories, EUR_STD]},
        {"price_categories": [EUR_STD]},
    ):
        assert refusal(await hall.update(refused)) == (409, "INVALID_TRANSITION")
    assert (await hall.update({"price_categories": [categories[0] | {"amount_minor": "1"}]})).status == 200
    hold = await hall.held(hall.buyer(), "B-1-1")
    assert hold["total"]["amount_minor"] == "1"


def seats_of(event: dict[str, Any]) -> list[tuple[str, str, str]]:
    """List section, row and seat of a full view, in its order."""
    return [
        (section["section_id"], row["row_id"], seat["seat_id"])
        for section in event["sections"]
        for row in section["rows"]
        for seat in row["seats"]
    ]


async def test_the_full_view_gives_every_seat_once_in_order(open_hall: OpenHall) -> None:
    """Whatever the page size, the pages hold every seat once, in the order of the layout."""
    sections = [
        {"section_id": name, "title": name, "row_count": rows, "seats_per_row": 30, "category_id": "std"}
        for name, rows in (("C", 3), ("A", 10), ("B", 1))
    ]
    hall = await open_hall(sections=sections)
    expected = [
        (name, str(row), f"{name}-{row}-{number}")
        for name, rows in (("C", 3), ("A", 10), ("B", 1))
        for row in range(1, rows + 1)
        for number in range(1, 31)
    ]
    for size in (0, 7, 200, 420):
        assert await pages_of(hall, f"page_size={size}") == expected, size
    only_a = [seat for seat in expected if seat[0] == "A"]
    assert await pages_of(hall, "page_size=110&section_id=A") == only_a
    assert refusal(await hall.show("?view=EVENT_VIEW_FULL&section_id=Z")) == (404, "SEAT_NOT_FOUND")
    basic = (await hall.show()).json
    assert [(section["section_id"], section["seat_count"]) for section in basic["sections"]] == [
        ("C", 90),
        ("A", 300),
        ("B", 30),
    ]
    assert seats_of(basic) == []


async def pages_of(hall: Hall, query: str) -> list[tuple[str, str, str]]:
    """Read all pages of the full view."""
    seats: list[tuple[str, str, str]] = []
    token = ""
    while True:
        page = await hall.show(f"?view=EVENT_VIEW_FULL&{query}&page_token={token}")
        assert page.status == 200, page
        seats += seats_of(page.json)
        token = page.json["next_page_token"]
        if not token:
            return seats


async def test_positions_survive(client: Client, open_hall: OpenHall) -> None:
    """Seats that are listed one by one keep ids, categories and places on the plan."""
    hall = await open_hall(is_published=False)
    event_id = f"e-{uuid.uuid4().hex[:8]}"
    assert (await client.call("POST", "/v1/events", hall.organizer, base(hall) | {"event_id": event_id})).status == 200
    full = await client.call("GET", f"/v1/events/{event_id}?view=EVENT_VIEW_FULL", hall.organizer)
    seat = {"seat_id": "A-1-1", "category_id": "std", "x": 1.5, "y": 0}
    assert full.json["sections"][0]["rows"] == [{"row_id": "1", "seats": [seat]}]


async def test_the_list_shows_published_events_newest_first(open_hall: OpenHall, client: Client) -> None:
    """Pages give each published event once, newest first; drafts to their organizer only."""
    made = [await open_hall() for _ in range(3)]
    draft = await open_hall(is_published=False)

    async def listed(token: str | None, size: int) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        page_token = ""
        while True:
            page: Answer = await client.call("GET", f"/v1/events?page_size={size}&page_token={page_token}", token)
            assert page.status == 200, page
            events += page.json["events"]
            page_token = page.json["next_page_token"]
            if not page_token:
                return events

    wanted = [hall.event_id for hall in reversed(made)]

    async def all_listed() -> list[str]:
        # The list is told by sends, so it follows the events at a small distance.
        ids = [event["event_id"] for event in await listed(None, 100) if event["state"] != "EVENT_STATE_DRAFT"]
        return ids if set(wanted) <= set(ids) else []

    found = await until(all_listed, "the events in the list")
    assert [event_id for event_id in found if event_id in wanted] == wanted
    assert len(set(found)) == len(found)
    small = await listed(None, 2)
    assert [event["event_id"] for event in small if event["event_id"] in wanted] == wanted
    assert all(not event["sections"] for event in small)
    assert draft.event_id not in {event["event_id"] for event in await listed(None, 100)}
    assert draft.event_id not in {event["event_id"] for event in await listed(made[0].organizer, 100)}

    async def own_draft() -> bool:
        return draft.event_id in {event["event_id"] for event in await listed(draft.organizer, 100)}

    await until(own_draft, "the draft in its organizer's list")


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


async def audit(hall: Hall) -> list[dict[str, Any]]:
    """Read the whole audit, two entries a page."""
    entries: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await hall.show(f"/audit?page_size=2&page_token={token}", hall.organizer)
        assert page.status == 200, page
        entries += page.json["entries"]
        token = page.json["next_page_token"]
        if not token:
            return entries


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
    entries = await audit(hall)
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


async def test_a_thousand_seats_are_created_and_sold(open_hall: OpenHall) -> None:
    """An event of 1,000 seats is on sale, whole on the map, and sells its first and last seat."""
    hall = await open_hall(rows=20, seats_per_row=50)
    assert (await hall.show()).json["seat_count"] == 1000

    async def whole() -> bool:
        return len(await hall.shown()) == 1000

    await until(whole, "the map of 1,000 seats", 10)
    answers = await asyncio.gather(hall.hold(hall.buyer(), "A-1-1"), hall.hold(hall.buyer(), "A-20-50"))
    assert [answer.status for answer in answers] == [200, 200]


async def map_shows(hall: Hall, wanted: dict[str, str]) -> None:
    """Wait until the map shows seats with these statuses."""

    async def check() -> bool:
        shown = await hall.shown()
        return {seat_id: shown.get(seat_id) for seat_id in wanted} == wanted

    await until(check, f"the map to show {wanted}", 5 * PATIENCE)
