"""Order: who may see, repeat and cancel it, what is kept of it and how it is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.checkout import domain
from services.checkout.domain import EventInfo, HistoryEntry, Order
from services.common.errors import (
    AlreadyExistsError,
    HoldExpiredError,
    InvalidTransitionError,
    NexusError,
    OrderCancelledError,
    OrderNotFoundError,
    PaymentDeclinedError,
    PaymentUnavailableError,
    RequestReusedError,
    SeatUnavailableError,
    all_errors,
)
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import OrderState, PaymentState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FINAL = [OrderState.CONFIRMED, OrderState.DECLINED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED]
RUNNING = [OrderState.PENDING, OrderState.AUTHORIZING]


def begun(hold_id: str = "", seat_ids: list[str] | None = None) -> Order:
    return domain.new_order(
        order_id="o1",
        owner="ada",
        fingerprint="print",
        event_id="gala",
        hold_id=hold_id,
        made_hold_id="h-made",
        seat_ids=seat_ids or [],
        payment_method="card_success",
        email="sealed",
        at=NOW,
    )


def full(state: OrderState, tried: list[str], reason: str = "") -> Order:
    """Make an order that has everything that an order can have."""
    return replace(
        begun(seat_ids=["A-1-1"]),
        state=state,
        verdict=state if state.is_final else None,
        reason=reason,
        seats=[HeldSeat("A-1-1", "std", "A", Money("EUR", 4500))],
        total=Money("EUR", 4500),
        pay_until=NOW,
        event=EventInfo("Gala", "Town Hall", NOW),
        payment=PaymentState.VOIDED,
        provider_reference="pay_1",
        attempts=2,
        tried=tried,
        done=list(tried),
        cancel_id="awakeable",
    )


def test_order_of_a_hold_pays_that_hold() -> None:
    """An order of a hold names it and makes none."""
    order = begun(hold_id="h1")
    assert (order.hold_id, order.makes_hold, order.seat_ids) == ("h1", False, [])


def test_order_of_seats_makes_its_own_hold() -> None:
    """A one-step sale knows the id of the hold that it will make from its first record on, and sorts its seats."""
    order = begun(seat_ids=["B-2", "A-1"])
    assert (order.hold_id, order.makes_hold, order.seat_ids) == ("h-made", True, ["A-1", "B-2"])


def test_new_order_has_done_nothing_yet() -> None:
    """A new order is PENDING, has no money moved, and was accepted once."""
    order = begun(hold_id="h1")
    assert (order.state, order.verdict, order.payment) == (OrderState.PENDING, None, PaymentState.NONE)
    assert (order.tried, order.done, order.history) == ([], [], [HistoryEntry("accepted", NOW)])
    assert (order.owner, order.fingerprint, order.event_id, order.created_at) == ("ada", "print", "gala", NOW)
    assert (order.payment_method, order.email) == ("card_success", "sealed")


@pytest.mark.parametrize(
    ("owner", "fingerprint", "error"),
    [
        ("ada", "print", None),
        ("ada", "other", RequestReusedError),
        ("eve", "print", AlreadyExistsError),
        ("eve", "other", AlreadyExistsError),
    ],
)
def test_same_request_is_one_order(owner: str, fingerprint: str, error: type[NexusError] | None) -> None:
    """The same caller's same request is accepted again; another body is a reuse, another caller finds the id taken."""
    if error is None:
        domain.require_same_request(begun(), owner=owner, fingerprint=fingerprint)
        return
    with pytest.raises(error) as refused:
        domain.require_same_request(begun(), owner=owner, fingerprint=fingerprint)
    # Nothing is told of another caller's order.
    assert refused.value.details == ({"order_id": "o1"} if error is RequestReusedError else {})


def test_order_is_seen_by_its_buyer_and_an_admin() -> None:
    """To anybody else there is no such order, signed in or not."""
    order = begun()
    assert domain.require_visible(order, subject="ada", is_admin=False) is order
    assert domain.require_visible(order, subject="root", is_admin=True) is order
    strangers = ((order, "eve", False), (order, "", False), (None, "ada", False), (None, "root", True))
    for found, subject, is_admin in strangers:
        with pytest.raises(OrderNotFoundError):
            domain.require_visible(found, subject=subject, is_admin=is_admin)


