"""Restate is killed and started again under load: calls are late, and none that can be made again fails."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp

from tests.integration.booking import until
from tests.integration.checkout_fixtures import Shop, new_order_id
from tests.integration.client import Answer
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the gateway's repeats")

BUYERS = 8
DOWN_SECONDS = 6.0
"""How long Restate is away, beside the time that it takes to start."""

AFTERWARDS = 5
"""Answers that every worker must have had after the restart."""

Step = Callable[[], Awaitable[Answer]]


class Load:
    """Workers that go on calling until told to stop, and what they were answered."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.failed: list[tuple[str, Answer]] = []
        self._is_over = False

    async def run(self, name: str, step: Step) -> None:
        """Call until the end, or until a call fails."""
        while not self._is_over:
            answer = await step()
            if answer.status != 200:
                self.failed.append((name, answer))
                return
            self.answers[name] += 1

    async def progress(self, names: list[str], count: int) -> None:
        """Wait until each worker has had so many more answers."""
        before = Counter(self.answers)

        async def have_all() -> bool:
            assert self.failed == []
            return all(self.answers[name] - before[name] >= count for name in names)

        await until(have_all, f"{count} more answers for each of {names}", 60)

    def stop(self) -> None:
        """Let each worker end after the call that it is making."""
        self._is_over = True


async def test_no_repeatable_call_fails_when_restate_restarts(shop: Shop) -> None:
    """Reads, holds with a request_id and checkouts go on over the restart; each checkout captured once."""
    event_id = await shop.event(rows=60, seats_per_row=20)
    seats = (f"A-{row}-{seat}" for row, seat in itertools.product(range(1, 61), range(1, 21)))
    orders: list[tuple[str, str]] = []

    async def hold() -> Answer:
        body = {"seat_ids": [next(seats)], "request_id": uuid.uuid4().hex}
        return await shop.client.call("POST", f"/v1/events/{event_id}/holds", shop.buyer(), body)

    async def buy() -> Answer:
        buyer, order_id = shop.buyer(), new_order_id()
        orders.append((buyer, order_id))
        return await shop.buy(buyer, event_id, next(seats), order_id=order_id)

    async def ticket() -> Answer:
        return await shop.client.call("GET", f"/v1/events/{event_id}/tickets/A-1-1")

    async def seat_map() -> Answer:
        return await shop.client.call("GET", f"/v1/events/{event_id}/seatmap?section_id=A&page_size=10")

    load, steps = Load(), {"hold": hold, "buy": buy, "ticket": ticket, "seat_map": seat_map}
    names = [f"{kind}-{number}" for kind in steps for number in range(BUYERS // len(steps))]
    workers = [asyncio.create_task(load.run(name, steps[name.partition("-")[0]])) for name in names]
    try:
        await load.progress(names, 3)
        shop.stack.kill("restate")
        await asyncio.sleep(DOWN_SECONDS)
        async with shop.client.session.get("/readyz") as answer:
            assert answer.status == 200, "the gateway left its Service, though its calls wait"
        await asyncio.to_thread(shop.stack.restart, "restate")
        await load.progress(names, AFTERWARDS)
    finally:
        load.stop()
        await asyncio.gather(*workers)
    assert load.failed == []
    for buyer, order_id in orders:
        assert (await shop.order(buyer, order_id))["state"] == "ORDER_STATE_CONFIRMED"
    async with shop.client.session.get(f"{shop.stack.payments_url}/ledger") as answer:
        entries = (await answer.json())["entries"]
    captured = Counter(entry["payment_key"] for entry in entries if entry["call"] == "capture")
    assert {order_id: captured[order_id] for _, order_id in orders} == {order_id: 1 for _, order_id in orders}


async def test_a_call_that_never_left_waits_whatever_it_is(shop: Shop) -> None:
    """A hold without a request_id, begun while Restate is away, is made once when it is back."""
    event_id = await shop.event()
    shop.stack.kill("restate")
    try:
        buyer = shop.buyer()
        holding = asyncio.create_task(
            shop.client.call("POST", f"/v1/events/{event_id}/holds", buyer, {"seat_ids": ["A-1-1"]})
        )

        async def is_waiting() -> bool:
            url = f"http://127.0.0.1:{shop.stack.ports.gateway_metrics_port}/metrics"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return "nexus_gateway_waiting_calls 1.0" in await answer.text()

        await until(is_waiting, "the call to wait")
    finally:
        await asyncio.to_thread(shop.stack.restart, "restate")
    answer = await holding
    assert answer.status == 200, answer
    assert await shop.seat(event_id, "A-1-1") == "HELD"
