"""The layout in Event's state: writing it, finding seats in it, walking over it."""

from __future__ import annotations

from dataclasses import replace

import restate

from services.common.handlers import call, load, save, send
from services.common.ids import object_key
from services.common.seats import lookup_of
from services.seatmap import domain_layout as domain
from services.seatmap.domain import CHUNK_SEATS
from services.seatmap.domain_event import Terms
from services.seatmap.domain_layout import (
    LayoutPage,
    LookupChunk,
    Place,
    PlacedSection,
    SectionPiece,
    SectionSummary,
)
from services.seatmap.messages import SEED, MapSeat, SeedRequest, WalkRequest
from services.ticket.messages import ANNOUNCE, AnnounceRequest

Context = restate.ObjectContext | restate.ObjectSharedContext

SEED_PAGES = 25
"""Layout pages that one invocation seeds: 5,000 seats."""

REBUILD_PAGES = 2
"""Layout pages that one invocation of a rebuild lets announce themselves: 400 seats."""


def write(ctx: restate.ObjectContext, terms: Terms, sections: list[PlacedSection], *, before: Terms | None) -> Terms:
    """Store a layout in place of the one before; gives the terms that count it."""
    if before is not None:
        # State keys of the old layout that the new one may not overwrite.
        for number in range(before.lookup_chunks):
            ctx.clear(_lookup(number))
    for number, chunk in enumerate(domain.lookups(sections)):
        save(ctx, _lookup(number), chunk)
    for number, piece in enumerate(domain.pieces(domain.summaries(sections))):
        save(ctx, _piece(number), piece)
    for index, section in enumerate(sections):
        for number, page in enumerate(domain.pages(section)):
            save(ctx, _page(index, number), page)
    seat_count = sum(len(section.seats) for section in sections)
    return replace(
        terms,
        seat_count=seat_count,
        section_count=len(sections),
        lookup_chunks=domain.lookup_count(seat_count),
    )


async def find(ctx: Context, terms: Terms, seat_ids: list[str]) -> dict[str, Place]:
    """Find seats; those that the layout does not have are left out."""
    return find_in(await chunks_of(ctx, terms, seat_ids), terms, seat_ids)


async def chunks_of(ctx: Context, terms: Terms, seat_ids: list[str]) -> dict[int, LookupChunk]:
    """Read the lookup chunks that seats would lie in."""
    numbers = {lookup_of(seat_id, terms.lookup_chunks) for seat_id in seat_ids}
    return {number: await load(ctx, _lookup(number), LookupChunk) or LookupChunk({}) for number in sorted(numbers)}


def find_in(chunks: dict[int, LookupChunk], terms: Terms, seat_ids: list[str]) -> dict[str, Place]:
    """Find seats in the chunks that were read for them; those that the layout does not have are left out."""
    found = {seat: chunks[lookup_of(seat, terms.lookup_chunks)].places.get(seat) for seat in seat_ids}
    return {seat_id: place for seat_id, place in found.items() if place is not None}


async def sections(ctx: Context, terms: Terms) -> list[SectionSummary]:
    """Give the sections in the order of the layout."""
    count = -(-terms.section_count // domain.SECTIONS_PER_PIECE)
    pieces = [await load(ctx, _piece(number), SectionPiece) or SectionPiece([]) for number in range(count)]
    return [summary for piece in pieces for summary in piece.sections]


async def page(ctx: Context, section_index: int, number: int) -> LayoutPage:
    """Give a page of a section's seats."""
    return await load(ctx, _page(section_index, number), LayoutPage) or LayoutPage([])


async def walk(ctx: restate.ObjectContext, terms: Terms, request: WalkRequest) -> WalkRequest | None:
    """Seed or rebuild the map from where the request says, a batch of pages; gives where to go on."""
    all_sections = await sections(ctx, terms)
    index, number = request.section_index, request.page
    for _ in range(REBUILD_PAGES if request.is_rebuild else SEED_PAGES):
        if index >= len(all_sections):
            return None
        summary = all_sections[index]
        await _spread(ctx, summary, await page(ctx, index, number), number, is_rebuild=request.is_rebuild)
        number += 1
        if number >= domain.page_count(summary.seat_count):
            index, number = index + 1, 0
    return WalkRequest(request.is_rebuild, index, number) if index < len(all_sections) else None


async def _spread(
    ctx: restate.ObjectContext, summary: SectionSummary, part: LayoutPage, number: int, *, is_rebuild: bool
) -> None:
    """Tell the map a page of the layout; in a rebuild let its Tickets announce themselves after that."""
    section_key = object_key(ctx.key(), summary.section_id)
    first = number * domain.PAGE_SEATS
    for begin in range(0, len(part.seats), CHUNK_SEATS):
        seats = [
            MapSeat(seat.seat_id, seat.category_id, seat.x, seat.y) for seat in part.seats[begin : begin + CHUNK_SEATS]
        ]
        request = SeedRequest(first + begin, seats, forget=is_rebuild)
        if is_rebuild:
            # Awaited: an announcement that overtook the forgetting would be lost on a damaged seat.
            await call(ctx, SEED, section_key, request)
        else:
            send(ctx, SEED, section_key, request)
    if is_rebuild:
        for offset, seat in enumerate(part.seats):
            request_ = AnnounceRequest(summary.section_id, first + offset)
            send(ctx, ANNOUNCE, object_key(ctx.key(), seat.seat_id), request_)


def _lookup(number: int) -> str:
    return f"lookup:{number}"


def _piece(number: int) -> str:
    return f"sections:{number}"


def _page(section_index: int, number: int) -> str:
    return f"layout:{section_index}:{number}"
