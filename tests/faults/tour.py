"""What a crowd of buyers does not come to: an organizer's day, and a buyer's rarer ways, on events of their own.

It is there so that every crash point is come to; the history of the crowd alone is judged. Every call is repeated
for a while where it has no answer, and what it is answered does not matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import aiohttp

from tests.faults.workload import OPEN_ANSWERS
from tests.integration.client import Answer, Client, sign

TRIES = 8
PAUSE_SECONDS = 0.3
PATIENCE_SECONDS = 10.0
HOLD_SECONDS = 2
MANY_HOLDS = 21
"""More than the 20 ended holds that a buyer's object keeps. Source: domain_buyer.py."""

NOWHERE = Answer(0, {}, {})


async def tours(client: Client, crowd_event_id: str, guides: int) -> None:
    """Let so many organizers and their buyers act, and one watcher look at the crowd's map, until cancelled."""
    async with asyncio.TaskGroup() as group:
        regular = Day(client)
        group.create_task(regular.come_again())
        for event_id in (crowd_event_id, regular.event_id):
            group.create_task(_watch(client, event_id))
        for _ in range(guides):
            group.create_task(_tour(client))


async def _tour(client: Client) -> None:
    while True:
        day = Day(client)
        await day.draft()
        await day.open()
        await asyncio.gather(day.holds(), day.orders(), day.blocks())
        await day.after()


async def _watch(client: Client, event_id: str) -> None:
    """Keep a watch open: the gateway then follows the section's log, page by page."""
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
            async with client.session.get(f"/v1/events/{event_id}/seatmap:watch", timeout=timeout) as stream:
                async for _ in stream.content:
                    pass
        await asyncio.sleep(PAUSE_SECONDS)


