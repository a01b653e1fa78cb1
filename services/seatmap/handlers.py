"""SeatMap: the virtual object of one section, key `event:section`. A view; it decides nothing.

State, lazily loaded: `section` (Section), `seats:{chunk}` (Seats), `status:{chunk}` (Chunk),
`log:{page}` (LogPage: full ones; the last page is in Section).
"""

from __future__ import annotations

from dataclasses import dataclass

import restate

from services.common.handlers import GIVES_UP, add_ping, load, loading, now, private, public, save
from services.common.messages import Caller, Nothing
from services.seatmap import domain
from services.seatmap.domain import Change, Chunk, Section
from services.seatmap.messages import (
    APPLY,
    GET_SECTION,
    SEED,
    ApplyRequest,
    GetSection,
    MapSeat,
    SectionChange,
    SectionPage,
    SeedRequest,
)

# Lazy, so that a change loads one chunk and not the whole section.
SEAT_MAP = restate.VirtualObject("SeatMap", enable_lazy_state=True)
add_ping(SEAT_MAP)

SECTION = "section"
MAX_CHUNKS_READ = 25
"""Two values each: below the 60 entries that an invocation should await."""


@dataclass(frozen=True, slots=True)
class Seats:
    """A chunk of the layout, as Event told it."""

    seats: list[MapSeat]
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class LogPage:
    """A full page of the section's changes, oldest first."""

    changes: list[Change]
    schema_version: int = 1


@private(SEAT_MAP, APPLY)
async def apply(ctx: restate.ObjectContext, request: ApplyRequest) -> Nothing:
    """Take a Ticket's news in."""
    name = f"status:{domain.chunk_of(request.position)}"
    loading_section, loading_chunk = loading(ctx, SECTION, Section), loading(ctx, name, Chunk)
    section = await loading_section or Section()
    chunk = await loading_chunk or Chunk()
    news = domain.News(request.seat_id, request.position, request.status, request.revision, request.held_until)
    section_after, chunk_after = domain.apply(section, chunk, news)
    if chunk_after is not chunk:
        save(ctx, name, chunk_after)
    if section_after is not section:
        _turn_page(ctx, section, section_after)
        # Last: a shared handler sees each write as it is made, and what the section counts must be in the log.
        save(ctx, SECTION, section_after)
    return Nothing()


@private(SEAT_MAP, SEED)
async def seed(ctx: restate.ObjectContext, request: SeedRequest) -> Nothing:
    """Learn a chunk of the layout; with `forget`, forget what its Tickets told."""
    number = domain.chunk_of(request.position)
    chunk = await load(ctx, f"status:{number}", Chunk) or Chunk()
    save(ctx, f"status:{number}", domain.forget(chunk) if request.forget else chunk)
    save(ctx, f"seats:{number}", Seats(request.seats))
    return Nothing()


@public(SEAT_MAP, GET_SECTION, shared=True, retry=GIVES_UP)
async def get(ctx: restate.ObjectSharedContext, request: GetSection, _caller: Caller) -> SectionPage:
    """Show the changes after a revision, or seats in the order of the layout."""
    section = await load(ctx, SECTION, Section) or Section()
    if request.since is not None:
        return await _changes(ctx, section, request.since)
    return await _seats(ctx, section.revision, request.position, request.limit)


def _turn_page(ctx: restate.ObjectContext, before: Section, after: Section) -> None:
    """Store the page of the log that is full, and drop the one that is too old."""
    full = domain.log_page_of(before.revision)
    if before.revision and full != domain.log_page_of(after.revision):
        save(ctx, _log_page(full), LogPage(before.changes))
    dropped = domain.dropped_log_page(after.revision)
    if dropped is not None:
        ctx.clear(_log_page(dropped))


async def _changes(ctx: restate.ObjectSharedContext, section: Section, since: int) -> SectionPage:
    revision = section.revision
    numbers = domain.log_pages(revision, since)
    if numbers is None:
        return SectionPage(revision, is_gone=True)
    full = [number for number in numbers if number != domain.log_page_of(revision)]
    pages = [await load(ctx, _log_page(number), LogPage) or LogPage([]) for number in full]
    if len(full) != len(numbers):
        pages.append(LogPage(section.changes))
    changes = [SectionChange(*change) for page in pages for change in page.changes if since < change.revision]
    # Pages are read one by one, so an old one may have fallen off meanwhile.
    is_gone = len(changes) != revision - since
    return SectionPage(revision, changes=[] if is_gone else changes, is_gone=is_gone)


def _log_page(number: int) -> str:
    return f"log:{number}"


async def _seats(ctx: restate.ObjectSharedContext, revision: int, position: int, limit: int) -> SectionPage:
    at = await now(ctx)
    first = domain.chunk_of(position)
    count = min(MAX_CHUNKS_READ, -(-limit // domain.CHUNK_SEATS))
    seats: list[MapSeat] = []
    statuses = ""
    for number in range(first, first + count):
        part = (await load(ctx, f"seats:{number}", Seats) or Seats([])).seats
        if part:
            chunk = await load(ctx, f"status:{number}", Chunk) or Chunk()
            statuses += domain.shown(chunk, len(part), at)
            seats += part
        if len(part) < domain.CHUNK_SEATS:
            return SectionPage(revision, seats, statuses)
    return SectionPage(revision, seats, statuses, next_position=(first + count) * domain.CHUNK_SEATS)
