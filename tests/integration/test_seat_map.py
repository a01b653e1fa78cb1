"""The seat map: a view that follows the tickets, never goes back, and can be rebuilt from them."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from services.gateway.gen.nexus.v1 import seatmap_pb2
from tests.integration.booking import Behind, Hall, OpenHall, first, refusal, until
from tests.integration.client import Client

LETTERS = {"A": "AVAILABLE", "H": "HELD", "S": "SOLD", "B": "BLOCKED"}


class Picture:
    """What a watcher knows from the messages that it has read; fails where a change is missing or comes twice."""

    def __init__(self) -> None:
        self.seats: dict[str, dict[str, str]] = {}
        self.revisions: dict[str, int] = {}
        self.changes = 0
        self.resets = 0
        self.resume_token = ""

    def take(self, message: dict[str, Any]) -> None:
        """Take a message in."""
        self.resume_token = message["resume_token"]
        self.resets += bool(message["reset"])
        for section in message["sections"]:
            section_id = section["section_id"]
            if message["reset"]:
                self.seats[section_id] = {}
            self.revisions[section_id] = int(section["revision"])
            self.seats[section_id] |= {seat["seat_id"]: short(seat["status"]) for seat in section["seats"]}
        for change in message["changes"]:
            section_id = change["section_id"]
            assert int(change["revision"]) == self.revisions[section_id] + 1, "a gap, or a change told twice"
            assert self.seats[section_id][change["seat_id"]] != short(change["status"]), "no change at all"
            self.revisions[section_id] += 1
            self.seats[section_id][change["seat_id"]] = short(change["status"])
            self.changes += 1


def short(status: str) -> str:
    """Give a status without its prefix."""
    return status.removeprefix("SEAT_STATUS_")


async def rpc_watch(client: Client, event_id: str, resume_token: str = "") -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of WatchSeatMap over gRPC, without heartbeats."""
    request = seatmap_pb2.WatchSeatMapRequest(event_id=event_id, resume_token=resume_token)
    async with grpc.aio.insecure_channel(client.stack.grpc_address) as channel:
        call = channel.unary_stream(
            "/nexus.v1.SeatMapService/WatchSeatMap",
            request_serializer=seatmap_pb2.WatchSeatMapRequest.SerializeToString,
            response_deserializer=seatmap_pb2.WatchSeatMapResponse.FromString,
        )(request)
        async for message in call:
            if not message.heartbeat:
                yield MessageToDict(
                    message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
                )


def watch(hall: Hall, door: str, resume_token: str = "") -> AsyncIterator[dict[str, Any]]:
    """Watch the map at one of the doors, from the beginning or from a token on."""
    if door == "grpc":
        return rpc_watch(hall.client, hall.event_id, resume_token)
    if door == "sse, Last-Event-ID":
        return hall.watch(last_event_id=resume_token)
    return hall.watch(f"?resume_token={resume_token}" if resume_token else "")


async def follow(messages: AsyncIterator[dict[str, Any]], picture: Picture, changes: int) -> None:
    """Read until the picture has taken so many changes."""
    if picture.changes >= changes:
        return

    def take(message: dict[str, Any]) -> bool:
        picture.take(message)
        return picture.changes >= changes

    await first(messages, take, 20)


@pytest.mark.parametrize("door", ["grpc", "sse", "sse, Last-Event-ID"])
async def test_a_watch_resumes_without_a_gap(open_hall: OpenHall, door: str) -> None:
    """What happens while nobody listens is told after the token: each change once, in order, no snapshot."""
    hall = await open_hall()
    buyer = hall.buyer()
    picture = Picture()
    async with aclosing(watch(hall, door)) as messages:
        picture.take(await anext(messages))
        assert (picture.resets, set(picture.seats["A"].values())) == (1, {"AVAILABLE"})
        holds = [await hall.held(buyer, f"A-1-{number}") for number in range(1, 5)]
        await follow(messages, picture, 4)
    for hold in holds:
        await hall.release(buyer, hold)
    assert (await hall.buy(buyer, "A-2-1", "A-2-2")).status == 200
    async with aclosing(watch(hall, door, picture.resume_token)) as messages:
        # Two held and sold, four released; each is a change.
        await follow(messages, picture, 4 + 4 + 2 * 2)
        assert (await hall.do("/seats:block", {"seat_ids": ["A-2-3"]})).status == 200
        await follow(messages, picture, 13)
    assert picture.resets == 1, "a snapshot would hide a gap"
    expected = {seat_id: "AVAILABLE" for seat_id in picture.seats["A"]}
    assert picture.seats["A"] == expected | {"A-2-1": "SOLD", "A-2-2": "SOLD", "A-2-3": "BLOCKED"}


