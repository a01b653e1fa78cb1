"""Break a running stack in every way that needs no cluster, and judge what its clients saw.

    python -m tests.faults.run [--seed N] [--report docs/reliability.md] [NAME ...]

Prints seed, duration, versions and counts of each run; ends with 1 where an invariant is broken. With --report the
table between the marks of that file is replaced.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random, SystemRandom

import aiohttp

from tests.faults.faults import FAULTS, NONE, Damage, Fault, mend
from tests.faults.history.audit import check, outcomes, trivial
from tests.faults.history.operations import AtEnd, Told
from tests.faults.quiet import settle
from tests.faults.stack import Victim
from tests.faults.workload import new_workload
from tests.integration.client import sign

BUYERS = 12
SETTLE_SECONDS = 90.0
"""Longer than I8 asks for, so that what is late is seen to end; how long it took is judged apart."""

QUIET_SECONDS = 30.0
LEAST_DAMAGE = 2
"""A fault that worked less often has shown little."""

RESTATE = "1.7.12"
TOLD = ("won", "lost", "expired", "confirmed", "declined", "cancelled")
BEGIN, END = "<!-- fault runs: begin -->", "<!-- fault runs: end -->"


@dataclass
class Run:
    """What came of one fault."""

    fault: Fault
    seed: int
    seconds: float = 0.0
    settled: float = 0.0
    damage: Damage = field(default_factory=Damage)
    counts: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    rate: float = 0.0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def unknown(self) -> int:
        """Count the calls whose outcome their client could not know."""
        return sum(count for name, count in self.counts.items() if name.endswith("unknown"))

    def __str__(self) -> str:
        """Give the run on one line."""
        told = ", ".join(f"{name} {self.counts[name]}" for name in TOLD)
        return (
            f"{self.fault.name}: seed {self.seed}, {self.seconds:.0f} s, broken {self.damage.count} times, "
            f"{self.operations} operations ({self.unknown} unknown), {self.rate:.1f} ok/s, {told}; "
            f"quiet after {self.settled:.1f} s; {'held' if not self.wrong else 'BROKEN'}"
        )


async def attempt(victim: Victim, fault: Fault, seed: int, most_seconds: float) -> Run:
    """Let a crowd buy while a fault works, mend what it broke, and judge."""
    run, work = Run(fault, seed), await new_workload(victim.client, seed)
    begun = time.monotonic()
    crowd = asyncio.create_task(work.live(BUYERS))
    breaking = asyncio.create_task(fault.breaks(victim, Random(seed), run.damage))
    done = await _while_it_works(fault, run.damage, {breaking, crowd}, most_seconds)
    run.seconds = time.monotonic() - begun
    breaking.cancel()
    await asyncio.wait({breaking})
    if failed := [error for task in done if (error := task.exception())]:
        # Neither ends by itself, but for a fault that has broken all that it can.
        crowd.cancel()
        raise failed[0]
    run.rate = sum(operation.told is Told.OK for operation in work.history) / run.seconds
    await mend(victim)
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
    run.wrong += trivial(run.counts, ("won", "lost"))
    if fault is not NONE and not run.damage.count:
        run.wrong.append("I9: nothing was ever broken")
    return run


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
    """Name the confirmed orders whose tickets were not mailed once."""
    async with aiohttp.request("GET", f"{victim.stack.mail_url}/messages") as answer:
        sent = Counter(message["to"] for message in (await answer.json())["messages"])
    confirmed = {f"{order_id}@example.org": order.state == "CONFIRMED" for order_id, order in end.orders.items()}
    return [
        f"mail: {address} got {sent[address]} mails" for address, is_due in confirmed.items() if sent[address] != is_due
    ]


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


async def run_all(chosen: list[Fault], seed: int, home: Path, most_seconds: float, report: Path | None) -> list[Run]:
    """Run the faults one after another on one stack; the report follows each."""
    victim = Victim(home)
    runs: list[Run] = []
    try:
        await victim.start()
        for fault in [NONE, *chosen]:
            run = await attempt(victim, fault, seed, most_seconds)
            if runs and run.rate < runs[0].rate / 2:
                run.notes.append(f"I9: {run.rate:.1f} ok/s, less than half of {runs[0].rate:.1f}")
            runs.append(run)
            print(run, *run.notes, *run.wrong, sep="\n  ", flush=True)
            if run.damage.points:
                missed = ", ".join(run.damage.missed) or "none"
                print(
                    f"  died at {run.damage.count} of {run.damage.points} points; tried in vain: {missed}", flush=True
                )
            if report is not None:
                write_table(report, runs)
    finally:
        await victim.stop()
    return runs


def rows(runs: list[Run]) -> dict[str, str]:
    """Give a row of the table for each run, by the fault's name."""
    found = {}
    for run in runs:
        of = f" of {run.damage.points} points" if run.damage.points else ""
        did = f"{run.seconds:.0f} | {run.damage.count}{of} | {run.operations} | {run.unknown} | {run.rate:.1f}"
        then = f"{run.counts['confirmed']} | {run.settled:.1f} s | {'; '.join(run.wrong) or 'yes'}"
        when = f"{run.seed} | {run.ended:%m-%d %H:%M}"
        found[run.fault.name] = f"| {run.fault.name} | {run.fault.how} | {when} | {did} | {then} |"
    return found


def write_table(path: Path, runs: list[Run]) -> None:
    """Put the runs in place of the rows of the same faults, between the marks of a file."""
    before, _, rest = path.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    known = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    known |= rows(runs)
    versions = f"Restate {RESTATE}, restate-sdk {version('restate-sdk')}, Python {platform.python_version()}"
    lines = [
        f"{versions}, {os.cpu_count()} cores, {BUYERS} buyers. Each row is of the last run of its fault.",
        "",
        "| fault | how | seed | UTC | s | broken | operations | unknown | ok/s | sold | quiet after | held |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(known[fault.name] for fault in (NONE, *FAULTS) if fault.name in known),
    ]
    path.write_text("\n".join([before + BEGIN, *lines, END + after]))


def main() -> int:
    """Run the faults that are named, or all."""
    parser = argparse.ArgumentParser(description="Break a running stack and judge what its clients saw.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(fault.name for fault in FAULTS)}")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--report", type=Path, help="a file whose table is replaced")
    parser.add_argument("--home", type=Path, help="a folder for the stack; else a temporary one")
    parser.add_argument("--most-seconds", type=float, default=600, help="the longest that one fault may take")
    given = parser.parse_args()
    unknown = set(given.names) - {fault.name for fault in FAULTS}
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    chosen = [fault for fault in FAULTS if not given.names or fault.name in given.names]
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder)
        runs = asyncio.run(run_all(chosen, given.seed, home, given.most_seconds, given.report))
    return 1 if any(run.wrong for run in runs) else 0


if __name__ == "__main__":
    raise SystemExit(main())
