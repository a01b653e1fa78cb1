"""One measurement: events to sell, load, yardstick, cost by process, and whether what must hold did."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Final

from bench import counting, figures
from bench.figures import Measured
from bench.generator import GeneratorError, generate
from bench.loads import Kind, Load, Told, errors
from bench.servers import Servers, Shape
from services.cli import token as tokens
from services.cli.client import Gateway
from services.cli.errors import GatewayError
from services.common.config import ENDPOINTS

NOOP_SECONDS: Final = 2.0
MOST_SALES_PER_SECOND: Final = 500
"""For which there are seats enough."""

MOST_SEATS: Final = 50_000
MAPPED_SECONDS: Final = 300.0
USUAL: Final = Shape()
ROW_SEATS: Final = 50
SECTION_SEATS: Final = 500
CALLS_EACH: Final[Mapping[str, int]] = {"hold-checkout": 2, "hold-release": 2}
MONEY: Final = frozenset(
    f"FINDING_KIND_{name}"
    for name in ("CAPTURE_WITHOUT_ORDER", "ORDER_WITHOUT_CAPTURE", "AMOUNT_DIFFERS", "AUTHORIZATION_LEFT_OPEN")
)
"""What an audit finds where the provider is in checkout's process, which it cannot ask."""


@dataclass(frozen=True, slots=True)
class Hall:
    """An event on sale. `seats`: their ids, section by section."""

    event_id: str
    sections: list[str]
    seats: list[str]


@dataclass
class Bench:
    """A stack that is up, and how hard it is to be measured.

    `rates`: sales a second by scenario, as measured so far; `stadium`: the event that its readers share.
    """

    servers: Servers
    seconds: float
    seed: int
    rates: dict[str, float] = field(default_factory=dict)
    stadium: Hall | None = None

    def __post_init__(self) -> None:
        self.organizer = self._gateway(self.servers.grpc_address, "bench-organizer", "organizer")
        self.admin = self._gateway(self.servers.ops_address, "bench-admin", "admin")

    def _gateway(self, address: str, subject: str, role: str) -> Gateway:
        token = tokens.sign(self.servers.keys.auth_private_pem, subject, [role])
        return Gateway(address, token, seconds=300)

    def hall(self, seat_count: int, section_seats: int = SECTION_SEATS, **fields: Any) -> Hall:
        """Put an event of about so many seats on sale; wait until its map is whole. Raises GatewayError."""
        event, hall = event_of(f"bench-{uuid.uuid4().hex[:12]}", seat_count, section_seats)
        self.organizer.call("CreateEvent", {"event": event | fields})
        self.organizer.call("PublishEvent", {"event_id": hall.event_id})
        self.until_mapped(hall)
        return hall

    def until_mapped(self, hall: Hall) -> None:
        """Wait until the map shows every seat of the last section, which is seeded last. Raises GatewayError."""
        last = hall.sections[-1]
        wanted = sum(seat.startswith(f"{last}-") for seat in hall.seats)
        request = {"event_id": hall.event_id, "section_id": last}
        deadline = time.monotonic() + MAPPED_SECONDS
        while True:
            found = self.organizer.pages("GetSeatMap", request, "sections")
            if sum(len(section["seats"]) for section in found) >= wanted:
                return
            if time.monotonic() > deadline:
                raise GatewayError(f"the map of {hall.event_id} was not whole after {MAPPED_SECONDS:.0f} s")
            time.sleep(0.05)

    def load(self, kind: Kind, hall: Hall | None = None, **more: Any) -> Load:
        """Describe a load on this stack."""
        servers = self.servers
        of_hall = {"event_id": hall.event_id, "seats": hall.seats, "sections": hall.sections} if hall else {}
        named = {"seconds": self.seconds, "seed": self.seed} | of_hall | more
        return Load(
            kind=kind,
            grpc=servers.grpc_address,
            http=servers.gateway_url,
            ingress=servers.ingress_url,
            key_file=str(servers.keys.auth_private_pem),
            seal_keys=servers.keys.seal_keys,
            subject_key=servers.keys.subject_key,
            **named,
        )

    def seats_for(self, seconds: float, each: int = 1) -> int:
        """Tell how many seats are enough for so many seconds of sales."""
        return int(min(MOST_SEATS, max(1000, seconds * MOST_SALES_PER_SECOND * each)))

    def noops(self, concurrency: int = 64) -> float:
        """Measure the yardstick: invocations without effect, straight on the ingress, a second."""
        told = generate(self.load("noop", seconds=NOOP_SECONDS, concurrency=concurrency))
        return len(told.done) / told.seconds

    def measure(self, measured: Measured, load: Load) -> Told:
        """Make load and fill in rate, percentiles, yardstick, cost by process, invocations and timers of each."""
        noops = [self.noops(load.concurrency)]
        counts, timers = counting.until_quiet(self.servers), counting.timers(self.servers)
        before = self.servers.usage()
        told = generate(load)
        at_once = self.servers.usage()
        counts = figures.differences(counting.until_quiet(self.servers), counts)
        # What a sale causes later (its map, its mail) is its cost as well.
        after = self.servers.usage()
        noops.append(self.noops(load.concurrency))
        done, warm = told.done, load.warm_up
        each = max(1, len(done))
        found = measured.figures
        found["rate"] = figures.rate([visit.at for visit in done], warm, load.seconds)
        found |= figures.latencies([visit.took for visit in done if visit.at >= warm])
        found["noops_per_second"] = fmean(noops)
        if counts:
            found["invocations"] = counting.of_sales(counts) / each
            found["timers"] = (counting.timers(self.servers) - timers) / each
            found["efficiency"] = figures.efficiency(found["rate"], found["invocations"], found["noops_per_second"])
            measured.handlers = {name: count / each for name, count in counts.items()}
        measured.cpu_ms = {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / each for name in after}
        if not load.kind.startswith("ingress"):
            found["gateway_cpu_ms"] = measured.cpu_ms["gateway"] / CALLS_EACH.get(load.kind, 1)
        measured.cpu_ms["load generator"] = found["client_cpu_ms"] = told.cpu_seconds * 1000 / each
        found["endpoint_mb"] = max(at_once[name].memory_mb for name in ENDPOINTS)
        found["gateway_mb"] = at_once["gateway"].memory_mb
        found["restate_mb"] = at_once["restate"].memory_mb
        measured.per_second = figures.per_second([visit.at for visit in done], load.seconds)
        return told

    def sell(self, measured: Measured, kind: Kind, each: int = 1, **more: Any) -> Told:
        """Measure sales of a new event, and audit it."""
        seconds = more.get("seconds", self.seconds)
        hall = self.hall(self.seats_for(seconds, each))
        more = {"warm_up": min(1.5, seconds / 4), "seats_each": each} | more
        told = self.measure(measured, self.load(kind, hall, **more))
        measured.wrong += errors(told) + self.audit(hall, told)
        self.rates[measured.scenario] = measured.figures["rate"]
        return told

    def rate(self, kind: Kind) -> float:
        """Sell at a new event, and only count: sales a second."""
        load = self.load(kind, self.hall(self.seats_for(self.seconds)))
        told = generate(load)
        return figures.rate([visit.at for visit in told.done], load.seconds / 4, load.seconds)

    def audit(self, hall: Hall, told: Told) -> list[str]:
        """Name what an audit of the event finds, and what it says otherwise than the buyers."""
        report = self.admin.call("VerifyEvent", {"event_id": hall.event_id, "settle_seconds": 2})["report"]
        return disagreements(report, told.bought, ignored=MONEY if self.servers.shape.is_instant else frozenset())


