"""What this process remembers of events on sale, so that not every hold has to ask Event.

A sheet is read only inside a journaled step, so that a replay sees what the first run saw. It answers only where
Event would agree beyond doubt: an open sale and seats that are there. Every refusal is Event's own.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from services.common.seats import lookup_of
from services.common.states import EventState
from services.seatmap.messages_quote import Quote, QuotedSeat, Sheet, SheetSeat

FRESH_SECONDS: Final = 0.5
"""How old what Event said may be when it comes, and how long it counts then: a pause works within a second."""

MAX_EVENTS: Final = 500
MAX_CHUNKS: Final = 2_000
"""Lookup chunks of some 64 seats: all seats of two stadiums, about 30 MB."""

Chunk = dict[str, SheetSeat]

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Known:
    """An event's terms: a quote without seats, and until when it counts by the monotonic clock."""

    quote: Quote
    sheet: Sheet
    until: float


class Sheets:
    """The sheets of a process, bounded. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._events: OrderedDict[str, _Known] = OrderedDict()
        self._chunks: OrderedDict[tuple[str, str, int], Chunk] = OrderedDict()

    def learn(self, event_id: str, quote: Quote, now: datetime) -> None:
        """Take in what Event said, unless that was a while ago: a replay hears the old answer again.

        `now`: this process's clock, UTC. Where the two clocks differ by more than FRESH_SECONDS nothing is learnt.
        """
        sheet = quote.sheet
        if sheet is None or abs(now - sheet.at) > timedelta(seconds=FRESH_SECONDS):
            return
        for number, chunk in sheet.chunks.items():
            _put(self._chunks, (event_id, sheet.version, number), chunk, MAX_CHUNKS)
        terms = msgspec.structs.replace(sheet, chunks={})
        known = _Known(msgspec.structs.replace(quote, seats=[], sheet=None), terms, self._clock() + FRESH_SECONDS)
        _put(self._events, event_id, known, MAX_EVENTS)

    def quote(self, event_id: str, seat_ids: Sequence[str], at: datetime) -> Quote | None:
        """Answer as Event would for a sale at this time; None where only Event can tell."""
        known = self._events.get(event_id)
        if known is None or self._clock() >= known.until or not _is_open(known, at):
            return None
        seats = []
        for seat_id in seat_ids:
            number = lookup_of(seat_id, known.sheet.lookup_chunks)
            chunk = self._chunks.get((event_id, known.sheet.version, number))
            seat = None if chunk is None else chunk.get(seat_id)
            if seat is None:
                return None
            amount = known.sheet.amounts[seat.category_id]
            seats.append(QuotedSeat(seat_id, seat.section_id, seat.position, seat.category_id, amount))
        return msgspec.structs.replace(known.quote, seats=seats)


def _is_open(known: _Known, at: datetime) -> bool:
    opens_at, closes_at = known.sheet.opens_at, known.sheet.closes_at
    return (
        known.quote.state is EventState.ON_SALE
        and (opens_at is None or at >= opens_at)
        and (closes_at is None or at < closes_at)
    )


def _put(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Keep a value as the newest; the oldest goes where there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


SHEETS: Final = Sheets()
"""Of this process."""
