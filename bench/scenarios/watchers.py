"""A thousand screens that watch an event while it sells."""

from __future__ import annotations

from typing import Final

from bench import counting, figures
from bench.figures import Measured
from bench.generator import Generator, generate
from bench.loads import Told, errors
from bench.measuring import Bench, Hall, Scenario

FAMILY: Final = "watchers"
SCREENS: Final = 1000
SECTIONS: Final = 4
CONCURRENCY: Final = 64
SPARE_SECONDS: Final = 5.0
"""Until those who buy have begun, and for what they are told last to be shown."""


def _watch(bench: Bench, measured: Measured) -> None:
    """Sell with and without screens; see what they cost and how late they are."""
    seconds, seats = bench.seconds, bench.seats_for(bench.seconds)
    alone, _ = _sell(bench, bench.hall(seats, section_seats=-(-seats // SECTIONS)))
    hall = bench.hall(seats, section_seats=-(-seats // SECTIONS))
    load = bench.load("screens", hall, seconds=seconds + SPARE_SECONDS, concurrency=SCREENS, connections=10, buyers=1)
    with Generator(load) as screens:
        reads, before = counting.map_reads(bench.servers), bench.servers.usage()
        screens.go()
        beside, told = _sell(bench, hall)
        seen = screens.told()
        reads = counting.map_reads(bench.servers) - reads
        after = bench.servers.usage()
    delays = late(told, seen)
    measured.figures |= {
        "rate": beside,
        "rate_alone": alone,
        "rate_share": beside / alone if alone else 0.0,
        "delay_p50_ms": figures.percentile(delays, 0.5) * 1000,
        "delay_p99_ms": figures.percentile(delays, 0.99) * 1000,
        "messages_per_second": seen.facts.get("messages", 0.0) / load.seconds,
        "reads_per_section_second": reads / len(hall.sections) / load.seconds,
        "gateway_mb": after["gateway"].memory_mb,
    }
    each = max(1, len(told.done))
    measured.cpu_ms = {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / each for name in after}
    measured.cpu_ms["load generator"] = told.cpu_seconds * 1000 / each
    measured.cpu_ms["screens"] = seen.cpu_seconds * 1000 / each
    measured.notes.append(f"{SCREENS} gRPC streams, each of one of {len(hall.sections)} sections; CPU by sale")
    measured.wrong += errors(told) + bench.audit(hall, told)
    if ended := seen.facts.get("ended", 0.0):
        measured.wrong.append(f"{ended:.0f} screens were cut off")


def _sell(bench: Bench, hall: Hall) -> tuple[float, Told]:
    """Sell for the time that was said; give the rate."""
    load = bench.load("sale", hall, concurrency=CONCURRENCY, keeps_moments=True)
    told = generate(load)
    return figures.rate([visit.at for visit in told.done], load.seconds / 4, load.seconds), told


def late(sold: Told, seen: Told) -> list[float]:
    """Give how many seconds each screen was behind the Ticket's own clock, for each seat that it showed. Pure."""
    return [
        max(0.0, moment - at[0]) for seat_id, at in sold.moments.items() for moment in seen.moments.get(seat_id, ())
    ]


SCENARIOS: Final = (Scenario("watchers", FAMILY, "1,000 screens while it sells", _watch),)
