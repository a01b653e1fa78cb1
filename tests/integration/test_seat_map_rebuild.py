"""The seat map under a running sale: it never goes back, keeps nobody waiting and can be made anew."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from typing import Any

from tests.integration.behind import Behind
from tests.integration.booking import Hall, OpenHall, until
from tests.integration.watching import Picture, follow, short, watch

LETTERS = {"A": "AVAILABLE", "H": "HELD", "S": "SOLD", "B": "BLOCKED"}


async def churn(hall: Hall, seat_ids: list[str], stop: asyncio.Event) -> int:
    """Hold one seat after another and give it back two seats later, until told to stop; give how many holds."""
    buyer, holds = hall.buyer(), 0
    kept: list[dict[str, Any]] = []
    while not stop.is_set():
        answer = await hall.hold(buyer, seat_ids[holds % len(seat_ids)])
        if answer.status == 200:
            holds += 1
            kept.append(answer.json)
        if len(kept) > 2:
            await hall.release(buyer, kept.pop(0))
    return holds


async def test_a_sections_revision_never_goes_back(open_hall: OpenHall) -> None:
    """While seats are held, released and the map is rebuilt, readers see revisions that only grow."""
    hall = await open_hall(rows=4, seats_per_row=10, max_seats_per_buyer=300)
    stop = asyncio.Event()
    picture = Picture()
    rows = [[f"A-{row}-{number}" for number in range(1, 11)] for row in range(1, 5)]
    async with aclosing(watch(hall, "grpc")) as messages:
        picture.take(await anext(messages))
        sellers = [asyncio.create_task(churn(hall, row, stop)) for row in rows]
        reading = asyncio.create_task(follow(messages, picture, 150))
        seen: list[int] = []

        async def read_until_enough() -> bool:
            if len(seen) % 10 == 5:
                assert (await hall.do("/seatmap:rebuild")).status == 200
            seen.append(int((await hall.map("?section_id=A"))["sections"][0]["revision"]))
            return reading.done()

        await until(read_until_enough, "150 changes", 20)
        stop.set()
        await asyncio.gather(*sellers)
        await reading
    assert seen == sorted(seen)
    assert len(set(seen)) > 3, "the map did not move"


async def test_a_read_of_the_changes_is_whole(open_hall: OpenHall, scratch: Behind) -> None:
    """Whoever reads the changes up to a revision while more come gets all of them: no read is torn."""
    hall = await open_hall(rows=1, seats_per_row=10)
    key = f"{hall.event_id}:A"

    async def tell(place: int) -> None:
        for revision in range(1, 16):
            status = "SEAT_STATUS_HELD" if revision % 2 else "SEAT_STATUS_AVAILABLE"
            body = {"seat_id": f"A-1-{place + 1}", "position": place, "status": status, "revision": revision}
            await scratch.invoke("Envoy/carry", {"service": "SeatMap", "key": key, "handler": "apply", "body": body})

    async def read(stop: asyncio.Event) -> int:
        since = 0
        while not stop.is_set():
            request = {"event_id": hall.event_id, "section_id": "A", "since": since}
            page = (await scratch.invoke(f"SeatMap/{key}/get", {"request": request}))["response"]
            assert not page.get("is_gone", False)
            assert [change[0] for change in page.get("changes", [])] == list(range(since + 1, page["revision"] + 1))
            since = page["revision"]
        return since

    stop = asyncio.Event()
    readers = [asyncio.create_task(read(stop)) for _ in range(4)]
    await asyncio.gather(*(tell(place) for place in range(10)))
    stop.set()
    assert max(await asyncio.gather(*readers)) > 100


async def truth(behind: Behind, hall: Hall) -> dict[str, str]:
    """Give the status of every seat that was ever touched, as the Tickets have it."""
    sql = (
        "SELECT service_key, value_utf8 FROM state WHERE service_name = 'Ticket' "
        f"AND service_key LIKE '{hall.event_id}:%'"
    )
    rows = await behind.query(sql)
    return {row["service_key"].split(":")[1]: short(json.loads(row["value_utf8"])["status"]) for row in rows}


async def stored(behind: Behind, hall: Hall) -> tuple[int, dict[str, str]]:
    """Give revision and statuses as the section itself has them, past any gateway."""
    body = {"request": {"event_id": hall.event_id, "section_id": "A"}}
    page = (await behind.invoke(f"SeatMap/{hall.event_id}:A/get", body))["response"]
    seats = [seat[0] for seat in page.get("seats", [])]
    letters = page.get("statuses", "")
    return int(page["revision"]), {seat: LETTERS[letter] for seat, letter in zip(seats, letters, strict=True)}


async def test_rebuild_repairs_a_damaged_map_while_seats_are_sold(open_hall: OpenHall, behind: Behind) -> None:
    """A map with wrong, lost and future statuses is the Tickets' again, though sales go on meanwhile."""
    hall = await open_hall(rows=15, seats_per_row=10, max_seats_per_buyer=300)
    everything = {f"A-{row}-{number}": "AVAILABLE" for row in range(1, 16) for number in range(1, 11)}
    assert (await hall.buy(hall.buyer(), "A-1-1")).status == 200
    await hall.held(hall.buyer(), "A-1-2", "A-15-10")
    assert (await hall.do("/seats:block", {"seat_ids": ["A-1-3"]})).status == 200

    async def is_true() -> bool:
        right = everything | await truth(behind, hall)
        return (await stored(behind, hall))[1] == right and await hall.shown() == right

    await until(is_true, "the map to be true")
    revision, _ = await stored(behind, hall)

    key = f"{hall.event_id}:A"
    state = await behind.state("SeatMap", key)
    state["status:0"] |= {"statuses": "SAB" + "H" * 97, "revisions": [1000] * 100}
    del state["status:1"], state["seats:1"]
    await behind.write_state("SeatMap", key, {name: json.dumps(value).encode() for name, value in state.items()})

    async def is_damaged() -> bool:
        statuses = (await stored(behind, hall))[1]
        return len(statuses) == 100 and Counter(statuses.values())["HELD"] == 97

    await until(is_damaged, "the damage")
    stop = asyncio.Event()
    rows = [[f"A-{row}-{number}" for number in range(1, 11)] for row in (2, 5, 14)]
    sellers = [asyncio.create_task(churn(hall, row, stop)) for row in rows]
    revisions: list[int] = []

    async def some_sales() -> bool:
        return len(await truth(behind, hall)) > 8

    await until(some_sales, "sales to go on")
    assert not await is_true()
    rebuilt = await hall.do("/seatmap:rebuild", {"reason": "damage"})
    assert rebuilt.json == {"event_id": hall.event_id, "seat_count": 150}

    async def is_whole_again() -> bool:
        revision, statuses = await stored(behind, hall)
        revisions.append(revision)
        quiet = {seat: status for seat, status in statuses.items() if int(seat.split("-")[1]) not in (2, 5, 14)}
        right = everything | await truth(behind, hall)
        return len(statuses) == 150 and all(right[seat] == status for seat, status in quiet.items())

    await until(is_whole_again, "the seats that nobody buys to be right", 15)
    stop.set()
    assert min(await asyncio.gather(*sellers)) > 0
    await until(is_true, "the map to be true again", 15)
    assert revisions[0] >= revision
    assert revisions == sorted(revisions)


