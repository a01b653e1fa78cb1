"""The live seat map: one shared view per section, however many read or watch it.

A view is a snapshot that is kept up by `get(since)`. The view's own log of changes is the only buffer
between the section and its watchers: each watcher keeps a cursor, and one that falls behind the log is
given a fresh snapshot. Not here: who may see an event (events.py), messages and tokens (watch.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from services.common.errors import InternalError, NexusError, RateLimitedError, UnavailableError
from services.gateway import metrics
from services.gateway.mailbox import Mailbox
from services.gateway.sectionview import SectionView, read_snapshot
from services.seatmap.messages import SectionPage

log = structlog.get_logger(__name__)

Read = Callable[[str, str, int | None, int, int], Awaitable[SectionPage]]
"""read(event_id, section_id, since, position, limit): one call of SeatMap.get."""

Clock = Callable[[], float]
"""Monotonic seconds."""


SHORT_PAUSE_SECONDS = 0.05
"""Pause between two looks at a section that is being seeded."""


@dataclass(frozen=True, slots=True)
class LiveMapLimits:
    """Bounds of a gateway's live views. Times in seconds."""

    poll_seconds: float = 0.25
    reads_per_second: float = 100.0
    live_seconds: float = 5.0
    drop_seconds: float = 60.0
    give_up_seconds: float = 10.0
    patience_seconds: float = 3.0
    max_views: int = 2_000
    max_seats: int = 300_000
    max_watches: int = 10_000


@dataclass(eq=False, slots=True)
class _Live:
    """A view with what keeps it alive: its readers, its watchers, its poller, the read in flight."""

    view: SectionView
    used_at: float
    watches: set[Mailbox] = field(default_factory=set)
    flight: asyncio.Task[None] | None = None
    poller: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failing_since: float | None = None
    seats_counted: int = 0


