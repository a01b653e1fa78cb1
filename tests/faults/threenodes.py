"""Three Restate nodes on one machine, and what may befall them.

With two copies of each record one node may be lost; of two that are lost the third must not go on alone.
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Final, cast

from tests.faults.faults import Damage, Fault
from tests.faults.nodes_cut import cut_off, why_not
from tests.faults.nodes_probes import ask, judge, states, told
from tests.faults.nodes_stack import NAMES, ThreeNodes, busiest, group_of
from tests.faults.stack import Victim
from tests.integration.client import new_event

CALM_SECONDS: Final = 2.0
"""Sales between two blows, so that one can be told from the other."""

DEAD_SECONDS: Final = 4.0
STOPPED_SECONDS: Final = 20.0
CUT_SECONDS: Final = 15.0
BOTH_DEAD_SECONDS: Final = 10.0
PROBES: Final = 4


async def lose_each(victim: Victim, chance: Random, damage: Damage) -> None:
    """SIGKILL one node after another, each started again on its data and in the cluster before the next dies."""
    nodes = cast(ThreeNodes, victim)
    for node in chance.sample(NAMES, len(NAMES)):
        await asyncio.sleep(CALM_SECONDS)
        led = (await nodes.leaders())[node]
        damage.notes.append(f"{node} died, which led {led} partitions")
        with nodes.absent(node):
            await asyncio.to_thread(nodes.stack.kill, node)
            damage.count += 1
            await asyncio.sleep(DEAD_SECONDS)
            await nodes.revive(node)
            await nodes.wait_whole()
    await asyncio.sleep(CALM_SECONDS)


async def stop_one(victim: Victim, _chance: Random, damage: Damage) -> None:
    """Let the node that leads most stand still, its connections open, and go on as if nothing had been."""
    nodes = cast(ThreeNodes, victim)
    await asyncio.sleep(CALM_SECONDS)
    node, led = busiest(await nodes.leaders())
    damage.count += 1
    damage.notes.append(f"{node} stood still, which led {led} partitions")
    with nodes.absent(node):
        await nodes.freeze(node, STOPPED_SECONDS)
        await nodes.wait_whole()
    await asyncio.sleep(CALM_SECONDS)


async def cut_one(victim: Victim, _chance: Random, damage: Damage) -> None:
    """Drop all between the node that leads most and the others, while clients and endpoints still reach it."""
    nodes = cast(ThreeNodes, victim)
    await asyncio.sleep(CALM_SECONDS)
    node, led = busiest(await nodes.leaders())
    ports = {name: nodes.stack.ports.door(name, "node") for name in NAMES}
    damage.notes.append(f"{node} was cut off, which led {led} partitions")
    with nodes.absent(node):
        async with cut_off(node, group_of(node), ports):
            damage.count += 1
            await asyncio.sleep(CUT_SECONDS)
        await nodes.wait_whole()
    await asyncio.sleep(CALM_SECONDS)


async def lose_two(victim: Victim, chance: Random, damage: Damage) -> None:
    """SIGKILL two nodes at once, ask the third for orders, and start them again on their data."""
    nodes = cast(ThreeNodes, victim)
    event_id, _ = await new_event(nodes.client, rows=1, seats_per_row=PROBES)
    await asyncio.sleep(CALM_SECONDS)
    gone = chance.sample(NAMES, 2)
    with nodes.absent(*gone):
        await asyncio.gather(*(asyncio.to_thread(nodes.stack.kill, node) for node in gone))
        damage.count += len(gone)
        both_dead = time.monotonic()
        asked = (ask(nodes.client, event_id, f"A-1-{number}") for number in range(1, PROBES + 1))
        nodes.probes += await asyncio.gather(*asked)
        await asyncio.sleep(max(0.0, both_dead + BOTH_DEAD_SECONDS - time.monotonic()))
        await asyncio.gather(*(nodes.revive(node) for node in gone))
        await nodes.wait_whole()
    await asyncio.sleep(2 * CALM_SECONDS)


async def none_acknowledged(victim: Victim, damage: Damage) -> list[str]:
    """Judge what was asked for while two nodes were dead."""
    nodes = cast(ThreeNodes, victim)
    found = await states(nodes.client, nodes.probes)
    damage.notes.append(f"asked without a majority: {told(nodes.probes, found)}")
    return judge(nodes.probes, found)


NODES: tuple[Fault, ...] = (
    Fault(
        "lose a node",
        "three nodes: SIGKILL of each in turn, started again on its data after 4 s",
        lose_each,
        90,
        victim=ThreeNodes,
        least=0.3,
    ),
    Fault(
        "stop a node",
        "three nodes: SIGSTOP of the one that leads most partitions for 20 s; calls that it has taken wait for it",
        stop_one,
        70,
        victim=ThreeNodes,
        # A crowd of few is soon at it with all its calls, whatever the others could serve.
        least=0.1,
    ),
    Fault(
        "cut off a node",
        "three nodes: all packets between the one that leads most and the others dropped for 15 s; calls it takes wait",
        cut_one,
        70,
        victim=ThreeNodes,
        needs=why_not,
        least=0.1,
    ),
    Fault(
        "lose two nodes",
        "three nodes: SIGKILL of two at once, back after 10 s; no rate is asked: nothing may be acknowledged meanwhile",
        lose_two,
        70,
        victim=ThreeNodes,
        also=none_acknowledged,
        least=0.0,
    ),
)
