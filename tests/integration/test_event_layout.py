"""An event's terms and layout: what can be changed when, and how it is shown."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from tests.integration.booking import STANDARD, Hall, OpenHall, refusal, small_event, until
from tests.integration.client import Client


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
        {"price_categories": [*categories, STANDARD]},
        {"price_categories": [STANDARD]},
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
    assert (
        await client.call("POST", "/v1/events", hall.organizer, small_event() | {"event_id": event_id})
    ).status == 200
    full = await client.call("GET", f"/v1/events/{event_id}?view=EVENT_VIEW_FULL", hall.organizer)
    seat = {"seat_id": "A-1-1", "category_id": "std", "x": 1.5, "y": 0}
    assert full.json["sections"][0]["rows"] == [{"row_id": "1", "seats": [seat]}]


async def test_a_thousand_seats_are_created_and_sold(open_hall: OpenHall) -> None:
    """An event of 1,000 seats is on sale, whole on the map, and sells its first and last seat."""
    hall = await open_hall(rows=20, seats_per_row=50)
    assert (await hall.show()).json["seat_count"] == 1000

    async def whole() -> bool:
        return len(await hall.shown()) == 1000

    await until(whole, "the map of 1,000 seats", 10)
    answers = await asyncio.gather(hall.hold(hall.buyer(), "A-1-1"), hall.hold(hall.buyer(), "A-20-50"))
    assert [answer.status for answer in answers] == [200, 200]
