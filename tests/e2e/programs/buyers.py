"""Buyers for a stated time, then the judgement; runs in the driver pod.

Told on standard input, one line of JSON: `address` (headless Service), `payments_url`, `key` (PEM that signs
tokens), `seconds`, `buyers`, `per_second` (sales begun, all buyers together), `seed`, `folder` (for `sales`, the
number made so far, and `stop`, which ends the load early), `call_seconds` (deadline of a call). With `at_once`, so
many one-step sales are begun together and nothing else.
Prints one line: counts, the longest time without a sale, every failed attempt, and what is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.programs.gateway import Buyers, Outcome
from tests.e2e.programs.judge import FINAL, Sale, Seen, longest_gap, money_moved, violations

ROWS, SEATS_PER_ROW = 60, 100
CONTESTED_EVERY = 10
"""Every tenth sale is for a seat that others want as well."""

HOLD_SHARE = 0.3
"""Part of the sales that hold first and pay then."""

SETTLE_SECONDS = 150
"""How long an order whose buyer gave up may take to end: its pay_until and the provider's void."""

PARALLEL_READS = 16


class Load:
    """One event, its buyers, and what became of them."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.folder = Path(told["folder"])
        self.buyers = Buyers(told["address"], told["key"], self.folder)
        self.random = random.Random(told["seed"])
        self.event_id = f"load-{self.random.getrandbits(64):016x}-{int(time.time())}"
        self.free = self._seats()
        self.contested = [next(self.free) for _ in range(20)]
        self.sales: list[Sale] = []
        self.errors: list[dict[str, Any]] = []
        self.begun = time.monotonic()
        self.numbers = itertools.count()

    def now(self) -> float:
        """Give the seconds since the load began."""
        return time.monotonic() - self.begun

    def is_over(self) -> bool:
        """Tell whether nothing new is begun."""
        return self.now() > self.told["seconds"] or (self.folder / "stop").exists()

    async def run(self) -> dict[str, Any]:
        """Prepare the event, sell, judge."""
        await self._prepare()
        self.begun = time.monotonic()
        if self.told.get("at_once"):
            await asyncio.gather(*(self._buy(is_plain=True) for _ in range(self.told["at_once"])))
        else:
            await asyncio.gather(*(self._buyer() for _ in range(self.told["buyers"])))
        ended = self.now()
        orders = await self._orders()
        sold = await self._sold_on_map(orders)
        wrong = violations(self.sales, orders, money_moved(await self._ledger()), sold)
        await self.buyers.close()
        made = [sale.at for sale in self.sales if sale.state == "ok"]
        return {
            "event_id": self.event_id,
            "seconds": round(ended, 1),
            "counts": dict(Counter(sale.state for sale in self.sales)),
            "longest_gap": round(longest_gap(made, 0.0, ended), 2),
            "errors": self.errors[:200],
            "error_count": len(self.errors),
            "violations": wrong[:50],
        }

    async def _prepare(self) -> None:
        category = {"category_id": "std", "title": "Standard", "amount_minor": 4500}
        section = {
            "section_id": "A",
            "title": "Stalls",
            "row_count": ROWS,
            "seats_per_row": SEATS_PER_ROW,
            "category_id": "std",
        }
        event = {
            "event_id": self.event_id,
            "title": "Load",
            "venue": "Hall",
            "starts_at": "2035-01-01T20:00:00Z",
            "currency_code": "EUR",
            "hold_seconds": 600,
            "price_categories": [category],
            "sections": [section],
        }
        for name, request in (("CreateEvent", {"event": event}), ("PublishEvent", {"event_id": self.event_id})):
            outcome = await self._insist("organizer", name, request, role="organizer")
            assert outcome.state == "ok", f"{name}: {outcome.reason}"

    async def _buyer(self) -> None:
        pause = self.told["buyers"] / self.told["per_second"]
        await asyncio.sleep(self.random.uniform(0, pause))
        while not self.is_over():
            begun = self.now()
            await self._buy()
            await asyncio.sleep(max(0.0, begun + pause - self.now()))

    async def _buy(self, *, is_plain: bool = False) -> None:
        number = next(self.numbers)
        is_contested = not is_plain and number % CONTESTED_EVERY == 0
        seat = self.random.choice(self.contested) if is_contested else next(self.free)
        subject, order_id = f"buyer-{number}", f"{self.event_id}-{number}"
        request: dict[str, Any] = {
            "order_id": order_id,
            "event_id": self.event_id,
            "payment_method": "card_success",
            "email": f"{subject}@example.org",
        }
        if not is_plain and self.random.random() < HOLD_SHARE:
            wanted = {"event_id": self.event_id, "seat_ids": [seat], "request_id": f"hold-{order_id}"}
            held = await self._insist(subject, "HoldSeats", wanted)
            if held.state != "ok":
                return
            request["hold_id"] = held.answer["hold_id"]
        else:
            request["seat_ids"] = [seat]
        outcome = await self._insist(subject, "Checkout", request)
        self.sales.append(Sale(order_id, subject, (seat,), outcome.state, self.now()))
        if outcome.state == "ok":
            made = sum(sale.state == "ok" for sale in self.sales)
            # Whole or not at all: who reads an empty file would take it for 0.
            draft = self.folder / "sales.new"
            draft.write_text(str(made))
            draft.replace(self.folder / "sales")

    async def _insist(self, subject: str, name: str, request: dict[str, Any], role: str | None = None) -> Outcome:
        """Send the same request until its outcome is known, as a careful client does; each failure is kept."""
        until = time.monotonic() + 60
        while True:
            outcome = await self.buyers.call(subject, name, request, self.told["call_seconds"], role)
            if outcome.state != "unknown":
                return outcome
            self.errors.append({"at": round(self.now(), 2), "call": name, "error": outcome.reason})
            if time.monotonic() > until:
                return outcome
            await asyncio.sleep(0.2)

    async def _orders(self) -> dict[str, Seen]:
        """Read every order until each has ended or the time for that is over."""
        until, found = time.monotonic() + SETTLE_SECONDS, dict[str, Seen]()
        gate = asyncio.Semaphore(PARALLEL_READS)

        async def look(sale: Sale) -> None:
            while True:
                async with gate:
                    outcome = await self.buyers.call(sale.subject, "GetOrder", {"order_id": sale.order_id}, 20)
                if outcome.state == "ok":
                    found[sale.order_id] = seen(outcome.answer)
                # An order that is not there was refused before anything was kept, or never arrived.
                is_known = outcome.state == "ok" or "ORDER_NOT_FOUND" in outcome.reason
                is_settled = is_known and found.get(sale.order_id, Seen("", "", ())).state in {"", *FINAL}
                if is_settled or time.monotonic() > until:
                    return
                await asyncio.sleep(0.5)

        await asyncio.gather(*(look(sale) for sale in self.sales))
        return found

    async def _sold_on_map(self, orders: dict[str, Seen]) -> int:
        """Count SOLD seats on the map, which may be behind: until it agrees with the orders, or 15 s."""
        expected = sum(len(order.seat_ids) for order in orders.values() if order.state == "ORDER_STATE_CONFIRMED")
        until = time.monotonic() + 15
        while True:
            count, token = 0, ""
            while True:
                request = {"event_id": self.event_id, "section_id": "A", "page_size": 1000, "page_token": token}
                outcome = await self._insist("anybody", "GetSeatMap", request)
                for section in outcome.answer.get("sections", []):
                    count += sum(seat.get("status") == "SEAT_STATUS_SOLD" for seat in section.get("seats", []))
                token = outcome.answer.get("next_page_token", "")
                if not token:
                    break
            if count == expected or time.monotonic() > until:
                return count
            await asyncio.sleep(0.5)

    async def _ledger(self) -> list[dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.told['payments_url']}/ledger", timeout=aiohttp.ClientTimeout(total=60)) as answer,
        ):
            answer.raise_for_status()
            text = await answer.text()
        shown = json.loads(text)
        return list(shown["entries"] if isinstance(shown, dict) else shown)

    def _seats(self) -> Iterator[str]:
        return (f"A-{row}-{seat}" for row in range(1, ROWS + 1) for seat in range(1, SEATS_PER_ROW + 1))


def seen(order: dict[str, Any]) -> Seen:
    """Read what GetOrder answered."""
    seats = tuple(seat["seat_id"] for seat in order.get("seats", []))
    return Seen(order.get("state", ""), order.get("payment", {}).get("state", ""), seats)


def main() -> None:
    """Run one load."""
    told = json.loads(sys.stdin.readline())

    async def run() -> dict[str, Any]:
        return await Load(told).run()

    print(json.dumps(asyncio.run(run())), flush=True)


if __name__ == "__main__":
    main()
