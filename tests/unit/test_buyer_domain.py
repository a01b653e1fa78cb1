"""Buyer: one place ends a hold; what each request, order and timer does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.common.errors import (
    HoldExpiredError,
    HoldInPaymentError,
    InvalidTransitionError,
    NexusError,
)
from services.common.states import HoldState, OrderState
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold, TimerVerdict
from tests.unit.holds import NOW, held, seconds

TICK = timedelta(microseconds=1)
ENDED = (HoldState.SOLD, HoldState.RELEASED, HoldState.EXPIRED)
FAILED = (OrderState.DECLINED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED)


OPEN = held()
PAYING = domain.begin_checkout(OPEN, order_id="o1", now=NOW)
RELEASED = replace(OPEN, state=HoldState.RELEASED)
EXPIRED = replace(OPEN, state=HoldState.EXPIRED)
SOLD = replace(OPEN, state=HoldState.SOLD)


def test_new_hold_is_open_for_hold_seconds() -> None:
    """A hold begins OPEN, nobody's order, and expires hold_seconds after it was made."""
    assert (OPEN.state, OPEN.order_id, OPEN.pay_until) == (HoldState.OPEN, "", None)
    assert (OPEN.created_at, OPEN.expires_at) == (NOW, NOW + seconds(900))
    assert OPEN.seat_ids == ["A-1-0", "A-1-1"]
    assert (OPEN.event_title, OPEN.event_venue, OPEN.event_starts_at) == ("Gala", "Town Hall", NOW + timedelta(days=30))


def test_hard_deadline_is_180_seconds_after_the_latest_extension() -> None:
    """The Tickets give a seat away 3 x hold_seconds + 180 s after the hold was made, and not earlier."""
    assert OPEN.latest_expiry == NOW + seconds(2700)
    assert OPEN.hard_deadline == NOW + seconds(2880)


def test_extend_gives_hold_seconds_from_now() -> None:
    """An extended hold expires hold_seconds from now; nothing else of it changes, its hard deadline neither."""
    extended = domain.extend(OPEN, now=NOW + seconds(600))
    assert extended == replace(OPEN, expires_at=NOW + seconds(1500))
    assert extended.hard_deadline == OPEN.hard_deadline


def test_extend_has_an_absolute_end() -> None:
    """However often a hold is extended, it never lives longer than three times hold_seconds."""
    extended = OPEN
    for second in range(800, 2700, 800):
        extended = domain.extend(extended, now=NOW + seconds(second))
    assert extended.expires_at == NOW + seconds(2700)
    with pytest.raises(HoldExpiredError):
        domain.extend(extended, now=NOW + seconds(2700))


def test_extend_never_takes_time_away() -> None:
    """A clock that is behind does not shorten a hold."""
    assert domain.extend(OPEN, now=NOW - seconds(5)).expires_at == OPEN.expires_at


def begun(hold: Hold, now: datetime) -> Hold:
    return domain.begin_checkout(hold, order_id="o1", now=now)


@pytest.mark.parametrize("change", [domain.extend, begun])
def test_open_hold_past_expires_at_counts_as_expired(change: Callable[..., Hold]) -> None:
    """From expires_at on a hold can be neither extended nor paid, though its timer has not come yet."""
    change(OPEN, now=OPEN.expires_at - TICK)
    with pytest.raises(HoldExpiredError):
        change(OPEN, now=OPEN.expires_at)


@pytest.mark.parametrize(
    ("hold", "error"),
    [
        (PAYING, HoldInPaymentError),
        (SOLD, InvalidTransitionError),
        (RELEASED, InvalidTransitionError),
        (EXPIRED, HoldExpiredError),
    ],
)
def test_only_an_open_hold_is_extended_or_paid(hold: Hold, error: type[NexusError]) -> None:
    """A hold that is being paid or has ended refuses another order and more time, each with its own reason."""
    for change in (
        lambda: domain.extend(hold, now=NOW),
        lambda: domain.begin_checkout(hold, order_id="o2", now=NOW),
    ):
        with pytest.raises(error) as refused:
            change()
        assert type(refused.value) is error
        assert refused.value.details == {"hold_id": "h1", "state": hold.state.name}