async def test_a_broken_map_keeps_no_buyer_waiting(open_hall: OpenHall, behind: Behind) -> None:
    """While a section cannot take news, its seats are held and sold as ever; a rebuild catches up."""
    hall = await open_hall()
    key = f"{hall.event_id}:A"

    async def whole() -> bool:
        return len(await hall.shown()) == 20

    await until(whole, "the map")
    await behind.write_state("SeatMap", key, {"status:0": b"damaged"})
    hold = await hall.held(hall.buyer(), "A-1-1")
    assert (await hall.buy(hall.buyer(), "A-1-2")).json["state"] == "ORDER_STATE_CONFIRMED"
    assert await hall.statuses("A-1-1", "A-1-2") == ["HELD", "SOLD"]
    assert hold["state"] == "HOLD_STATE_OPEN"

    async def stuck() -> str:
        return await behind.is_stuck(f"SeatMap/{key}/apply")

    await until(stuck, "the map to be stuck")
    # The operator's way out: a new state, queued behind the news that cannot be taken in, which is given up.
    await behind.write_state("SeatMap", key, {})

    async def no_news_waits() -> bool:
        waiting = await behind.running(f"SeatMap/{key}/apply")
        for invocation_id in waiting:
            await behind.kill_if_running(invocation_id)
        return not waiting

    await until(no_news_waits, "the news to be given up")
    assert (await hall.do("/seatmap:rebuild")).status == 200

    async def told() -> bool:
        shown = await hall.shown()
        return len(shown) == 20 and (shown["A-1-1"], shown["A-1-2"]) == ("HELD", "SOLD")

    await until(told, "the map to be whole again", 10)


async def test_older_news_is_ignored(open_hall: OpenHall, scratch: Behind) -> None:
    """News of a ticket's earlier revision, or the same news again, neither changes the seat nor counts."""
    hall = await open_hall()
    for revision, status in ((7, "SOLD"), (6, "HELD"), (7, "SOLD"), (0, "AVAILABLE")):
        body = {"seat_id": "A-1-1", "position": 0, "status": f"SEAT_STATUS_{status}", "revision": revision}
        letter = {"service": "SeatMap", "key": f"{hall.event_id}:A", "handler": "apply", "body": body}
        await scratch.invoke("Envoy/carry", letter)
    revision, statuses = await stored(scratch, hall)
    assert (revision, statuses["A-1-1"]) == (1, "SOLD")


async def test_a_forgotten_hold_shows_as_available_after_its_hard_deadline(
    open_hall: OpenHall, scratch: Behind
) -> None:
    """The section knows the hard deadline of each held seat and no longer shows the hold after it."""
    hall = await open_hall()
    deadlines = {"A-1-1": "2026-01-01T00:00:00Z", "A-1-2": "2030-01-01T00:00:00Z"}
    for place, (seat_id, held_until) in enumerate(deadlines.items()):
        body = {
            "seat_id": seat_id,
            "position": place,
            "status": "SEAT_STATUS_HELD",
            "revision": 7,
            "held_until": held_until,
        }
        letter = {"service": "SeatMap", "key": f"{hall.event_id}:A", "handler": "apply", "body": body}
        await scratch.invoke("Envoy/carry", letter)
    _, statuses = await stored(scratch, hall)
    assert (statuses["A-1-1"], statuses["A-1-2"]) == ("AVAILABLE", "HELD")
