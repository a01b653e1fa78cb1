"""Break a running stack in every way that needs no cluster, and judge what its clients saw.

    python -m tests.faults.run [--seed N ...] [--short] [--report docs/reliability.md] [--json FILE] [NAME ...]

Prints seed, duration, versions and counts of each run; ends with 1 where an invariant is broken. With --report the
table between the marks of that file is replaced.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random, SystemRandom

import aiohttp

from tests.faults.faults import FAULTS, NONE, Damage, Fault
from tests.faults.history.audit import check, letters, outcomes, trivial
from tests.faults.history.operations import AtEnd, Letter, Told
from tests.faults.more import MORE
from tests.faults.points import ALL_POINTS, SOME_POINTS
from tests.faults.quiet import settle
from tests.faults.stack import Victim
from tests.faults.table import Run, versions, write_json, write_table
from tests.faults.threenodes import NODES
from tests.faults.workload import Workload, address_of, new_workload
from tests.integration.client import sign

BUYERS = 12
SETTLE_SECONDS = 90.0
"""Longer than I8 asks for, so that what is late is seen to end; how long it took is judged apart."""

QUIET_SECONDS = 30.0
LEAST_DAMAGE = 2
"""A fault that worked less often has shown little."""

MANY_SECONDS = 15.0
"""A run this long has every outcome (I9)."""

SEATS_A_SECOND = 20
MOST_SEATS = 800
"""So many that a run does not end up selling nothing because all is sold; each is read in the end."""

ALL = (*FAULTS, ALL_POINTS, *MORE, *NODES)
SHORT = tuple(SOME_POINTS if fault is ALL_POINTS else fault for fault in ALL if fault.is_short)


async def attempt(victim: Victim, fault: Fault, seed: int, most_seconds: float) -> Run:
    """Let a crowd buy while a fault works, mend what it broke, and judge."""
    seats = min(MOST_SEATS, int(SEATS_A_SECOND * max(fault.seconds, MANY_SECONDS)))
    work = await new_workload(victim.client, seed, rows=seats // 20, seats_per_row=20)
    run = Run(fault, seed, damage=Damage(event_id=work.event_id))
    crowd = await _live(victim, work, run, most_seconds)
    run.rate = sum(operation.told is Told.OK for operation in work.history) / run.seconds
    await victim.mend()
    mended = time.monotonic()
    work.is_over = True
    await crowd
    end, run.settled = await settle(work, SETTLE_SECONDS)
    run.ended = datetime.now(UTC)
    run.operations, run.counts = len(work.history), outcomes(work.history, end)
    run.wrong = check(work.history, end, faults_ended_at=mended)
    if run.settled > QUIET_SECONDS:
        run.wrong.append(f"I8: quiet only after {run.settled:.0f} s")
    run.wrong += [*await mails(victim, end), *await new_sale(victim)]
    run.wrong += trivial(run.counts) if run.seconds >= MANY_SECONDS else trivial(run.counts, ("won", "lost"))
    if fault is not NONE and not run.damage.count:
        run.wrong.append("I9: nothing was ever broken")
    if fault.also is not None:
        run.wrong += await fault.also(victim, run.damage)
    return run


async def _live(victim: Victim, work: Workload, run: Run, most_seconds: float) -> asyncio.Task[None]:
    """Let the crowd live and the fault work for its time; give the crowd, which goes on."""
    begun = time.monotonic()
    crowd = asyncio.create_task(work.live(BUYERS))
    breaking = asyncio.create_task(run.fault.breaks(victim, Random(run.seed), run.damage))
    done = await _while_it_works(run.fault, run.damage, {breaking, crowd}, most_seconds)
    run.seconds = time.monotonic() - begun
    breaking.cancel()
    await asyncio.wait({breaking})
    if failed := [error for task in done if (error := task.exception())]:
        # Neither ends by itself, but for a fault that has broken all that it can.
        crowd.cancel()
        raise failed[0]
    return crowd


async def _while_it_works(
    fault: Fault, damage: Damage, tasks: set[asyncio.Task[None]], most_seconds: float
) -> set[asyncio.Task[None]]:
    """Wait as long as a fault is meant to work, longer where it has hardly begun; give the tasks that have ended."""
    deadline = time.monotonic() + most_seconds
    done, _ = await asyncio.wait(tasks, timeout=min(fault.seconds, most_seconds), return_when="FIRST_COMPLETED")
    while fault is not NONE and damage.count < LEAST_DAMAGE and not done and time.monotonic() < deadline:
        done, _ = await asyncio.wait(tasks, timeout=1, return_when="FIRST_COMPLETED")
    return done


async def mails(victim: Victim, end: AtEnd) -> list[str]:
    """Name what is wrong with the mails of the crowd's orders."""
    async with aiohttp.request("GET", f"{victim.stack.mail_url}/messages") as answer:
        read = (await answer.json())["messages"]
    sent = [
        Letter(one["to"], one["message_id"], datetime.fromisoformat(one["received_at"]).timestamp()) for one in read
    ]
    restates = {component for _, component in victim.kills if component.startswith("restate")}
    return letters(end, sent, victim.deaths("checkout", *restates), {order: address_of(order) for order in end.orders})


