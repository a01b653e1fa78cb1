"""SeatMap: the view of one section, as pure functions. It decides nothing.

A section's seats are kept in chunks of CHUNK_SEATS, so that a change costs the same in a hall and in a
stadium. Event's rules are in `domain_event.py` and `domain_layout.py`, Catalog's in `domain_catalog.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from services.common.states import SeatStatus

CHUNK_SEATS = 100
"""Seats per stored chunk."""

LOG_PAGE_CHANGES = 50
"""Changes per stored page of the log."""

LOG_CHANGES = 500
"""How many changes back a watcher may resume."""

NEVER = -1
"""Revision of a seat that no Ticket has announced."""

LETTERS = {
    SeatStatus.AVAILABLE: "A",
    SeatStatus.HELD: "H",
    SeatStatus.SOLD: "S",
    SeatStatus.BLOCKED: "B",
}


class Change(NamedTuple):
    """A change that the section has counted."""

    revision: int
    seat_id: str
    status: SeatStatus


@dataclass(frozen=True, slots=True)
class Section:
    """The section's own count of changes, which never goes back, and the page of the log that it writes on.

    One value, so that what is counted is also in the log. A full page is stored by itself when the next begins.
    """

    revision: int = 0
    changes: list[Change] = field(default_factory=list)
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Statuses of CHUNK_SEATS seats, one letter each, with the revisions of their Tickets.

    `held_until` maps a place in the chunk to the hard deadline of the hold on it.
    """

    statuses: str = LETTERS[SeatStatus.AVAILABLE] * CHUNK_SEATS
    revisions: list[int] = field(default_factory=lambda: [NEVER] * CHUNK_SEATS)
    held_until: dict[int, datetime] = field(default_factory=dict)
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class News:
    """What a Ticket told: the seat's place in the section, its status and the Ticket's revision."""

    seat_id: str
    position: int
    status: SeatStatus
    revision: int
    held_until: datetime | None = None


def chunk_of(position: int) -> int:
    """Tell which chunk holds a place of the section."""
    return position // CHUNK_SEATS


def log_page_of(revision: int) -> int:
    """Tell which page of the log holds the change that made this revision of the section."""
    return (revision - 1) // LOG_PAGE_CHANGES


def apply(section: Section, chunk: Chunk, news: News) -> tuple[Section, Chunk]:
    """Take a Ticket's news in; what is not newer than what is known changes nothing.

    The section counts it only where the shown status may change: also where another hold has taken a
    HELD seat, which has shown as AVAILABLE since the hard deadline of the hold before.
    """
    place = news.position % CHUNK_SEATS
    if news.revision <= chunk.revisions[place]:
        return section, chunk
    letter = LETTERS[news.status]
    revisions = [*chunk.revisions[:place], news.revision, *chunk.revisions[place + 1 :]]
    held_until = {other: deadline for other, deadline in chunk.held_until.items() if other != place}
    if news.held_until is not None:
        held_until[place] = news.held_until
    statuses = chunk.statuses[:place] + letter + chunk.statuses[place + 1 :]
    changed = replace(chunk, statuses=statuses, revisions=revisions, held_until=held_until)
    if (statuses, held_until) == (chunk.statuses, chunk.held_until):
        return section, changed
    return counted(section, news.seat_id, news.status), changed


def counted(section: Section, seat_id: str, status: SeatStatus) -> Section:
    """Count a change and write it on the page of its revision."""
    change = Change(section.revision + 1, seat_id, status)
    begins_page = log_page_of(change.revision) != log_page_of(section.revision)
    return replace(section, revision=change.revision, changes=[*([] if begins_page else section.changes), change])


def forget(chunk: Chunk) -> Chunk:
    """Forget the revisions of the Tickets, so that the next announcement of each counts."""
    return replace(chunk, revisions=[NEVER] * CHUNK_SEATS)


def shown(chunk: Chunk, count: int, now: datetime) -> str:
    """Give the letters of the first `count` seats; a hold past its hard deadline shows as AVAILABLE."""
    letters = list(chunk.statuses[:count])
    for place, deadline in chunk.held_until.items():
        if place < count and now >= deadline:
            letters[place] = LETTERS[SeatStatus.AVAILABLE]
    return "".join(letters)


def log_pages(revision: int, since: int) -> list[int] | None:
    """Tell which pages of the log hold the changes after `since`; None where they are gone."""
    if since < 0 or since > revision or revision - since > LOG_CHANGES:
        return None
    if since == revision:
        return []
    return list(range(log_page_of(since + 1), log_page_of(revision) + 1))


def dropped_log_page(revision: int) -> int | None:
    """Tell which page of the log falls off once this revision is written; None for none."""
    is_first_of_page = (revision - 1) % LOG_PAGE_CHANGES == 0
    page = log_page_of(revision) - LOG_CHANGES // LOG_PAGE_CHANGES - 1
    return page if is_first_of_page and page >= 0 else None
