"""`nexus smoke`: the README's walk-through against any installation, over gRPC, each step judged.

It leaves an event of its own behind, closed, with two seats sold and nothing held.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.cli.client import Gateway
from services.cli.errors import UNREACHABLE, GatewayError

MAP_SECONDS: Final = 15.0
"""How long the map, a view, may be behind."""

SEATS: Final = 10
OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True)
class Cards:
    """What the installation's payment provider takes for a payment and for a decline."""

    good: str = "card_success"
    declined: str = "card_decline"


@dataclass(frozen=True)
class Step:
    """A step that was taken. `exit_code`: what the command ends with where it failed."""

    name: str
    state: str
    seconds: float
    text: str = ""
    exit_code: int = 1


class UnexpectedError(Exception):
    """The installation answered something else than it should have."""


class Walk:
    """One walk: an event with two rows of five seats, a buyer, and what became of them."""

    def __init__(self, buyer: Gateway, organizer: Gateway, cards: Cards, email: str) -> None:
        self.event_id = f"smoke-{secrets.token_hex(6)}"
        self.order_id = f"smoke-{secrets.token_hex(16)}"
        self._buyer, self._organizer, self._cards, self._email = buyer, organizer, cards, email
        self._event = {"event_id": self.event_id}
        self._hold_id = ""
        self._paid: object = None

    def run(self) -> Iterator[Step]:
        """Take the steps one by one; after a failure the rest is skipped, but an event on sale is closed."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("reach the gateway", self._reach),
            ("create an event", self._create),
            ("publish it, twice", self._publish),
            ("see it on the map", self._map_is_free),
            ("hold two seats", self._hold),
            ("be refused a held seat", self._conflict),
            ("pay for the hold", self._pay),
            ("read the order", self._read_order),
            ("send the order again", self._repeat),
            ("be declined", self._decline),
            ("see sold seats on the map", self._map_is_sold),
        ]
        is_failed = is_open = False
        for name, act in steps:
            if is_failed:
                yield Step(name, SKIPPED, 0.0)
                continue
            # Also where the answer was lost. A draft sells nothing and is seen by nobody.
            is_open = is_open or act == self._publish
            step = _taken(name, act)
            is_failed = step.state == FAILED
            yield step
        if is_open:
            yield _taken("close the event", self._close)

    def _reach(self) -> str:
        self._buyer.call("ListEvents", {"page_size": 1})
        return self._buyer.address

    def _create(self) -> str:
        event = self._event | {
            "title": "Smoke test",
            "venue": "Nowhere",
            "starts_at": (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "currency_code": "EUR",
            "hold_seconds": 120,
            "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 100}],
            "sections": [
                {"section_id": "A", "title": "A", "row_count": 2, "seats_per_row": 5, "category_id": "std"},
            ],
        }
        made = self._organizer.call("CreateEvent", {"event": event})
        _expect("state", made["state"], "EVENT_STATE_DRAFT")
        return self.event_id

    def _publish(self) -> str:
        for _ in range(2):
            shown = self._organizer.call("PublishEvent", self._event)
            _expect("state", shown["state"], "EVENT_STATE_ON_SALE")
        return "on sale"

    def _map_is_free(self) -> str:
        return self._wait_for_map(sold=0)

    def _hold(self) -> str:
        held = self._buyer.call("HoldSeats", self._event | {"seat_ids": ["A-1-1", "A-1-2"]})
        _expect("state", held["state"], "HOLD_STATE_OPEN")
        _expect("total", int(held["total"]["amount_minor"]), 200)
        self._hold_id = held["hold_id"]
        return self._hold_id

    def _conflict(self) -> str:
        request = self._event | {"seat_ids": ["A-1-2", "A-1-3"]}
        text = _refused("SEAT_UNAVAILABLE", lambda: self._buyer.call("HoldSeats", request))
        self._expect_seat("A-1-3", "SEAT_STATUS_AVAILABLE")
        return text

    def _pay(self) -> str:
        order = self._buyer.call("Checkout", self._payment())
        _expect("state", order["state"], "ORDER_STATE_CONFIRMED")
        self._expect_seat("A-1-1", "SEAT_STATUS_SOLD")
        return self.order_id

    def _read_order(self) -> str:
        order = self._buyer.call("GetOrder", {"order_id": self.order_id})
        _expect("state", order["state"], "ORDER_STATE_CONFIRMED")
        _expect("payment", order["payment"]["state"], "PAYMENT_STATE_CAPTURED")
        _expect("total", int(order["total"]["amount_minor"]), 200)
        self._paid = order["payment"]
        return "captured"

    def _repeat(self) -> str:
        order = self._buyer.call("Checkout", self._payment())
        _expect("order_id", order["order_id"], self.order_id)
        _expect("payment", order["payment"], self._paid)
        return "one order"

    def _decline(self) -> str:
        request = self._event | {
            "seat_ids": ["A-1-3"],
            "payment_method": self._cards.declined,
            "email": self._email,
        }
        text = _refused("PAYMENT_DECLINED", lambda: self._buyer.call("Checkout", request))
        self._expect_seat("A-1-3", "SEAT_STATUS_AVAILABLE")
        return text

    def _map_is_sold(self) -> str:
        return self._wait_for_map(sold=2)

    def _close(self) -> str:
        shown = self._organizer.call("CloseSales", self._event)
        _expect("state", shown["state"], "EVENT_STATE_CLOSED")
        return "closed"

    def _payment(self) -> dict[str, Any]:
        return self._event | {
            "order_id": self.order_id,
            "hold_id": self._hold_id,
            "payment_method": self._cards.good,
            "email": self._email,
        }

    def _expect_seat(self, seat_id: str, status: str) -> None:
        shown = self._buyer.call("GetTicket", self._event | {"seat_id": seat_id})
        _expect(f"seat {seat_id}", shown["status"], status)

    def _wait_for_map(self, sold: int) -> str:
        """Wait until the map shows every seat, so many of them sold and the others free."""
        wanted = {"SEAT_STATUS_AVAILABLE": SEATS - sold} | ({"SEAT_STATUS_SOLD": sold} if sold else {})
        deadline = time.monotonic() + MAP_SECONDS
        while True:
            sections = self._buyer.call("GetSeatMap", self._event)["sections"]
            counts: dict[str, int] = {}
            for section in sections:
                for seat in section["seats"]:
                    counts[seat["status"]] = counts.get(seat["status"], 0) + 1
            if counts == wanted or time.monotonic() > deadline:
                _expect("map", counts, wanted)
                return ", ".join(
                    f"{count} {name.removeprefix('SEAT_STATUS_').lower()}" for name, count in counts.items()
                )
            time.sleep(0.1)


def report(walk: Walk, address: str, steps: list[Step]) -> str:
    """Write a walk as JSON."""
    shown = [
        {"step": step.name, "state": step.state, "seconds": round(step.seconds, 3), "text": step.text} for step in steps
    ]
    ok = all(step.state == OK for step in steps)
    return json.dumps({"gateway": address, "event_id": walk.event_id, "ok": ok, "steps": shown}, indent=2)


def exit_code(steps: list[Step]) -> int:
    """Give the code of the step that failed first; 0 where none did."""
    return next((step.exit_code for step in steps if step.state == FAILED), 0)


def _taken(name: str, act: Callable[[], str]) -> Step:
    begun = time.monotonic()
    try:
        text, state, code = act(), OK, 0
    except GatewayError as error:
        text, state, code = str(error), FAILED, error.exit_code
    except UnexpectedError as error:
        text, state, code = str(error), FAILED, 1
    return Step(name, state, time.monotonic() - begun, text, code)


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise UnexpectedError(f"{what}: expected {wanted}, found {found}")


def _refused(reason: str, act: Callable[[], object]) -> str:
    try:
        act()
    except GatewayError as error:
        if error.reason != reason or error.exit_code == UNREACHABLE:
            raise
        return reason
    raise UnexpectedError(f"expected {reason}, but it was done")
