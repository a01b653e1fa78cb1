"""Holds for the unit tests of Buyer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.common.money import Money
from services.common.seats import HeldSeat
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def held(hold_id: str = "h1", seats: int = 2, hold_seconds: int = 900, now: datetime = NOW, made_by: str = "") -> Hold:
    prices = [HeldSeat(f"A-1-{number}", "std", "A", Money("EUR", 4500)) for number in range(seats)]
    made = domain.new_hold(
        hold_id=hold_id,
        event_id="gala",
        seats=prices,
        total=Money("EUR", 4500 * seats),
        hold_seconds=hold_seconds,
        event=("Gala", "Town Hall", NOW + timedelta(days=30)),
        now=now,
    )
    return replace(made, made_by=made_by)