@pytest.mark.parametrize("state", ENDED)
def test_hold_that_has_ended_is_not_paid_by_its_own_order_either(state: HoldState) -> None:
    """An order that begins again after its hold has ended is refused like any other."""
    with pytest.raises((HoldExpiredError, InvalidTransitionError)):
        domain.begin_checkout(replace(PAYING, state=state), order_id="o1", now=NOW)


def test_release_ends_an_open_hold_once() -> None:
    """The buyer ends an OPEN hold; doing it again changes nothing."""
    released = domain.release(OPEN)
    assert released == RELEASED
    assert domain.release(released) is released


@pytest.mark.parametrize(
    ("hold", "error"), [(PAYING, HoldInPaymentError), (SOLD, InvalidTransitionError), (EXPIRED, HoldExpiredError)]
)
def test_release_acts_on_open_only(hold: Hold, error: type[NexusError]) -> None:
    """A hold that is being paid, was sold or has expired is not released by its buyer."""
    with pytest.raises(error) as refused:
        domain.release(hold)
    assert type(refused.value) is error


def test_begin_checkout_is_idempotent_for_its_order() -> None:
    """The same order may begin again, also long after, and gets the same pay_until."""
    assert domain.begin_checkout(PAYING, order_id="o1", now=NOW + timedelta(days=1)) is PAYING
    assert (PAYING.state, PAYING.order_id) == (HoldState.PAYING, "o1")


@pytest.mark.parametrize(
    ("hold_seconds", "elapsed", "expected"),
    [(900, 0, 300), (900, 599, 899), (900, 700, 900), (900, 850, 910), (900, 899, 959), (30, 0, 60), (61, 0, 61)],
)
def test_pay_until_is_between_60_and_300_seconds_from_now(hold_seconds: int, elapsed: int, expected: int) -> None:
    """A payment has until the hold expires, but at least 60 s and at most 300 s."""
    paying = domain.begin_checkout(held(hold_seconds=hold_seconds), order_id="o1", now=NOW + seconds(elapsed))
    assert paying.pay_until == NOW + seconds(expected)


@given(hold_seconds=st.integers(1, 86_400), share=st.floats(0, 1, exclude_max=True), extensions=st.integers(0, 4))
def test_payment_always_ends_well_before_the_hard_deadline(hold_seconds: int, share: float, extensions: int) -> None:
    """Whenever a payment begins, two minutes are left between pay_until and the loss of the seats."""
    hold = held(hold_seconds=hold_seconds)
    for _ in range(extensions):
        now = hold.expires_at - seconds(hold_seconds / 10)
        hold = domain.extend(hold, now=now)
    now = NOW + share * (hold.expires_at - NOW)
    assume(now < hold.expires_at)
    paying = domain.begin_checkout(hold, order_id="o1", now=now)
    assert paying.pay_until is not None
    assert paying.pay_until - now >= seconds(60)
    assert paying.pay_until + seconds(120) <= paying.hard_deadline


def test_reader_sees_an_open_hold_expire_to_the_instant() -> None:
    """A hold past expires_at reads as EXPIRED before its timer has come; a hold being paid reads as PAYING."""
    assert domain.shown(OPEN, OPEN.expires_at - TICK) is OPEN
    assert domain.shown(OPEN, OPEN.expires_at).state is HoldState.EXPIRED
    assert domain.shown(PAYING, PAYING.hard_deadline) is PAYING


def test_timer_of_an_open_hold_ends_it() -> None:
    """The timer that was set for the hold's expires_at ends it EXPIRED."""
    assert domain.on_timer(OPEN, due_at=OPEN.expires_at) == TimerVerdict(ended=EXPIRED)


def test_timer_of_an_extended_hold_comes_again() -> None:
    """A timer that finds a later expires_at sends itself again for that, and ends the hold then."""
    extended = domain.extend(OPEN, now=NOW + seconds(600))
    assert domain.on_timer(extended, due_at=OPEN.expires_at) == TimerVerdict(next_due_at=extended.expires_at)
    assert domain.on_timer(extended, due_at=extended.expires_at).ended == replace(extended, state=HoldState.EXPIRED)


