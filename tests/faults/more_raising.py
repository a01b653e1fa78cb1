"""A handler that always raises for one key: others go on, the doctor names it, and after the repair it goes on."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from services.common.config import ENDPOINTS
from tests.faults.faults import Damage
from tests.faults.raising import FOLDER, TEXT, place_of
from tests.faults.stack import BreakableStack, Victim
from tests.integration.client import Answer, new_event, sign

NAMED_SECONDS: Final = 15.0
"""How soon the doctor has to name what raises; it counts as stuck from its second attempt on."""

REPAIRED_SECONDS: Final = 30.0
"""Longer than the pause between two attempts (15 s)."""


class RaisingStack(BreakableStack):
    """A stack whose endpoints are started by tests.faults.raising."""

    def _argv(self, component: str) -> list[str]:
        if component in ENDPOINTS:
            return [sys.executable, "-m", "tests.faults.raising", component]
        return super()._argv(component)


class WrappedVictim(Victim):
    """A stack in which a handler can be made to raise for a key."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.raising = home / "raise"
        self.raising.mkdir(parents=True, exist_ok=True)
        overrides = self.stack.overrides
        overrides["*"] = {**overrides.get("*", {}), FOLDER: str(self.raising)}
        self.stack = RaisingStack(home, self.stack.ports, overrides)

    async def mend(self) -> None:
        """Repair the handlers, and bring everything back."""
        for file in self.raising.iterdir():
            file.unlink()
        await super().mend()

    def spoil(self, handler: str, key: str) -> None:
        """Let a handler, as in `Ticket.release`, raise for a key from now on."""
        place_of(self.raising, handler, key).touch()


class AlwaysRaises:
    """One order's `process` and one seat's `release` raise, in an event of their own beside the crowd's."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.event_id = self.order_id = self.buyer = ""

    async def breaks(self, victim: Victim, _chance: Random, damage: Damage) -> None:
        """Plant both, see them named and the seats beside them sold, and leave them."""
        assert isinstance(victim, WrappedVictim)
        self.wrong = []
        self.event_id, _ = await new_event(victim.client, rows=1, seats_per_row=4)
        self.buyer, self.order_id = sign(victim.stack, f"raise-{uuid.uuid4().hex[:8]}"), f"raise-{uuid.uuid4().hex}"
        held = await self._call(victim, f"/v1/events/{self.event_id}/holds", {"seat_ids": ["A-1-1"]})
        victim.spoil("Ticket.release", f"{self.event_id}:A-1-1")
        victim.spoil("Checkout.process", self.order_id)
        await self._call(victim, f"/v1/events/{self.event_id}/holds/{held.json['hold_id']}:release", {})
        await self._call(victim, "/v1/orders", self._order("A-1-2") | {"order_id": self.order_id, "async": True})
        damage.count += 2
        await self._be_named(victim, {("Ticket", f"{self.event_id}:A-1-1"), ("Checkout", self.order_id)})
        beside = await self._call(victim, "/v1/orders", self._order("A-1-3"))
        if beside.status != 200:
            self.wrong.append(f"raises: the seat beside cannot be bought: {beside.status} {beside.reason}")
        await asyncio.sleep(3600)

    async def _be_named(self, victim: WrappedVictim, spoilt: set[tuple[str, str]]) -> None:
        deadline = time.monotonic() + NAMED_SECONDS
        while missing := spoilt - named(await self._doctor(victim)):
            if time.monotonic() > deadline:
                self.wrong.append(f"raises: the doctor does not name {sorted(missing)} with its error")
                return
            await asyncio.sleep(0.5)

    async def also(self, victim: Victim, _damage: Damage) -> list[str]:
        """Judge that after the repair the order and the seat go on, and the doctor has nothing to tell of them."""
        deadline = time.monotonic() + REPAIRED_SECONDS
        while left := await self._left(victim):
            if time.monotonic() > deadline:
                return [*self.wrong, *left]
            await asyncio.sleep(0.5)
        return self.wrong

    async def _left(self, victim: Victim) -> list[str]:
        order = await victim.client.call("GET", f"/v1/orders/{self.order_id}", self.buyer)
        seat = await victim.client.call("GET", f"/v1/events/{self.event_id}/tickets/A-1-1", self.buyer)
        own = [f"{service} {key}" for service, key in named(await self._doctor(victim)) if self._is_mine(key)]
        state, status = order.json.get("state"), seat.json.get("status")
        return [
            *([f"raises: after the repair the order is {state}"] if state != "ORDER_STATE_CONFIRMED" else []),
            *([f"raises: after the repair the seat is {status}"] if status != "SEAT_STATUS_AVAILABLE" else []),
            *(f"raises: after the repair the doctor still names {one}" for one in own),
        ]

    def _is_mine(self, key: str) -> bool:
        return key == self.order_id or key.startswith(f"{self.event_id}:")

    def _order(self, seat_id: str) -> dict[str, object]:
        return {
            "event_id": self.event_id,
            "seat_ids": [seat_id],
            "payment_method": "card_success",
            "email": "a@example.org",
        }

    async def _call(self, victim: Victim, path: str, body: object) -> Answer:
        answer = await victim.client.call("POST", path, self.buyer, body)
        if answer.status != 200:
            self.wrong.append(f"raises: {path} was answered {answer.status} {answer.reason}")
        return answer

    async def _doctor(self, victim: Victim) -> list[dict[str, Any]]:
        headers = {"authorization": f"Bearer {sign(victim.stack, 'root', 'admin')}"}
        url = f"{victim.stack.ops_url}/v1/unfinished?page_size=1000"
        async with aiohttp.request("GET", url, headers=headers) as answer:
            answer.raise_for_status()
            return list((await answer.json()).get("unfinished", []))


def named(told: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Give service and key of what the doctor calls stuck with the planted error."""
    return {(one["service"], one["key"]) for one in told if one["severity"] == "SEVERITY_STUCK" and TEXT in one["why"]}
