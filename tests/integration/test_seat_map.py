"""The seat map at the HTTP door: the layout with the statuses that the tickets have told."""

from __future__ import annotations

from typing import Any

from tests.integration.booking import OpenHall, until
from tests.integration.client import Client


async def test_the_map_is_the_layout_with_statuses(open_hall: OpenHall) -> None:
    """Pages over several sections give each seat once, in the order of the layout, with place and category."""
    rows = [{"row_id": "1", "seats": [{"seat_id": "X1", "category_id": "std", "x": -1.5, "y": 2}]}]
    sections = [
        {"section_id": "Z", "title": "Z", "rows": rows},
        {"section_id": "A", "title": "A", "row_count": 3, "seats_per_row": 40, "category_id": "std"},
        {"section_id": "M", "title": "M", "row_count": 1, "seats_per_row": 2, "category_id": "std"},
    ]
    hall = await open_hall(sections=sections)
    await hall.held(hall.buyer(), "X1", "A-2-1")

    async def told() -> bool:
        return (await hall.shown("A"))["A-2-1"] == "HELD" and (await hall.shown("Z"))["X1"] == "HELD"

    await until(told, "the map to be told")
    whole = await hall.map()
    ids = [seat["seat_id"] for section in whole["sections"] for seat in section["seats"]]
    assert ids == ["X1", *(f"A-{row}-{number}" for row in (1, 2, 3) for number in range(1, 41)), "M-1-1", "M-1-2"]
    assert whole["sections"][0]["seats"] == [
        {"seat_id": "X1", "category_id": "std", "status": "SEAT_STATUS_HELD", "x": -1.5, "y": 2}
    ]
    assert whole["sections"][0]["revision"] == "1"
    for size in (1, 50, 121):
        paged: list[dict[str, Any]] = []
        token = ""
        while True:
            page = await hall.map(f"?page_size={size}&page_token={token}")
            assert sum(len(section["seats"]) for section in page["sections"]) <= size
            paged += [seat for section in page["sections"] for seat in section["seats"]]
            token = page["next_page_token"]
            if not token:
                break
        assert paged == [seat for section in whole["sections"] for seat in section["seats"]], size


async def test_the_map_follows_the_tickets(open_hall: OpenHall) -> None:
    """Held, sold, blocked and free again: the map shows each within a second."""
    hall = await open_hall()
    buyer = hall.buyer()

    async def becomes(wanted: dict[str, str]) -> None:
        async def check() -> bool:
            shown = await hall.shown()
            return {seat_id: status for seat_id, status in shown.items() if status != "AVAILABLE"} == wanted

        await until(check, f"the map to show {wanted}", 1)

    await becomes({})
    hold = await hall.held(buyer, "A-1-1", "A-1-2")
    await becomes({"A-1-1": "HELD", "A-1-2": "HELD"})
    assert (await hall.buy(hall.buyer(), "A-1-3")).status == 200
    await becomes({"A-1-1": "HELD", "A-1-2": "HELD", "A-1-3": "SOLD"})
    await hall.release(buyer, hold)
    await hall.do("/seats:block", {"seat_ids": ["A-1-4"]})
    await becomes({"A-1-3": "SOLD", "A-1-4": "BLOCKED"})


async def test_an_unchanged_map_is_not_sent_again(open_hall: OpenHall, client: Client) -> None:
    """The ETag of the map answers If-None-Match with 304 until the map changes."""
    hall = await open_hall()
    path = f"{hall.path}/seatmap"
    answer = await client.call("GET", path)
    etag = answer.headers["etag"]
    same = await client.call("GET", path, headers={"if-none-match": etag})
    assert (same.status, same.json, same.headers["etag"]) == (304, {}, etag)
    await hall.held(hall.buyer(), "A-1-1")

    async def changed() -> bool:
        newer = await client.call("GET", path, headers={"if-none-match": etag})
        return newer.status == 200 and newer.headers["etag"] != etag

    await until(changed, "another ETag", 2)
