"""A crowd of holds asks Event for its terms about twice a second, and an organizer's change counts within one."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.behind import Behind
from tests.integration.booking import OpenHall, refusal
from tests.integration.modes import IS_SUSPENDED


async def quotes(behind: Behind, event_id: str) -> int:
    """Count the calls of Event.quote for an event so far."""
    rows = await behind.query(
        "SELECT count(*) AS calls FROM sys_invocation WHERE target_service_name = 'Event' "
        f"AND target_service_key = '{event_id}' AND target_handler_name = 'quote'"
    )
    return int(rows[0]["calls"])


@pytest.mark.skipif(IS_SUSPENDED, reason="suspended, Event's answer comes later than half a second and is not kept")
async def test_holds_in_a_row_spare_event_the_question(open_hall: OpenHall, behind: Behind) -> None:
    """What Event said of a seat and its neighbours is used for half a second, places and prices right."""
    hall = await open_hall(price=4500)
    first = await hall.held(hall.buyer(), "A-1-9")
    assert await quotes(behind, hall.event_id) == 1
    # At once, and side by side, so that most of them come within that time however slow the machine is.
    seats = [f"A-{row}-{number}" for row in (1, 2) for number in range(1, 6)]
    holds = await asyncio.gather(*(hall.held(hall.buyer(), seat_id) for seat_id in seats))
    assert await quotes(behind, hall.event_id) < 1 + len(holds)
    assert {hold["total"]["amount_minor"] for hold in [first, *holds]} == {"4500"}
    await hall.map_shows(dict.fromkeys(["A-1-9", *seats], "HELD"))


async def test_a_pause_counts_within_a_second(open_hall: OpenHall) -> None:
    """After that no hold is made, whatever the process remembers."""
    hall = await open_hall()
    await hall.held(hall.buyer(), "A-1-1")
    assert (await hall.do(":pause")).status == 200
    await hall.in_force()
    assert refusal(await hall.hold(hall.buyer(), "A-1-2")) == (409, "SALES_PAUSED")
    assert await hall.status("A-1-2") == "AVAILABLE"
