"""What ends a hold without its buyer: its timer, on time, once, and for its own seats only."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.behind import Behind
from tests.integration.booking import PATIENCE, Hall, OpenHall, conflicts, first, moment, refusal, until

ON_TIME = timedelta(seconds=1 if PATIENCE == 1 else 5)


def is_free(message: dict[str, Any], seat_id: str) -> bool:
    """Tell whether a watch's message says that the seat is free again."""
    return any(
        (change["seat_id"], change["status"]) == (seat_id, "SEAT_STATUS_AVAILABLE") for change in message["changes"]
    )


async def test_an_expired_holds_seat_is_free_within_a_second(open_hall: OpenHall) -> None:
    """The timer frees the seat at expires_at, not before and at most a second later; the watch shows it."""
    hall = await open_hall(hold_seconds=2)
    buyer = hall.buyer()
    async with aclosing(hall.watch()) as watch:
        await anext(watch)
        hold = await hall.held(buyer, "A-1-1", "A-1-2")
        due = moment(hold["expires_at"])

        async def seen() -> datetime:
            await first(watch, lambda message: is_free(message, "A-1-1"))
            return datetime.now(UTC)

        watching = asyncio.create_task(seen())
        await hall.become("AVAILABLE", "A-1-1", "A-1-2")
        freed_at = datetime.now(UTC)
        seen_at = await watching
    assert due - timedelta(milliseconds=50) < freed_at < due + ON_TIME
    assert due - timedelta(milliseconds=50) < seen_at < due + ON_TIME
    assert await hall.state(buyer, hold) == "EXPIRED"
    await hall.held(hall.buyer(), "A-1-1", "A-1-2")


async def test_an_extended_hold_outlives_its_first_timer(open_hall: OpenHall) -> None:
    """The timer that finds a later expires_at comes again then, and ends the hold on time."""
    hall = await open_hall(hold_seconds=2)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    first_due = moment(hold["expires_at"])

    async def due_later() -> datetime | None:
        answer = await hall.extend(buyer, hold)
        due = moment(answer.json["expires_at"])
        return due if due > first_due + timedelta(seconds=1) else None

    due = await until(due_later, "an extension by more than a second")
    assert due is not None

    async def first_timer_has_passed() -> bool:
        assert await hall.status("A-1-1") == "HELD"
        return datetime.now(UTC) > first_due + timedelta(milliseconds=500)

    await until(first_timer_has_passed, "the first timer to pass")
    await hall.become("AVAILABLE", "A-1-1")
    assert due - timedelta(milliseconds=50) < datetime.now(UTC) < due + ON_TIME


async def test_a_stale_timer_leaves_a_newer_hold_alone(open_hall: OpenHall, behind: Behind) -> None:
    """The timer of a hold that has ended changes nothing for the seat's next hold, and logs one line."""
    hall = await open_hall(hold_seconds=2)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    assert (await hall.release(buyer, hold)).status == 200
    await hall.become("AVAILABLE", "A-1-1")
    assert (await hall.update({"hold_seconds": 600})).status == 200
    await hall.in_force()
    newer = await hall.held(buyer, "A-1-1")
    ticket = (await hall.ticket("A-1-1", buyer)).json

    async def lines() -> list[dict[str, Any]]:
        return behind.log("ticket", hold["hold_id"])

    found = await until(lines, "the stale timer's line in the log")
    assert [(line["event"], line["hold_id"]) for line in found] == [("stale timer ignored", hold["hold_id"])]
    assert await hall.state(buyer, newer) == "OPEN"
    assert (await hall.ticket("A-1-1", buyer)).json == ticket


async def test_a_late_timer_for_another_due_time_does_nothing(open_hall: OpenHall, scratch: Behind) -> None:
    """A timer is compared with its hold, never with a clock: one for an older due time does not end it."""
    hall = await open_hall(hold_seconds=600)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    assert (await hall.extend(buyer, hold)).status == 200
    (key,) = await holders(scratch, hall)
    letter = {"hold_id": hold["hold_id"], "due_at": hold["expires_at"], "seat_ids": ["A-1-1"]}
    await carry(scratch, "Buyer", key, "expire", letter)
    assert await hall.state(buyer, hold) == "OPEN"
    assert await hall.status("A-1-1") == "HELD"