class LiveMap:
    """The live views of a gateway, least recently used first."""

    def __init__(self, read: Read, limits: LiveMapLimits | None = None, clock: Clock = time.monotonic) -> None:
        self._read = read
        self._limits = limits or LiveMapLimits()
        self._clock = clock
        self._lives: OrderedDict[tuple[str, str], _Live] = OrderedDict()
        self._by_event: dict[str, set[str]] = {}
        self._seats = 0
        self._watches = 0

    async def view(
        self, event_id: str, section_id: str, *, max_age_seconds: float = 0.25, seat_count: int | None = None
    ) -> SectionView:
        """Give the section as it was at most `max_age_seconds` before this call.

        `seat_count`: how many seats the layout has. A section with another number is being seeded
        just after its event was published: it is waited for a moment, then given as it is. Raises
        what the read raises, and RateLimitedError where no view can be made because all are being
        watched.
        """
        live = self._use(event_id, section_id)
        view = live.view
        view.expect(seat_count)
        not_before = self._clock() - max_age_seconds
        while view.read_at < not_before:
            await self._fly(live)
        while view.is_short and view.short_seconds(self._clock()) < self._limits.patience_seconds:
            await asyncio.sleep(SHORT_PAUSE_SECONDS)
            await self._fly(live)
        return view

    async def reach(self, event_id: str, section_id: str, revision: int) -> None:
        """Extend a view's log back to `revision` where the section still has these changes."""
        live = self._use(event_id, section_id)
        view = live.view
        if 0 <= revision < view.floor:
            view.extend_back(revision, await self._read(event_id, section_id, revision, 0, 1))
            self._ring(live)

    def watch(self, mailbox: Mailbox, event_id: str, section_ids: Sequence[str]) -> None:
        """Keep sections live for a watcher, which is told of every change. `unwatch` ends it."""
        if self._watches >= self._limits.max_watches:
            raise RateLimitedError("too many watchers; try again later")
        self._watches += 1
        metrics.MAP_WATCHERS.inc()
        try:
            for section_id in section_ids:
                self._use(event_id, section_id).watches.add(mailbox)
        except NexusError:
            self.unwatch(mailbox, event_id, section_ids)
            raise

    def unwatch(self, mailbox: Mailbox, event_id: str, section_ids: Sequence[str]) -> None:
        """End what `watch` began."""
        self._watches -= 1
        metrics.MAP_WATCHERS.dec()
        for section_id in section_ids:
            live = self._lives.get((event_id, section_id))
            if live is not None:
                live.watches.discard(mailbox)

    def statuses(self, event_id: str, seat_ids: Iterable[str], max_age_seconds: float = 1.0) -> dict[str, str] | None:
        """Give the letters (A, H, S, B) of seats, or None unless fresh views hold every one of them.

        Reads nothing: only what is live already is looked at.
        """
        not_before = self._clock() - max_age_seconds
        views = [
            view
            for section_id in self._by_event.get(event_id, ())
            if (view := self._lives[event_id, section_id].view).read_at >= not_before
        ]
        found: dict[str, str] = {}
        for seat_id in seat_ids:
            letter = next((letter for view in views if (letter := view.letter(seat_id))), None)
            if letter is None:
                return None
            found[seat_id] = letter
        return found

    async def close(self) -> None:
        """Stop every poller and every read in flight."""
        tasks = [task for live in self._lives.values() for task in (live.poller, live.flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        metrics.MAP_VIEWS.dec(len(self._lives))
        self._lives.clear()
        self._by_event.clear()

    def __len__(self) -> int:
        """Count the views."""
        return len(self._lives)

    def _use(self, event_id: str, section_id: str) -> _Live:
        key = (event_id, section_id)
        live = self._lives.get(key)
        if live is None:
            self._make_room()
            live = self._lives[key] = _Live(SectionView(event_id, section_id), self._clock())
            metrics.MAP_VIEWS.inc()
            self._by_event.setdefault(event_id, set()).add(section_id)
        live.used_at = self._clock()
        self._lives.move_to_end(key)
        if live.poller is None:
            live.poller = asyncio.create_task(self._poll(live), name=f"poll {event_id}:{section_id}")
            live.poller.add_done_callback(lambda poller: self._poller_ended(live, poller))
        live.wake.set()
        return live

    def _make_room(self) -> None:
        """Drop the least recently used views that nobody watches until another one fits."""
        while len(self._lives) >= self._limits.max_views or self._seats >= self._limits.max_seats:
            idle = next((live for live in self._lives.values() if not live.watches and live.flight is None), None)
            if idle is None:
                raise RateLimitedError("too many seat maps are being watched; try again later")
            self._drop(idle)

    def _holds(self, live: _Live) -> bool:
        return self._lives.get((live.view.event_id, live.view.section_id)) is live

    def _drop(self, live: _Live, error: NexusError | None = None) -> None:
        view = live.view
        if not self._holds(live):
            return
        del self._lives[view.event_id, view.section_id]
        metrics.MAP_VIEWS.dec()
        sections = self._by_event[view.event_id]
        sections.discard(view.section_id)
        if not sections:
            del self._by_event[view.event_id]
        self._seats -= live.seats_counted
        if error is not None:
            for mailbox in live.watches:
                mailbox.notify(view.section_id, error)
        if live.poller is not None and live.poller is not asyncio.current_task():
            live.poller.cancel()

    async def _fly(self, live: _Live) -> None:
        """Join the read in flight, or begin one. It goes on when the one who waits gives up."""
        # One that is done but has not landed yet is over: who waited for it again would never let it land.
        if live.flight is None or live.flight.done():
            live.flight = asyncio.create_task(self._pull(live), name=f"read {live.view.section_id}")
            live.flight.add_done_callback(lambda flight: self._landed(live, flight))
        await asyncio.shield(live.flight)

    def _landed(self, live: _Live, flight: asyncio.Task[None]) -> None:
        if live.flight is flight:
            live.flight = None
        if flight.cancelled():
            return
        error = flight.exception()
        if error is None:
            live.failing_since = None
        elif live.failing_since is None:
            live.failing_since = self._clock()

    async def _pull(self, live: _Live) -> None:
        """Bring a view up to date: by its changes, or else by a snapshot."""
        view = live.view
        began_at = self._clock()
        if view.needs_snapshot(began_at):
            view.replace(await read_snapshot(self._read, view.event_id, view.section_id), began_at)
        else:
            page = await self._read(view.event_id, view.section_id, view.revision, 0, 1)
            if page.revision < view.revision:
                # Never shown: who has seen the higher revision would miss what comes up to it.
                error = UnavailableError("the section cannot be read now")
                self._drop(live, error)
                raise error
            if page.is_gone or not view.apply(page.changes, page.revision):
                view.replace(await read_snapshot(self._read, view.event_id, view.section_id), began_at)
            else:
                view.read_at = began_at
                if view.is_due_for_look(began_at):
                    view.compare(await read_snapshot(self._read, view.event_id, view.section_id), began_at)
        if self._holds(live):
            self._seats += len(view.seats) - live.seats_counted
            live.seats_counted = len(view.seats)
        self._ring(live)

    def _ring(self, live: _Live) -> None:
        if live.view.take_news():
            for mailbox in live.watches:
                mailbox.notify(live.view.section_id)

    async def _poll(self, live: _Live) -> None:
        """Read a view again and again while it is used, and drop it when it has not been for long."""
        limits = self._limits
        while self._holds(live):
            now = self._clock()
            if live.watches or now - live.used_at < limits.live_seconds:
                # The budget of reads is the gateway's: with very many live sections each is read less often.
                pause = max(limits.poll_seconds, len(self._lives) / limits.reads_per_second)
                await asyncio.sleep(pause)
                if self._clock() - live.view.read_at >= pause:
                    await self._try(live)
                continue
            idle_seconds = now - live.used_at
            if idle_seconds >= limits.drop_seconds:
                self._drop(live)
                return
            live.wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(live.wake.wait(), limits.drop_seconds - idle_seconds)

    def _poller_ended(self, live: _Live, poller: asyncio.Task[None]) -> None:
        error = None if poller.cancelled() else poller.exception()
        if error is not None:
            # A fault of ours: nobody may go on looking at a view that is not kept up any more.
            log.error("a seat map's poller ended", section=live.view.section_id, exc_info=error)
            self._drop(live, InternalError("a seat map's poller ended"))

    async def _try(self, live: _Live) -> None:
        """Read once for the poller; tell the watchers where it has failed for long."""
        try:
            await self._fly(live)
        except NexusError as error:
            since = live.failing_since
            if since is not None and self._clock() - since >= self._limits.give_up_seconds:
                self._drop(live, error)
