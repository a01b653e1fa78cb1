"""An event as clients see it, put together from Event's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby

import msgspec

from services.common import paging
from services.common.errors import SeatNotFoundError
from services.seatmap import domain_layout, layout_store
from services.seatmap.domain_event import Terms
from services.seatmap.domain_layout import LookupChunk, PlacedSeat
from services.seatmap.layout_store import Context
from services.seatmap.messages import EventView, GetEvent, PriceCategory, Row, Seat, Section
from services.seatmap.messages_quote import Sheet, SheetSeat

DEFAULT_PAGE_SEATS = 1000
MAX_LOADS = 40
"""Layout pages that one answer reads; what is left comes with the next page token."""


async def basic(ctx: Context, terms: Terms) -> EventView:
    """Show everything but rows and seats."""
    summaries = await layout_store.sections(ctx, terms)
    return _view(
        terms,
        [Section(summary.section_id, summary.title, seat_count=summary.seat_count) for summary in summaries],
    )


def sheet(terms: Terms, chunks: Mapping[int, LookupChunk], at: datetime) -> Sheet:
    """Write down what quotes of the seats in these chunks need, for a caller who keeps it."""
    seats = {
        number: {
            seat_id: SheetSeat(place.section_id, place.position, place.category_id)
            for seat_id, place in chunk.places.items()
        }
        for number, chunk in chunks.items()
    }
    version = f"{terms.creation}:{terms.revision}"
    return Sheet(at, version, terms.lookup_chunks, terms.amounts, seats, terms.sale_starts_at, terms.sale_ends_at)


async def full(ctx: Context, terms: Terms, request: GetEvent) -> EventView:
    """Show a page of rows and seats, of one section or of all."""
    summaries = await layout_store.sections(ctx, terms)
    wanted = [index for index, summary in enumerate(summaries) if request.section_id in ("", summary.section_id)]
    if not wanted:
        raise SeatNotFoundError("no such section", {"section_id": request.section_id})
    size = request.page_size or DEFAULT_PAGE_SEATS
    index, position = paging.decode(request.page_token, 2)
    index = max(index, wanted[0])
    shown: list[Section] = []
    room, loads = size, 0
    while index <= wanted[-1] and room > 0 and loads < MAX_LOADS:
        summary = summaries[index]
        number, offset = divmod(position, domain_layout.PAGE_SEATS)
        part = (await layout_store.page(ctx, index, number)).seats[offset : offset + room]
        loads += 1
        section = Section(summary.section_id, summary.title, _rows(part), seat_count=summary.seat_count)
        shown.append(section)
        room -= len(part)
        position += len(part)
        if not part or position >= summary.seat_count:
            index, position = index + 1, 0
    token = paging.encode(index, position) if index <= wanted[-1] else ""
    return msgspec.structs.replace(_view(terms, _merged(shown)), next_page_token=token)


def without_layout(view: EventView) -> EventView:
    """Leave the layout out, as lists do."""
    return msgspec.structs.replace(view, sections=[], price_categories=[])


def _merged(sections: list[Section]) -> list[Section]:
    """Join pieces of one section, and pieces of one row, that follow one another."""
    merged: list[Section] = []
    for section_id, pieces in groupby(sections, key=lambda section: section.section_id):
        parts = list(pieces)
        rows = [row for part in parts for row in part.rows]
        joined = [
            Row(row_id, [seat for row in same for seat in row.seats])
            for row_id, same in groupby(rows, key=lambda row: row.row_id)
        ]
        merged.append(Section(section_id, parts[0].title, joined, seat_count=parts[0].seat_count))
    return merged


def _rows(seats: list[PlacedSeat]) -> list[Row]:
    return [
        Row(row_id, [Seat(seat.seat_id, seat.category_id, seat.x, seat.y) for seat in same])
        for row_id, same in groupby(seats, key=lambda seat: seat.row_id)
    ]


def _view(terms: Terms, sections: list[Section]) -> EventView:
    return EventView(
        event_id=terms.event_id,
        title=terms.title,
        venue=terms.venue,
        starts_at=terms.starts_at,
        currency_code=terms.currency_code,
        hold_seconds=terms.hold_seconds,
        max_seats_per_buyer=terms.max_seats_per_buyer,
        owner=terms.owner,
        seat_count=terms.seat_count,
        state=terms.state,
        sale_starts_at=terms.sale_starts_at,
        sale_ends_at=terms.sale_ends_at,
        price_categories=[
            PriceCategory(category.category_id, category.amount_minor, category.title)
            for category in terms.price_categories
        ],
        sections=sections,
    )
