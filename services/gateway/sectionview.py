"""A section of the seat map as the gateway knows it: seats, statuses, revision and a log of changes.

Pure but for `read_snapshot`, which is given the reading function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from services.common.errors import UnavailableError
from services.common.states import SeatStatus
from services.seatmap.messages import MapSeat, SectionChange, SectionPage

LOG_LENGTH = 500
"""Changes kept for those who resume: as many as the section itself keeps. Source: DESIGN.md rule 10."""

PAGE_SEATS = 2_500
"""Seats asked for in one read."""

LOOK_SECONDS = 60.0
"""How long a view with held seats is kept up by changes alone."""

MAX_SHORT_PAUSE_SECONDS = 5.0
"""Longest pause between two snapshots of a section that lacks seats."""

SNAPSHOT_ATTEMPTS = 3
"""How often a snapshot is begun anew because the section's log did not last until its end."""

LETTERS: dict[SeatStatus, str] = {
    SeatStatus.AVAILABLE: "A",
    SeatStatus.HELD: "H",
    SeatStatus.SOLD: "S",
    SeatStatus.BLOCKED: "B",
}
"""How SectionPage.statuses writes a status."""


@dataclass(slots=True)
class Snapshot:
    """A whole section at one revision; `letters` holds one status letter per seat."""

    revision: int
    seats: list[MapSeat]
    letters: bytearray


async def read_snapshot(
    read: Callable[[str, str, int | None, int, int], Awaitable[SectionPage]], event_id: str, section_id: str
) -> Snapshot:
    """Read a section page by page so that the whole is true at one revision.

    After each further page the changes since the page before are caught up with: a change that a
    page already shows is applied again, which leaves the seat as the newest change has it.
    """
    for _ in range(SNAPSHOT_ATTEMPTS):
        page = await read(event_id, section_id, None, 0, PAGE_SEATS)
        snapshot = Snapshot(page.revision, list(page.seats), bytearray(page.statuses.encode()))
        index = {seat.seat_id: place for place, seat in enumerate(page.seats)}
        is_whole = True
        while page.next_position is not None and is_whole:
            page = await read(event_id, section_id, None, page.next_position, PAGE_SEATS)
            index.update((seat.seat_id, len(snapshot.seats) + place) for place, seat in enumerate(page.seats))
            snapshot.seats += page.seats
            snapshot.letters += page.statuses.encode()
            news = await read(event_id, section_id, snapshot.revision, 0, 1)
            is_whole = not news.is_gone
            for change in news.changes:
                place = index.get(change.seat_id, -1)
                if place >= 0:  # else it is on a page that is still to be read, newer than this change
                    snapshot.letters[place] = ord(LETTERS[change.status])
            snapshot.revision = max(snapshot.revision, news.revision)
        if is_whole:
            return snapshot
    raise UnavailableError("the section changes too fast to be read now")


