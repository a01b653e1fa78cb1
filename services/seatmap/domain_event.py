"""Event: terms, sale states and who may change them, as pure functions. The layout is in `domain_layout.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.common.errors import (
    AlreadyExistsError,
    EventNotFoundError,
    InvalidRequestError,
    InvalidTransitionError,
    SalesClosedError,
    SalesNotOpenError,
    SalesPausedError,
    SeatNotFoundError,
)
from services.common.states import EventState

DEFAULT_HOLD_SECONDS = 900
DEFAULT_MAX_SEATS_PER_BUYER = 8
AUDIT_PAGE_ENTRIES = 100
AUDIT_PAGE_BYTES = 32_000
"""A page of the audit is full at so many bytes, far below the bound of a state value."""

REQUIRED = ("title", "venue", "starts_at", "currency_code", "price_categories", "sections")
CHANGEABLE = ("title", "venue", "starts_at", "sale_starts_at", "sale_ends_at", "hold_seconds",
              "max_seats_per_buyer", "price_categories", "currency_code", "sections")  # fmt: skip
CLEARABLE = ("sale_starts_at", "sale_ends_at", "hold_seconds", "max_seats_per_buyer")
DRAFT_ONLY = ("currency_code", "sections")


@dataclass(frozen=True, slots=True)
class Category:
    """A price: `amount_minor` in minor units of the event's currency."""

    category_id: str
    amount_minor: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """The stored terms of an event. `revision` counts their changes; `creation`: hash of what created it."""

    event_id: str
    owner: str
    title: str
    venue: str
    starts_at: datetime
    currency_code: str
    price_categories: list[Category]
    hold_seconds: int = DEFAULT_HOLD_SECONDS
    max_seats_per_buyer: int = DEFAULT_MAX_SEATS_PER_BUYER
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    state: EventState = EventState.DRAFT
    seat_count: int = 0
    section_count: int = 0
    lookup_chunks: int = 1
    audit_pages: int = 0
    revision: int = 1
    creation: str = ""
    schema_version: int = 1

    @property
    def is_public(self) -> bool:
        """Whether anyone may see the event."""
        return self.state is not EventState.DRAFT

    @property
    def amounts(self) -> dict[str, int]:
        """Price of one seat by category."""
        return {category.category_id: category.amount_minor for category in self.price_categories}


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries of the append-only audit, oldest first."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    schema_version: int = 1


def create(event_id: str, owner: str, fields: Mapping[str, Any], creation: str) -> Terms:
    """Make the terms of a DRAFT of the fields that the client set. `creation`: hash of the request.

    Raises InvalidRequestError for a field that is missing or wrong.
    """
    missing = {f"event.{name}": "required" for name in REQUIRED if not fields.get(name)}
    if missing:
        raise InvalidRequestError(missing)
    known = {name: fields[name] for name in CHANGEABLE if name in fields and name != "sections"}
    terms = Terms(event_id=event_id, owner=owner, creation=creation, **known)
    _check(terms)
    return terms


def require_same_creation(terms: Terms, *, owner: str, creation: str) -> None:
    """Accept a repeated creation by the same organizer; anything else under the id is ALREADY_EXISTS."""
    if (terms.owner, terms.creation) != (owner, creation):
        raise AlreadyExistsError("the event id is taken")


def update(terms: Terms, fields: Mapping[str, Any], cleared: Sequence[str]) -> Terms:
    """Change the fields that are set and give `cleared` ones their default.

    Layout and currency change only while the event is a DRAFT, and so does the set of categories;
    amounts change always, for holds made from now on.
    """
    changes = {name: fields[name] for name in CHANGEABLE if name in fields}
    unknown = [name for name in cleared if name not in CLEARABLE]
    if unknown:
        raise InvalidRequestError({f"event.{name}": "cannot be cleared" for name in unknown})
    if not changes and not cleared:
        raise InvalidRequestError({"event": "at least one field to change"})
    for name in DRAFT_ONLY:
        if name in changes and terms.state is not EventState.DRAFT:
            raise InvalidTransitionError(f"{name} can be changed only while the event is a DRAFT")
    changes.pop("sections", None)
    defaults = {"hold_seconds": DEFAULT_HOLD_SECONDS, "max_seats_per_buyer": DEFAULT_MAX_SEATS_PER_BUYER}
    changes |= {name: defaults.get(name) for name in cleared}
    changed = replace(terms, **changes, revision=terms.revision + 1)
    if terms.state is not EventState.DRAFT and set(changed.amounts) != set(terms.amounts):
        raise InvalidTransitionError("price categories can be added or removed only while the event is a DRAFT")
    _check(changed)
    return changed


