"""The faults: each works on a running stack while a crowd buys, until the crowd is through.

A fault is a coroutine that is cancelled when the crowd has ended; what it broke is mended by `mend`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import aiohttp

from services.common.config import ENDPOINTS
from tests.faults.stack import Victim
from tests.integration.client import new_event

OWNERS = {"Ticket": "ticket", "Buyer": "ticket", "Checkout": "checkout", "Mailer": "checkout"}
REACHED_SECONDS = 4.0


@dataclass
class Damage:
    """What a fault has done: how often, and where. `points`: crash points that were known.

    `died`: those at which a process died; `missed`: tried in vain.
    """

    count: int = 0
    points: int = 0
    died: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


Breaks = Callable[[Victim, Random, Damage], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """A fault by name: how it is injected, for how long a crowd lives under it."""

    name: str
    how: str
    breaks: Breaks
    seconds: float = 20.0


async def nothing(_victim: Victim, _chance: Random, _damage: Damage) -> None:
    """Leave everything as it is."""
    await asyncio.sleep(3600)


def killing(component: str, every_seconds: float = 6.0) -> Breaks:
    """SIGKILL a component again and again, at random."""

    async def breaks(victim: Victim, chance: Random, damage: Damage) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * every_seconds)
            await victim.kill(component)
            damage.count += 1

    return breaks


def freezing(component: str, seconds: float) -> Breaks:
    """Stop a component's processes for a while, again and again."""

    async def breaks(victim: Victim, chance: Random, damage: Damage) -> None:
        while True:
            await asyncio.sleep(chance.uniform(1, 3))
            await victim.freeze(component, seconds)
            damage.count += 1

    return breaks


def switching(simulator: str, *settings: dict[str, object]) -> Breaks:
    """Turn through settings of a simulator's switches, two seconds each."""

    async def breaks(victim: Victim, _chance: Random, damage: Damage) -> None:
        while True:
            for switches in settings:
                await victim.switch(simulator, **switches)
                damage.count += 1
                await asyncio.sleep(2)

    return breaks


async def at_points(victim: Victim, chance: Random, damage: Damage) -> None:
    """Let each endpoint die at its own points, one after another, until all have been tried."""
    points = victim.points()
    mine = {component: [] for component in ENDPOINTS}
    for point in points:
        mine[OWNERS.get(point.partition(".")[0], "seatmap")].append(point)
    damage.points = len(points)
    openings = asyncio.create_task(_open_events(victim))
    try:
        await asyncio.gather(*(_each_point(victim, name, own, chance, damage) for name, own in mine.items()))
    finally:
        openings.cancel()


async def _open_events(victim: Victim) -> None:
    """Put small events on sale all the time, so that the points of Event and Catalog are come to as well."""
    while True:
        with contextlib.suppress(AssertionError, aiohttp.ClientError, TimeoutError, OSError):
            await new_event(victim.client, rows=1, seats_per_row=1)
        await asyncio.sleep(0.3)


async def _each_point(victim: Victim, component: str, points: list[str], chance: Random, damage: Damage) -> None:
    chance.shuffle(points)
    for point in points:
        victim.arm(point)
        for _ in range(int(REACHED_SECONDS * 20)):
            if not victim.is_armed(point):
                break
            await asyncio.sleep(0.05)
        if victim.is_armed(point):
            victim.disarm(point)
            damage.missed.append(point)
            continue
        damage.count += 1
        damage.died.append(point)
        # The point is disarmed a moment before the process is dead.
        await asyncio.to_thread(victim.stack.processes.wait_gone, component, 10)
        await victim.revive(component)


async def mend(victim: Victim) -> None:
    """Bring everything back, and wait until the gateway finds all of it."""
    for point in list(victim.places.armed.iterdir()):
        point.unlink(missing_ok=True)
    for simulator in ("payments", "mail"):
        await victim.switch(simulator)
    for component in ("restate", *ENDPOINTS, "gateway"):
        await victim.revive(component)
    await asyncio.to_thread(victim.stack.wait_ready, "gateway", ready=True)


NONE = Fault("none", "nothing is broken: the throughput that the others are measured by", nothing, 15)

FAULTS = (
    Fault("kill ticket", "SIGKILL of the endpoint's process group, every 6 s or so", killing("ticket")),
    Fault("kill checkout", "the same of checkout", killing("checkout")),
    Fault("kill seatmap", "the same of seatmap", killing("seatmap")),
    Fault("kill gateway", "the same of the gateway; clients repeat under the same ids", killing("gateway")),
    Fault("kill restate", "SIGKILL of restate-server, started again on its data", killing("restate", 8), 25),
    Fault("freeze checkout", "SIGSTOP for 5 s, then SIGCONT", freezing("checkout", 5)),
    Fault("freeze restate", "SIGSTOP of restate-server for 5 s, then SIGCONT", freezing("restate", 5)),
    Fault(
        "provider",
        "503 to a third; answers lost after the deed; answers 0.3 s late; away; calls that arrive 3 s late",
        switching(
            "payments",
            {"error_rate": 0.33},
            {"lose_answer": ["authorize", "capture", "void", "refund"]},
            {"latency_ms": 300},
            {"away": True},
            {"hold_calls": ["authorize", "capture"], "late_seconds": 3},
        ),
        25,
    ),
    Fault("smtp down", "the mail server answers 450 to everything", switching("mail", {"refuse": True})),
    Fault(
        "crash points",
        "SIGKILL of an endpoint at each named point, before a step or after its effect, three endpoints at once",
        at_points,
        600,
    ),
)
