"""A buyer whose holds lapse unpaid again and again pauses; others take the seat meanwhile."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from tests.integration.booking import OpenHall, details, refusal, until
from tests.integration.client import Answer

MOST_LAPSES = 10


async def test_who_lets_holds_lapse_waits_as_told_and_may_then_hold_again(open_hall: OpenHall) -> None:
    """After some unpaid lapses a hold is refused with the time to wait; another buyer has the seat, then it is over."""
    hall = await open_hall(hold_seconds=1)
    bot = hall.buyer()

    async def lapse(hold: dict[str, Any]) -> None:
        async def is_over() -> bool:
            return await hall.state(bot, hold) == "EXPIRED" and await hall.status("A-1-1") == "AVAILABLE"

        await until(is_over, "the hold to lapse")

    answer: Answer = await hall.hold(bot, "A-1-1")
    lapses = 0
    while answer.status == 200:
        assert lapses < MOST_LAPSES, "the pauses double: one of them lasts longer than it takes to hold again"
        await lapse(answer.json)
        lapses += 1
        answer = await hall.hold(bot, "A-1-1")
    assert lapses >= 3, "two lapses are free"
    assert refusal(answer) == (429, "BUYER_COOLING_DOWN")
    wait_seconds = float(details(answer)["retry_after_seconds"])
    assert 0 < wait_seconds <= 4
    assert answer.headers["Retry-After"] == str(math.ceil(wait_seconds))
    other = hall.buyer()
    assert (await hall.release(other, await hall.held(other, "A-1-1"))).status == 200
    await hall.become("AVAILABLE", "A-1-1")
    await asyncio.sleep(wait_seconds)
    await hall.held(bot, "A-1-1")


async def test_an_order_of_a_buyer_who_has_to_pause_does_not_invite_to_repeat_it(open_hall: OpenHall) -> None:
    """The order is final, so its refusal names no time to wait; until then a declined card tells that it was tried."""
    hall = await open_hall(hold_seconds=1)
    bot = hall.buyer()

    async def free() -> bool:
        return bool(await hall.status("A-1-1") == "AVAILABLE")

    for _ in range(MOST_LAPSES):
        held = await hall.hold(bot, "A-1-1")
        while refusal(held) == (429, "BUYER_COOLING_DOWN"):
            await asyncio.sleep(float(details(held)["retry_after_seconds"]))
            held = await hall.hold(bot, "A-1-1")
        await until(free, "the hold to lapse")
        bought = await hall.buy(bot, "A-1-1", card="card_decline")
        if refusal(bought) != (402, "PAYMENT_DECLINED"):
            break
        await until(free, "the declined order to give its seat back")
    assert refusal(bought) == (429, "BUYER_LIMIT")
    assert "Retry-After" not in bought.headers
    assert "retry_after_seconds" not in details(bought)
