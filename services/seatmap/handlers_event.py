"""Event: the virtual object that owns layout, prices and sale terms, key `event`.

State, lazily loaded: `terms` (Terms), `sections:{n}` (SectionPiece), `layout:{section}:{page}`
(LayoutPage), `lookup:{n}` (LookupChunk), `audit:{n}` (AuditPage).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import restate

from services.common.errors import InvalidRequestError, InvalidTransitionError, SeatUnavailableError
from services.common.handlers import (
    GIVES_UP,
    add_ping,
    load,
    moment,
    now,
    private,
    public,
    save,
    send,
)
from services.common.messages import Caller, Nothing
from services.common.states import SeatStatus
from services.seatmap import blocking, layout_store, views
from services.seatmap import domain_event as domain
from services.seatmap.audit import read_audit, record_audit
from services.seatmap.domain_event import Terms
from services.seatmap.domain_layout import Place, build
from services.seatmap.messages import (
    ADD_TO_CATALOG,
    BLOCK_SEATS,
    CATALOG_KEY,
    CLOSE_SALES,
    CREATE_EVENT,
    GET_EVENT,
    LIST_AUDIT,
    PAUSE_SALES,
    PUBLISH_EVENT,
    REBUILD,
    RESUME_SALES,
    UNBLOCK_SEATS,
    UPDATE_EVENT,
    WALK,
    AuditEntries,
    CatalogEntry,
    ChangedSeats,
    ChangeSales,
    ChangeSeats,
    CreateEvent,
    EventSpec,
    EventView,
    GetEvent,
    ListAudit,
    RebuildStarted,
    UpdateEvent,
    WalkRequest,
)
from services.seatmap.messages_quote import QUOTE, Quote, QuotedSeat, QuoteRequest

# Lazy, so that a quote of one seat does not load a stadium.
EVENT = restate.VirtualObject("Event", enable_lazy_state=True)
add_ping(EVENT)

TERMS = "terms"

SHEET_CHUNKS = 8
"""Lookup chunks that an answer may carry, each of some 64 seats: about 30 kB."""


@public(EVENT, CREATE_EVENT)
async def create(ctx: restate.ObjectContext, request: CreateEvent, caller: Caller) -> EventView:
    """Create the event as a DRAFT; repeating the same request gives it as it is now."""
    creation = hashlib.sha256(msgspec.json.encode(request.event)).hexdigest()[:32]
    terms = await load(ctx, TERMS, Terms)
    if terms is not None:
        domain.require_same_creation(terms, owner=caller.subject, creation=creation)
        return await views.basic(ctx, terms)
    fields = _fields(request.event)
    terms = domain.create(request.event.event_id, caller.subject, fields, creation)
    sections = build(request.event.sections or [], set(terms.amounts))
    terms = layout_store.write(ctx, terms, sections, before=None)
    return await _keep(ctx, terms, caller, "create", "", [])


@public(EVENT, UPDATE_EVENT)
async def update(ctx: restate.ObjectContext, request: UpdateEvent, caller: Caller) -> EventView:
    """Change terms; layout, currency and categories only while the event is a DRAFT."""
    terms = await _own(ctx, caller)
    fields, cleared = _masked(_fields(request.event), request.update_mask)
    changed = domain.update(terms, fields, cleared)
    sections = fields.get("sections")
    if sections is not None:
        changed = layout_store.write(ctx, changed, build(sections, set(changed.amounts)), before=terms)
    elif set(changed.amounts) != set(terms.amounts):
        raise InvalidRequestError({"event.sections": "required where categories are added or removed"})
    return await _keep(ctx, changed, caller, "update", request.reason, sorted([*fields, *cleared]))


@public(EVENT, PUBLISH_EVENT)
async def publish(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller) -> EventView:
    """Open the sale and seed the seat map; the Tickets are not touched."""
    return await _change_sales(ctx, request, caller, "publish")


@public(EVENT, PAUSE_SALES)
async def pause(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller) -> EventView:
    """Pause the sale."""
    return await _change_sales(ctx, request, caller, "pause")


@public(EVENT, RESUME_SALES)
async def resume(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller) -> EventView:
    """Open a paused sale again."""
    return await _change_sales(ctx, request, caller, "resume")


@public(EVENT, CLOSE_SALES)
async def close(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller) -> EventView:
    """End the sale."""
    return await _change_sales(ctx, request, caller, "close")


@public(EVENT, BLOCK_SEATS)
async def block(ctx: restate.ObjectContext, request: ChangeSeats, caller: Caller) -> ChangedSeats:
    """Take AVAILABLE seats out of the sale, all or none."""
    terms = await _own(ctx, caller)
    domain.require_published(terms)
    places = await _places(ctx, terms, request.seat_ids)
    block_id = f"b-{(await moment(ctx)).token}"
    seat_ids = sorted(request.seat_ids)
    conflicts = await blocking.block_all(ctx, seat_ids, places, block_id)
    if conflicts:
        raise SeatUnavailableError(conflicts)
    await _keep(ctx, terms, caller, "block", request.reason, seat_ids)
    return ChangedSeats(ctx.key(), seat_ids)


@public(EVENT, UNBLOCK_SEATS)
async def unblock(ctx: restate.ObjectContext, request: ChangeSeats, caller: Caller) -> ChangedSeats:
    """Put BLOCKED seats back, all or none: only this object blocks, so what is BLOCKED stays so meanwhile."""
    terms = await _own(ctx, caller)
    seat_ids = sorted(request.seat_ids)
    await _places(ctx, terms, seat_ids)
    others = await blocking.others(ctx, seat_ids, SeatStatus.BLOCKED)
    if others:
        listed = ",".join(f"{seat_id}={status}" for seat_id, status in others.items())
        raise InvalidTransitionError(f"not blocked: {listed}", {"conflicts": listed})
    await blocking.unblock_all(ctx, seat_ids)
    await _keep(ctx, terms, caller, "unblock", request.reason, seat_ids)
    return ChangedSeats(ctx.key(), seat_ids)


@public(EVENT, REBUILD)
async def rebuild(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller) -> RebuildStarted:
    """Begin to let the map forget and every Ticket announce itself."""
    terms = await _own(ctx, caller)
    domain.require_published(terms)
    send(ctx, WALK, ctx.key(), WalkRequest(is_rebuild=True))
    await _keep(ctx, terms, caller, "rebuild", request.reason, [])
    return RebuildStarted(ctx.key(), terms.seat_count)


@private(EVENT, WALK)
async def walk(ctx: restate.ObjectContext, request: WalkRequest) -> Nothing:
    """Seed or rebuild the map, a batch at a time, so that other calls get their turn."""
    terms = await load(ctx, TERMS, Terms)
    following = await layout_store.walk(ctx, terms, request) if terms else None
    if following is not None:
        send(ctx, WALK, ctx.key(), following)
    return Nothing()


@private(EVENT, QUOTE, shared=True, retry=GIVES_UP)
async def quote(ctx: restate.ObjectSharedContext, request: QuoteRequest) -> Quote:
    """Tell the terms of seats; with `for_sale_at` refuse where the sale is not open then."""
    caller = request.caller
    terms = domain.require_visible(await load(ctx, TERMS, Terms), subject=caller.subject, is_admin=caller.is_admin)
    if request.for_sale_at is not None:
        domain.require_on_sale(terms, request.for_sale_at)
    chunks = await layout_store.chunks_of(ctx, terms, request.seat_ids)
    places = layout_store.find_in(chunks, terms, request.seat_ids)
    domain.require_seats(request.seat_ids, places)
    is_kept = request.wants_sheet and len(chunks) <= SHEET_CHUNKS
    return Quote(
        terms.state,
        terms.owner,
        terms.title,
        terms.venue,
        terms.starts_at,
        terms.currency_code,
        terms.hold_seconds,
        terms.max_seats_per_buyer,
        [_quoted(terms, seat_id, places[seat_id]) for seat_id in request.seat_ids],
        views.sheet(terms, chunks, await now(ctx)) if is_kept else None,
    )


@public(EVENT, GET_EVENT, shared=True, retry=GIVES_UP)
async def get(ctx: restate.ObjectSharedContext, request: GetEvent, caller: Caller) -> EventView:
    """Show the event; with view FULL a page of its layout."""
    terms = domain.require_visible(await load(ctx, TERMS, Terms), subject=caller.subject, is_admin=caller.is_admin)
    if request.view == "EVENT_VIEW_FULL":
        return await views.full(ctx, terms, request)
    return await views.basic(ctx, terms)


@public(EVENT, LIST_AUDIT, shared=True, retry=GIVES_UP)
async def list_audit(ctx: restate.ObjectSharedContext, request: ListAudit, caller: Caller) -> AuditEntries:
    """List what organizers and admins did to the event."""
    terms = domain.require_owner(await load(ctx, TERMS, Terms), subject=caller.subject, is_admin=caller.is_admin)
    return await read_audit(ctx, terms.audit_pages, request)


async def _own(ctx: restate.ObjectContext, caller: Caller) -> Terms:
    terms = await load(ctx, TERMS, Terms)
    return domain.require_owner(terms, subject=caller.subject, is_admin=caller.is_admin)


async def _change_sales(ctx: restate.ObjectContext, request: ChangeSales, caller: Caller, action: str) -> EventView:
    terms = await _own(ctx, caller)
    changed = domain.transition(terms, action)
    if changed is terms:
        return await views.basic(ctx, terms)
    if action == "publish":
        # The layout is fixed from now on: the map may learn it.
        send(ctx, WALK, ctx.key(), WalkRequest(is_rebuild=False))
    return await _keep(ctx, changed, caller, action, request.reason, [])


async def _keep(
    ctx: restate.ObjectContext, terms: Terms, caller: Caller, action: str, reason: str, subjects: list[str]
) -> EventView:
    """Store the terms with an entry of the audit, and tell the Catalog."""
    at: datetime = await now(ctx)
    pages = await record_audit(ctx, terms.audit_pages, at, caller.subject, action, reason, subjects)
    terms = replace(terms, audit_pages=pages)
    save(ctx, TERMS, terms)
    shown = await views.basic(ctx, terms)
    send(ctx, ADD_TO_CATALOG, CATALOG_KEY, CatalogEntry(views.without_layout(shown), terms.revision))
    return shown


async def _places(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, terms: Terms, seat_ids: list[str]
) -> dict[str, Place]:
    places = await layout_store.find(ctx, terms, seat_ids)
    domain.require_seats(seat_ids, places)
    return places


def _quoted(terms: Terms, seat_id: str, place: Place) -> QuotedSeat:
    return QuotedSeat(seat_id, place.section_id, place.position, place.category_id, terms.amounts[place.category_id])


def _fields(spec: EventSpec) -> dict[str, Any]:
    """Give the fields that the client set."""
    fields = {name: getattr(spec, name) for name in domain.CHANGEABLE}
    fields = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
    if "price_categories" in fields:
        fields["price_categories"] = [
            domain.Category(category.category_id, category.amount_minor, category.title)
            for category in fields["price_categories"]
        ]
    return fields


def _masked(fields: dict[str, Any], mask: str) -> tuple[dict[str, Any], list[str]]:
    """Cut the fields down to the mask; gives them and the names that the mask clears."""
    if not mask:
        return fields, []
    # proto3 JSON writes the paths of a FieldMask in camelCase.
    names = ["".join(f"_{c.lower()}" if c.isupper() else c for c in path) for path in mask.split(",")]
    unknown = [name for name in names if name not in domain.CHANGEABLE]
    if unknown:
        raise InvalidRequestError({"update_mask": f"fields that can be changed, not {', '.join(unknown)}"})
    return {name: fields[name] for name in names if name in fields}, [n for n in names if n not in fields]
