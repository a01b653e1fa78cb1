"""Holds that come to nothing: given back, or left until they end by themselves."""

from __future__ import annotations

import time
from typing import Final

from bench.figures import Measured
from bench.loads import errors
from bench.measuring import Bench, Hall, Scenario

FAMILY: Final = "holds"
HOLD_SECONDS: Final = 15
"""Long enough for the first look to come before the last hold ends."""

LATEST_SECONDS: Final = 60.0
HELD: Final = "SEAT_STATUS_HELD"
SEATS: Final = 2000
CONCURRENCY: Final = 32


def _release(bench: Bench, measured: Measured) -> None:
    """Hold a seat and give it back, again and again."""
    hall = bench.hall(SEATS)
    told = bench.measure(measured, bench.load("hold-release", hall, concurrency=CONCURRENCY, warm_up=1.0))
    measured.wrong += errors(told) + bench.audit(hall, told)


def _expire(bench: Bench, measured: Measured) -> None:
    """Hold seats and go away; see when the last one is free again."""
    hall = bench.hall(bench.seats_for(bench.seconds), hold_seconds=HOLD_SECONDS)
    told = bench.measure(measured, bench.load("hold", hall, buyers=5000, warm_up=1.0))
    deadline = time.monotonic() + HOLD_SECONDS + LATEST_SECONDS
    is_early = False
    while (held := _held(bench, hall)) and time.monotonic() < deadline:
        is_early = is_early or time.time() < told.facts["last_expires_at"]
        time.sleep(0.1)
    if is_early:
        measured.figures["late_seconds"] = max(0.0, time.time() - told.facts["last_expires_at"])
    else:
        measured.notes.append("the last hold had ended before the map was looked at: how late is not known")
    measured.wrong += [f"{held} seats were still held {LATEST_SECONDS:.0f} s later"] if held else []
    measured.wrong += errors(told) + bench.audit(hall, told)


def _held(bench: Bench, hall: Hall) -> int:
    """Count the seats that the map shows as held."""
    pages = bench.organizer.pages("GetSeatMap", {"event_id": hall.event_id}, "sections")
    return sum(seat["status"] == HELD for section in pages for seat in section["seats"])


SCENARIOS: Final = (
    Scenario("hold-release", FAMILY, "hold and release of a seat", _release),
    Scenario("hold-expire", FAMILY, f"hold of a seat that ends after {HOLD_SECONDS} s", _expire),
)
