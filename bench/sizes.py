"""How long large events take, how much memory the processes use at rest, and a first look at sales per second.

    python -m bench.sizes [--json] [--seats 1000,50000] [--sales 200]

Starts a stack of its own on free ports in a temporary folder and stops it again. Times are wall-clock
seconds on the machine at hand: compare them within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from services.cli import token as tokens
from services.cli.local import START_ORDER, LocalStack
from services.cli.ports import Ports
from services.cli.up import endpoints, register

SECTIONS = 50
ROW_SEATS = 50
BUYERS = 200
TARGETS = {1_000: 2.0, 50_000: 20.0}
"""Seconds in which an event of so many seats should be created and published."""


def event_of(event_id: str, seat_count: int) -> dict[str, Any]:
    """Describe an event of so many seats, every one written out with coordinates."""
    rows = seat_count // (SECTIONS * ROW_SEATS) or 1
    sections = min(SECTIONS, seat_count // (rows * ROW_SEATS))
    return {
        "event_id": event_id,
        "title": f"{seat_count} seats",
        "venue": "Stadium",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "max_seats_per_buyer": 300,
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4500}],
        "sections": [
            {
                "section_id": f"S{section}",
                "title": f"Section {section}",
                "rows": [
                    {
                        "row_id": str(row),
                        "seats": [
                            {
                                "seat_id": f"S{section}-{row}-{seat}",
                                "category_id": "std",
                                "x": seat * 1.5,
                                "y": row * 2.0,
                            }
                            for seat in range(1, ROW_SEATS + 1)
                        ],
                    }
                    for row in range(1, rows + 1)
                ],
            }
            for section in range(sections)
        ],
    }


class Door:
    """The HTTP door of the stack, as one caller uses it."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self.session = session
        self.headers = {"authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Call and give the answer; anything but 200 ends the run."""
        async with self.session.request(method, path, json=body, headers=self.headers) as answer:
            found = await answer.json()
            if answer.status != 200:  # noqa: PLR2004
                raise SystemExit(f"{method} {path}: {answer.status} {found}")
            return found


async def measure_event(door: Door, seat_count: int) -> dict[str, Any]:
    """Create and publish an event; meanwhile ask for it again and again."""
    event_id = f"bench-{uuid.uuid4().hex[:8]}"
    event = event_of(event_id, seat_count)
    begun = time.monotonic()
    await door.call("POST", "/v1/events", event)
    created = time.monotonic() - begun
    slowest = {"get": 0.0, "pause": 0.0}
    await door.call("POST", f"/v1/events/{event_id}:publish", {})
    for action in ("pause", "resume"):
        asked = time.monotonic()
        await door.call("POST", f"/v1/events/{event_id}:{action}", {})
        slowest["pause"] = max(slowest["pause"], time.monotonic() - asked)
    last = f"S{len(event['sections']) - 1}"
    expected = event["sections"][-1]["rows"]
    want = sum(len(row["seats"]) for row in expected)
    while True:
        asked = time.monotonic()
        await door.call("GET", f"/v1/events/{event_id}")
        slowest["get"] = max(slowest["get"], time.monotonic() - asked)
        seat_map = await door.call("GET", f"/v1/events/{event_id}/seatmap?section_id={last}")
        if sum(len(section.get("seats", [])) for section in seat_map["sections"]) == want:
            break
        await asyncio.sleep(0.1)
    return {
        "seats": seat_count,
        "create_seconds": round(created, 2),
        "published_and_mapped_seconds": round(time.monotonic() - begun, 2),
        "slowest_get_seconds": round(slowest["get"], 3),
        "slowest_pause_seconds": round(slowest["pause"], 3),
        "target_seconds": TARGETS.get(seat_count),
    }


async def measure_sales(organizer: Door, buyers: list[Door], count: int) -> dict[str, Any]:
    """Sell seats in one step, 16 at a time to many buyers, with the payment simulator and its ledger on disk."""
    event_id = f"bench-{uuid.uuid4().hex[:8]}"
    await organizer.call("POST", "/v1/events", event_of(event_id, 2_500) | {"max_seats_per_buyer": 300})
    await organizer.call("POST", f"/v1/events/{event_id}:publish", {})
    gate = asyncio.Semaphore(16)
    took: list[float] = []

    async def sell(number: int) -> None:
        seat = f"S{number % SECTIONS}-1-{number // SECTIONS + 1}"
        async with gate:
            asked = time.monotonic()
            body = {
                "event_id": event_id,
                "seat_ids": [seat],
                "payment_method": "card_success",
                "email": "bench@example.org",
            }
            await buyers[number % len(buyers)].call("POST", "/v1/orders", body)
            took.append(time.monotonic() - asked)

    begun = time.monotonic()
    await asyncio.gather(*(sell(number) for number in range(count)))
    seconds = time.monotonic() - begun
    took.sort()
    return {
        "sales": count,
        "sales_per_second": round(count / seconds, 1),
        "p50_ms": round(took[len(took) // 2] * 1000),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000),
    }


def usage(stack: LocalStack) -> dict[str, tuple[int, float]]:
    """Read what each component's process group uses: resident memory in MB, and CPU seconds so far."""
    groups = {record.pid: component for component in START_ORDER if (record := stack.processes.record(component))}
    memory, seconds = dict.fromkeys(groups.values(), 0), dict.fromkeys(groups.values(), 0.0)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            pages = int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # the process has ended meanwhile
        component = groups.get(int(fields[2]))
        if component is not None:
            memory[component] += pages * os.sysconf("SC_PAGE_SIZE") // 2**20
            seconds[component] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {component: (memory[component], seconds[component]) for component in groups.values()}


async def run(stack: LocalStack, seats: list[int], sales: int) -> dict[str, Any]:
    """Run all of it against a stack that is up."""
    await register(stack.admin_url, endpoints(stack))
    stack.wait_ready("gateway", ready=True)
    at_rest = usage(stack)
    async with aiohttp.ClientSession(base_url=stack.gateway_url) as session:
        organizer = Door(session, tokens.sign(stack.keys.auth_private_pem, "bench-organizer", ["organizer"], 1))
        # Many, because the calls of one buyer of one event queue up behind one another.
        buyers = [
            Door(session, tokens.sign(stack.keys.auth_private_pem, f"bench-buyer-{number}", [], 1))
            for number in range(BUYERS)
        ]
        events = [await measure_event(organizer, count) for count in seats]
        before = usage(stack)
        sold = await measure_sales(organizer, buyers, sales)
        after = usage(stack)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return {
        "machine": machine,
        "events": events,
        "sales": sold,
        "components": {
            name: {
                "memory_at_rest_mb": at_rest[name][0],
                "memory_after_mb": after[name][0],
                "cpu_ms_per_sale": round((after[name][1] - before[name][1]) * 1000 / sales, 2),
            }
            for name in after
        },
    }


def show(found: dict[str, Any]) -> None:
    """Print the report for people."""
    console = Console()
    table = Table(
        "seats", "created", "published, on the map", "target", "slowest get", "slowest pause", title="Events, seconds"
    )
    columns = (
        "seats",
        "create_seconds",
        "published_and_mapped_seconds",
        "target_seconds",
        "slowest_get_seconds",
        "slowest_pause_seconds",
    )
    for row in found["events"]:
        table.add_row(*(str(row[name]) for name in columns))
    console.print(table)
    table = Table("component", "at rest, MB", "after, MB", "CPU per sale, ms", title="Processes")
    for name, used in found["components"].items():
        table.add_row(name, *(str(used[key]) for key in ("memory_at_rest_mb", "memory_after_mb", "cpu_ms_per_sale")))
    console.print(table)
    console.print("One-step sales through the HTTP door:", found["sales"])


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seats", default="1000,50000", help="sizes of the events to create")
    parser.add_argument("--sales", type=int, default=300, help="how many one-step sales to make")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
        stack = LocalStack(Path(folder), Ports.free())
        try:
            stack.start_all()
            found = asyncio.run(run(stack, [int(text) for text in chosen.seats.split(",")], chosen.sales))
        finally:
            stack.stop_all()
    if chosen.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        show(found)


if __name__ == "__main__":
    main()
