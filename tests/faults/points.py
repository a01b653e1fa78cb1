"""The fault that lets processes die at every crash point: which there are, when each is armed, which were missed.

The list is points.txt: what the services' handlers come to. A line with a reason behind ` # ` names a point that no
run can come to. Points that are seen and not listed are armed as well, and named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from random import Random

from services.common.config import ENDPOINTS
from tests.faults.faults import Breaks, Damage, Fault
from tests.faults.stack import Victim, component_of
from tests.faults.tour import tours

LIST = Path(__file__).with_name("points.txt")
GUIDES = 3
PACE_SECONDS = 0.5
"""Between two points that an endpoint is armed with: what it serves then has time to get on."""

LOOK_SECONDS = 0.1


def read_points(text: str) -> dict[str, str]:
    """Read the list: the reason why no run comes to a point, by point; empty where one does."""
    lines = [line.partition(" # ") for line in text.splitlines() if line and not line.startswith("#")]
    return {point.strip(): reason.strip() for point, _, reason in lines}


def chosen(points: Iterable[str], chance: Random, share: float) -> list[str]:
    """Choose a share of the points, at least one, in an order that the seed decides."""
    shuffled = sorted(points)
    chance.shuffle(shuffled)
    return shuffled[: max(1, round(len(shuffled) * share))]


def at_points(share: float = 1.0) -> Breaks:
    """Arm points at each endpoint, one after another; a process dies at each, whichever comes to it first."""

    async def breaks(victim: Victim, chance: Random, damage: Damage) -> None:
        listed = read_points(LIST.read_text())
        wanted = chosen((point for point, reason in listed.items() if not reason), chance, share)
        earlier = len(victim.died())
        touring = asyncio.create_task(tours(victim.client, damage.event_id, GUIDES))
        try:
            async with asyncio.TaskGroup() as group:
                for name in ENDPOINTS:
                    group.create_task(_arm_each(victim, [point for point in wanted if component_of(point) == name]))
                group.create_task(_until_all_died(victim, wanted, damage, earlier))
        finally:
            touring.cancel()
            await asyncio.wait({touring})
            _note(victim, wanted, damage, earlier)
            unlisted = [point for point in victim.points() if point not in listed]
            if share == 1.0 and unlisted:
                damage.notes.append(f"seen and not in {LIST.name}: {', '.join(unlisted)}")

    return breaks


async def _arm_each(victim: Victim, points: list[str]) -> None:
    for point in points:
        victim.arm(point)
        await asyncio.sleep(PACE_SECONDS)


async def _until_all_died(victim: Victim, wanted: list[str], damage: Damage, earlier: int) -> None:
    while True:
        if not _note(victim, wanted, damage, earlier):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _note(victim: Victim, wanted: list[str], damage: Damage, earlier: int) -> list[str]:
    """Write down where processes have died so far; give what is left."""
    damage.died = [point for _, point in victim.died()[earlier:]]
    damage.missed = [point for point in wanted if point not in set(damage.died)]
    damage.count, damage.points = len(damage.died), len(wanted)
    return damage.missed


async def missed(_victim: Victim, damage: Damage) -> list[str]:
    """Name the points that nobody came to: the run shows nothing of them."""
    return [f"crash point never reached: {point}" for point in damage.missed]


HOW = "SIGKILL of the process that serves, {what}, before a step or after its effect, at three endpoints side by side"
ALL_POINTS = Fault(
    "crash points",
    f"{HOW.format(what='once at each named point')}; at least a tenth of the rate, as one dies every half second and "
    "what a crowd does not come to is done beside it",
    at_points(),
    480,
    also=missed,
    least=0.1,
    is_short=True,
)
SOME_POINTS = Fault(
    ALL_POINTS.name,
    HOW.format(what="at a third of the named points"),
    at_points(1 / 3),
    120,
    also=missed,
    least=ALL_POINTS.least,
    is_short=True,
)
"""Its short form."""
