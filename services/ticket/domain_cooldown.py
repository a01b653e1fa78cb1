"""Buyer: when a buyer whose holds lapse unpaid again and again may hold again. Pure.

Every pause is a multiple of the event's own hold_seconds: what counts is the share of the time for which
a buyer keeps seats from others without buying them. The rules of a hold are in `domain_buyer.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from services.common.errors import BuyerCoolingDownError
from services.common.states import HoldState
from services.ticket.domain_buyer import HoldEntry, HoldList

FREE_LAPSES: Final = 3
"""So many holds may lapse one after another before the buyer has to pause."""

SHORTEST_PAUSE: Final = 0.1
"""The first pause, in hold_seconds (90 s where a hold lasts 15 minutes); it doubles with each further lapse."""

LONGEST_PAUSE: Final = 4.0
"""The longest pause, in hold_seconds: seats are then kept for a fifth of the time at most."""

MEMORY: Final = 100
"""How long a lapse counts, in hold_seconds (25 hours where a hold lasts 15 minutes)."""


def rested_at(holds: HoldList, *, hold_seconds: int, now: datetime) -> datetime | None:
    """Give the moment from which the buyer may hold again, None where it may at any time."""
    lapses = _lapses(holds, timedelta(seconds=hold_seconds), now)
    if len(lapses) < FREE_LAPSES:
        return None
    pause: float = min(SHORTEST_PAUSE * 2 ** (len(lapses) - FREE_LAPSES), LONGEST_PAUSE)
    return lapses[0] + timedelta(seconds=pause * hold_seconds)


def require_rested(holds: HoldList, *, hold_seconds: int, now: datetime) -> None:
    """Refuse a hold of a buyer who has to pause. `hold_seconds`: of the event, today. Raises BuyerCoolingDownError."""
    until = rested_at(holds, hold_seconds=hold_seconds, now=now)
    if until is not None and now < until:
        raise BuyerCoolingDownError(
            "too many holds lapsed unpaid one after another: hold again later",
            retry_seconds=(until - now).total_seconds(),
        )


def _lapses(holds: HoldList, lifetime: timedelta, now: datetime) -> list[datetime]:
    """Give the times of lapses since the buyer last bought, newest first.

    Holds that were alive together lapse once: whoever made the second knew nothing yet of the first's end.
    """
    ends = sorted((entry.expires_at for entry in _since_last_sale(holds) if _is_lapsed(entry, now)), reverse=True)
    lapses: list[datetime] = []
    for end in ends:
        if now - end <= MEMORY * lifetime and (not lapses or end <= lapses[-1] - lifetime):
            lapses.append(end)
    return lapses


def _since_last_sale(holds: HoldList) -> list[HoldEntry]:
    """Give the lines that changed after the newest sale; the list has the last changed first."""
    sold = (index for index, entry in enumerate(holds.entries) if entry.state is HoldState.SOLD)
    return holds.entries[: next(sold, len(holds.entries))]


def _is_lapsed(entry: HoldEntry, now: datetime) -> bool:
    """Tell whether a hold ran out with nobody trying to pay it, whether or not its timer has come."""
    return entry.is_lapse or (entry.state is HoldState.OPEN and not entry.had_order and now >= entry.expires_at)