def _check(terms: Terms) -> None:
    violations: dict[str, str] = {}
    if not terms.title:
        violations["event.title"] = "required"
    ids = [category.category_id for category in terms.price_categories]
    if not ids:
        violations["event.price_categories"] = "at least one"
    for index, category_id in enumerate(ids):
        if category_id in ids[:index]:
            violations[f"event.price_categories[{index}].category_id"] = f"used once; {category_id} is there twice"
    if terms.sale_starts_at and terms.sale_ends_at and terms.sale_ends_at <= terms.sale_starts_at:
        violations["event.sale_ends_at"] = "later than sale_starts_at"
    if violations:
        raise InvalidRequestError(violations)


TRANSITIONS: dict[str, tuple[tuple[EventState, ...], EventState]] = {
    "publish": ((EventState.DRAFT,), EventState.ON_SALE),
    "pause": ((EventState.ON_SALE,), EventState.PAUSED),
    "resume": ((EventState.PAUSED,), EventState.ON_SALE),
    "close": ((EventState.ON_SALE, EventState.PAUSED), EventState.CLOSED),
}


def transition(terms: Terms, action: str) -> Terms:
    """Publish, pause, resume or close; an event that is there already is given back unchanged."""
    origins, goal = TRANSITIONS[action]
    if terms.state is goal:
        return terms
    if terms.state not in origins:
        name = terms.state.name
        raise InvalidTransitionError(f"cannot {action} an event that is {name}", {"state": name})
    return replace(terms, state=goal, revision=terms.revision + 1)


def require_owner(terms: Terms | None, *, subject: str, is_admin: bool) -> Terms:
    """Give the terms to the event's organizer (or an admin); to others there is no such event."""
    if terms is None or not (is_admin or (subject and subject == terms.owner)):
        raise EventNotFoundError("no such event")
    return terms


def require_visible(terms: Terms | None, *, subject: str, is_admin: bool) -> Terms:
    """Give the terms of a published event to anyone, of a draft to its organizer."""
    if terms is not None and terms.is_public:
        return terms
    return require_owner(terms, subject=subject, is_admin=is_admin)


def require_published(terms: Terms) -> None:
    """Refuse what makes no sense for a DRAFT, whose layout may still change."""
    if not terms.is_public:
        raise SalesNotOpenError("the event is a DRAFT")


def require_on_sale(terms: Terms, now: datetime) -> None:
    """Refuse new holds unless the sale is open at this time."""
    if terms.state is EventState.CLOSED or (terms.sale_ends_at is not None and now >= terms.sale_ends_at):
        raise SalesClosedError("the sale is over")
    if terms.state is EventState.DRAFT or (terms.sale_starts_at is not None and now < terms.sale_starts_at):
        raise SalesNotOpenError("the sale has not begun")
    if terms.state is EventState.PAUSED:
        raise SalesPausedError("the sale is paused")


def require_seats(seat_ids: Sequence[str], known: Mapping[str, Any]) -> None:
    """Refuse seats that the layout does not have, naming them."""
    unknown = [seat_id for seat_id in seat_ids if seat_id not in known]
    if unknown:
        listed = ",".join(unknown)
        raise SeatNotFoundError(f"no such seat: {listed}", {"seat_ids": listed})


def is_audit_page_full(page: AuditPage, encoded_bytes: int) -> bool:
    """Tell whether the next entry belongs on a new page."""
    return len(page.entries) >= AUDIT_PAGE_ENTRIES or encoded_bytes >= AUDIT_PAGE_BYTES
