"""The seat map: its readers, and what a change of a seat costs in halls of all sizes."""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from bench import counting, figures
from bench.figures import Measured
from bench.generator import generate
from bench.loads import Kind, errors
from bench.measuring import Bench, Hall, Scenario

FAMILY: Final = "map"
STADIUM_SEATS: Final = 50_000
UPDATED_SIZES: Final = (100, 1_000, 10_000, 50_000)
UPDATE_CONCURRENCY: Final = 16
APPLY: Final = "SeatMap.apply"


def _read(bench: Bench, measured: Measured, kind: Kind, concurrency: int) -> None:
    """Let readers read the map of a stadium at rest."""
    hall = _stadium(bench)
    load = bench.load(kind, hall, concurrency=concurrency, sections=hall.sections[:1])
    # The first reader, whom the gateway has to ask Restate for.
    # What others looked at before is followed for a while.
    counting.until_quiet(bench.servers, lambda servers: {"reads": counting.map_reads(servers)})
    generate(msgspec.structs.replace(load, seconds=1.0, concurrency=1))
    reads, before = counting.map_reads(bench.servers), bench.servers.usage()
    told = generate(load)
    after = bench.servers.usage()
    each = max(1, len(told.done))
    measured.figures |= {
        "rate": len(told.done) / told.seconds,
        **figures.latencies([visit.took for visit in told.done]),
        "map_reads": (counting.map_reads(bench.servers) - reads) / told.seconds,
        "client_cpu_ms": told.cpu_seconds * 1000 / each,
        **{name: value for name, value in told.facts.items() if name == "bytes"},
    }
    if kind == "map-whole":
        measured.figures["whole_seconds"] = measured.figures["p99_ms"] / 1000
    if kind == "map-unchanged":
        measured.figures["not_modified"] = told.facts.get("not_modified", 0.0) / each
    measured.cpu_ms = {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / each for name in after}
    measured.figures["gateway_cpu_ms"] = measured.cpu_ms["gateway"]
    measured.notes.append("reads of Restate: a second, by the gateway, however many readers there are")
    measured.wrong += errors(told)


def _stadium(bench: Bench) -> Hall:
    """Give the event of 50,000 seats that the readers of one run share."""
    if bench.stadium is None:
        bench.stadium = bench.hall(STADIUM_SEATS, section_seats=1000)
    return bench.stadium


def _update(bench: Bench, measured: Measured) -> None:
    """Hold and release seats of halls of one section each; see what a change costs seatmap's process."""
    costs: dict[int, float] = {}
    for size in UPDATED_SIZES:
        hall = bench.hall(size, section_seats=size)
        load = bench.load(
            "hold-release",
            hall,
            # As many in each hall, spread over all of it.
            seats=hall.seats[:: max(1, size // UPDATED_SIZES[0])],
            concurrency=UPDATE_CONCURRENCY,
            seconds=bench.seconds / 2,
        )
        counted, before = counting.until_quiet(bench.servers), bench.servers.usage()
        told = generate(load)
        applied = figures.differences(counting.until_quiet(bench.servers), counted).get(APPLY, 0.0)
        spent = bench.servers.usage()["seatmap"].cpu_seconds - before["seatmap"].cpu_seconds
        costs[size] = spent * 1000 / max(1.0, applied)
        measured.notes.append(f"{size:,} seats: {costs[size]:.2f} ms a change, {applied:.0f} changes")
        # A seat that is asked for again before its release has come is refused, as it should be.
        measured.wrong += errors(told, ["SEAT_UNAVAILABLE"])
    measured.figures |= {"apply_ms": costs[UPDATED_SIZES[-1]], "flatness": max(costs.values()) / min(costs.values())}


def _reader(name: str, title: str, concurrency: int) -> Scenario:
    return Scenario(name, FAMILY, title, functools.partial(_read, kind=name, concurrency=concurrency))  # type: ignore[arg-type]


SCENARIOS: Final = (
    _reader("map-section", "32 readers of a section of 1,000 of 50,000 seats", 32),
    _reader("map-whole", "a reader of the whole of 50,000 seats, in pages", 1),
    _reader("map-unchanged", "32 readers of a section with its ETag, HTTP", 32),
    Scenario("map-update", FAMILY, "change of a seat in 100 to 50,000 seats", _update),
)
