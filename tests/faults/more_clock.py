"""Faults of the clock: an endpoint whose wall clock is two seconds off, and one that is ten minutes off.

A small library (clock.c, built here) moves the clock: it stands below Python and below the Rust core of the SDK,
which compares the clock with the times in Restate's signed tokens.
"""

from __future__ import annotations

import asyncio
import shutil
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from services.common.config import ENDPOINTS
from tests.faults.faults import Damage
from tests.faults.more_processes import read_numbers, wholly
from tests.faults.more_raising import WrappedVictim
from tests.faults.stack import Victim
from tests.integration.client import Answer, Client, new_event, sign

SOURCE: Final = Path(__file__).with_name("clock.c")
LITTLE_SECONDS: Final = 2
MUCH_SECONDS: Final = 600
"""Identity tokens are refused beyond 60 s. Source: FACTS.md, Identity keys."""

REFUSING_SECONDS: Final = 4.0
SEEN_SECONDS: Final = 10.0


def why_not() -> str:
    """Tell why a clock cannot be moved here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "moving the clock of one process by LD_PRELOAD needs Linux"
    return "" if shutil.which("cc") else "there is no C compiler (cc) to build tests/faults/clock.c with"


class ClockVictim(WrappedVictim):
    """A stack whose endpoints have a clock that can be moved while they run."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.folder = home / "clock"
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ENDPOINTS:
            self.folder.joinpath(name).write_bytes(struct.pack("=q", 0))
            moved = {"LD_PRELOAD": str(self.library), "NEXUS_CLOCK_FILE": str(self.folder / name)}
            self.stack.overrides[name] = {**self.stack.overrides.get(name, {}), **moved}

    @property
    def library(self) -> Path:
        """The library that moves clocks."""
        return self.folder / "clock.so"

    async def start(self) -> None:
        """Build the library, then start everything."""
        await asyncio.to_thread(_build, self.library)
        await super().start()

    async def mend(self) -> None:
        """Put the clocks right, and bring everything back."""
        for name in ENDPOINTS:
            self.move(name, 0)
        await super().mend()

    def move(self, component: str, seconds: int) -> None:
        """Set by how much a component's clock is ahead; at once, also while it runs."""
        with self.folder.joinpath(component).open("r+b") as file:
            file.write(struct.pack("=q", seconds))


class LittleOffVictim(ClockVictim):
    """A stack whose clocks differ by two seconds all its life: they are never put right."""

    async def start(self) -> None:
        """Start everything with its clock off."""
        for number, name in enumerate(ENDPOINTS):
            self.move(name, LITTLE_SECONDS if number % 2 == 0 else -LITTLE_SECONDS)
        await super().start()
        await self.client.session.close()
        self.client = ClientAhead(self.stack)

    async def mend(self) -> None:
        """Bring everything back; the clocks stay as they are."""
        await WrappedVictim.mend(self)


class ClientAhead(Client):
    """A client that reads times of holds by the clock of whoever wrote them, which is the ticket endpoint."""

    async def call(self, *given: Any, **more: Any) -> Answer:
        """Call, and put `expires_at` on this machine's clock."""
        answer = await super().call(*given, **more)
        if isinstance(answer.json, dict) and "expires_at" in answer.json:
            answer.json["expires_at"] = moved(answer.json["expires_at"], -LITTLE_SECONDS)
        return answer


def moved(moment: str, seconds: float) -> str:
    """Give a moment so many seconds later."""
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()


async def a_little_off(_victim: Victim, _chance: Random, damage: Damage) -> None:
    """Nothing more to do: the clocks have been off from the beginning."""
    damage.count = len(ENDPOINTS)
    await asyncio.sleep(3600)


async def is_a_little_off(victim: Victim, _damage: Damage) -> list[str]:
    """Judge that the clocks were off: what two endpoints write down differs from this machine's clock."""
    event_id, _ = await new_event(victim.client, rows=1, seats_per_row=2)
    buyer = sign(victim.stack, f"clock-{uuid.uuid4().hex[:8]}")
    hold = await victim.client.call("POST", f"/v1/events/{event_id}/holds", buyer, {"seat_ids": ["A-1-1"]})
    order = await victim.client.call(
        "POST",
        "/v1/orders",
        buyer,
        {"event_id": event_id, "seat_ids": ["A-1-2"], "payment_method": "card_success", "email": "a@example.org"},
    )
    return [*_not_off("ticket", hold.json), *_not_off("checkout", order.json)]


def _not_off(component: str, made: Mapping[str, Any]) -> list[str]:
    if "created_at" not in made:
        return [f"clock: {component} made nothing: {made}"]
    ahead = abs((datetime.fromisoformat(made["created_at"]) - datetime.now(UTC)).total_seconds())
    is_off = LITTLE_SECONDS / 2 < ahead < LITTLE_SECONDS * 2
    return [] if is_off else [f"I9: the clock of {component} was {ahead:.1f} s off, not {LITTLE_SECONDS} s"]


class MuchOff:
    """An endpoint that comes up ten minutes ahead or behind, and is put right while it runs."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    async def breaks(self, victim: Victim, chance: Random, damage: Damage) -> None:
        """Let one endpoint after another have a wrong clock for a while."""
        assert isinstance(victim, ClockVictim)
        self.wrong = []
        while True:
            for component in chance.sample(("ticket", "checkout"), 2):
                await asyncio.sleep(chance.uniform(1, 2))
                await wholly(self._once(victim, component, chance.choice((MUCH_SECONDS, -MUCH_SECONDS))))
                damage.count += 1
                await asyncio.sleep(3)

    async def _once(self, victim: ClockVictim, component: str, seconds: int) -> None:
        # Drained, so that no handler is at work while the clock jumps: it would write down what it reads.
        await asyncio.to_thread(victim.stack.stop, component)
        victim.move(component, seconds)
        try:
            await victim.revive(component)
            served, refused = await self._seen(victim, component)
        finally:
            victim.move(component, 0)
        if not refused:
            self.wrong.append(f"clock: {component}, {seconds} s off, refused nobody")
        if served > refused:
            self.wrong.append(f"clock: {component}, {seconds} s off, obeyed {served - refused:.0f} calls")

    async def _seen(self, victim: ClockVictim, component: str) -> tuple[float, float]:
        """Wait until calls have been refused for a while; count the calls that came and those refused."""
        port = getattr(victim.stack.ports, f"{component}_metrics_port")
        begun = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            page = await read_numbers(port)
            # In this order on the page: what comes in between is counted as refused at the most.
            refused = number(page, "nexus_unsigned_calls_total")
            if time.monotonic() > begun + (REFUSING_SECONDS if refused else SEEN_SECONDS):
                return number(page, "nexus_invocation_attempts_total"), refused

    async def also(self, _victim: Victim, _damage: Damage) -> list[str]:
        """Judge that whoever had a wrong clock refused every call."""
        return self.wrong


def number(page: str, name: str) -> float:
    """Add up all series of a number on a page."""
    series = [line for line in page.splitlines() if line.partition("{")[0].partition(" ")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in series)


def _build(library: Path) -> None:
    argv = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(argv, check=True, timeout=60)
