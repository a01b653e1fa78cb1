"""Faults of processes: told to end under load, stopped for a minute, two at once; and an odd provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from random import Random
from typing import Any, Final, TypeVar

import aiohttp

from services.common.config import ENDPOINTS
from tests.faults.faults import Damage
from tests.faults.quiet import MOVES
from tests.faults.stack import Victim
from tests.faults.workload import OPEN_ANSWERS

Done = TypeVar("Done")
Entry = Mapping[str, Any]

DRAIN_SECONDS: Final = 25.0
"""Longer than an endpoint drains (20 s)."""

MOST_AWAY_SECONDS: Final = 10.0
"""Calls of Ticket are given up after ten attempts, some 16 s (services.common.handlers.GIVES_UP)."""

SLOW_MS: Final = 1000
ODD_STATUSES: Final = {429: "answered 429", 0: "reset"}


async def wholly(work: Awaitable[Done]) -> Done:
    """Do a thing to its end, even where the fault is told to end meanwhile: what is left is never half done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def asked_again(entries: Sequence[Entry]) -> list[str]:
    """Name the steps that the provider was asked for once more although it had answered: they were done twice."""
    answered: set[tuple[str, str]] = set()
    twice = []
    for entry in entries:
        step = entry["payment_key"], entry["idempotency_key"]
        if step in answered:
            twice.append(step[1])
        if entry["effect"] in MOVES:
            answered.add(step)
    return twice


def without_usable_answer(page: str) -> float:
    """Count the HTTP answers that leave a client in doubt, from a page of the gateway's numbers."""
    lines = [line for line in page.splitlines() if line.startswith("http_server_requests_total{")]
    doubtful = [line for line in lines if any(f'status="{status}"' in line for status in OPEN_ANSWERS)]
    return sum(float(line.rpartition(" ")[2]) for line in doubtful)


async def read_ledger(victim: Victim) -> list[Entry]:
    """Give all entries of the provider's ledger, oldest first."""
    async with aiohttp.request("GET", f"{victim.stack.payments_url}/ledger") as answer:
        return list((await answer.json())["entries"])


async def read_numbers(port: int) -> str:
    """Give the page of a component's numbers."""
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


class SteppingDown:
    """SIGTERM to one endpoint after another, each started again once it has ended by itself."""

    def __init__(self) -> None:
        self.first_entry = 0
        self.doubtful_before = 0.0
        self.longest_away = 0.0

    async def breaks(self, victim: Victim, chance: Random, damage: Damage) -> None:
        """End and start endpoints until told to stop."""
        self.longest_away, self.first_entry = 0.0, len(await read_ledger(victim))
        self.doubtful_before = without_usable_answer(await read_numbers(victim.stack.ports.gateway_metrics_port))
        while True:
            # checkout first: a short run has to come to the one that pays.
            for component in sorted(ENDPOINTS, key=lambda name: (name != "checkout", chance.random())):
                await asyncio.sleep(chance.uniform(3, 5))
                # So that checkout is told to end in the middle of steps; else that is a matter of luck.
                await victim.switch("payments", latency_ms=SLOW_MS if component == "checkout" else 0)
                await asyncio.sleep(SLOW_MS / 1000)
                await wholly(self._step_down(victim, component))
                await victim.switch("payments")
                damage.count += 1

    async def _step_down(self, victim: Victim, component: str) -> None:
        begun = time.monotonic()
        await asyncio.to_thread(victim.stack.processes.stop, [component], DRAIN_SECONDS)
        await victim.revive(component)
        self.longest_away = max(self.longest_away, time.monotonic() - begun)

    async def also(self, victim: Victim, damage: Damage) -> list[str]:
        """Judge that no step was done twice and that nobody was left in doubt."""
        twice = asked_again((await read_ledger(victim))[self.first_entry :])
        doubtful = without_usable_answer(await read_numbers(victim.stack.ports.gateway_metrics_port))
        left = doubtful - self.doubtful_before
        wrong = [f"drain: the provider was asked again for {step}, which it had answered" for step in twice]
        if self.longest_away > MOST_AWAY_SECONDS:
            damage.notes.append(
                f"an endpoint was away for {self.longest_away:.0f} s on this busy machine, about as long as Ticket is "
                f"tried: not judged that {left:.0f} calls were left in doubt"
            )
        elif left:
            wrong.append(f"drain: {left:.0f} calls were left in doubt")
        return wrong


async def stop_for_a_minute(victim: Victim, _chance: Random, damage: Damage) -> None:
    """Stop checkout's processes once, for longer than Restate waits for a sign of life."""
    await asyncio.sleep(3)
    damage.count += 1
    await victim.freeze("checkout", 60)


async def two_at_once(victim: Victim, chance: Random, damage: Damage) -> None:
    """Kill gateway and checkout in the same moment; kill Restate while the ticket endpoint stands still."""
    while True:
        await asyncio.sleep(chance.uniform(2, 4))
        await wholly(asyncio.gather(victim.kill("gateway"), victim.kill("checkout")))
        damage.count += 1
        await asyncio.sleep(chance.uniform(2, 4))
        frozen = asyncio.create_task(victim.freeze("ticket", 3))
        try:
            await asyncio.sleep(0.5)
            await wholly(victim.kill("restate"))
        finally:
            await wholly(frozen)
        damage.count += 1


class OddProvider:
    """A provider that does all that one may: each for two seconds, some of it for a share of the calls."""

    def __init__(self) -> None:
        self.first_entry = 0

    async def breaks(self, victim: Victim, _chance: Random, damage: Damage) -> None:
        """Turn through the oddities."""
        self.first_entry = len(await read_ledger(victim))
        pay = ["authorize", "capture"]
        change = [*pay, "void", "refund"]
        oddities: list[dict[str, object]] = [
            {"busy": change, "retry_after_seconds": 2, "share": 0.5},
            {"reset": change, "share": 0.4},
            {"lose_answer": change, "share": 0.4},
            {"repeat": change},
            # Longer than an attempt waits (10 s).
            {"answer_late": pay, "late_seconds": 11, "share": 0.15},
            {"hold_calls": pay, "late_seconds": 11, "share": 0.15},
        ]
        while True:
            for switches in oddities:
                await victim.switch("payments", **switches)
                damage.count += 1
                await asyncio.sleep(2)

    async def also(self, victim: Victim, _damage: Damage) -> list[str]:
        """Judge that the oddities have happened: else nothing was shown."""
        entries = (await read_ledger(victim))[self.first_entry :]
        statuses = {entry["status"] for entry in entries}
        missing = [what for status, what in ODD_STATUSES.items() if status not in statuses]
        if not asked_again(entries):
            missing.append("repeated")
        return [f"I9: no call was ever {what}" for what in missing]