async def new_sale(victim: Victim) -> list[str]:
    """I8: buy a seat of a new event."""
    work = await new_workload(victim.client, 0, rows=1, seats_per_row=1)
    body = {
        "event_id": work.event_id,
        "seat_ids": work.seats,
        "payment_method": "card_success",
        "email": "a@example.org",
    }
    token = sign(victim.stack, "after", None)
    answer = await victim.client.call("POST", "/v1/orders", token, body)
    return [] if answer.status == 200 else [f"I8: a new sale fails: {answer.status} {answer.reason}"]


def judged_rate(rate: float, free_rate: float, least: float) -> list[str]:
    """I9: name a rate that is below its share of the fault-free one."""
    if rate >= free_rate * least:
        return []
    return [f"I9: {rate:.1f} ok/s is less than {least:.0%} of the fault-free {free_rate:.1f}"]


@dataclass
class Stacks:
    """The stacks of one seed: one that most faults share, others for a fault each; the fault-free rate of each kind."""

    home: Path
    seed: int
    most_seconds: float
    shared: Victim | None = None
    rates: dict[Callable[[Path], Victim], float] = field(default_factory=dict)

    async def run(self, fault: Fault) -> list[Run]:
        """Run a fault, before it what it is measured by where that is not known yet."""
        if why := fault.needs():
            return [Run(fault, self.seed, skipped=why)]
        if fault.victim is Victim:
            if self.shared is None:
                self.shared = await self._started(Victim)
            return await self._on(self.shared, fault)
        victim = await self._started(fault.victim)
        try:
            return await self._on(victim, fault)
        finally:
            await victim.stop()

    async def stop(self) -> None:
        """Stop the shared stack."""
        if self.shared is not None:
            await self.shared.stop()

    async def _started(self, kind: Callable[[Path], Victim]) -> Victim:
        number = next(n for n in count(1) if not (self.home / f"stack-{n}").exists())
        victim = kind(self.home / f"stack-{number}")
        try:
            await victim.start()
        except BaseException:
            await victim.stop()
            raise
        return victim

    async def _on(self, victim: Victim, fault: Fault) -> list[Run]:
        runs = []
        if fault.victim not in self.rates:
            first = await attempt(victim, NONE, self.seed, self.most_seconds)
            self.rates[fault.victim], first.share = first.rate, 1.0
            # Of another kind of stack only the rate is of interest, and whether it held.
            name = NONE.name if fault.victim is Victim else f"{NONE.name}: {getattr(fault.victim, '__name__', 'other')}"
            runs.append(replace(first, fault=replace(NONE, name=name)))
        if fault is NONE:
            return runs
        run = await attempt(victim, fault, self.seed, self.most_seconds)
        run.share = run.rate / self.rates[fault.victim] if self.rates[fault.victim] else 0.0
        run.wrong += judged_rate(run.rate, self.rates[fault.victim], fault.least)
        return [*runs, run]


async def run_all(
    chosen: Sequence[Fault], seed: int, home: Path, most_seconds: float, tell: Callable[[Run], None]
) -> None:
    """Run the faults of one seed one after another; `tell` hears of each."""
    stacks = Stacks(home, seed, most_seconds)
    try:
        for fault in [NONE, *chosen]:
            for run in await stacks.run(fault):
                tell(run)
    finally:
        await stacks.stop()


def main() -> int:
    """Run the faults that are named, or all, under each seed."""
    parser = argparse.ArgumentParser(description="Break a running stack and judge what its clients saw.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(fault.name for fault in (NONE, *ALL))}")
    parser.add_argument("--seed", type=int, action="append", help="may be given several times; else one is drawn")
    parser.add_argument("--short", action="store_true", help="a few faults and a third of the crash points")
    parser.add_argument("--report", type=Path, help="a file whose table is replaced")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--home", type=Path, help="a folder for the stacks; else a temporary one")
    parser.add_argument("--most-seconds", type=float, default=600, help="the longest that one fault may take")
    given = parser.parse_args()
    faults = SHORT if given.short else ALL
    unknown = set(given.names) - {fault.name for fault in (NONE, *faults)}
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}{' in the short form' if given.short else ''}")
    chosen = [fault for fault in faults if not given.names or fault.name in given.names]
    runs: list[Run] = []

    def tell(run: Run) -> None:
        runs.append(run)
        print(run, flush=True)
        if given.report is not None:
            write_table(given.report, runs, (NONE, *ALL), BUYERS)
        if given.json is not None:
            write_json(given.json, runs, BUYERS)

    print(f"{versions()}; {BUYERS} buyers", flush=True)
    begun = time.monotonic()
    for seed in given.seed or [SystemRandom().randrange(10**6)]:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run_all(chosen, seed, given.home or Path(folder), given.most_seconds, tell))
    broken = [f"{run.fault.name} (seed {run.seed})" for run in runs if run.wrong]
    print(f"{len(runs)} runs in {time.monotonic() - begun:.0f} s; broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