async def test_every_watcher_sees_the_same(open_hall: OpenHall) -> None:
    """Watchers at both doors, of a section or of all, end with the same picture as the map."""
    sections = [
        {"section_id": name, "title": name, "row_count": 1, "seats_per_row": 5, "category_id": "std"} for name in "AB"
    ]
    hall = await open_hall(sections=sections)
    buyer = hall.buyer()
    pictures = [Picture() for _ in range(3)]
    async with (
        aclosing(watch(hall, "grpc")) as rpc,
        aclosing(watch(hall, "sse")) as sse,
        aclosing(hall.watch("?section_id=B")) as only_b,
    ):
        for picture, messages in zip(pictures, (rpc, sse, only_b), strict=True):
            picture.take(await anext(messages))
        for number in range(1, 4):
            await hall.held(buyer, f"A-1-{number}", f"B-1-{number}")
        await asyncio.gather(
            follow(rpc, pictures[0], 6), follow(sse, pictures[1], 6), follow(only_b, pictures[2], 3)
        )
    assert pictures[0].seats == pictures[1].seats
    assert pictures[2].seats == {"B": pictures[0].seats["B"]}
    assert pictures[0].seats["A"] == await hall.shown("A")
    assert Counter(pictures[0].seats["B"].values()) == {"HELD": 3, "AVAILABLE": 2}


async def test_a_token_that_is_too_old_gets_a_snapshot(open_hall: OpenHall, scratch: Behind) -> None:
    """After more than 500 changes the watcher is given all anew, with reset."""
    hall = await open_hall(rows=1, seats_per_row=60)
    picture = Picture()
    async with aclosing(watch(hall, "grpc")) as messages:
        picture.take(await anext(messages))
    key = f"{hall.event_id}:A"
    for revision in range(1, 11):
        # The news of 51 seats, ten times: what 510 sales would tell.
        status = "SEAT_STATUS_HELD" if revision % 2 else "SEAT_STATUS_AVAILABLE"
        news = [
            {"seat_id": f"A-1-{place + 1}", "position": place, "status": status, "revision": revision}
            for place in range(51)
        ]
        await asyncio.gather(
            *(
                scratch.invoke("Envoy/carry", {"service": "SeatMap", "key": key, "handler": "apply", "body": body})
                for body in news
            )
        )
    old_token, picture = picture.resume_token, Picture()
    async with aclosing(watch(hall, "grpc", old_token)) as messages:
        picture.take(await anext(messages))
        assert (picture.resets, picture.revisions["A"], len(picture.seats["A"])) == (1, 510, 60)
        await hall.held(hall.buyer(), "A-1-60")
        await follow(messages, picture, 1)


@pytest.mark.parametrize("token", ["x", "AAAA", "eyJ2IjoxfQ", "%00", "é"])
async def test_a_token_that_is_none_is_refused(open_hall: OpenHall, token: str) -> None:
    """A resume_token that no message carried is INVALID_REQUEST, before the stream begins."""
    hall = await open_hall(rows=1, seats_per_row=1)
    answer = await hall.client.call("GET", f"{hall.path}/seatmap:watch?resume_token={token}")
    assert refusal(answer) == (400, "INVALID_REQUEST")


async def test_a_token_is_one_events_own(open_hall: OpenHall) -> None:
    """A token of another event is refused; one about other sections gets a snapshot."""
    hall, other = await open_hall(), await open_hall()
    async with aclosing(hall.watch()) as messages:
        token = (await anext(messages))["resume_token"]
    answer = await hall.client.call("GET", f"{other.path}/seatmap:watch?resume_token={token}")
    assert refusal(answer) == (400, "INVALID_REQUEST")
    text = json.loads(zlib.decompress(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    assert hall.event_id in text, "the token says which event it is about"


async def test_what_cannot_be_seen_cannot_be_watched(open_hall: OpenHall, client: Client) -> None:
    """Map and watch of an unknown event, a draft or an unknown section are refused."""
    hall, draft = await open_hall(), await open_hall(is_published=False)
    for path, reason in (
        ("/v1/events/no-such-event", "EVENT_NOT_FOUND"),
        (draft.path, "EVENT_NOT_FOUND"),
        (hall.path, "SEAT_NOT_FOUND"),
    ):
        query = "?section_id=Z" if path == hall.path else ""
        for verb in ("", ":watch"):
            assert refusal(await client.call("GET", f"{path}/seatmap{verb}{query}")) == (404, reason), path + verb


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
