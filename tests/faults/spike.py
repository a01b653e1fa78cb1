"""Ten times the normal load for a minute: what is too much is refused, and afterwards all is as before.

    python -m tests.faults.spike [--seconds 60] [--seed N] [--share 0.2] [--json FILE] [--no-shedding]

Measures the limit of the machine first (visitors who come back at once, 10 s); the normal load is a share of it.
Then normal 15 s, ten times that for `--seconds`, normal 30 s, on a schedule that waits for no answer. Ends with 1
where a judgement below fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import uvloop

from bench.figures import percentile
from bench.openloop import OK, Load, Phase, Told, closed_loop, codes, open_loop, schedule, waits
from bench.visits import MIX, SALE, SHED, Visitors
from bench.watching import Watched, died, memory_mb, processes, watch
from services.cli.local import START_ORDER, LocalStack
from services.cli.ports import Ports
from services.cli.up import endpoints, register

BEFORE_SECONDS, AFTER_SECONDS = 15.0, 30.0
TIMES: Final = 10
"""The spike, in normal loads."""

CALIBRATION_SECONDS: Final = 10.0
AT_ONCE: Final = 64
"""Visitors at once while the limit is measured: four times what keeps two cores busy."""

WINDOW_SECONDS: Final = 5.0
"""Latency is normal again from the first such window on from which no later one is worse."""

MOST_SLOWER: Final = 2.0
SLACK_SECONDS: Final = 0.05
"""Beside that factor: a p99 of 30 ms may be 80 ms by chance."""

LEAST_SERVED: Final = 0.5
"""Share of the measured limit that is still served during the spike: to shed everything is no answer (I9)."""

MEMORY_MB: Final = {"restate": 600.0, "gateway": 150.0, "ops": 50.0, "mail-sink": 150.0, "payment-simulator": 150.0}
ENDPOINT_MB: Final = 200.0
"""What a process may take on top of what it had before the spike; Restate fills caches of 256 MB and their copies."""


@dataclass
class Found:
    """What was measured. Times in seconds."""

    limit_per_second: float = 0.0
    normal_per_second: float = 0.0
    late_seconds: float = 0.0
    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    during: dict[str, float] = field(default_factory=dict)
    windows: list[dict[str, float]] = field(default_factory=list)
    normal_after_seconds: float | None = None
    served_per_second: float = 0.0
    memory_mb: dict[str, tuple[float, float]] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def judge(found: Found, told: Sequence[Told], spike_seconds: float) -> list[str]:
    """Name what does not hold. Pure."""
    wrong: list[str] = []
    others = Counter({name: count for name, count in codes(told).items() if not _is_fine(name)})
    if others:
        wrong.append(f"other answers than OK and {SHED}: " + ", ".join(f"{n} {name}" for name, n in others.items()))
    if silent := sum(one.code == SHED and not one.has_retry for one in told):
        wrong.append(f"{silent} refusals do not say when to repeat (no RetryInfo)")
    spike = [one for one in told if BEFORE_SECONDS <= one.at < BEFORE_SECONDS + spike_seconds]
    if not any(one.code == SHED for one in spike):
        wrong.append("nothing was shed: the spike was no spike")
    if any(one.code == SHED for one in told if one.at < BEFORE_SECONDS):
        wrong.append("calls of the normal load were shed before the spike")
    if found.served_per_second < LEAST_SERVED * found.limit_per_second:
        wrong.append(
            f"only {found.served_per_second:.1f} visits/s were served during the spike, "
            f"less than {LEAST_SERVED:.0%} of {found.limit_per_second:.1f}/s"
        )
    if found.normal_after_seconds is None:
        wrong.append(f"latency was not normal again within {AFTER_SECONDS:.0f} s")
    if found.dead:
        wrong.append(f"processes died: {', '.join(found.dead)}")
    for component, (before, peak) in found.memory_mb.items():
        if peak - before > (most := MEMORY_MB.get(component, ENDPOINT_MB)):
            wrong.append(f"{component} took {peak - before:.0f} MB more than before, {most:.0f} MB is its limit")
    return wrong


def _is_fine(name: str) -> bool:
    return name in (OK, SHED) or name.startswith(f"{SHED} ")


def normal_again(before: Mapping[str, float], windows: Sequence[Mapping[str, float]]) -> float | None:
    """Give how many seconds after the spike latency is normal and stays so; None where it does not become so.

    `before`, `windows`: with p50 and p99; windows also with `from`, seconds after the spike, and the share `served`.
    """
    normal_from: float | None = None
    for window in windows:
        is_normal = window["served"] >= 1.0 and all(
            window[name] <= MOST_SLOWER * before[name] + SLACK_SECONDS for name in ("p50", "p99")
        )
        if not is_normal:
            normal_from = None
        elif normal_from is None:
            normal_from = window["from"]
    return normal_from


def figures(told: Sequence[Told]) -> dict[str, float]:
    """Give p50 and p99 of sales, and what share of the visitors was served. One-step sales only: kinds differ."""
    sales = [one for one in told if one.kind == SALE]
    got = waits(sales)
    return {
        "p50": percentile(got, 0.5),
        "p99": percentile(got, 0.99),
        "served": len(got) / len(sales) if sales else 1.0,
    }


def analyse(found: Found, load: Load, spike_seconds: float) -> None:
    """Fill in what follows from the answers."""
    over = BEFORE_SECONDS + spike_seconds
    found.late_seconds = load.late_seconds
    parts = {
        "before": load.between(0, BEFORE_SECONDS),
        "spike": load.between(BEFORE_SECONDS, over),
        "after": load.between(over, float("inf")),
    }
    found.answers = {name: dict(codes(told)) for name, told in parts.items()}
    found.before, found.during = figures(parts["before"]), figures(parts["spike"])
    # First calls only: a release belongs to the visit that held.
    visits = [one for one in parts["spike"] if one.kind != "release"]
    found.served_per_second = len(waits(visits)) / spike_seconds
    for number in range(int(AFTER_SECONDS / WINDOW_SECONDS)):
        begin = over + number * WINDOW_SECONDS
        window = figures(load.between(begin, begin + WINDOW_SECONDS))
        found.windows.append({"from": number * WINDOW_SECONDS, **window})
    found.normal_after_seconds = normal_again(found.before, found.windows)


async def run(stack: LocalStack, seconds: float, seed: int, share: float) -> tuple[Found, Load, Watched]:
    """Measure the limit, let the spike come, and look at what is left."""
    await register(stack.admin_url, endpoints(stack))
    await asyncio.to_thread(stack.wait_ready, "gateway", ready=True)
    found, watched, visitors = Found(), Watched(), Visitors(stack)
    watching = asyncio.create_task(watch(stack, watched))
    try:
        await visitors.add_seats(1)
        found.limit_per_second = await closed_loop(
            visitors.visit, MIX, seed, at_once=AT_ONCE, seconds=CALIBRATION_SECONDS
        )
        found.normal_per_second = found.limit_per_second * share
        print(f"limit {found.limit_per_second:.1f} visits/s, normal load {found.normal_per_second:.1f}/s", flush=True)
        whole = BEFORE_SECONDS + seconds + AFTER_SECONDS
        await visitors.add_seats(int(found.limit_per_second * whole) + TIMES * AT_ONCE)
        before, alive = await asyncio.to_thread(memory_mb, stack), processes(stack)
        phases = [
            Phase("before", BEFORE_SECONDS, found.normal_per_second),
            Phase("spike", seconds, found.normal_per_second * TIMES),
            Phase("after", AFTER_SECONDS, found.normal_per_second),
        ]
        watched.memory_mb.clear()
        load = await open_loop(visitors.visit, schedule(phases, MIX, seed))
        found.dead = died(alive, processes(stack))
        found.memory_mb = {name: (before[name], watched.peak_mb(name)) for name in START_ORDER}
        analyse(found, load, seconds)
        found.wrong = judge(found, load.told, seconds)
        unsure = sum(one.kind == SALE and one.code not in (OK, SHED) for one in load.told)
        found.wrong += await visitors.wrongs(unsure)
        if visitors.has_run_out:
            found.wrong.append("the run had too few seats: its figures say nothing")
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await visitors.close()
    return found, load, watched


def show(found: Found, seed: int, seconds: float) -> None:
    """Print what was found."""
    print(f"seed {seed}, spike {seconds:.0f} s, Python {platform.python_version()}, load program at most late by "
          f"{found.late_seconds * 1000:.0f} ms")  # fmt: skip
    for name, answers in found.answers.items():
        print(f"  {name}: " + ", ".join(f"{count} {what}" for what, count in sorted(answers.items())))
    print(f"  sales before: p50 {found.before['p50'] * 1000:.0f} ms, p99 {found.before['p99'] * 1000:.0f} ms")
    print(f"  sales that were served during the spike: p50 {found.during['p50'] * 1000:.0f} ms, "
          f"p99 {found.during['p99'] * 1000:.0f} ms; {found.served_per_second:.1f} visits/s served")  # fmt: skip
    for window in found.windows:
        print(f"  {window['from']:.0f} s after: p50 {window['p50'] * 1000:.0f} ms, p99 {window['p99'] * 1000:.0f} ms, "
              f"served {window['served']:.0%}")  # fmt: skip
    after = found.normal_after_seconds
    print("  normal again " + ("never" if after is None else f"from {after:.0f} s after the spike"))
    for component, (before, peak) in found.memory_mb.items():
        print(f"  {component}: {before:.0f} MB before, {peak:.0f} MB at most")
    print("held" if not found.wrong else "BROKEN\n  " + "\n  ".join(found.wrong))


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the spike lasts")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--share", type=float, default=0.2, help="normal load, as a share of the measured limit")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--no-shedding", action="store_true", help="the negative control: this has to fail")
    given = parser.parse_args()
    # As it is installed, but that the load program is one address for everybody.
    limits = {"gateway": {"NEXUS_RATE_LIMIT_EXEMPT": "127.0.0.0/8"}}
    if given.no_shedding:
        limits["gateway"]["NEXUS_MAX_PING_SECONDS"] = "0"
    with tempfile.TemporaryDirectory(prefix="nexus-spike-") as folder:
        stack = LocalStack(Path(folder), Ports.free(), limits)
        try:
            stack.start_all()
            found, _, _ = uvloop.run(run(stack, given.seconds, given.seed, given.share))
        finally:
            stack.stop_all()
    show(found, given.seed, given.seconds)
    if given.json:
        told: dict[str, Any] = {"seed": given.seed, "seconds": given.seconds, **asdict(found)}
        given.json.write_text(json.dumps(told, indent=2) + "\n")
    raise SystemExit(1 if found.wrong else 0)


if __name__ == "__main__":
    main()
