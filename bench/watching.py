"""How much memory each component of a running stack takes, every second; and whether its processes are the same."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.cli.local import START_ORDER, LocalStack

EVERY_SECONDS: Final = 1.0
MB: Final = 1e6


@dataclass
class Watched:
    """What was seen. `memory_mb`: of each component, (`time.monotonic`, resident memory of its process group)."""

    memory_mb: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def peak_mb(self, component: str) -> float:
        """Give the most that was seen."""
        return max((mb for _, mb in self.memory_mb.get(component, ())), default=0.0)


async def watch(stack: LocalStack, watched: Watched) -> None:
    """Look every second until cancelled."""
    while True:
        # Reading all of /proc takes milliseconds that a load program has not.
        now, found = time.monotonic(), await asyncio.to_thread(memory_mb, stack)
        for component, used in found.items():
            watched.memory_mb.setdefault(component, []).append((now, used))
        await asyncio.sleep(EVERY_SECONDS)


def memory_mb(stack: LocalStack) -> dict[str, float]:
    """Read the resident memory of each component's process group, in MB of a million bytes."""
    groups = {record.pid: component for component in START_ORDER if (record := stack.processes.record(component))}
    used = dict.fromkeys(groups.values(), 0.0)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            group = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[2])
            pages = int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # the process has ended meanwhile
        if group in groups:
            used[groups[group]] += pages * os.sysconf("SC_PAGE_SIZE") / MB
    return used


def processes(stack: LocalStack) -> dict[str, frozenset[tuple[str, str]]]:
    """Give (id, birth) of all processes of each component: the same before and after means that none has died."""
    groups = {record.pid: component for component in START_ORDER if (record := stack.processes.record(component))}
    found: dict[str, set[tuple[str, str]]] = {component: set() for component in START_ORDER}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        # A zombie has died already. Source: proc(5).
        if fields[0] != "Z" and (component := groups.get(int(fields[2]))):
            found[component].add((entry.name, fields[19]))
    return {component: frozenset(ids) for component, ids in found.items()}


def died(before: dict[str, frozenset[tuple[str, str]]], after: dict[str, frozenset[tuple[str, str]]]) -> list[str]:
    """Name the components that have lost a process."""
    return [component for component, ids in before.items() if not ids or not ids <= after.get(component, frozenset())]