def test_timer_of_a_hold_being_paid_comes_once_more_for_the_hard_deadline() -> None:
    """A hold being paid is left alone until its hard deadline, and then ends EXPIRED whatever its payment does."""
    assert domain.on_timer(PAYING, due_at=PAYING.expires_at) == TimerVerdict(next_due_at=PAYING.hard_deadline)
    assert domain.on_timer(PAYING, due_at=PAYING.hard_deadline - TICK).ended is None
    assert domain.on_timer(PAYING, due_at=PAYING.hard_deadline).ended == replace(PAYING, state=HoldState.EXPIRED)


def test_open_hold_at_its_hard_deadline_ends() -> None:
    """The timer set for the hard deadline ends the hold, OPEN or PAYING."""
    assert domain.on_timer(OPEN, due_at=OPEN.hard_deadline).ended == EXPIRED


@pytest.mark.parametrize("hold", [None, SOLD, RELEASED, EXPIRED])
def test_timer_of_a_hold_that_has_ended_does_nothing(hold: Hold | None) -> None:
    """A timer ends nothing twice and does not come again for what has ended or is forgotten."""
    for due_at in (OPEN.expires_at, OPEN.hard_deadline):
        assert domain.on_timer(hold, due_at=due_at) == TimerVerdict()


def test_confirmed_order_makes_its_hold_sold() -> None:
    """A paid hold is SOLD, also where its timer has ended it meanwhile, and nothing is released."""
    for hold in (PAYING, replace(PAYING, state=HoldState.EXPIRED)):
        verdict = domain.finish_checkout(hold, order_id="o1", outcome=OrderState.CONFIRMED)
        assert verdict == domain.FinishVerdict(replace(PAYING, state=HoldState.SOLD), must_release=False)


def test_confirmed_order_of_a_forgotten_hold_releases_nothing() -> None:
    """A confirmed order whose hold is no longer listed keeps its seats."""
    assert domain.finish_checkout(None, order_id="o1", outcome=OrderState.CONFIRMED) == domain.FinishVerdict(
        None, must_release=False
    )


@pytest.mark.parametrize("outcome", FAILED)
def test_failed_order_ends_its_hold_and_frees_the_seats(outcome: OrderState) -> None:
    """An order that fails ends the hold it paid: EXPIRED if it came too late, else RELEASED."""
    verdict = domain.finish_checkout(PAYING, order_id="o1", outcome=outcome)
    state = HoldState.EXPIRED if outcome is OrderState.EXPIRED else HoldState.RELEASED
    assert verdict == domain.FinishVerdict(replace(PAYING, state=state), must_release=True)


@pytest.mark.parametrize("outcome", FAILED)
def test_failed_order_frees_the_seats_of_a_hold_that_is_gone(outcome: OrderState) -> None:
    """Where the hold has ended or is forgotten the releases are sent all the same; its record stays as it is."""
    for hold in (None, replace(PAYING, state=HoldState.EXPIRED)):
        verdict = domain.finish_checkout(hold, order_id="o1", outcome=outcome)
        assert verdict.hold is hold
        assert verdict.must_release


@pytest.mark.parametrize("outcome", FAILED)
def test_failed_order_ends_the_open_hold_that_it_made(outcome: OrderState) -> None:
    """A one-step sale that was cut off before its payment began leaves no hold behind."""
    made = held(made_by="o1")
    verdict = domain.finish_checkout(made, order_id="o1", outcome=outcome)
    assert verdict.must_release
    assert verdict.hold is not None
    assert verdict.hold.state in ENDED


@pytest.mark.parametrize("outcome", [*FAILED, OrderState.CONFIRMED])
@pytest.mark.parametrize("hold", [OPEN, PAYING, EXPIRED, held(made_by="o1"), replace(PAYING, made_by="o2")])
def test_order_leaves_other_holds_alone(hold: Hold, outcome: OrderState) -> None:
    """An order never ends a hold that it neither pays nor made, nor one that another order pays by now."""
    verdict = domain.finish_checkout(hold, order_id="o2", outcome=outcome)
    assert verdict.hold is hold
    assert not verdict.must_release
