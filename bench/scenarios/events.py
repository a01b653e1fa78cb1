"""Large events: created, published, audited, alone and beside a running sale."""

from __future__ import annotations

import functools
import time
import uuid
from typing import Final

from google.protobuf import json_format

from bench import figures
from bench.figures import Measured
from bench.generator import Generator, generate
from bench.loads import errors
from bench.measuring import Bench, Hall, Scenario, event_of
from services.gateway.gen.nexus.v1 import event_pb2

FAMILY: Final = "events"
LARGEST: Final = 50_000
SECTION_SEATS: Final = 1000


def _create(bench: Bench, measured: Measured, seats: int) -> Hall:
    """Create and publish an event whose seats are all written out, with coordinates; wait for its map."""
    request, hall = written_out(f"bench-{uuid.uuid4().hex[:12]}", seats)
    begun = time.monotonic()
    bench.organizer.call("CreateEvent", request)
    created = time.monotonic()
    bench.organizer.call("PublishEvent", {"event_id": hall.event_id})
    published = time.monotonic()
    bench.until_mapped(hall)
    measured.figures |= {
        "create_seconds": created - begun,
        "publish_seconds": published - created,
        "mapped_seconds": time.monotonic() - begun,
    }
    return hall


def _create_alone(bench: Bench, measured: Measured, seats: int) -> None:
    _create(bench, measured, seats)


def _verify(bench: Bench, measured: Measured) -> None:
    """Audit an event of 50,000 seats."""
    hall = bench.hall(LARGEST, section_seats=SECTION_SEATS)
    begun = time.monotonic()
    report = bench.admin.call("VerifyEvent", {"event_id": hall.event_id, "settle_seconds": 1})["report"]
    measured.figures["verify_seconds"] = time.monotonic() - begun
    if sum(section["capacity"] for section in report["sections"]) != LARGEST:
        measured.wrong.append("the audit counts another number of seats")
    if report["findings"]:
        measured.wrong.append(f"the audit of an event without sales finds {report['finding_count']} things")


def _beside(bench: Bench, measured: Measured) -> None:
    """Create and publish 50,000 seats while another event sells."""
    hall = bench.hall(bench.seats_for(bench.seconds * 3))
    half = len(hall.seats) // 2
    first = bench.load("sale", hall, seats=hall.seats[:half])
    told = generate(first)
    alone = figures.rate([visit.at for visit in told.done], first.seconds / 4, first.seconds)
    with Generator(bench.load("sale", hall, seats=hall.seats[half:], seconds=bench.seconds * 2)) as sale:
        sale.go()
        begun = time.monotonic()
        _create(bench, measured, LARGEST)
        took = min(time.monotonic() - begun, bench.seconds * 2)
        beside = sale.told()
    rate = figures.rate([visit.at for visit in beside.done], 0.0, took)
    measured.figures |= {"rate": rate, "rate_alone": alone, "rate_share": rate / alone if alone else 0.0}
    measured.per_second = figures.per_second([visit.at for visit in beside.done], bench.seconds * 2)
    told.bought |= beside.bought
    measured.wrong += errors(told) + errors(beside) + bench.audit(hall, told)


def written_out(event_id: str, seats: int) -> tuple[event_pb2.CreateEventRequest, Hall]:
    """Describe an event with every seat in the request, as an organizer's seating plan has it. Pure."""
    event, hall = event_of(event_id, seats, SECTION_SEATS)
    of_section: dict[str, dict[str, list[str]]] = {}
    for seat_id in hall.seats:
        section, row, _ = seat_id.split("-")
        of_section.setdefault(section, {}).setdefault(row, []).append(seat_id)
    event["sections"] = []
    request = event_pb2.CreateEventRequest(event=json_format.ParseDict(event, event_pb2.Event()))
    for section, rows in of_section.items():
        made = request.event.sections.add(section_id=section, title=section)
        for row, seat_ids in rows.items():
            line = made.rows.add(row_id=row)
            for number, seat_id in enumerate(seat_ids):
                line.seats.add(seat_id=seat_id, category_id="std", x=number * 1.5, y=int(row) * 2.0)
    return request, hall


SCENARIOS: Final = (
    *(
        Scenario(
            f"event-{seats}",
            FAMILY,
            f"create and publish {seats:,} seats",
            functools.partial(_create_alone, seats=seats),
        )
        for seats in (1_000, 10_000, LARGEST)
    ),
    Scenario("verify-50000", FAMILY, "audit of 50,000 seats", _verify),
    Scenario("event-beside-sale", FAMILY, "create and publish 50,000 seats while another event sells", _beside),
)
