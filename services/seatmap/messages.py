"""Requests and answers of Event, Catalog and SeatMap, and the addresses of their handlers."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from services.common.messages import Nothing, Target
from services.common.states import EventState, SeatStatus


class PriceCategory(msgspec.Struct, frozen=True):
    """The proto's PriceCategory."""

    category_id: str
    amount_minor: int = 0
    title: str = ""


class Seat(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Seat."""

    seat_id: str
    category_id: str
    x: float | None = None
    y: float | None = None


class Row(msgspec.Struct, frozen=True):
    """The proto's Row."""

    row_id: str
    seats: list[Seat]


class Section(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Section: rows, or row_count x seats_per_row seats of one category."""

    section_id: str
    title: str = ""
    rows: list[Row] = []
    row_count: int = 0
    seats_per_row: int = 0
    category_id: str = ""
    seat_count: int = 0


class EventSpec(msgspec.Struct, frozen=True):
    """The proto's Event as a client writes it. A field that is not set is UNSET."""

    event_id: str
    title: str | UnsetType = UNSET
    venue: str | UnsetType = UNSET
    starts_at: datetime | UnsetType = UNSET
    sale_starts_at: datetime | UnsetType = UNSET
    sale_ends_at: datetime | UnsetType = UNSET
    currency_code: str | UnsetType = UNSET
    hold_seconds: int | UnsetType = UNSET
    max_seats_per_buyer: int | UnsetType = UNSET
    price_categories: list[PriceCategory] | UnsetType = UNSET
    sections: list[Section] | UnsetType = UNSET


class CreateEvent(msgspec.Struct, frozen=True):
    """Client request: create an event."""

    event: EventSpec
    request_id: str = ""


class UpdateEvent(msgspec.Struct, frozen=True):
    """Client request: change an event. `update_mask`: comma-separated camelCase paths, as proto3 JSON has it."""

    event: EventSpec
    update_mask: str = ""
    reason: str = ""


class EventView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Event as it is shown."""

    event_id: str
    title: str
    venue: str
    starts_at: datetime
    currency_code: str
    hold_seconds: int
    max_seats_per_buyer: int
    owner: str
    seat_count: int
    state: EventState
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    price_categories: list[PriceCategory] = []
    sections: list[Section] = []
    next_page_token: str = ""


class GetEvent(msgspec.Struct, frozen=True):
    """Client request: show an event. `view`: EVENT_VIEW_FULL for the layout."""

    event_id: str
    view: str = ""
    section_id: str = ""
    page_size: int = 0
    page_token: str = ""


class ChangeSales(msgspec.Struct, frozen=True):
    """Client request: publish, pause, resume, close or rebuild."""

    event_id: str
    reason: str = ""


class ChangeSeats(msgspec.Struct, frozen=True):
    """Client request: block or unblock seats."""

    event_id: str
    seat_ids: list[str]
    reason: str = ""


class ChangedSeats(msgspec.Struct, frozen=True):
    """The seats that were blocked or unblocked."""

    event_id: str
    seat_ids: list[str]


class RebuildStarted(msgspec.Struct, frozen=True):
    """How many tickets will announce themselves."""

    event_id: str
    seat_count: int


class WalkRequest(msgspec.Struct, frozen=True):
    """Where a walk over the layout goes on: section by its place in the layout, page of its seats.

    `is_rebuild`: the map forgets and each Ticket announces itself; otherwise the map is seeded.
    """

    is_rebuild: bool
    section_index: int = 0
    page: int = 0


class ListAudit(msgspec.Struct, frozen=True):
    """Client request: the event's audit. `page_size` 0 means 50."""

    event_id: str
    page_size: int = 0
    page_token: str = ""


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's AuditEntry."""

    at: datetime
    actor: str
    action: str
    reason: str = ""
    subjects: list[str] = []


class AuditEntries(msgspec.Struct, frozen=True):
    """A page of the audit, oldest first."""

    entries: list[AuditEntry]
    next_page_token: str = ""


class ListEvents(msgspec.Struct, frozen=True):
    """Client request: published events. `page_size` 0 means 50."""

    page_size: int = 0
    page_token: str = ""


class EventList(msgspec.Struct, frozen=True):
    """A page of events, newest first."""

    events: list[EventView]
    next_page_token: str = ""


class CatalogEntry(msgspec.Struct, frozen=True):
    """An event as the catalog lists it; an older `revision` never replaces a newer one."""

    event: EventView
    revision: int


class ApplyRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Ticket's news for its section. `revision`: the Ticket's own; older ones are ignored.

    `held_until`: the hard deadline of a held seat, from which on it shows as AVAILABLE.
    """

    seat_id: str
    position: int
    status: SeatStatus
    revision: int
    held_until: datetime | None = None


class MapSeat(msgspec.Struct, frozen=True, array_like=True):
    """A seat as the section knows it from the layout; an array in JSON to keep state small."""

    seat_id: str
    category_id: str
    x: float | None = None
    y: float | None = None


class SeedRequest(msgspec.Struct, frozen=True):
    """Seats of a section from `position` on, a whole chunk of them.

    With `forget` the section forgets the revisions of its Tickets, never its own.
    """

    position: int
    seats: list[MapSeat]
    forget: bool = False


class GetSection(msgspec.Struct, frozen=True):
    """The gateway's request: changes after `since`, or else seats from `position` on.

    `limit`: at most so many seats, 1-2500, rounded up to whole chunks.
    """

    event_id: str
    section_id: str
    since: int | None = None
    position: int = 0
    limit: int = 2500


class SectionChange(msgspec.Struct, frozen=True, array_like=True):
    """A change that the section has counted: its revision, the seat, its status."""

    revision: int
    seat_id: str
    status: SeatStatus


class SectionPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a section shows.

    `revision` is the section's own. With `since`: `changes`, or `is_gone` where the log no longer
    reaches back that far. Otherwise `seats` with their `statuses`, one letter each
    (A available, H held, S sold, B blocked), and `next_position`, None at the end.
    """

    revision: int
    seats: list[MapSeat] = []
    statuses: str = ""
    next_position: int | None = None
    changes: list[SectionChange] = []
    is_gone: bool = False


CREATE_EVENT = Target("Event", "create", CreateEvent, EventView)
UPDATE_EVENT = Target("Event", "update", UpdateEvent, EventView)
GET_EVENT = Target("Event", "get", GetEvent, EventView)
PUBLISH_EVENT = Target("Event", "publish", ChangeSales, EventView)
PAUSE_SALES = Target("Event", "pause", ChangeSales, EventView)
RESUME_SALES = Target("Event", "resume", ChangeSales, EventView)
CLOSE_SALES = Target("Event", "close", ChangeSales, EventView)
BLOCK_SEATS = Target("Event", "block", ChangeSeats, ChangedSeats)
UNBLOCK_SEATS = Target("Event", "unblock", ChangeSeats, ChangedSeats)
REBUILD = Target("Event", "rebuild", ChangeSales, RebuildStarted)
WALK = Target("Event", "walk", WalkRequest, Nothing)
LIST_AUDIT = Target("Event", "list_audit", ListAudit, AuditEntries)

LIST_EVENTS = Target("Catalog", "list", ListEvents, EventList)
ADD_TO_CATALOG = Target("Catalog", "add", CatalogEntry, Nothing)
CATALOG_KEY = "all"

APPLY = Target("SeatMap", "apply", ApplyRequest, Nothing)
SEED = Target("SeatMap", "seed", SeedRequest, Nothing)
GET_SECTION = Target("SeatMap", "get", GetSection, SectionPage)