def disagreements(
    report: Mapping[str, Any], bought: Mapping[str, Sequence[str]], *, ignored: frozenset[str] = frozenset()
) -> list[str]:
    """Compare an audit's report with what buyers were told. Pure. `ignored`: kinds of findings."""
    kinds = [finding["kind"] for finding in report["findings"] if finding["kind"] not in ignored]
    told = [f"the audit finds {kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    if report["verdict"] != "VERDICT_PASSED" and not ignored:
        told.append(
            f"the audit ends with {report['verdict']}: {'; '.join(report.get('gaps', [])) or 'see its findings'}"
        )
    seats = [seat for each in bought.values() for seat in each]
    if len(set(seats)) != len(seats):
        told.append(f"{len(seats) - len(set(seats))} seats were sold to two buyers")
    sold = sum(section["sold"] for section in report["sections"])
    if sold != len(seats):
        told.append(f"{sold} seats are sold, buyers were told of {len(seats)}")
    if report["confirmed_count"] != len(bought):
        told.append(f"{report['confirmed_count']} orders are confirmed, buyers were told of {len(bought)}")
    return told


def event_of(event_id: str, seat_count: int, section_seats: int = SECTION_SEATS) -> tuple[dict[str, Any], Hall]:
    """Describe an event of at least so many seats in sections of at most so many; give its seats as well. Pure."""
    row_seats = min(ROW_SEATS, seat_count, section_seats)
    rows = max(1, min(section_seats, seat_count) // row_seats)
    names = [f"S{number}" for number in range(-(-seat_count // (rows * row_seats)))]
    event = {
        "event_id": event_id,
        "title": f"{seat_count} seats",
        "venue": "Bench",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "max_seats_per_buyer": 300,
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4500}],
        "sections": [
            {"section_id": name, "title": name, "row_count": rows, "seats_per_row": row_seats, "category_id": "std"}
            for name in names
        ],
    }
    seats = [f"{name}-{row}-{seat}" for name in names for row in range(1, rows + 1) for seat in range(1, row_seats + 1)]
    return event, Hall(event_id, names, seats)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that is measured. `run` fills in the result."""

    name: str
    family: str
    title: str
    run: Callable[[Bench, Measured], None]
    shape: Shape = USUAL

    def measure(self, bench: Bench) -> Measured:
        """Run it."""
        measured = Measured(self.name, self.family, self.title)
        try:
            self.run(bench, measured)
        except (GatewayError, GeneratorError) as error:
            # The others are measured all the same; the run ends with 1.
            measured.wrong.append(f"could not be measured: {error}")
        return measured