async def make_overdue(behind: Behind, hall: Hall, hold: dict[str, Any]) -> str:
    """Move an OPEN hold's expires_at to 30 s ago, as if its timer had not come; give its buyer's key."""
    (key,) = await holders(behind, hall)
    state = await behind.state("Buyer", key)
    expires_at = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    state[f"hold:{hold['hold_id']}"]["expires_at"] = expires_at
    (entry,) = state["holds"]["entries"]
    entry["expires_at"] = expires_at
    await behind.write_state("Buyer", key, {name: json_of(value) for name, value in state.items()})

    async def is_written() -> bool:
        return bool((await behind.state("Buyer", key))["holds"]["entries"][0]["expires_at"] == expires_at)

    await until(is_written, "the hold to be overdue")
    return key


async def test_an_overdue_hold_counts_as_expired_before_its_timer(open_hall: OpenHall, behind: Behind) -> None:
    """An OPEN hold past expires_at is shown EXPIRED, is not extended, not paid, and not counted."""
    hall = await open_hall(hold_seconds=600, max_seats_per_buyer=1)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    assert refusal(await hall.hold(buyer, "A-1-2")) == (429, "BUYER_LIMIT")
    await make_overdue(behind, hall, hold)
    assert await hall.state(buyer, hold) == "EXPIRED"
    assert refusal(await hall.extend(buyer, hold)) == (410, "HOLD_EXPIRED")
    assert refusal(await hall.buy(buyer, hold_id=hold["hold_id"])) == (410, "HOLD_EXPIRED")
    await hall.held(buyer, "A-1-2")


async def test_a_timer_that_comes_very_late_still_ends_the_hold(open_hall: OpenHall, scratch: Behind) -> None:
    """A timer that finds an extension which has passed as well ends the hold at once, and blocks nobody."""
    hall = await open_hall(hold_seconds=600)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    key = await make_overdue(scratch, hall, hold)
    assert await hall.status("A-1-1") == "HELD", "its own timer has not come"
    # As after an hour in which nothing ran: the first timer comes when the extended one is due as well.
    first_due_at = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    letter = {"hold_id": hold["hold_id"], "due_at": first_due_at, "seat_ids": ["A-1-1"]}
    async with asyncio.timeout(10 * PATIENCE):
        await carry(scratch, "Buyer", key, "expire", letter)
    await hall.become("AVAILABLE", "A-1-1")
    assert await hall.state(buyer, hold) == "EXPIRED"
    await hall.held(buyer, "A-1-1")


async def test_a_stale_release_leaves_a_newer_hold_alone(open_hall: OpenHall, scratch: Behind) -> None:
    """A release with another hold's id changes neither a held nor a sold seat, and logs one line each."""
    hall = await open_hall()
    buyer = hall.buyer()
    old = await hall.held(buyer, "A-1-1", "A-1-2")
    await hall.release(buyer, old)
    await hall.become("AVAILABLE", "A-1-1", "A-1-2")
    newer = await hall.held(hall.buyer(), "A-1-1")
    assert (await hall.buy(hall.buyer(), "A-1-2")).status == 200
    before = [(await hall.ticket(seat_id)).json for seat_id in ("A-1-1", "A-1-2")]
    for seat_id in ("A-1-1", "A-1-2"):
        await carry(scratch, "Ticket", f"{hall.event_id}:{seat_id}", "release", {"hold_id": old["hold_id"]})
    assert [(await hall.ticket(seat_id)).json for seat_id in ("A-1-1", "A-1-2")] == before
    assert [ticket["status"] for ticket in before] == ["SEAT_STATUS_HELD", "SEAT_STATUS_SOLD"]
    lines = [line for line in scratch.log("ticket", old["hold_id"]) if line["event"] == "stale release ignored"]
    assert sorted(line["seat"].split(":")[1] for line in lines) == ["A-1-1", "A-1-2"]
    assert newer["hold_id"] != old["hold_id"]


async def test_a_hold_killed_between_its_seats_frees_them_by_its_timer(open_hall: OpenHall, behind: Behind) -> None:
    """Restate's kill skips compensations: what the hold had taken is free again at expires_at."""
    hall = await open_hall(hold_seconds=4 if PATIENCE == 1 else 10)
    buyer = hall.buyer()
    # A ticket whose state cannot be read: the hold comes to a stop between its first and its second seat.
    await behind.write_state("Ticket", f"{hall.event_id}:A-1-2", {"ticket": b"damaged"})
    holding = asyncio.create_task(hall.hold(buyer, "A-1-1", "A-1-2", "A-1-3"))

    async def stuck() -> str:
        return await behind.is_stuck(f"Ticket/{hall.event_id}:A-1-2/reserve")

    await until(stuck, "the hold to get stuck at its second seat")
    (hold,) = await behind.states("Buyer", f"{hall.event_id}:", "hold:")
    assert await hall.statuses("A-1-1", "A-1-3") == ["HELD", "AVAILABLE"]
    assert datetime.now(UTC) < moment(hold["expires_at"])
    (key,) = await holders(behind, hall)
    (invocation_id,) = await behind.running(f"Buyer/{key}/hold")
    await behind.kill(invocation_id)
    assert (await holding).status >= 400
    await behind.write_state("Ticket", f"{hall.event_id}:A-1-2", {})
    assert await hall.status("A-1-1") == "HELD"
    await hall.become("AVAILABLE", "A-1-1", "A-1-2", "A-1-3", seconds=8)
    assert abs(datetime.now(UTC) - moment(hold["expires_at"])) < ON_TIME
    assert await hall.state(buyer, hold) == "EXPIRED"
    await hall.held(hall.buyer(), "A-1-1", "A-1-2", "A-1-3")


