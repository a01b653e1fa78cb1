"""Ten minutes at most of what the machine can do: no process's memory may grow all the while.

    python -m bench.soak [--minutes 10] [--seed N] [--share 0.7] [--plot FILE] [--json FILE]

Measures the limit (visitors who come back at once, 10 s), then lets visitors come at a share of it, on a schedule that
waits for no answer. Resident memory of each process is read every second; after the warm-up (the first 30 %) a line is
fitted to it, and what the line gains by the end has a bound per process. Ends with 1 where one is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import uvloop

from bench import plots
from bench.figures import percentile
from bench.openloop import OK, Phase, closed_loop, codes, open_loop, schedule, waits
from bench.visits import MIX, SALE, SHED, Visitors
from bench.watching import Watched, died, processes, watch
from services.cli.local import START_ORDER, LocalStack
from services.cli.ports import Ports
from services.cli.up import endpoints, register

# ruff: noqa: T201 - it is a command line

CALIBRATION_SECONDS: Final = 10.0
AT_ONCE: Final = 64
WARM_UP: Final = 0.3
"""Share of the run in which memory may grow freely: caches fill."""

BOUND_MB: Final = {"restate": 120.0, "payment-simulator": 60.0, "mail-sink": 60.0}
"""What the fitted line may gain after the warm-up of ten minutes: Restate's caches are bounded by 256 MB and fill
slowly; the simulators keep every payment and every mail, which is what they are for."""

SERVICE_BOUND_MB: Final = 24.0
LEAST_SERVED: Final = 0.99
"""At 70 % of the limit nearly all visitors are served."""


@dataclass(frozen=True, slots=True)
class Line:
    """A process's memory. `gain_mb`: of the fitted line, from the end of the warm-up to the end of the run."""

    first_mb: float
    last_mb: float
    peak_mb: float
    slope_mb_per_minute: float
    gain_mb: float
    bound_mb: float

    @property
    def is_flat(self) -> bool:
        """Tell whether the line gains no more than it may."""
        return self.gain_mb <= self.bound_mb


@dataclass
class Soak:
    """What was measured."""

    seed: int
    seconds: float
    limit_per_second: float = 0.0
    per_second: float = 0.0
    late_seconds: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    sale_p50_seconds: float = 0.0
    sale_p99_seconds: float = 0.0
    lines: dict[str, Line] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def line(points: Sequence[tuple[float, float]], seconds: float, bound_mb: float) -> Line:
    """Fit a line to (seconds after the begin, MB) after the warm-up. Raises ValueError below two points there."""
    settled = [point for point in points if WARM_UP * seconds <= point[0] <= seconds]
    if len(settled) < 2:  # noqa: PLR2004 - a line needs two
        raise ValueError("too few samples after the warm-up")
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
    used = [mb for _, mb in points]
    gain = slope * seconds * (1 - WARM_UP)
    return Line(settled[0][1], settled[-1][1], max(used), slope * 60, gain, bound_mb)


def judge(soak: Soak) -> list[str]:
    """Name what does not hold. Pure."""
    wrong = [
        f"{name} gained {one.gain_mb:.1f} MB after the warm-up, {one.bound_mb:.0f} MB is its bound"
        for name, one in soak.lines.items()
        if not one.is_flat
    ]
    if soak.dead:
        wrong.append(f"processes died: {', '.join(soak.dead)}")
    counts = Counter(soak.answers)
    if counts[OK] < LEAST_SERVED * counts.total():
        wrong.append(f"only {counts[OK]} of {counts.total()} calls were served")
    if others := {name: count for name, count in counts.items() if name != OK and not name.startswith(SHED)}:
        wrong.append(f"other answers than OK and {SHED}: {others}")
    return wrong


def bound_mb(component: str, seconds: float) -> float:
    """Give what a process may gain in a run of so long; a shorter one is not allowed less, for it fills caches too."""
    return BOUND_MB.get(component, SERVICE_BOUND_MB) * max(1.0, seconds / 600)


