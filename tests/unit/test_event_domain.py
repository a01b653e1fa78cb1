"""Event: its terms, its sale states, and who may see and change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import (
    AlreadyExistsError,
    EventNotFoundError,
    InvalidRequestError,
    InvalidTransitionError,
    NexusError,
    SalesClosedError,
    SalesNotOpenError,
    SalesPausedError,
    SeatNotFoundError,
)
from services.common.states import EventState
from services.seatmap import domain_event as domain
from services.seatmap.domain_event import AuditPage, Category, Terms

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
STD, VIP = Category("std", 4500), Category("vip", 9900)
FIELDS: dict[str, Any] = {
    "title": "Gala",
    "venue": "Town Hall",
    "starts_at": NOW + timedelta(days=30),
    "currency_code": "EUR",
    "price_categories": [STD, VIP],
    "sections": ["a layout"],
}
STATE_VALUE_BYTES = 64_000


def created(**fields: Any) -> Terms:
    return domain.create("gala", "org", FIELDS | fields, "creation")


DRAFT = created()
ON_SALE, PAUSED, CLOSED = (replace(DRAFT, state=state) for state in list(EventState)[1:])
STATES = {"DRAFT": DRAFT, "ON_SALE": ON_SALE, "PAUSED": PAUSED, "CLOSED": CLOSED}


def test_new_event_is_a_draft_with_the_defaults_of_the_contract() -> None:
    """An event begins as a DRAFT of its organizer, with 900 s holds and 8 seats a buyer unless it says otherwise."""
    assert DRAFT.state is EventState.DRAFT
    assert (DRAFT.event_id, DRAFT.owner, DRAFT.creation, DRAFT.revision) == ("gala", "org", "creation", 1)
    assert (DRAFT.hold_seconds, DRAFT.max_seats_per_buyer) == (900, 8)
    assert (DRAFT.sale_starts_at, DRAFT.sale_ends_at) == (None, None)
    assert DRAFT.amounts == {"std": 4500, "vip": 9900}
    chosen = created(hold_seconds=1, max_seats_per_buyer=2, sale_starts_at=NOW)
    assert (chosen.hold_seconds, chosen.max_seats_per_buyer, chosen.sale_starts_at) == (1, 2, NOW)


@pytest.mark.parametrize("name", FIELDS)
def test_new_event_needs_its_fields(name: str) -> None:
    """Each field without which an event makes no sense is asked for by name, missing or empty."""
    absent = {key: value for key, value in FIELDS.items() if key != name}
    empty = FIELDS | {name: None if name == "starts_at" else type(FIELDS[name])()}
    for fields in (absent, empty):
        with pytest.raises(InvalidRequestError) as refused:
            domain.create("gala", "org", fields, "creation")
        assert set(refused.value.violations) == {f"event.{name}"}


def test_client_cannot_set_what_is_not_its_own() -> None:
    """State, owner, counts and revision of a new event are ours, whatever the request carries."""
    assert created(state=EventState.ON_SALE, owner="eve", seat_count=5, revision=9, audit_pages=3) == DRAFT
    updated = domain.update(DRAFT, {"title": "New", "state": EventState.ON_SALE, "owner": "eve"}, [])
    assert updated == replace(DRAFT, title="New", revision=2)


@pytest.mark.parametrize("change", [created, lambda **fields: domain.update(ON_SALE, fields, [])])
def test_terms_that_contradict_themselves_are_refused(change: Callable[..., Terms]) -> None:
    """An inverted or empty sale window and a category that is there twice are refused by name."""
    for ends_at in (NOW, NOW - TICK):
        with pytest.raises(InvalidRequestError) as refused:
            change(sale_starts_at=NOW, sale_ends_at=ends_at)
        assert set(refused.value.violations) == {"event.sale_ends_at"}
    assert change(sale_starts_at=NOW, sale_ends_at=NOW + TICK).sale_ends_at == NOW + TICK
    with pytest.raises(InvalidRequestError) as refused:
        change(price_categories=[STD, VIP, STD])
    assert set(refused.value.violations) == {"event.price_categories[2].category_id"}


def test_update_cannot_empty_what_is_required() -> None:
    """An event keeps a title and a category."""
    with pytest.raises(InvalidRequestError) as refused:
        domain.update(DRAFT, {"title": "", "price_categories": []}, [])
    assert set(refused.value.violations) == {"event.title", "event.price_categories"}


def test_same_creation_twice_is_one_event() -> None:
    """The organizer may repeat a creation; another body or another organizer finds the id taken."""
    domain.require_same_creation(DRAFT, owner="org", creation="creation")
    for owner, creation in (("org", "other"), ("eve", "creation")):
        with pytest.raises(AlreadyExistsError):
            domain.require_same_creation(DRAFT, owner=owner, creation=creation)


@pytest.mark.parametrize("terms", STATES.values(), ids=STATES.keys())
def test_terms_and_amounts_change_at_any_time(terms: Terms) -> None:
    """Title, times, window, hold_seconds, limit and amounts may change in every state; each change counts."""
    fields = {
        "title": "New",
        "venue": "Opera",
        "starts_at": NOW + timedelta(days=31),
        "sale_starts_at": NOW,
        "sale_ends_at": NOW + timedelta(days=1),
        "hold_seconds": 60,
        "max_seats_per_buyer": 4,
        "price_categories": [VIP, replace(STD, amount_minor=1)],
    }
    assert domain.update(terms, fields, []) == replace(terms, **fields, revision=2)


@pytest.mark.parametrize(
    "fields",
    [{"currency_code": "USD"}, {"sections": ["new"]}, {"price_categories": [STD]},
     {"price_categories": [STD, VIP, Category("new", 1)]}, {"price_categories": [STD, Category("new", 9900)]}],
)  # fmt: skip
def test_layout_currency_and_categories_change_in_a_draft_only(fields: dict[str, Any]) -> None:
    """What holds and seats refer to is fixed once the event is published."""
    changed = {name: value for name, value in fields.items() if name != "sections"}
    assert domain.update(DRAFT, fields, []) == replace(DRAFT, **changed, revision=2)
    for terms in (ON_SALE, PAUSED, CLOSED):
        with pytest.raises(InvalidTransitionError):
            domain.update(terms, fields, [])


def test_cleared_fields_get_their_defaults() -> None:
    """A field that is cleared is as if it had never been set; only optional ones can be."""
    terms = created(sale_starts_at=NOW, sale_ends_at=NOW + TICK, hold_seconds=1, max_seats_per_buyer=1)
    cleared = domain.update(terms, {}, ["sale_starts_at", "sale_ends_at", "hold_seconds", "max_seats_per_buyer"])
    assert cleared == replace(DRAFT, revision=2)
    for name in ("title", "starts_at", "price_categories", "owner"):
        with pytest.raises(InvalidRequestError) as refused:
            domain.update(terms, {}, [name])
        assert set(refused.value.violations) == {f"event.{name}"}


def test_update_of_nothing_is_refused() -> None:
    """An update has to change something."""
    with pytest.raises(InvalidRequestError) as refused:
        domain.update(DRAFT, {}, [])
    assert set(refused.value.violations) == {"event"}


MOVES = {
    ("DRAFT", "publish"): "ON_SALE",
    ("ON_SALE", "pause"): "PAUSED",
    ("ON_SALE", "close"): "CLOSED",
    ("PAUSED", "resume"): "ON_SALE",
    ("PAUSED", "close"): "CLOSED",
}
REPEATS = {("ON_SALE", "publish"), ("ON_SALE", "resume"), ("PAUSED", "pause"), ("CLOSED", "close")}


@pytest.mark.parametrize("action", ["publish", "pause", "resume", "close"])
@pytest.mark.parametrize("state", STATES)
def test_sale_moves_along_its_transitions_only(state: str, action: str) -> None:
    """Five moves exist, a move already made changes nothing, every other one is refused naming the state."""
    terms = STATES[state]
    if (state, action) in MOVES:
        assert domain.transition(terms, action) == replace(STATES[MOVES[state, action]], revision=2)
    elif (state, action) in REPEATS:
        assert domain.transition(terms, action) is terms
    else:
        with pytest.raises(InvalidTransitionError) as refused:
            domain.transition(terms, action)
        assert refused.value.details == {"state": state}


@given(actions=st.lists(st.sampled_from(["publish", "pause", "resume", "close"]), max_size=12))
def test_sale_never_goes_back_to_draft_and_never_reopens(actions: list[str]) -> None:
    """Whatever is asked in whatever order, a published event stays public and a closed one closed; changes count up."""
    terms = DRAFT
    for action in actions:
        before = terms
        try:
            terms = domain.transition(terms, action)
        except InvalidTransitionError:
            continue
        assert before.state is not EventState.CLOSED or terms is before
        assert terms.is_public
        assert terms.revision == before.revision + (terms is not before)


WINDOW = replace(ON_SALE, sale_starts_at=NOW, sale_ends_at=NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("terms", "now", "error"),
    [
        (ON_SALE, NOW, None),
        (DRAFT, NOW, SalesNotOpenError),
        (PAUSED, NOW, SalesPausedError),
        (CLOSED, NOW, SalesClosedError),
        (WINDOW, NOW - TICK, SalesNotOpenError),
        (WINDOW, NOW, None),
        (WINDOW, NOW + timedelta(hours=1) - TICK, None),
        (WINDOW, NOW + timedelta(hours=1), SalesClosedError),
        (replace(WINDOW, state=EventState.PAUSED), NOW - TICK, SalesNotOpenError),
        (replace(WINDOW, state=EventState.PAUSED), NOW, SalesPausedError),
        (replace(WINDOW, state=EventState.PAUSED), NOW + timedelta(hours=1), SalesClosedError),
        (replace(WINDOW, state=EventState.CLOSED), NOW - TICK, SalesClosedError),
        (replace(WINDOW, state=EventState.DRAFT), NOW, SalesNotOpenError),
    ],
)
def test_seats_are_held_only_while_sale_is_open(terms: Terms, now: datetime, error: type[NexusError] | None) -> None:
    """Whether a sale is open is decided by state and window to the instant, each refusal with its own reason."""
    if error is None:
        domain.require_on_sale(terms, now)
        return
    with pytest.raises(error):
        domain.require_on_sale(terms, now)


def test_blocking_needs_a_published_event() -> None:
    """A DRAFT, whose layout may still change, has no seats to block."""
    for terms in (ON_SALE, PAUSED, CLOSED):
        domain.require_published(terms)
    with pytest.raises(SalesNotOpenError):
        domain.require_published(DRAFT)


def test_event_is_changed_by_its_organizer_or_an_admin_only() -> None:
    """To anybody else, signed in or not, the event does not exist; nor does one that was never made."""
    for terms in STATES.values():
        assert domain.require_owner(terms, subject="org", is_admin=False) is terms
        assert domain.require_owner(terms, subject="root", is_admin=True) is terms
        for subject in ("eve", ""):
            with pytest.raises(EventNotFoundError):
                domain.require_owner(terms, subject=subject, is_admin=False)
    with pytest.raises(EventNotFoundError):
        domain.require_owner(replace(DRAFT, owner=""), subject="", is_admin=False)
    with pytest.raises(EventNotFoundError):
        domain.require_owner(None, subject="org", is_admin=True)


def test_draft_is_seen_by_its_organizer_only() -> None:
    """Anyone sees a published event; a draft is NOT_FOUND except to its organizer and an admin."""
    for terms in (ON_SALE, PAUSED, CLOSED):
        assert domain.require_visible(terms, subject="", is_admin=False) is terms
    assert domain.require_visible(DRAFT, subject="org", is_admin=False) is DRAFT
    assert domain.require_visible(DRAFT, subject="root", is_admin=True) is DRAFT
    for subject in ("eve", ""):
        with pytest.raises(EventNotFoundError):
            domain.require_visible(DRAFT, subject=subject, is_admin=False)
    with pytest.raises(EventNotFoundError):
        domain.require_visible(None, subject="org", is_admin=True)


def test_unknown_seats_are_named() -> None:
    """A request for seats that the layout does not have names exactly those."""
    domain.require_seats(["a", "b"], {"a": 1, "b": 2})
    with pytest.raises(SeatNotFoundError) as refused:
        domain.require_seats(["a", "x", "y"], {"a": 1, "b": 2})
    assert refused.value.details == {"seat_ids": "x,y"}


def test_audit_page_is_full_at_100_entries_or_32_kilobytes() -> None:
    """A page of the audit ends at 100 entries, and early enough that its last entry leaves it below 64 kB."""
    entry = {"seat_ids": ["x" * 64] * 50, "reason": "\N{PILE OF POO}" * 500, "action": "block", "actor": "x" * 64}
    full = AuditPage([{}] * 100)
    assert domain.is_audit_page_full(full, 0)
    assert not domain.is_audit_page_full(AuditPage([{}] * 99), 31_999)
    assert domain.is_audit_page_full(AuditPage(), 32_000)
    assert domain.AUDIT_PAGE_BYTES + len(msgspec.json.encode(entry)) < STATE_VALUE_BYTES
