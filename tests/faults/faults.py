"""The faults: each works on a running stack while a crowd buys, until the crowd is through.

A fault is a coroutine that is cancelled when its time is over; what it broke is mended by `Victim.mend`. The
crash points have a file of their own, points.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.stack import Victim


@dataclass
class Damage:
    """What a fault has done: how often, and where. `points`: crash points that were to be reached.

    `died`: those at which a process died; `missed`: nobody came to them. `notes`: anything else worth printing.
    `event_id`: the event that the crowd buys of.
    """

    count: int = 0
    points: int = 0
    died: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    event_id: str = ""


Breaks = Callable[[Victim, Random, Damage], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Fault:
    """A fault by name: how it is injected, for how long a crowd lives under it.

    `victim`: another class has a stack of its own, started and stopped for this fault. `needs`: why this machine
    cannot do it; then nothing runs. `also`: more to judge once it is mended and quiet: what is wrong, in sentences.
    `least`: I9, the share of the fault-free rate that it must reach; 0 with a reason in `how`. `is_short`: part of
    the short form.
    """

    name: str
    how: str
    breaks: Breaks
    seconds: float = 20.0
    victim: Callable[[Path], Victim] = Victim
    needs: Callable[[], str] = lambda: ""
    also: Callable[[Victim, Damage], Awaitable[list[str]]] | None = None
    least: float = 0.5
    is_short: bool = False


async def nothing(_victim: Victim, _chance: Random, _damage: Damage) -> None:
    """Leave everything as it is."""
    await asyncio.sleep(3600)


def killing(component: str, every_seconds: float = 10.0) -> Breaks:
    """SIGKILL a component again and again, at random."""

    async def breaks(victim: Victim, chance: Random, damage: Damage) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.6, 1.4) * every_seconds)
            await victim.kill(component)
            damage.count += 1

    return breaks


def freezing(component: str, seconds: float) -> Breaks:
    """Stop a component's processes for a third of the time."""

    async def breaks(victim: Victim, chance: Random, damage: Damage) -> None:
        while True:
            calm = chance.uniform(0.5, 1.5) * seconds
            await asyncio.sleep(calm)
            await victim.freeze(component, seconds)
            damage.count += 1
            await asyncio.sleep(2 * seconds - calm)

    return breaks


def switching(simulator: str, *settings: dict[str, object], calm_seconds: float = 0) -> Breaks:
    """Turn through settings of a simulator's switches, two seconds each, with a calm after each."""

    async def breaks(victim: Victim, _chance: Random, damage: Damage) -> None:
        while True:
            for switches in settings:
                await victim.switch(simulator, **switches)
                damage.count += 1
                await asyncio.sleep(2)
                if calm_seconds:
                    await victim.switch(simulator)
                    await asyncio.sleep(calm_seconds)

    return breaks


NONE = Fault("none", "nothing is broken: the throughput that the others are measured by", nothing, 15, least=0)

FAULTS = (
    Fault("kill ticket", "SIGKILL of the endpoint's process group, every 10 s or so", killing("ticket"), 30),
    Fault("kill checkout", "SIGKILL of checkout, every 10 s or so", killing("checkout"), 30, is_short=True),
    Fault("kill seatmap", "SIGKILL of seatmap, every 10 s or so", killing("seatmap"), 30),
    Fault(
        "kill gateway",
        "SIGKILL of it every 10 s or so; clients repeat under the same ids",
        killing("gateway"),
        30,
    ),
    Fault(
        "kill restate",
        "SIGKILL of restate-server, started again on its data, every 15 s or so",
        killing("restate", 15),
        40,
        is_short=True,
    ),
    Fault("freeze checkout", "SIGSTOP for 5 s in every 15, then SIGCONT", freezing("checkout", 5), 30),
    Fault(
        "freeze restate",
        "SIGSTOP of restate-server, 5 s in every 15, then SIGCONT",
        freezing("restate", 5),
        30,
    ),
    Fault(
        "provider",
        "503 to a third; answers lost after the deed; answers 0.3 s late; away; calls that arrive 3 s late: 2 s of "
        "each, then 4 s of none",
        switching(
            "payments",
            {"error_rate": 0.33},
            {"lose_answer": ["authorize", "capture", "void", "refund"]},
            {"latency_ms": 300},
            {"away": True},
            {"hold_calls": ["authorize", "capture"], "late_seconds": 3},
            calm_seconds=4,
        ),
        32,
        is_short=True,
    ),
    Fault("smtp down", "the mail server answers 450 to everything", switching("mail", {"refuse": True})),
)