async def run(stack: LocalStack, soak: Soak, share: float) -> Watched:
    """Measure the limit, keep the load up, and judge."""
    await register(stack.admin_url, endpoints(stack))
    await asyncio.to_thread(stack.wait_ready, "gateway", ready=True)
    watched, visitors = Watched(), Visitors(stack)
    watching = asyncio.create_task(watch(stack, watched))
    try:
        await visitors.add_seats(1)
        soak.limit_per_second = await closed_loop(
            visitors.visit, MIX, soak.seed, at_once=AT_ONCE, seconds=CALIBRATION_SECONDS
        )
        soak.per_second = soak.limit_per_second * share
        print(f"limit {soak.limit_per_second:.1f} visits/s, load {soak.per_second:.1f}/s", flush=True)
        # Sales keep their seats; what is held comes back.
        await visitors.add_seats(int(soak.per_second * (soak.seconds * (MIX[SALE] + 0.05) + 60)))
        alive = processes(stack)
        watched.memory_mb.clear()
        load = await open_loop(visitors.visit, schedule([Phase("soak", soak.seconds, soak.per_second)], MIX, soak.seed))
        soak.dead = died(alive, processes(stack))
        soak.late_seconds = load.late_seconds
        soak.answers = dict(codes(load.told))
        sales = waits(one for one in load.told if one.kind == SALE)
        soak.sale_p50_seconds, soak.sale_p99_seconds = percentile(sales, 0.5), percentile(sales, 0.99)
        watched.memory_mb = {
            name: [(at - load.begun, mb) for at, mb in points] for name, points in watched.memory_mb.items()
        }
        soak.lines = {
            name: line(watched.memory_mb[name], soak.seconds, bound_mb(name, soak.seconds)) for name in START_ORDER
        }
        soak.wrong = judge(soak)
        soak.wrong += await visitors.wrongs(sum(one.kind == SALE and one.code not in (OK, SHED) for one in load.told))
        if visitors.has_run_out:
            soak.wrong.append("the run had too few seats: its figures say nothing")
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await visitors.close()
    return watched


def table(soak: Soak) -> str:
    """Give the memory of each process as a table of Markdown."""
    rows = [
        f"| {name} | {one.first_mb:.0f} | {one.last_mb:.0f} | {one.peak_mb:.0f} | {one.slope_mb_per_minute:+.2f} "
        f"| {one.gain_mb:+.1f} | {one.bound_mb:.0f} | {'yes' if one.is_flat else 'NO'} |"
        for name, one in soak.lines.items()
    ]
    head = "| process | MB after the warm-up | MB at the end | MB at most | MB/min | MB gained | MB allowed | flat |"
    return "\n".join([head, "|---" * 8 + "|", *rows])


def draw(soak: Soak, watched: Watched, path: Path) -> None:
    """Draw memory over time, a line for each process."""
    plots.lines(
        path,
        {
            name: [(at / 60, mb) for at, mb in watched.memory_mb[name] if 0 <= at <= soak.seconds]
            for name in START_ORDER
        },
        title=f"Resident memory at {soak.per_second:.0f} visits/s",
        x="minutes",
        y="MB",
        spans=[plots.Span(0, soak.seconds * WARM_UP / 60, "warm-up")],
    )


def told(soak: Soak, share: float) -> str:
    """Give the run in two lines."""
    answers = ", ".join(f"{count} {name}" for name, count in sorted(soak.answers.items()))
    return (
        f"seed {soak.seed}, {soak.seconds:.0f} s at {soak.per_second:.1f} visits/s, {share:.0%} of "
        f"{soak.limit_per_second:.1f}/s; load program at most late by {soak.late_seconds * 1000:.0f} ms\n"
        f"{answers}; sales p50 {soak.sale_p50_seconds * 1000:.0f} ms, p99 {soak.sale_p99_seconds * 1000:.0f} ms"
    )


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--share", type=float, default=0.7, help="of the measured limit")
    parser.add_argument("--plot", type=Path, help="write memory over time there, as SVG")
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    soak = Soak(given.seed, given.minutes * 60)
    # As it is installed, but that the load program is one address for everybody.
    limits = {"gateway": {"NEXUS_RATE_LIMIT_EXEMPT": "127.0.0.0/8"}}
    with tempfile.TemporaryDirectory(prefix="nexus-soak-") as folder:
        stack = LocalStack(Path(folder), Ports.free(), limits)
        try:
            stack.start_all()
            watched = uvloop.run(run(stack, soak, given.share))
        finally:
            stack.stop_all()
    print(told(soak, given.share), end="\n\n")
    print(table(soak), end="\n\n")
    print("held" if not soak.wrong else "BROKEN\n  " + "\n  ".join(soak.wrong))
    if given.plot:
        draw(soak, watched, given.plot)
    if given.json:
        everything: dict[str, Any] = {**asdict(soak), "memory_mb": watched.memory_mb}
        given.json.write_text(json.dumps(everything, indent=2) + "\n")
    raise SystemExit(1 if soak.wrong else 0)


if __name__ == "__main__":
    main()