async def test_a_seat_in_doubt_is_released_as_well(open_hall: OpenHall, behind: Behind) -> None:
    """A seat that does not answer makes the hold fail; nothing stays held, not even that seat."""
    hall = await open_hall(hold_seconds=600)
    buyer = hall.buyer()
    await behind.write_state("Ticket", f"{hall.event_id}:A-1-2", {"ticket": b"damaged"})
    holding = asyncio.create_task(hall.hold(buyer, "A-1-1", "A-1-2", "A-1-3"))

    async def stuck() -> str:
        return await behind.is_stuck(f"Ticket/{hall.event_id}:A-1-2/reserve")

    # As if it had given up: that takes ten attempts otherwise.
    await behind.kill(await until(stuck, "the hold to get stuck at its second seat"))
    assert refusal(await holding) == (503, "UNAVAILABLE")
    (key,) = await holders(behind, hall, "holds")

    async def releasing() -> str:
        return await behind.is_stuck(f"Ticket/{hall.event_id}:A-1-2/release")

    release = await until(releasing, "the release of the seat in doubt")
    await hall.become("AVAILABLE", "A-1-1")
    # It never gives up; the state can be repaired only once it no longer keeps the ticket busy.
    await behind.kill(release)
    await behind.write_state("Ticket", f"{hall.event_id}:A-1-2", {})
    assert (await behind.state("Buyer", key))["holds"]["entries"] == []
    await hall.held(buyer, "A-1-1", "A-1-2", "A-1-3")


async def test_after_the_hard_deadline_anyone_may_take_the_seat(open_hall: OpenHall, behind: Behind) -> None:
    """A seat whose hold nobody has ended shows as AVAILABLE after its hard deadline, and can be held."""
    hall = await open_hall(hold_seconds=600)
    forgetful, buyer = hall.buyer(), hall.buyer()
    hold = await hall.held(forgetful, "A-1-1")
    key = f"{hall.event_id}:A-1-1"
    ticket = (await behind.state("Ticket", key))["ticket"]
    assert moment(ticket["hard_deadline"]) == moment(hold["created_at"]) + timedelta(seconds=3 * 600 + 180)
    assert conflicts(await hall.hold(buyer, "A-1-1")) == {"A-1-1": "HELD"}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await behind.write_state("Ticket", key, {"ticket": json_of(ticket | {"hard_deadline": past})})
    await hall.become("AVAILABLE", "A-1-1")
    newer = await hall.held(buyer, "A-1-1")
    # The old hold's end does not touch the newer one.
    await hall.release(forgetful, hold)

    async def stale() -> list[dict[str, Any]]:
        return [line for line in behind.log("ticket", hold["hold_id"]) if line["event"] == "stale release ignored"]

    found = await until(stale, "the stale release")
    assert len(found) == 1
    assert await hall.state(buyer, newer) == "OPEN"
    assert await hall.status("A-1-1") == "HELD"


async def holders(behind: Behind, hall: Hall, name: str = "hold:") -> list[str]:
    """Give the keys of the Buyer objects that have a hold of the event."""
    sql = (
        "SELECT DISTINCT service_key FROM state WHERE service_name = 'Buyer' "
        f"AND service_key LIKE '{hall.event_id}:%' AND key LIKE '{name}%'"
    )
    return [row["service_key"] for row in await behind.query(sql)]


async def carry(behind: Behind, service: str, key: str, handler: str, body: object) -> None:
    """Call a private handler through the test's own service."""
    await behind.invoke("Envoy/carry", {"service": service, "key": key, "handler": handler, "body": body})


def json_of(value: object) -> bytes:
    """Write JSON as state holds it."""
    return json.dumps(value).encode()