class Day:
    """One event of twenty seats from its draft to its end."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.event_id = f"tour-{uuid.uuid4().hex[:12]}"
        self.path = f"/v1/events/{self.event_id}"
        self.organizer = sign(client.stack, f"organizer-{self.event_id}", "organizer")
        self.stranger = sign(client.stack, f"stranger-{self.event_id}", "organizer")

    async def draft(self) -> None:
        """Make the event, twice the same, and change its terms and its layout."""
        await self._do("/v1/events", self._event(1), self.organizer)
        await self._do("/v1/events", self._event(1), self.organizer)
        await self._do("/v1/events", self._event(1), self.stranger)
        await self._do(self.path, {"title": "Tour again"}, self.organizer, "PATCH")
        await self._do(self.path, self._event(2), self.organizer, "PATCH")
        await self._do(self.path, {"title": "Not mine"}, self.stranger, "PATCH")
        await self._look("", self.stranger)

    async def open(self) -> None:
        """Put it on sale, pause it, go on; each twice, and by somebody else."""
        for verb in ("publish", "pause", "resume"):
            for who in (self.stranger, self.organizer, self.organizer):
                await self._do(f"{self.path}:{verb}", {}, who)
        await self._look("?view=FULL", self.organizer)
        await self._do("/v1/events?page_size=5", None, None, "GET")

    async def come_again(self) -> None:
        """End more holds than are kept, then go on in every way, with many changes of the map, until cancelled."""
        await self._do("/v1/events", {**self._event(6), "max_seats_per_buyer": 100}, self.organizer)
        await self._do(f"{self.path}:publish", {}, self.organizer)
        regular = self._buyer("regular")
        # Twenty at once: the section keeps 500 changes, and the first to be dropped shall not take minutes.
        many = [f"A-{row}-{number}" for row in (1, 2) for number in range(1, 11)]
        free = [f"A-{row}-{number}" for row in (3, 4, 5, 6) for number in range(1, 11)]
        for _ in range(MANY_HOLDS):
            await self._do(f"{await self._hold(regular, many[0])}:release", {}, regular)
        for turn in range(10**6):
            await self._hold(regular, free[-1])
            await self._buy(regular, "card_success", seat_ids=[free[turn % (len(free) - 1)]])
            await self._do(f"{await self._hold(regular, *many)}:release", {}, regular)

    async def holds(self) -> None:
        """Hold, extend, let expire, release, and ask for what is not there."""
        buyer = self._buyer("holder")
        hold = await self._hold(buyer, "A-1-1")
        for way in (":extend", ""):
            await self._do(f"{hold}{way}", {} if way else None, buyer, "POST" if way else "GET")
        released = await self._hold(buyer, "A-1-2")
        for way in (":release", ":release", ":extend"):
            await self._do(f"{released}{way}", {}, buyer)
        for way in (":extend", ":release", ""):
            await self._do(f"{self.path}/holds/h-none{way}", {} if way else None, buyer, "POST" if way else "GET")
        await self._hold(buyer, "A-1-3")
        # The timers come meanwhile: of a hold that was extended, of one that was not.
        await asyncio.sleep(HOLD_SECONDS * 2)

    async def orders(self) -> None:
        """Buy a hold slowly while it is released, buy what is sold, cancel, be declined, look."""
        buyer, other = self._buyer("buyer"), self._buyer("other")
        held = (await self._hold(buyer, "A-1-4", "A-1-5")).rpartition("/")[2]
        paying = asyncio.create_task(self._buy(buyer, "card_slow", hold_id=held))
        await asyncio.sleep(PAUSE_SECONDS)
        await self._do(f"{self.path}/holds/{held}:release", {}, buyer)
        await self._buy(buyer, "card_success", hold_id=held)
        await self._buy(other, "card_success", seat_ids=["A-1-6"])
        await self._buy(other, "card_capture_decline", seat_ids=["A-1-7", "A-1-8"])
        slow = asyncio.create_task(self._buy(other, "card_slow", seat_ids=["A-1-9"], order_id=f"c-{self.event_id}"))
        await asyncio.sleep(2 * PAUSE_SECONDS)
        await self._do(f"/v1/orders/c-{self.event_id}:cancel", {}, other)
        flaky = asyncio.create_task(self._buy(buyer, "card_flaky", seat_ids=["A-1-10"]))
        order_id = await paying
        # Sold: refused before it is paid, and the seats behind it are looked at.
        await self._buy(other, "card_success", seat_ids=["A-1-4", "A-1-5"])
        await self._hold(other, "A-1-4", "A-1-5")
        for path, who in ((f"/v1/orders/{order_id}", buyer), (f"/v1/orders/{order_id}", other)):
            await self._do(path, None, who, "GET")
            await self._do(f"{path}:cancel", {}, who)
        await self._do(f"{self.path}/orders", None, buyer, "GET")
        for seat_id in ("A-1-4", "A-9-9"):
            await self._do(f"{self.path}/tickets/{seat_id}", None, buyer, "GET")
        await slow
        await flaky

    async def blocks(self) -> None:
        """Block seats, also one that is taken meanwhile; put them back."""
        late = self._buyer("late")
        row = [f"A-2-{number}" for number in range(1, 11)]
        for path in ("block", "block", "unblock", "unblock"):
            await self._seats(path, self.organizer, row[:2])
            await self._seats(path, self.stranger, row[:2])
        blocking = asyncio.create_task(self._seats("block", self.organizer, row))
        # Seats are looked at together and then blocked one by one, so the last can be taken in between.
        await asyncio.sleep(0.05)
        await self._hold(late, row[-1])
        await blocking

    async def after(self) -> None:
        """Rebuild the map, read it and what was done, end the sale and try to buy all the same."""
        for path in (":pause", "/seatmap:rebuild", ":close"):
            for who in (self.stranger, self.organizer, self.organizer):
                await self._do(f"{self.path}{path}", {}, who)
        await self._do(f"{self.path}/seatmap", None, None, "GET")
        for who in (self.organizer, self.stranger):
            await self._do(f"{self.path}/audit", None, who, "GET")
        await self._hold(self._buyer("late"), "A-2-3")
        await self._buy(self._buyer("late"), "card_success", seat_ids=["A-2-3"])

    def _event(self, rows: int) -> dict[str, Any]:
        section = {"section_id": "A", "title": "Stalls", "seats_per_row": 10, "category_id": "std", "row_count": rows}
        return {
            "event_id": self.event_id,
            "title": "Tour",
            "venue": "Hall",
            "starts_at": "2030-01-01T20:00:00Z",
            "currency_code": "EUR",
            "hold_seconds": HOLD_SECONDS,
            "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 1000}],
            "sections": [section],
        }

    def _buyer(self, name: str) -> str:
        return sign(self.client.stack, f"{name}-{self.event_id}")

    async def _look(self, query: str, who: str) -> None:
        await self._do(f"{self.path}{query}", None, who, "GET")

    async def _seats(self, verb: str, who: str, seat_ids: list[str]) -> None:
        await self._do(f"{self.path}/seats:{verb}", {"seat_ids": seat_ids, "reason": "tour"}, who)

    async def _hold(self, who: str, *seat_ids: str) -> str:
        """Hold seats; give the path of the hold."""
        answer = await self._do(f"{self.path}/holds", {"seat_ids": seat_ids, "request_id": uuid.uuid4().hex}, who)
        return f"{self.path}/holds/{answer.json.get('hold_id', 'h-none')}"

    async def _buy(self, who: str, card: str, **what: Any) -> str:
        """Buy; give the order's id."""
        order_id = str(what.setdefault("order_id", f"t-{uuid.uuid4().hex}"))
        body = {"event_id": self.event_id, "payment_method": card, "email": f"{order_id}@example.org", **what}
        await self._do("/v1/orders", body, who)
        return order_id

    async def _do(self, path: str, body: object, who: str | None, method: str = "POST") -> Answer:
        for _ in range(TRIES):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                answer = await self.client.call(method, path, who, body, timeout_seconds=PATIENCE_SECONDS)
                if answer.status not in OPEN_ANSWERS:
                    return answer
            await asyncio.sleep(PAUSE_SECONDS)
        return NOWHERE
