"""Stored records: what a field means that an older record lacks."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from services.checkout import domain as order_domain
from services.checkout import saga
from services.checkout.saga import Step
from services.common.states import EventState, HoldState, OrderState, PaymentState, SeatStatus
from services.seatmap import domain as section_domain
from services.seatmap import domain_event, domain_layout
from services.ticket import domain as ticket_domain
from services.ticket import domain_buyer

DEFAULTS: dict[type, dict[str, Any]] = {
    ticket_domain.Ticket: {
        "status": SeatStatus.AVAILABLE,
        "revision": 0,
        "section_id": "",
        "position": 0,
        "hold_id": "",
        "order_id": "",
        "buyer": "",
        "block_id": "",
        "hard_deadline": None,
        "schema_version": 1,
    },
    domain_buyer.Hold: {
        "state": HoldState.OPEN,
        "order_id": "",
        "made_by": "",
        "pay_until": None,
        "schema_version": 1,
    },
    domain_buyer.HoldEntry: {"had_order": False},
    domain_buyer.HoldList: {"entries": [], "schema_version": 1},
    domain_buyer.OrderList: {"entries": [], "schema_version": 1},
    order_domain.Order: {
        "hold_id": "",
        "makes_hold": False,
        "seat_ids": [],
        "payment_method": "",
        "email": "",
        "state": OrderState.PENDING,
        "verdict": None,
        "reason": "",
        "seats": [],
        "total": None,
        "pay_until": None,
        "event": None,
        "held_at": None,
        "payment": PaymentState.NONE,
        "provider_reference": "",
        "attempts": 0,
        "failed_in_a_row": 0,
        "wait_seconds": None,
        "tried": [],
        "done": [],
        "is_refund_due": False,
        "cancel_id": "",
        "history": [],
        "schema_version": 1,
    },
    section_domain.Section: {"revision": 0, "changes": [], "schema_version": 1},
    section_domain.Chunk: {
        "statuses": "A" * 100,
        "revisions": [-1] * 100,
        "held_until": {},
        "schema_version": 1,
    },
    domain_event.Terms: {
        "hold_seconds": 900,
        "max_seats_per_buyer": 8,
        "sale_starts_at": None,
        "sale_ends_at": None,
        "state": EventState.DRAFT,
        "seat_count": 0,
        "section_count": 0,
        "lookup_chunks": 1,
        "audit_pages": 0,
        "revision": 1,
        "creation": "",
        "schema_version": 1,
    },
    domain_event.Category: {"title": ""},
    domain_event.AuditPage: {"entries": [], "schema_version": 1},
    domain_layout.LayoutPage: {"schema_version": 1},
    domain_layout.SectionPiece: {"schema_version": 1},
    domain_layout.LookupChunk: {"schema_version": 1},
    domain_layout.PlacedSeat: {"x": None, "y": None},
}


@pytest.mark.parametrize("record", DEFAULTS)
def test_a_field_that_a_stored_record_lacks_has_this_value(record: type) -> None:
    """A record that was stored before it had a field reads as it did then; changing a default would change the past."""
    found = {}
    for field in dataclasses.fields(record):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    assert found == DEFAULTS[record]


STEPS = {
    Step.HOLD: "hold",
    Step.BEGIN: "begin_checkout",
    Step.AUTHORIZE: "authorize",
    Step.WAIT: "wait",
    Step.CONFIRM: "confirm",
    Step.CAPTURE: "capture",
    Step.REVOKE: "revoke",
    Step.FINISH: "finish_checkout",
    Step.VOID: "void",
    Step.REFUND: "refund",
    Step.MAIL: "mail",
    Step.CLOSE: "close",
}


def test_steps_keep_the_names_that_stored_orders_have() -> None:
    """What an order has tried and done is stored by name: another name would forget it."""
    assert {step: step.value for step in Step} == STEPS
    assert saga.GIVEN_UP == "capture_given_up"


def test_an_order_is_stored_before_each_step_but_the_last_two() -> None:
    """Mail and close may be repeated without harm; before all else the record is stored."""
    assert {step: saga.is_stored_before(step) for step in Step} == {
        step: step not in {Step.MAIL, Step.CLOSE} for step in Step
    }
