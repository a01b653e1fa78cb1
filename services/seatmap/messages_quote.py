"""Request and answer of Event.quote: what a hold needs to know of an event and of its seats."""

from __future__ import annotations

from datetime import datetime

import msgspec

from services.common.messages import Caller, Target
from services.common.states import EventState


class QuoteRequest(msgspec.Struct, frozen=True):
    """Ask for the terms of seats. With `for_sale_at` a sale that is not open then is a refusal.

    The caller's clock will do: it is older by what the call took, and it spares a journal entry.
    `wants_sheet`: the caller keeps what it learns.
    """

    seat_ids: list[str]
    caller: Caller
    for_sale_at: datetime | None = None
    wants_sheet: bool = False


class QuotedSeat(msgspec.Struct, frozen=True):
    """A seat of the layout with today's price. `position`: its place in the section, from 0."""

    seat_id: str
    section_id: str
    position: int
    category_id: str
    amount_minor: int


class SheetSeat(msgspec.Struct, frozen=True, array_like=True):
    """Where a seat is and which price it has."""

    section_id: str
    position: int
    category_id: str


class Sheet(msgspec.Struct, frozen=True):
    """What quotes of other seats need: the neighbours of those asked for, by the lookup chunk that they lie in.

    `at`: Event's clock when it was read. `version`: another one after any change of the event.
    `opens_at`, `closes_at`: of the sale, None where it has no such bound.
    """

    at: datetime
    version: str
    lookup_chunks: int
    amounts: dict[str, int]
    chunks: dict[int, dict[str, SheetSeat]]
    opens_at: datetime | None = None
    closes_at: datetime | None = None


class Quote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Terms of an event and of the seats asked for, in the order asked for."""

    state: EventState
    owner: str
    title: str
    venue: str
    starts_at: datetime
    currency_code: str
    hold_seconds: int
    max_seats_per_buyer: int
    seats: list[QuotedSeat]
    sheet: Sheet | None = None


QUOTE = Target("Event", "quote", QuoteRequest, Quote)
