"""Catalog: the virtual object that lists events, one key `all`.

State, lazily loaded: `index` (Index), `at:{event_id}` (Spot), `page:{n}` (Page), oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import restate

from services.common import paging
from services.common.handlers import GIVES_UP, add_ping, load, private, public, save
from services.common.messages import Caller, Nothing
from services.seatmap import domain_catalog as domain
from services.seatmap.messages import (
    ADD_TO_CATALOG,
    LIST_EVENTS,
    CatalogEntry,
    EventList,
    EventView,
    ListEvents,
)

# Lazy, so that a list of many events costs what its page costs.
CATALOG = restate.VirtualObject("Catalog", enable_lazy_state=True)
add_ping(CATALOG)

INDEX = "index"


@dataclass(frozen=True, slots=True)
class Index:
    """How many events are listed."""

    event_count: int = 0
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of an event in the list, from 0."""

    number: int
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """A stored page of the list."""

    entries: list[CatalogEntry]
    schema_version: int = 1


@private(CATALOG, ADD_TO_CATALOG)
async def add(ctx: restate.ObjectContext, request: CatalogEntry) -> Nothing:
    """List an event, or show what it is now; an older revision changes nothing."""
    event_id = request.event.event_id
    index = await load(ctx, INDEX, Index) or Index()
    spot = await load(ctx, f"at:{event_id}", Spot)
    number, place = divmod(spot.number if spot else index.event_count, domain.PAGE_EVENTS)
    page = await load(ctx, f"page:{number}", Page) or Page([])
    if place >= len(page.entries) or spot is None or page.entries[place].revision < request.revision:
        save(ctx, f"page:{number}", Page(domain.place(page.entries, place, request)))
    if spot is None:
        # Last: a shared handler sees each write as it is made, and what the index counts must be on its page.
        save(ctx, f"at:{event_id}", Spot(index.event_count))
        save(ctx, INDEX, Index(index.event_count + 1))
    return Nothing()


@public(CATALOG, LIST_EVENTS, shared=True, retry=GIVES_UP)
async def list_events(ctx: restate.ObjectSharedContext, request: ListEvents, caller: Caller) -> EventList:
    """List published events and the caller's drafts, newest first."""
    index = await load(ctx, INDEX, Index) or Index()
    (skipped,) = paging.decode(request.page_token, 1)
    size = request.page_size or 50
    number = index.event_count - skipped - 1
    events: list[EventView] = []
    pages_read = 0
    page = Page([])
    read_page = -1
    while number >= 0 and len(events) < size:
        page_number, place = divmod(number, domain.PAGE_EVENTS)
        if page_number != read_page:
            if pages_read == domain.MAX_PAGES_READ:
                break
            page = await load(ctx, f"page:{page_number}", Page) or Page([])
            read_page, pages_read = page_number, pages_read + 1
        event = page.entries[place].event
        if domain.is_listed(state=event.state, owner=event.owner, subject=caller.subject, is_admin=caller.is_admin):
            events.append(event)
        number -= 1
    return EventList(events, paging.encode(index.event_count - 1 - number) if number >= 0 else "")