@pytest.mark.parametrize("state", RUNNING)
def test_running_order_can_be_cancelled_until_the_first_capture(state: OrderState) -> None:
    """A cancellation is passed on until a capture is about to be tried, and refused from then on."""
    for tried in ([], ["hold"], ["hold", "authorize", "confirm"]):
        assert domain.require_cancellable(full(state, tried))
    with pytest.raises(InvalidTransitionError) as refused:
        domain.require_cancellable(full(state, ["hold", "authorize", "confirm", "capture"]))
    assert refused.value.details == {"order_id": "o1", "state": state.name}


def test_cancelling_twice_changes_nothing() -> None:
    """An order that was cancelled, or is being, needs no second cancellation and refuses none."""
    assert domain.require_cancellable(full(OrderState.CANCELLED, ["authorize"])) is False
    assert domain.require_cancellable(replace(full(OrderState.AUTHORIZING, []), verdict=OrderState.CANCELLED)) is False


@pytest.mark.parametrize("state", [state for state in FINAL if state is not OrderState.CANCELLED])
def test_decided_order_cannot_be_cancelled(state: OrderState) -> None:
    """What has ended otherwise, or is about to, is not cancelled any more."""
    for order in (full(state, ["authorize"]), replace(full(OrderState.AUTHORIZING, []), verdict=state)):
        with pytest.raises(InvalidTransitionError):
            domain.require_cancellable(order)


def test_order_refused_early_keeps_seven_fields() -> None:
    """Of an order that ended before any money was asked for nothing is kept but who, what, when and why."""
    order = full(OrderState.FAILED, ["hold"], "SEAT_UNAVAILABLE")
    assert domain.was_refused_early(order)
    assert domain.trimmed(order) == Order(
        order_id="o1",
        owner="ada",
        fingerprint="print",
        event_id="gala",
        created_at=NOW,
        state=OrderState.FAILED,
        verdict=OrderState.FAILED,
        reason="SEAT_UNAVAILABLE",
    )
    # What is left still says that no money was asked for: `forget` looks at it 30 days later.
    assert domain.was_refused_early(domain.trimmed(order))


@pytest.mark.parametrize("state", FINAL)
def test_ended_order_keeps_all_but_address_and_token(state: OrderState) -> None:
    """The lasting record of an order that asked for money has no mail address and no payment token in it."""
    order = full(state, ["hold", "authorize"], "PAYMENT_DECLINED")
    assert not domain.was_refused_early(order)
    assert domain.trimmed(order) == replace(order, email="", payment_method="")


@pytest.mark.parametrize("state", RUNNING)
def test_running_order_is_never_forgotten(state: OrderState) -> None:
    """An order that has not ended is not one that was refused early."""
    assert not domain.was_refused_early(full(state, []))


def test_confirmed_order_is_answered_as_itself() -> None:
    """A confirmed order is no refusal."""
    assert domain.ending(full(OrderState.CONFIRMED, ["authorize"])) is None


@pytest.mark.parametrize(
    ("state", "reason", "error"),
    [
        (OrderState.DECLINED, "PAYMENT_DECLINED", PaymentDeclinedError),
        (OrderState.EXPIRED, "HOLD_EXPIRED", HoldExpiredError),
        (OrderState.EXPIRED, "PAYMENT_UNAVAILABLE", PaymentUnavailableError),
        (OrderState.CANCELLED, "ORDER_CANCELLED", OrderCancelledError),
        (OrderState.FAILED, "SEAT_UNAVAILABLE", SeatUnavailableError),
    ],
)
def test_order_that_failed_is_answered_with_its_reason(state: OrderState, reason: str, error: type[NexusError]) -> None:
    """Each ending has its own error, which names the order and reads as a sentence of its own."""
    refusal = domain.ending(full(state, ["authorize"], reason))
    assert type(refusal) is error
    assert refusal.details == {"order_id": "o1"}
    assert refusal.message == domain.TEXTS[reason]


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.reason)
def test_any_reason_can_be_answered(kind: type[NexusError]) -> None:
    """Whatever refused a hold, the order that it failed can be answered for ever."""
    assert type(domain.ending(full(OrderState.FAILED, [], kind.reason))) is kind
