"""Many buyers at once: a seat is never held twice, and somebody always gets it.

The same race against seats that are sold by reading and then writing oversells: the race would tell.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import Awaitable, Callable

from tests.integration.behind import Behind
from tests.integration.booking import Hall, OpenHall, conflicts, until
from tests.integration.client import Answer

BUYERS = 100
ROUNDS = 30


async def race(attempt: Callable[[int], Awaitable[bool]]) -> int:
    """Let all buyers try at the same moment; give how many believe to have the seat."""
    start = asyncio.Event()

    async def buyer(number: int) -> bool:
        await start.wait()
        return await attempt(number)

    attempts = [asyncio.create_task(buyer(number)) for number in range(BUYERS)]
    start.set()
    return sum(await asyncio.gather(*attempts))


async def live_holds(behind: Behind, hall: Hall) -> list[set[str]]:
    """Give the seats of every live hold, as the buyers' own records have them."""
    holds = await behind.states("Buyer", f"{hall.event_id}:", "hold:")
    return [{seat["seat_id"] for seat in hold["seats"]} for hold in holds if hold["state"] == "HOLD_STATE_OPEN"]


async def test_of_a_hundred_buyers_one_gets_the_seat(open_hall: OpenHall, behind: Behind) -> None:
    """100 buyers ask for one seat: exactly one hold, 99 refusals with the seat's status, one HELD ticket."""
    hall = await open_hall()
    answers: list[Answer] = []

    async def attempt(number: int) -> bool:
        answer = await hall.hold(hall.buyer(f"{hall.event_id}-{number}"), "A-1-1")
        answers.append(answer)
        return answer.status == 200

    assert await race(attempt) == 1
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) == BUYERS - 1
    assert all(conflicts(answer) == {"A-1-1": "HELD"} for answer in refused)
    assert await live_holds(behind, hall) == [{"A-1-1"}]
    (ticket,) = await behind.states("Ticket", hall.event_id, "ticket")
    (won,) = [answer.json for answer in answers if answer.status == 200]
    assert (ticket["status"], ticket["hold_id"], ticket["revision"]) == ("SEAT_STATUS_HELD", won["hold_id"], 1)


async def test_the_same_race_oversells_seats_that_are_read_and_then_written(scratch: Behind) -> None:
    """The negative control: the race above would notice a seat that is sold twice."""
    seat = uuid.uuid4().hex

    async def attempt(number: int) -> bool:
        return bool(await scratch.invoke("NaiveBuyer/hold", {"seat": seat, "buyer": str(number)}))

    assert await race(attempt) > 1


async def test_overlapping_requests_always_leave_a_winner(open_hall: OpenHall, behind: Behind) -> None:
    """Of requests that overlap in any way at least one gets all its seats, and no seat is held twice."""
    hall = await open_hall(rows=ROUNDS, seats_per_row=6, max_seats_per_buyer=300)
    buyers = [hall.buyer() for _ in range(4)]
    chance = random.Random(20261121)
    won: list[set[str]] = []
    for row in range(1, ROUNDS + 1):
        seats = [f"A-{row}-{number}" for number in range(1, 7)]
        wishes = [seats[0:4], seats[3:6], [*reversed(seats[1:5])], [seats[5], seats[0]]]
        chance.shuffle(wishes)
        requests = [hall.hold(buyer, *wish) for buyer, wish in zip(buyers, wishes, strict=True)]
        answers = await asyncio.gather(*requests)
        winners = [set(wish) for wish, answer in zip(wishes, answers, strict=True) if answer.status == 200]
        assert winners, f"round {row}: everybody was refused"
        assert not any(a & b for a, b in itertools.combinations(winners, 2)), f"round {row}: {winners}"
        for answer in answers:
            if answer.status != 200:
                conflicts(answer)
        won += winners
    assert sorted(map(sorted, await live_holds(behind, hall))) == sorted(map(sorted, won))

    async def refused_seats_are_free() -> bool:
        tickets = await behind.states("Ticket", hall.event_id, "ticket")
        return sum(ticket["status"] == "SEAT_STATUS_HELD" for ticket in tickets) == sum(map(len, won))

    await until(refused_seats_are_free, "the seats of refused requests to be free")


async def test_two_buyers_who_name_their_seats_in_opposite_order_never_wait_for_ever(open_hall: OpenHall) -> None:
    """Opposite orders neither deadlock nor refuse both."""
    hall = await open_hall(rows=20, seats_per_row=2, max_seats_per_buyer=300)
    a, b = hall.buyer(), hall.buyer()
    for row in range(1, 21):
        left, right = f"A-{row}-1", f"A-{row}-2"
        async with asyncio.timeout(30):
            answers = await asyncio.gather(hall.hold(a, left, right), hall.hold(b, right, left))
        assert sorted(answer.status for answer in answers) == [200, 409]
