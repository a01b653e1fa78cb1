"""SeatMap: the virtual object of one section, key `event:section`. A view; it decides nothing.

State, lazily loaded: `section` (Section), `seats:{chunk}` (Seats), `status:{chunk}` (Chunk),
`log:{page}` (LogPage).
"""

from __future__ import annotations

from dataclasses import dataclass

import restate

from services.common.handlers import GIVES_UP, add_ping, load, now, private, public, save
from services.common.messages import Caller, Nothing
from services.seatmap import domain
from services.seatmap.domain import Chunk, Section
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
    """Changes of the section, oldest first."""

    changes: list[SectionChange]
    schema_version: int = 1


@private(SEAT_MAP, APPLY)
async def apply(ctx: restate.ObjectContext, request: ApplyRequest) -> Nothing:
    """Take a Ticket's news in."""
    name = f"status:{domain.chunk_of(request.position)}"
    section = await load(ctx, SECTION, Section) or Section()
    chunk = await load(ctx, name, Chunk) or Chunk()
    news = domain.News(request.position, request.status, request.revision, request.held_until)
    section_after, chunk_after = domain.apply(section, chunk, news)
    if chunk_after is not chunk:
        save(ctx, name, chunk_after)
    if section_after is not section:
        await _log(ctx, SectionChange(section_after.revision, request.seat_id, request.status))
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
        return await _changes(ctx, section.revision, request.since)
    return await _seats(ctx, section.revision, request.position, request.limit)


async def _log(ctx: restate.ObjectContext, change: SectionChange) -> None:
    number = domain.log_page_of(change.revision)
    page = await load(ctx, f"log:{number}", LogPage) or LogPage([])
    # A change that was logged and then not counted, because its invocation was killed, is replaced.
    kept = [old for old in page.changes if old.revision < change.revision]
    save(ctx, f"log:{number}", LogPage([*kept, change]))
    dropped = domain.dropped_log_page(change.revision)
    if dropped is not None:
        ctx.clear(f"log:{dropped}")


async def _changes(ctx: restate.ObjectSharedContext, revision: int, since: int) -> SectionPage:
    numbers = domain.log_pages(revision, since)
    if numbers is None:
        return SectionPage(revision, is_gone=True)
    pages = [await load(ctx, f"log:{number}", LogPage) or LogPage([]) for number in numbers]
    changes = [change for page in pages for change in page.changes if since < change.revision <= revision]
    # Pages are read one by one, so an old one may have fallen off meanwhile.
    is_gone = len(changes) != revision - since
    return SectionPage(revision, changes=[] if is_gone else changes, is_gone=is_gone)


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
