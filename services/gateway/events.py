"""Which event a caller may see and which sections it has: Event.get with a short, shared memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from services.common.errors import EventNotFoundError
from services.common.states import EventState

FRESH_SECONDS = 1.0
"""How long a published event is remembered."""

MAX_EVENTS = 1_000
"""How many events are remembered."""


class KnownSection(msgspec.Struct, frozen=True):
    """A section of the layout. `seat_count` None: the map is not made yet."""

    section_id: str
    seat_count: int | None = None


class KnownEvent(msgspec.Struct, frozen=True):
    """An event as far as the seat map needs it; sections in the order of the layout."""

    event_id: str
    state: EventState
    sections: list[KnownSection] = []
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None

    def is_selling(self, at: datetime) -> bool:
        """Tell whether new holds are taken at a time."""
        return (
            self.state is EventState.ON_SALE
            and (self.sale_starts_at is None or at >= self.sale_starts_at)
            and (self.sale_ends_at is None or at < self.sale_ends_at)
        )


ReadEvent = Callable[[str], Awaitable[KnownEvent]]
"""read(event_id): one call of Event.get for an anonymous caller, whose answer may be shown to everybody."""


class EventBook:
    """Published events, at most a second old, one read for all who ask at once."""

    def __init__(self, read: ReadEvent, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, KnownEvent]] = OrderedDict()
        self._flights: dict[str, asyncio.Task[KnownEvent]] = {}

    async def event(self, event_id: str, read_own: ReadEvent | None = None) -> KnownEvent:
        """Give a published event, or with `read_own` (Event.get as the caller) the caller's own draft.

        A draft is read anew each time and never kept. Raises EventNotFoundError.
        """
        known = self.fresh(event_id)
        if known is not None:
            return known
        try:
            return await asyncio.shield(self._flight(event_id))
        except EventNotFoundError:
            if read_own is None:
                raise
            return await read_own(event_id)

    def fresh(self, event_id: str) -> KnownEvent | None:
        """Give a published event if it is known and fresh."""
        known = self._known.get(event_id)
        return known[1] if known is not None and self._clock() - known[0] <= FRESH_SECONDS else None

    def refresh(self, event_id: str) -> None:
        """Read an event for those who ask next, without waiting for it."""
        self._flight(event_id)

    async def close(self) -> None:
        """Stop the reads in flight."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _flight(self, event_id: str) -> asyncio.Task[KnownEvent]:
        flight = self._flights.get(event_id)
        if flight is None:
            flight = self._flights[event_id] = asyncio.create_task(self._fetch(event_id), name=f"event {event_id}")
            flight.add_done_callback(lambda done: self._landed(event_id, done))
        return flight

    async def _fetch(self, event_id: str) -> KnownEvent:
        began_at = self._clock()
        event = await self._read(event_id)
        self._known[event_id] = (began_at, event)
        self._known.move_to_end(event_id)
        while len(self._known) > MAX_EVENTS:
            self._known.popitem(last=False)
        return event

    def _landed(self, event_id: str, flight: asyncio.Task[KnownEvent]) -> None:
        self._flights.pop(event_id, None)
        if not flight.cancelled():
            flight.exception()  # taken here too: those who waited may have gone