@dataclass(slots=True)
class SectionView:
    """The view. `log` holds every change with floor < change.revision <= revision, oldest first."""

    event_id: str
    section_id: str
    revision: int = -1
    seats: list[MapSeat] = field(default_factory=list)
    letters: bytearray = field(default_factory=bytearray)
    log: deque[SectionChange] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    floor: int = -1
    layout: int = 0
    """Counts the layouts seen: a watcher of an older one needs a snapshot whatever the revision."""
    read_at: float = float("-inf")
    """When the newest read began, monotonic seconds."""
    snapshot_at: float = float("-inf")
    seat_count_wanted: int | None = None
    _index: dict[str, int] = field(default_factory=dict)
    _has_news: bool = False
    _short_since: float | None = None

    @property
    def is_short(self) -> bool:
        """Whether the view has another number of seats than the layout: the section is being seeded, or damaged."""
        return self.seat_count_wanted not in (None, len(self.seats)) and self.revision >= 0

    def expect(self, seat_count: int | None) -> None:
        """Say how many seats the layout has; None for an event whose map is not made yet."""
        self.seat_count_wanted = seat_count

    def short_seconds(self, now: float) -> float:
        """Tell for how long the view has lacked seats; 0 where it lacks none."""
        if not self.is_short:
            self._short_since = None
            return 0.0
        if self._short_since is None:
            self._short_since = now
        return now - self._short_since

    def needs_snapshot(self, now: float) -> bool:
        """Tell whether changes cannot bring the view up to date. A map that stays short is looked at less often."""
        pause = min(MAX_SHORT_PAUSE_SECONDS, self.short_seconds(now) / 4)
        return self.revision < 0 or (self.is_short and now - self.snapshot_at >= pause)

    def is_due_for_look(self, now: float) -> bool:
        """Tell whether seats are HELD and the last snapshot is long ago."""
        return now - self.snapshot_at > LOOK_SECONDS and ord("H") in self.letters

    def letter(self, seat_id: str) -> str | None:
        """Give a seat's status letter, None where the section has no such seat."""
        place = self._index.get(seat_id)
        return None if place is None else chr(self.letters[place])

    def replace(self, snapshot: Snapshot, began_at: float) -> None:
        """Take a snapshot. Raises UnavailableError for one that is older than the view."""
        if snapshot.revision < self.revision:
            raise UnavailableError("the section cannot be read now")
        if snapshot.seats != self.seats or self.revision < 0:
            self.layout += 1
            self.seats = snapshot.seats
            self._index = {seat.seat_id: place for place, seat in enumerate(snapshot.seats)}
            self._has_news = True
        if snapshot.revision != self.revision:
            self.log.clear()
            self.floor = snapshot.revision
            self._has_news = True
        self.letters = snapshot.letters
        self.revision = snapshot.revision
        self.read_at = self.snapshot_at = began_at

    def compare(self, snapshot: Snapshot, began_at: float) -> None:
        """Look whether a snapshot of the same revision shows the same; where it does not, it is right.

        A hold past its hard deadline shows as AVAILABLE without a change that is counted. A snapshot
        of another revision tells nothing here: the next one will.
        """
        self.snapshot_at = began_at
        if snapshot.revision == self.revision and snapshot.letters != self.letters:
            self.layout += 1
            self.letters = snapshot.letters
            self._has_news = True

    def apply(self, changes: Sequence[SectionChange], revision: int) -> bool:
        """Take changes; False, with nothing taken, where one names a seat that the view lacks."""
        fresh = [change for change in changes if change.revision > self.revision]
        if any(change.seat_id not in self._index for change in fresh):
            return False
        for change in fresh:
            self.letters[self._index[change.seat_id]] = ord(LETTERS[change.status])
            if len(self.log) == LOG_LENGTH:
                self.floor = self.log[0].revision
            self.log.append(change)
        if revision > self.revision:
            self.revision = revision
            self._has_news = True
        return True

    def extend_back(self, since: int, page: SectionPage) -> None:
        """Put older changes before the log: `page` is the section's answer for `since`."""
        if page.is_gone or page.revision < self.floor or since >= self.floor:
            return
        older = [change for change in page.changes if change.revision <= self.floor]
        room = LOG_LENGTH - len(self.log)
        dropped = older[: max(0, len(older) - room)]
        self.log.extendleft(reversed(older[len(dropped) :]))
        self.floor = dropped[-1].revision if dropped else since

    def changes_since(self, revision: int) -> list[SectionChange] | None:
        """Give the changes after `revision`, or None where they are gone or it is ahead of the section."""
        if not self.floor <= revision <= self.revision:
            return None
        news: list[SectionChange] = []
        for change in reversed(self.log):
            if change.revision <= revision:
                break
            news.append(change)
        news.reverse()
        return news

    def take_news(self) -> bool:
        """Tell, once, whether the view has changed."""
        has_news, self._has_news = self._has_news, False
        return has_news
