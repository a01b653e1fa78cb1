"""A seeded crowd of buyers against a running stack: what they do follows from the seed, what they are told is kept.

Each buyer is one task that does one thing after another; a call without a usable answer is UNKNOWN, and repeated
under the same id, as an honest client would.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from math import inf
from random import Random
from typing import Any

import aiohttp

from tests.faults.history.operations import Operation, Told
from tests.integration.client import Answer, Client, new_event, sign

HOLD_SECONDS = 3
PATIENCE_SECONDS = 30.0
FRONT_SEATS = 25
"""Twice as many as buyers: enough to get one, few enough to meet."""

CARDS = (
    ("card_success",) * 12 + ("card_decline",) * 2 + ("card_slow", "card_random", "card_capture_decline", "card_flaky")
)
FIRST_ACTS = ("lapse", "decline", "cancel")
"""What the first buyers begin with, so that each outcome is in every run (I9); SLOW_CARD leaves time to cancel."""

DECLINED_CARD, SLOW_CARD = "card_decline", "card_slow"
OPEN_ANSWERS = (408, 499, 500, 502, 503, 504)


@dataclass
class Buyer:
    """One buyer: a token, chance of its own, and the holds that it knows of."""

    name: str
    token: str
    chance: Random


@dataclass
class Workload:
    """The crowd, its event, and the history that it writes. Times are those of `time.monotonic`."""

    client: Client
    event_id: str
    organizer: str
    seats: list[str]
    seed: int
    history: list[Operation] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    sold: set[str] = field(default_factory=set)
    is_over: bool = False
    offset: float = field(default_factory=lambda: time.monotonic() - time.time())

    @property
    def order_prefix(self) -> str:
        """What the ids of this crowd's orders begin with, and of nobody else's."""
        return f"o-{self.event_id[-8:]}-"

    async def run(self, buyers: int, seconds: float) -> None:
        """Let so many buyers act for so long, then let each finish what it is at."""
        crowd = asyncio.create_task(self.live(buyers))
        await asyncio.sleep(seconds)
        self.is_over = True
        await crowd

    async def live(self, buyers: int) -> None:
        """Let so many buyers act until it is over."""
        firsts = [*FIRST_ACTS, *FIRST_ACTS, *[""] * buyers]
        await asyncio.gather(*(self._live(self._buyer(number), firsts[number]) for number in range(buyers)))

    def _buyer(self, number: int) -> Buyer:
        name = f"{self.event_id}-b{number}"
        self.tokens[name] = sign(self.client.stack, name)
        # The seed makes a failing run's choices repeatable; the interleaving is the machine's.
        return Buyer(name, self.tokens[name], Random(f"{self.seed}-{number}"))

    async def _live(self, buyer: Buyer, first: str) -> None:
        match first:
            case "lapse":
                await self._hold(buyer, self._wish(buyer))
                await asyncio.sleep(HOLD_SECONDS)
            case "decline":
                await self._buy(buyer, seats=self._wish(buyer), card=DECLINED_CARD)
            case "cancel":
                await self._buy(buyer, seats=self._wish(buyer), card=SLOW_CARD)
        while not self.is_over:
            choice = buyer.chance.random()
            if choice < 0.45:
                await self._hold_and_more(buyer)
            elif choice < 0.75:
                await self._buy(buyer, seats=self._wish(buyer))
            else:
                await self._look(buyer)
            await asyncio.sleep(buyer.chance.expovariate(10))

    def _wish(self, buyer: Buyer) -> tuple[str, ...]:
        # All want what is in front and not known to be sold: that is where they meet, however fast the machine is.
        front = list(islice((seat for seat in self.seats if seat not in self.sold), FRONT_SEATS))
        first = buyer.chance.randrange(len(front) or 1)
        # All is sold: then each is refused.
        return tuple((front or self.seats)[first : first + buyer.chance.choice((1, 1, 2, 3))])

    async def _hold_and_more(self, buyer: Buyer) -> None:
        made = await self._hold(buyer, self._wish(buyer))
        if made is None or made.told is not Told.OK:
            return
        if buyer.chance.random() < 0.2:
            await self._call(
                buyer, "extend", f"/holds/{made.hold_id}:extend", {}, hold_id=made.hold_id, seats=made.seats
            )
        choice = buyer.chance.random()
        if choice < 0.5:
            await self._buy(buyer, hold_id=made.hold_id, seats=made.seats)
        elif choice < 0.75:
            await self._call(
                buyer, "release", f"/holds/{made.hold_id}:release", {}, hold_id=made.hold_id, seats=made.seats
            )

    async def _hold(self, buyer: Buyer, seats: tuple[str, ...]) -> Operation | None:
        request_id = f"r{buyer.chance.getrandbits(64):x}"
        body = {"seat_ids": seats, "request_id": request_id}
        first = await self._until_told(buyer, "hold", "/holds", body, seats=seats, request_id=request_id)
        if first is not None and buyer.chance.random() < 0.1:
            await self._call(buyer, "hold", "/holds", body, seats=seats, request_id=request_id)
        return first

    async def _buy(self, buyer: Buyer, *, seats: tuple[str, ...], hold_id: str = "", card: str = "") -> None:
        order_id = f"{self.order_prefix}{buyer.chance.getrandbits(64):x}-{uuid.uuid4().hex[:6]}"
        body: dict[str, Any] = {
            "order_id": order_id,
            "event_id": self.event_id,
            "payment_method": card or buyer.chance.choice(CARDS),
            "email": address_of(order_id),
        } | ({"hold_id": hold_id} if hold_id else {"seat_ids": seats})
        known = {"seats": seats, "hold_id": hold_id, "order_id": order_id, "request_id": order_id}
        buying = asyncio.create_task(self._until_told(buyer, "buy", "/v1/orders", body, **known))
        if card == SLOW_CARD or buyer.chance.random() < 0.2:
            await asyncio.sleep(buyer.chance.uniform(0.0, 0.3))
            asked = await self._cancel(buyer, order_id)
            while card == SLOW_CARD and asked.reason == "ORDER_NOT_FOUND" and not buying.done():
                # On its way still; once it is known it is paid so slowly that it can be cancelled.
                await asyncio.sleep(0.1)
                asked = await self._cancel(buyer, order_id)
        if buyer.chance.random() < 0.1:
            # At the same time, as an impatient client does.
            await self._call(buyer, "buy", "/v1/orders", body, **known)
        await buying

    async def _cancel(self, buyer: Buyer, order_id: str) -> Operation:
        return await self._call(buyer, "cancel", f"/v1/orders/{order_id}:cancel", {}, order_id=order_id)

    async def _look(self, buyer: Buyer) -> None:
        seat = buyer.chance.choice(self.seats)
        await self._call(buyer, "look", f"/tickets/{seat}", None, seats=(seat,))

    async def _until_told(self, buyer: Buyer, kind: str, path: str, body: object, **known: Any) -> Operation | None:
        """Repeat a call until its outcome is known, for a while."""
        deadline = time.monotonic() + 4 * PATIENCE_SECONDS
        while time.monotonic() < deadline:
            told = await self._call(buyer, kind, path, body, **known)
            if told.told is not Told.UNKNOWN:
                return told
            await asyncio.sleep(0.5)
        return None

    async def _call(self, buyer: Buyer, kind: str, path: str, body: object, **known: Any) -> Operation:
        url = path if path.startswith("/v1/") else f"/v1/events/{self.event_id}{path}"
        start = time.monotonic()
        try:
            method = "GET" if body is None else "POST"
            answer = await self.client.call(method, url, buyer.token, body, timeout_seconds=PATIENCE_SECONDS)
        except (aiohttp.ClientError, TimeoutError, OSError):
            answer = None
        operation = self._told(kind, buyer.name, start, answer, known)
        self.history.append(operation)
        if kind == "buy" and operation.told is Told.OK:
            self.sold.update(operation.seats)
        return operation

    def _told(self, kind: str, buyer: str, start: float, answer: Answer | None, known: dict[str, Any]) -> Operation:
        end = time.monotonic()
        # What became of an order that ended is told with 503 as well; it is final all the same.
        is_final = answer is not None and answer.reason in ("PAYMENT_UNAVAILABLE",)
        if answer is None or (answer.status in OPEN_ANSWERS and not is_final):
            return Operation(kind, buyer, start, end, Told.UNKNOWN, **known)
        if answer.status == 200:
            read = answer.json
            known = {**known, "hold_id": known.get("hold_id") or (read.get("hold_id", "") if kind == "hold" else "")}
            state = read.get("state") or read.get("status") or ""
            expires_at = self._monotonic(read["expires_at"]) if "expires_at" in read else inf
            return Operation(kind, buyer, start, end, Told.OK, state=short(state), expires_at=expires_at, **known)
        details = answer.json["error"].get("details", []) if "error" in answer.json else []
        named = next((detail["metadata"].get("conflicts", "") for detail in details if "metadata" in detail), "")
        conflicts = dict(pair.split("=") for pair in named.split(",")) if named and kind == "hold" else {}
        return Operation(kind, buyer, start, end, Told.REFUSED, reason=answer.reason, conflicts=conflicts, **known)

    def _monotonic(self, moment: str) -> float:
        return datetime.fromisoformat(moment).timestamp() + self.offset


def address_of(order_id: str) -> str:
    """Give the address that an order's tickets go to."""
    return f"{order_id}@example.org"


def short(name: str) -> str:
    """Give an enum's value without its prefix, as in HOLD_STATE_OPEN."""
    return name.removeprefix("HOLD_STATE_").removeprefix("ORDER_STATE_").removeprefix("SEAT_STATUS_")


async def new_workload(client: Client, seed: int, *, rows: int = 12, seats_per_row: int = 20) -> Workload:
    """Put an event on sale for a crowd."""
    event_id, organizer = await new_event(
        client, rows=rows, seats_per_row=seats_per_row, hold_seconds=HOLD_SECONDS, max_seats_per_buyer=300
    )
    seats = [f"A-{row}-{number}" for row in range(1, rows + 1) for number in range(1, seats_per_row + 1)]
    return Workload(client, event_id, organizer, seats, seed)
