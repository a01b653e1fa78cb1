"""Load that does not wait for answers: visitors come when the schedule says, however slow the last one was served.

A latency is counted from the moment at which the visitor was to come, not from when the load program got round to
calling, so that neither a slow server nor a slow load program hides the wait of those behind (coordinated omission).
What a visitor does is given as `visit`; the mix against Nexus is in visits.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

OK: Final = "OK"
WARM_UP_SECONDS: Final = 2.0
"""Of a closed loop, not counted: connections are made, caches filled."""

REFUSED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the schedule. `per_second`: visitors, on average."""

    name: str
    seconds: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One visitor. `at`: seconds after the begin; `kind`: what it wants."""

    number: int
    at: float
    kind: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a visitor was told. `at`: when it was to come, seconds after the begin; `seconds`: waited since then.

    `code`: of gRPC; `reason`: of the refusal; `has_retry`: a RetryInfo says when to repeat.
    """

    kind: str
    at: float
    seconds: float
    code: str
    reason: str = ""
    has_retry: bool = False


Visit = Callable[[Arrival, float], Awaitable[list[Told]]]
"""visit(arrival, moment): do what the visitor wants; `moment`: of `time.monotonic`, when it was to come."""


@dataclass
class Load:
    """What came of a schedule. `late_seconds`: the most that the load program itself was behind."""

    told: list[Told] = field(default_factory=list)
    begun: float = 0.0
    late_seconds: float = 0.0

    def between(self, begin: float, end: float, kind: str = "") -> list[Told]:
        """Give what visitors who were to come then were told."""
        return [one for one in self.told if begin <= one.at < end and (not kind or one.kind == kind)]


def schedule(phases: Sequence[Phase], mix: Mapping[str, float], seed: int) -> list[Arrival]:
    """Draw when visitors come (a Poisson process in each phase) and what each wants. The same seed, the same crowd.

    `mix`: weights of the kinds.
    """
    chance = Random(seed)  # noqa: S311 - repeatable from its seed
    arrivals: list[Arrival] = []
    begin = 0.0
    for phase in phases:
        at = begin
        while phase.per_second > 0:
            at += chance.expovariate(phase.per_second)
            if at >= begin + phase.seconds:
                break
            arrivals.append(Arrival(len(arrivals), at, chance.choices(list(mix), list(mix.values()))[0]))
        begin += phase.seconds
    return arrivals


async def open_loop(visit: Visit, arrivals: Sequence[Arrival]) -> Load:
    """Let every visitor come at its time; ends when the last has been answered."""
    load = Load(begun=time.monotonic())

    async def come(arrival: Arrival) -> None:
        load.told += await visit(arrival, load.begun + arrival.at)

    async with asyncio.TaskGroup() as group:
        for arrival in arrivals:
            wait = load.begun + arrival.at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            load.late_seconds = max(load.late_seconds, time.monotonic() - load.begun - arrival.at)
            group.create_task(come(arrival))
    load.told.sort(key=lambda one: one.at)
    return load


async def closed_loop(visit: Visit, mix: Mapping[str, float], seed: int, *, at_once: int, seconds: float) -> float:
    """Let so many visitors come one after another, each as soon as one before it is served; give visits per second.

    That is the most which can be served. Raises RuntimeError where nothing was.
    """
    chance, number, served = Random(seed), 0, 0  # noqa: S311 - repeatable from its seed
    begun = time.monotonic()
    counts_from, ends_at = begun + WARM_UP_SECONDS, begun + WARM_UP_SECONDS + seconds

    async def come_again() -> None:
        nonlocal number, served
        while (now := time.monotonic()) < ends_at:
            number += 1
            kind = chance.choices(list(mix), list(mix.values()))[0]
            told = await visit(Arrival(number, now - begun, kind), now)
            if told[0].code != OK:
                # Who was refused comes back as it was told; at once it would keep everybody busy with refusals.
                await asyncio.sleep(REFUSED_SECONDS)
            elif counts_from <= time.monotonic() < ends_at:
                served += 1

    await asyncio.gather(*(come_again() for _ in range(at_once)))
    if not served:
        raise RuntimeError("nothing was served while the limit was being measured")
    return served / seconds


def waits(told: Iterable[Told]) -> list[float]:
    """Give how long those waited who got what they wanted."""
    return [one.seconds for one in told if one.code == OK]


def codes(told: Iterable[Told]) -> Counter[str]:
    """Count the answers, as in `OK` or `RESOURCE_EXHAUSTED RATE_LIMITED`."""
    return Counter(f"{one.code} {one.reason}".rstrip() for one in told)
