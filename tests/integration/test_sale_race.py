"""Many buyers, one seat: the sale as a whole is judged, tickets, money and mail."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

from tests.integration.checkout_fixtures import Shop, new_order_id, until

BUYERS = 100


async def test_of_a_hundred_buyers_of_one_seat_one_gets_it(shop: Shop) -> None:
    """One is CONFIRMED, 99 are refused with a reason; one seat SOLD, one capture, one mail."""
    event_id, run = await shop.event(), uuid.uuid4().hex[:12]
    given = [new_order_id() if number % 2 else "" for number in range(BUYERS)]
    answers = await asyncio.gather(
        *(
            shop.buy(shop.buyer(), event_id, "A-1-1", order_id=order_id, email=f"b{number}-{run}@example.org")
            for number, order_id in enumerate(given)
        )
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: BUYERS - 1}
    assert Counter(answer.reason for answer in answers) == {"": 1, "SEAT_UNAVAILABLE": BUYERS - 1}
    winner = next(answer for answer in answers if answer.status == 200)
    assert winner.json["state"] == "ORDER_STATE_CONFIRMED"
    assert await shop.seat(event_id, "A-1-1") == "SOLD"
    ticket = await shop.state("Ticket", f"{event_id}:A-1-1", "ticket")
    assert ticket["order_id"] == winner.json["order_id"]
    order_ids = [answer.headers["nexus-order-id"] for answer in answers]
    assert len(set(order_ids)) == BUYERS
    effects = [effect for order_id in order_ids for effect in await shop.effects(order_id)]
    assert effects == ["authorized", "captured"]

    async def mails() -> list[str]:
        return [
            mail["message_id"] for number in range(BUYERS) for mail in await shop.mails(f"b{number}-{run}@example.org")
        ]

    [message_id] = await until(mails, "the winner's mail")
    assert winner.json["order_id"] in message_id


async def test_overlapping_orders_leave_whole_winners_only(shop: Shop) -> None:
    """Of buyers who want overlapping seats, each gets all or none; every seat sold is paid by its one owner."""
    event_id = await shop.event()
    wishes = [[f"A-1-{first}", f"A-1-{first + 1}", f"A-1-{first + 2}"] for first in range(1, 9)] * 3
    answers = await asyncio.gather(*(shop.buy(shop.buyer(), event_id, *wish) for wish in wishes))
    won = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status == 200]
    assert won, "somebody always wins"
    assert {answer.reason for answer in answers} <= {"", "SEAT_UNAVAILABLE"}
    sold = [seat_id for wish in won for seat_id in wish]
    assert len(sold) == len(set(sold)), "no seat is sold twice"
    for place in range(1, 11):
        seat_id = f"A-1-{place}"
        await shop.seat_becomes(event_id, seat_id, "SOLD" if seat_id in sold else "AVAILABLE")
    effects = [effect for answer in answers for effect in await shop.effects(answer.headers["nexus-order-id"])]
    assert Counter(effects) == {"authorized": len(won), "captured": len(won)}
