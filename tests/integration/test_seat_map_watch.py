"""Watches of the seat map: whoever resumes misses nothing, and is told nothing twice."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections import Counter
from contextlib import aclosing

import pytest

from tests.integration.behind import Behind
from tests.integration.booking import OpenHall, refusal
from tests.integration.client import Client
from tests.integration.second_gateway import SecondGateway
from tests.integration.watching import Picture, follow, rpc_watch, watch


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
    expected = dict.fromkeys(picture.seats["A"], "AVAILABLE")
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
        await asyncio.gather(follow(rpc, pictures[0], 6), follow(sse, pictures[1], 6), follow(only_b, pictures[2], 3))
    assert pictures[0].seats == pictures[1].seats
    assert pictures[2].seats == {"B": pictures[0].seats["B"]}
    assert pictures[0].seats["A"] == await hall.shown("A")
    assert Counter(pictures[0].seats["B"].values()) == {"HELD": 3, "AVAILABLE": 2}


async def test_a_watch_resumes_at_another_gateway(open_hall: OpenHall, second_gateway: SecondGateway) -> None:
    """A token of one gateway is good at another, which learns from the section what was missed."""
    hall = await open_hall()
    picture = Picture()
    async with aclosing(watch(hall, "grpc")) as messages:
        picture.take(await anext(messages))
    for number in range(1, 6):
        await hall.held(hall.buyer(), f"A-1-{number}")
    async with aclosing(rpc_watch(second_gateway.grpc_address, hall.event_id, picture.resume_token)) as messages:
        await follow(messages, picture, 5)
    assert picture.resets == 1
    assert Counter(picture.seats["A"].values()) == {"HELD": 5, "AVAILABLE": 15}


async def test_a_token_that_is_too_old_gets_a_snapshot(
    open_hall: OpenHall, scratch: Behind, second_gateway: SecondGateway
) -> None:
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
    # Another gateway: the first one may remember more than the section does.
    async with aclosing(rpc_watch(second_gateway.grpc_address, hall.event_id, old_token)) as messages:
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
