"""Crowds: everybody wants the same seat, or far more people come than there are seats."""

from __future__ import annotations

from typing import Final

from bench import figures
from bench.counting import handlers, of_sales, until_quiet
from bench.figures import Measured
from bench.generator import Generator, generate
from bench.loads import Told, errors
from bench.measuring import Bench, Scenario

FAMILY: Final = "hot"
BUYERS: Final = 1000
EVENT_SEATS: Final = 1000
ATTEMPTS: Final = 50_000
LONGEST_SECONDS: Final = 60.0
REFUSED: Final = "SEAT_UNAVAILABLE"
SHED: Final = "RATE_LIMITED"
"""A gateway under pressure takes fewer calls at once: a coded refusal too, to be repeated."""

EXPECTED: Final = (REFUSED, SHED)


def _hot_seat(bench: Bench, measured: Measured) -> None:
    """Let a thousand buyers ask for one seat at once."""
    hall = bench.hall(100)
    seat = hall.seats[len(hall.seats) // 2]
    told = generate(
        bench.load(
            "sale",
            hall,
            seats=[seat],
            is_any=True,
            buyers=BUYERS,
            concurrency=BUYERS,
            connections=10,
            most=BUYERS,
            seconds=LONGEST_SECONDS,
        )
    )
    measured.figures |= {"seconds": told.seconds, **_refused(told)}
    measured.figures |= figures.latencies([visit.took for visit in told.visits])
    measured.figures["client_cpu_ms"] = told.cpu_seconds * 1000 / BUYERS
    measured.wrong += errors(told, EXPECTED) + bench.audit(hall, told)
    if len(told.done) != 1:
        measured.wrong.append(f"{len(told.done)} buyers were told that they have the seat")


def _hot_event(bench: Bench, measured: Measured) -> None:
    """Let fifty thousand attempts go for a thousand seats, each for any of them, while a screen shows the map."""
    hall = bench.hall(EVENT_SEATS)
    # So long as somebody looks, the gateway knows the map; at a sale somebody does.
    with Generator(bench.load("screens", hall, seconds=2 * LONGEST_SECONDS, concurrency=len(hall.sections))) as screen:
        screen.go()
        before, counted = bench.servers.usage(), until_quiet(bench.servers)
        told = generate(
            bench.load(
                "sale",
                hall,
                is_any=True,
                buyers=5000,
                concurrency=256,
                connections=8,
                most=ATTEMPTS,
                seconds=min(LONGEST_SECONDS, bench.seconds * 6),
            )
        )
        after = bench.servers.usage()
        spent = of_sales(figures.differences(handlers(bench.servers), counted))
    sold_out = max((visit.at for visit in told.done), default=0.0)
    late = [visit.at for visit in told.visits if visit.reason == REFUSED and visit.at > sold_out]
    measured.figures |= {
        "attempts": len(told.visits),
        "sold_out_seconds": sold_out,
        **_refused(told),
        "refusals_per_second": figures.rate(late, sold_out, told.seconds),
        "invocations": spent / max(1, len(told.visits)),
        "client_cpu_ms": told.cpu_seconds * 1000 / max(1, len(told.visits)),
    }
    measured.figures |= figures.latencies([visit.took for visit in told.visits if visit.at > sold_out])
    each = max(1, len(told.visits))
    measured.cpu_ms = {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / each for name in after}
    measured.cpu_ms["load generator"] = measured.figures["client_cpu_ms"]
    measured.per_second = figures.per_second([visit.at for visit in told.visits], told.seconds)
    measured.notes.append("percentiles and refusals a second: after the last seat was sold; invocations: per attempt")
    if len(told.done) < EVENT_SEATS:
        measured.notes.append(f"{len(told.done)} of {EVENT_SEATS} seats were sold when the attempts ended")
    measured.wrong += errors(told, EXPECTED) + bench.audit(hall, told)


def _refused(told: Told) -> dict[str, float]:
    return {"refused": told.refused().get(REFUSED, 0), "shed": told.refused().get(SHED, 0)}


SCENARIOS: Final = (
    Scenario("hot-seat", FAMILY, "1,000 buyers, one seat", _hot_seat),
    Scenario("hot-event", FAMILY, "50,000 attempts, 1,000 seats", _hot_event),
)
