"""The audit of one event: look at everything, then look at what differs until it has settled or is proven."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from services.common.errors import UnavailableError
from services.common.states import OrderState
from services.ops import domain_rules, domain_settle
from services.ops.domain import Finding, MoneySum, SectionCount, counts, money
from services.ops.reading import Reader, Wanted

PAUSES: Final = (1.0, 2.0, 3.0, 5.0)
"""Seconds between looks; the last one goes on. Most differences of a busy sale are gone at the first."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    event_id: str
    begun_at: datetime
    ended_at: datetime
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    sections: tuple[SectionCount, ...]
    money: MoneySum | None
    currency_code: str
    order_count: int
    confirmed_count: int
    unfinished_count: int
    settled_count: int
    unsettled: tuple[Finding, ...]
    looks: int


async def audit(reader: Reader, event_id: str, settle_seconds: float) -> Audit:
    """Audit an event while it is being sold. Raises EventNotFoundError, UnavailableError."""
    begun_at = datetime.now(UTC)
    snapshot = await reader.whole()
    states = [order.state for order in snapshot.orders.values()]
    sections, sums = tuple(counts(snapshot)), money(snapshot) if snapshot.has_money else None
    # In a thread: the rules take a second or two for a stadium, and the doors are to answer meanwhile.
    found = await asyncio.to_thread(domain_rules.findings, snapshot)
    court = domain_settle.begun(found, settle_seconds, time.monotonic())
    event, gaps, unsettled = snapshot.event, list(snapshot.gaps), list[Finding]()
    # A large event's snapshot is some hundred megabytes: what follows needs it no more.
    del snapshot
    looks, last_answered = 1, time.monotonic()
    while not court.is_done:
        pause = PAUSES[min(looks, len(PAUSES)) - 1]
        await asyncio.sleep(min(pause, max(settle_seconds / 3, 0.1)))
        try:
            again = await reader.again(event, Wanted.of([suspect.finding for suspect in court.suspects]))
        except UnavailableError as error:
            if time.monotonic() - last_answered > settle_seconds * domain_settle.UNSETTLED_FACTOR:
                gaps.append(f"{len(court.suspects)} differences could not be looked at again: {error.message}")
                unsettled = [suspect.finding for suspect in court.suspects]
                break
            continue
        looks, last_answered = looks + 1, time.monotonic()
        court = domain_settle.looked_again(court, await asyncio.to_thread(domain_rules.findings, again), last_answered)
    log.info("event audited", event_id=event_id, findings=len(court.damage), settled=court.settled, looks=looks)
    return Audit(
        event_id=event_id,
        begun_at=begun_at,
        ended_at=datetime.now(UTC),
        findings=court.damage,
        gaps=tuple(gaps),
        sections=sections,
        money=sums,
        currency_code=event.currency_code,
        order_count=len(states),
        confirmed_count=states.count(OrderState.CONFIRMED),
        unfinished_count=sum(not state.is_final for state in states),
        settled_count=court.settled,
        unsettled=(*court.unsettled, *unsettled),
        looks=looks,
    )
