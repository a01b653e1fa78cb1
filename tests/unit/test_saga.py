"""Checkout's saga by example: what each result of each step leads to (rules 5 to 8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from services.checkout import domain, saga
from services.checkout.domain import EventInfo, Order
from services.checkout.saga import Held, Outcome, Result, Step
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import OrderState, PaymentState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PAY_UNTIL = NOW + timedelta(seconds=300)
PRICE = Money("EUR", 9000)
SEATS = [HeldSeat(seat_id, "std", "A", Money("EUR", 4500)) for seat_id in ("A-1-1", "A-1-2")]
HELD = Held(SEATS, PRICE, PAY_UNTIL, EventInfo("Gala", "Town Hall", NOW))
GOOD = [Step.AUTHORIZE, Step.CONFIRM, Step.CAPTURE, Step.FINISH, Step.MAIL, Step.CLOSE]
UNAVAILABLE = (OrderState.EXPIRED, "PAYMENT_UNAVAILABLE")
DECLINED = (OrderState.DECLINED, "PAYMENT_DECLINED")


def done(at: datetime = NOW, *, is_cancelled: bool = False) -> Outcome:
    return Outcome(Result.DONE, at, is_cancelled=is_cancelled)


def ended(
    result: Result, at: datetime = NOW, *, is_cancelled: bool = False, retry_after: float | None = None
) -> Outcome:
    return Outcome(result, at, is_cancelled=is_cancelled, retry_after_seconds=retry_after)


def begun(hold_id: str = "", seat_ids: tuple[str, ...] = ("A-1-1", "A-1-2")) -> Order:
    return domain.new_order(
        order_id="o1",
        owner="ada",
        fingerprint="print",
        event_id="gala",
        hold_id=hold_id,
        made_hold_id="h-made",
        seat_ids=[] if hold_id else list(seat_ids),
        payment_method="card_success",
        email="sealed",
        at=NOW,
    )


def taken(order: Order, *outcomes: Outcome) -> Order:
    """Take as many steps as there are outcomes."""
    for outcome in outcomes:
        step = saga.next_step(order)
        assert step is not None
        order = saga.record(saga.about_to(order, step), step, outcome)
    return order


def to_the_end(order: Order) -> tuple[Order, list[Step]]:
    """Let every step that is left succeed."""
    steps: list[Step] = []
    while (step := saga.next_step(order)) is not None:
        assert len(steps) < 20
        steps.append(step)
        outcome = Outcome(Result.DONE, NOW, held=HELD if step in (Step.HOLD, Step.BEGIN) else None)
        order = saga.record(saga.about_to(order, step), step, outcome)
    return order, steps


PAID = taken(begun(), Outcome(Result.DONE, NOW, held=HELD))
AUTHORIZED = taken(PAID, done())
CONFIRMED = taken(AUTHORIZED, done())
LOST = taken(CONFIRMED, ended(Result.UNKNOWN))
"""An order whose first capture attempt has an unknown outcome."""


@pytest.mark.parametrize(("order", "first"), [(begun(), Step.HOLD), (begun(hold_id="h1"), Step.BEGIN)])
def test_sale_that_goes_well_takes_these_steps(order: Order, first: Step) -> None:
    """Hold or begin, authorize, confirm, capture, finish, mail: each once, in this order, and in the history."""
    order, steps = to_the_end(order)
    assert steps == [first, *GOOD]
    assert (order.state, order.reason, order.payment) == (OrderState.CONFIRMED, "", PaymentState.CAPTURED)
    names = [entry.step for entry in order.history]
    assert names == ["accepted", saga.PAST_TENSE[first], "authorized", "confirmed", "captured", "finished", "mailed"]
    assert order.attempts == 2


def test_hold_tells_the_order_what_it_pays() -> None:
    """Seats, total, pay_until and the event's name come from the hold, and the order is AUTHORIZING from then on."""
    for order in (begun(), begun(hold_id="h1")):
        paid = taken(order, Outcome(Result.DONE, NOW, held=HELD))
        assert (paid.state, paid.seats, paid.total) == (OrderState.AUTHORIZING, SEATS, PRICE)
        assert (paid.seat_ids, paid.pay_until, paid.event) == (["A-1-1", "A-1-2"], PAY_UNTIL, HELD.event)


@pytest.mark.parametrize(
    ("reason", "state"),
    [("HOLD_EXPIRED", OrderState.EXPIRED), ("SEAT_UNAVAILABLE", OrderState.FAILED), ("BUYER_LIMIT", OrderState.FAILED)],
)
@pytest.mark.parametrize("order", [begun(), begun(hold_id="h1")], ids=["one step", "hold"])
def test_refused_hold_ends_the_order_at_once(order: Order, reason: str, state: OrderState) -> None:
    """A refusal holds nothing, so nothing is undone; the order is one that was refused before authorization."""
    refused = taken(order, Outcome(Result.REFUSED, NOW, reason=reason))
    order, steps = to_the_end(refused)
    assert steps == [Step.CLOSE]
    assert (order.state, order.reason) == (state, reason)
    assert domain.was_refused_early(order)


@pytest.mark.parametrize("order", [begun(), begun(hold_id="h1")], ids=["one step", "hold"])
def test_hold_in_doubt_is_finished(order: Order) -> None:
    """A hold that gave no answer may be there: it is ended through the buyer."""
    _, steps = to_the_end(taken(order, Outcome(Result.UNKNOWN, NOW, reason="UNAVAILABLE")))
    assert steps == [Step.FINISH, Step.CLOSE]


def test_declined_card_is_final() -> None:
    """A decline frees the seats and voids nothing, because nothing was authorized."""
    order, steps = to_the_end(taken(PAID, ended(Result.DECLINED)))
    assert steps == [Step.FINISH, Step.CLOSE]
    assert (order.state, order.reason, order.payment) == (*DECLINED, PaymentState.DECLINED)


def test_outage_is_retried_after_1_2_4_8_15_15_seconds() -> None:
    """An authorization without an answer is tried again with these pauses, under the same order, until it succeeds."""
    order, pauses = PAID, []
    for _ in range(7):
        order = taken(order, ended(Result.UNKNOWN))
        assert saga.next_step(order) is Step.WAIT
        assert order.payment is PaymentState.UNKNOWN
        pauses.append(order.wait_seconds)
        order = taken(order, done())
        assert saga.next_step(order) is Step.AUTHORIZE
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    order, steps = to_the_end(order)
    assert (order.state, order.attempts) == (OrderState.CONFIRMED, 9)
    assert steps == GOOD


def test_backoff_begins_anew_for_the_capture() -> None:
    """Failures of the authorization do not lengthen the pauses of the capture."""
    order = taken(PAID, ended(Result.UNKNOWN), done(), ended(Result.UNKNOWN), done(), done(), done())
    assert saga.next_step(order) is Step.CAPTURE
    assert taken(order, ended(Result.UNKNOWN)).wait_seconds == 1


@pytest.mark.parametrize("paid", [PAID, CONFIRMED], ids=["authorize", "capture"])
def test_retry_after_lengthens_a_pause_and_never_shortens_it(paid: Order) -> None:
    """The provider may ask for a longer pause than ours."""
    assert taken(paid, ended(Result.UNKNOWN, retry_after=7.5)).wait_seconds == 7.5
    assert taken(paid, ended(Result.UNKNOWN, retry_after=0.1)).wait_seconds == 1


def test_no_authorization_starts_after_pay_until() -> None:
    """A pause that would end after pay_until is not begun: seats are freed, then the void is the fence."""
    last = PAY_UNTIL - timedelta(seconds=1)
    assert saga.next_step(taken(PAID, ended(Result.UNKNOWN, last))) is Step.WAIT
    order, steps = to_the_end(taken(PAID, ended(Result.UNKNOWN, last + timedelta(milliseconds=1))))
    assert steps == [Step.FINISH, Step.VOID, Step.CLOSE]
    assert (order.state, order.reason, order.payment) == (*UNAVAILABLE, PaymentState.VOIDED)


def test_authorization_that_is_too_late_is_no_attempt() -> None:
    """Where pay_until passed before the first attempt the hold has expired; after one the provider was unavailable."""
    late = taken(PAID, ended(Result.TOO_LATE))
    assert (late.verdict, late.reason, late.attempts) == (OrderState.EXPIRED, "HOLD_EXPIRED", 0)
    later = taken(PAID, ended(Result.UNKNOWN), done(), ended(Result.TOO_LATE))
    assert (later.verdict, later.reason, later.attempts) == (*UNAVAILABLE, 1)
    for order in (late, later):
        assert to_the_end(order)[1] == [Step.FINISH, Step.VOID, Step.CLOSE]


@pytest.mark.parametrize("result", [Result.REFUSED, Result.UNKNOWN])
def test_refused_confirm_undoes_all_and_seats_come_first(result: Result) -> None:
    """What was confirmed is revoked, the hold ended, then the authorization voided; the order ends HOLD_EXPIRED."""
    order, steps = to_the_end(taken(AUTHORIZED, ended(result)))
    assert steps == [Step.REVOKE, Step.FINISH, Step.VOID, Step.CLOSE]
    assert (order.state, order.reason, order.payment) == (OrderState.EXPIRED, "HOLD_EXPIRED", PaymentState.VOIDED)


def test_declined_capture_undoes_all() -> None:
    """A capture that is declined for good revokes the tickets, voids and ends DECLINED, also after failed attempts."""
    for order in (CONFIRMED, taken(LOST, done())):
        order_, steps = to_the_end(taken(order, ended(Result.DECLINED)))
        assert steps == [Step.REVOKE, Step.FINISH, Step.VOID, Step.CLOSE]
        assert (order_.state, order_.reason) == (OrderState.DECLINED, "PAYMENT_DECLINED")
        assert order_.payment is PaymentState.VOIDED


def test_capture_without_an_answer_is_decided_by_the_void() -> None:
    """When pay_until comes the seats stay SOLD and the payment UNKNOWN until the void has answered."""
    order = taken(CONFIRMED, ended(Result.UNKNOWN, PAY_UNTIL))
    assert (saga.next_step(order), order.verdict, order.payment) == (Step.VOID, None, PaymentState.UNKNOWN)
    voided, steps = to_the_end(order)
    assert steps == [Step.VOID, Step.REVOKE, Step.FINISH, Step.CLOSE]
    assert (voided.state, voided.reason, voided.payment) == (*UNAVAILABLE, PaymentState.VOIDED)
    captured, steps = to_the_end(taken(order, ended(Result.ALREADY_CAPTURED)))
    assert steps == [Step.FINISH, Step.MAIL, Step.CLOSE]
    assert (captured.state, captured.reason, captured.payment) == (OrderState.CONFIRMED, "", PaymentState.CAPTURED)
    assert [entry.step for entry in captured.history].count("captured") == 1


@pytest.mark.parametrize("order", [CONFIRMED, taken(LOST, done())], ids=["first", "later"])
def test_capture_attempt_that_is_too_late_is_decided_by_the_void(order: Order) -> None:
    """A capture may have been made whose answer died with its process: the void decides before seats are freed."""
    late = taken(order, ended(Result.TOO_LATE))
    assert (saga.next_step(late), late.verdict, late.payment) == (Step.VOID, None, PaymentState.UNKNOWN)
    assert late.attempts == order.attempts
    assert to_the_end(late)[1] == [Step.VOID, Step.REVOKE, Step.FINISH, Step.CLOSE]


def test_decline_after_a_lost_answer_is_voided() -> None:
    """A decline that is not the first answer leaves a doubt, so a void makes sure that nothing stays authorized."""
    order, steps = to_the_end(taken(PAID, ended(Result.UNKNOWN), done(), ended(Result.DECLINED)))
    assert steps == [Step.FINISH, Step.VOID, Step.CLOSE]
    assert (order.state, order.reason, order.payment) == (*DECLINED, PaymentState.VOIDED)


@pytest.mark.parametrize(("order", "steps"), [(PAID, [Step.FINISH]), (CONFIRMED, [Step.REVOKE, Step.FINISH])])
def test_payment_that_the_provider_calls_void_is_over(order: Order, steps: list[Step]) -> None:
    """A provider that refuses because a void was there first is not asked for another."""
    order, taken_ = to_the_end(taken(order, ended(Result.VOIDED)))
    assert taken_ == [*steps, Step.CLOSE]
    assert (order.state, order.reason, order.payment) == (*UNAVAILABLE, PaymentState.VOIDED)


def test_money_taken_for_seats_that_are_gone_goes_back() -> None:
    """A void that finds a capture after the seats were freed leads to a refund, and the order stays what it was."""
    declined = taken(CONFIRMED, ended(Result.DECLINED), done(), done(), ended(Result.ALREADY_CAPTURED))
    assert saga.next_step(declined) is Step.REFUND
    assert declined.payment is PaymentState.CAPTURED
    order, steps = to_the_end(declined)
    assert steps == [Step.REFUND, Step.CLOSE]
    assert (order.state, order.payment) == (OrderState.DECLINED, PaymentState.REFUNDED)


def test_refund_of_a_payment_that_is_void_by_now_ends() -> None:
    """A provider that says there is no money to give back is believed: the order does not ask for ever."""
    declined = taken(CONFIRMED, ended(Result.DECLINED), done(), done(), ended(Result.ALREADY_CAPTURED))
    order, steps = to_the_end(taken(declined, ended(Result.VOIDED)))
    assert steps == [Step.CLOSE]
    assert (order.state, order.payment) == (OrderState.DECLINED, PaymentState.VOIDED)


@pytest.mark.parametrize(
    ("order", "outcome", "steps"),
    [
        (PAID, done(is_cancelled=True), [Step.FINISH, Step.VOID]),
        (PAID, ended(Result.UNKNOWN, is_cancelled=True), [Step.FINISH, Step.VOID]),
        (taken(PAID, ended(Result.UNKNOWN)), done(is_cancelled=True), [Step.FINISH, Step.VOID]),
        (AUTHORIZED, done(is_cancelled=True), [Step.REVOKE, Step.FINISH, Step.VOID]),
    ],
)
def test_cancellation_before_the_first_capture_undoes_all(order: Order, outcome: Outcome, steps: list[Step]) -> None:
    """A cancelled order frees its seats and then voids, whether or not an authorization has answered."""
    order, taken_ = to_the_end(taken(order, outcome))
    assert taken_ == [*steps, Step.CLOSE]
    assert (order.state, order.reason) == (OrderState.CANCELLED, "ORDER_CANCELLED")
    assert order.payment is PaymentState.VOIDED


def test_decline_and_refusal_go_before_a_cancellation() -> None:
    """An order that fails while it is being cancelled says why it failed."""
    assert taken(PAID, ended(Result.DECLINED, is_cancelled=True)).verdict is OrderState.DECLINED
    assert taken(AUTHORIZED, ended(Result.REFUSED, is_cancelled=True)).reason == "HOLD_EXPIRED"


def test_cancellation_is_ignored_from_the_first_capture_attempt_on() -> None:
    """A cancellation during the capture or a pause after it does not stop the order."""
    for order in (taken(CONFIRMED, done(is_cancelled=True)), taken(LOST, done(is_cancelled=True))):
        assert to_the_end(order)[0].state is OrderState.CONFIRMED


def test_step_is_marked_before_it_is_tried() -> None:
    """What may have to be undone is in the record before the step; the undoing itself needs no mark."""
    forward = (begun(), Step.HOLD), (PAID, Step.AUTHORIZE), (AUTHORIZED, Step.CONFIRM), (CONFIRMED, Step.CAPTURE)
    for order, step in forward:
        marked = saga.about_to(order, step)
        assert marked.tried == [*order.tried, step]
        assert saga.about_to(marked, step) is marked
    for step in (Step.WAIT, Step.REVOKE, Step.FINISH, Step.VOID, Step.REFUND, Step.MAIL, Step.CLOSE):
        assert saga.about_to(CONFIRMED, step) is CONFIRMED


@pytest.mark.parametrize(
    ("stored", "steps"),
    [
        (saga.about_to(begun(), Step.HOLD), [Step.FINISH, Step.VOID]),
        (saga.about_to(begun(hold_id="h1"), Step.BEGIN), [Step.FINISH, Step.VOID]),
        (saga.about_to(PAID, Step.AUTHORIZE), [Step.FINISH, Step.VOID]),
        (taken(PAID, ended(Result.UNKNOWN)), [Step.FINISH, Step.VOID]),
        (saga.about_to(AUTHORIZED, Step.CONFIRM), [Step.REVOKE, Step.FINISH, Step.VOID]),
    ],
)
def test_order_that_was_cut_off_before_the_capture_is_undone(stored: Order, steps: list[Step]) -> None:
    """Called again, an order starts nothing: seats first, then money, then EXPIRED."""
    order, taken_ = to_the_end(saga.resume(stored))
    assert taken_ == [*steps, Step.CLOSE]
    assert (order.state, order.reason) == UNAVAILABLE


@pytest.mark.parametrize("stored", [saga.about_to(CONFIRMED, Step.CAPTURE), LOST], ids=["capture", "wait"])
def test_order_that_was_cut_off_in_the_capture_is_decided_by_the_void(stored: Order) -> None:
    """Called again after a capture may have been tried, void decides while the seats stay SOLD."""
    resumed = saga.resume(stored)
    assert resumed.payment is PaymentState.UNKNOWN
    assert to_the_end(resumed)[1] == [Step.VOID, Step.REVOKE, Step.FINISH, Step.CLOSE]
    confirmed, steps = to_the_end(taken(resumed, ended(Result.ALREADY_CAPTURED)))
    assert steps == [Step.FINISH, Step.MAIL, Step.CLOSE]
    assert confirmed.state is OrderState.CONFIRMED
    assert saga.resume(resumed) == resumed


def test_order_that_was_cut_off_after_its_verdict_goes_on() -> None:
    """Called again, an order that was decided finishes what was decided; a final one is left as it is."""
    confirmed = taken(CONFIRMED, done())
    assert to_the_end(saga.resume(confirmed))[1] == [Step.FINISH, Step.MAIL, Step.CLOSE]
    declined = taken(CONFIRMED, ended(Result.DECLINED), done())
    assert to_the_end(saga.resume(declined))[1] == [Step.FINISH, Step.VOID, Step.CLOSE]
    final, _ = to_the_end(begun())
    assert saga.resume(final) == final
    assert saga.next_step(final) is None


def test_record_says_where_the_money_is() -> None:
    """Before any answer no money has moved, then it is AUTHORIZED, in doubt UNKNOWN."""
    assert [each.payment for each in (begun(), PAID)] == [PaymentState.NONE] * 2
    assert [each.payment for each in (AUTHORIZED, CONFIRMED)] == [PaymentState.AUTHORIZED] * 2
    assert LOST.payment is PaymentState.UNKNOWN


def test_provider_reference_is_kept() -> None:
    """The provider's own name of the payment stays, also where a later answer has none."""
    order = taken(PAID, Outcome(Result.DONE, NOW, reference="pay_1"), done(), ended(Result.UNKNOWN))
    assert order.provider_reference == "pay_1"


def test_a_step_that_is_done_again_is_told_once() -> None:
    """The history has each step once, with the time at which it was first done."""
    again = saga.record(AUTHORIZED, Step.AUTHORIZE, done(NOW + timedelta(seconds=9)))
    assert [(entry.step, entry.at) for entry in again.history if entry.step == "authorized"] == [("authorized", NOW)]


RESULTS = {
    Step.HOLD: [Result.DONE, Result.REFUSED, Result.UNKNOWN],
    Step.BEGIN: [Result.DONE, Result.REFUSED, Result.UNKNOWN],
    Step.AUTHORIZE: list(Result),
    Step.CONFIRM: [Result.DONE, Result.REFUSED, Result.UNKNOWN],
    Step.CAPTURE: list(Result),
    Step.VOID: [Result.DONE, Result.ALREADY_CAPTURED],
    Step.REFUND: [Result.DONE, Result.VOIDED],
}
"""What a step may come to; the others are repeated until they are DONE."""


@given(data=st.data(), is_one_step=st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_results_lead_to_an_end(data: st.DataObject, *, is_one_step: bool) -> None:
    """Whatever each step comes to, however senseless, the saga ends in time, undoes what it tried, in order."""
    order, at = begun(hold_id="" if is_one_step else "h1"), NOW
    steps: list[Step] = []
    captured: list[bool] = []
    while (step := saga.next_step(order)) is not None:
        order = saga.about_to(order, step)
        if data.draw(st.integers(0, 9), "cut off") == 9 and steps.count(step) < 3:
            steps.append(Step.CLOSE)
            order = saga.resume(order)
            continue
        possible = RESULTS.get(step, [Result.DONE])
        result = data.draw(st.sampled_from([possible[0]] * 2 * (len(possible) - 1) + possible), step)
        at += timedelta(seconds=data.draw(st.integers(0, 20)) + (order.wait_seconds or 0) * (step is Step.WAIT))
        held = HELD if step in (Step.HOLD, Step.BEGIN) and result is Result.DONE else None
        order = saga.record(
            order, step, Outcome(result, at, held, reason="BUYER_LIMIT" if step in (Step.HOLD, Step.BEGIN) else "",
                                 is_cancelled=data.draw(st.integers(0, 5), "cancelled") == 5),
        )  # fmt: skip
        if (step, result) in ((Step.CAPTURE, Result.DONE), (Step.VOID, Result.ALREADY_CAPTURED)):
            captured.append(True)
        elif (step, result) in ((Step.REFUND, Result.DONE), (Step.REFUND, Result.VOIDED)):
            captured.clear()
        steps.append(step)
        assert len(steps) < 150
    event("ends " + order.state.name + " " + order.payment.name)
    assert order.state.is_final
    assert order.state is order.verdict
    assert (order.state is OrderState.CONFIRMED) == bool(captured)
    assert len({entry.step for entry in order.history}) == len(order.history)
    assert len(set(order.done)) == len(order.done)
    if order.state is OrderState.CONFIRMED:
        assert Step.REVOKE not in steps
        assert steps[-1] is Step.CLOSE
        assert Step.MAIL in steps
    else:
        assert Step.MAIL not in steps
        assert (Step.CONFIRM in order.tried) <= (Step.REVOKE in steps)
        assert (Step.AUTHORIZE in order.tried) <= (Step.FINISH in steps)
        assert order.payment in (
            PaymentState.NONE, PaymentState.DECLINED, PaymentState.VOIDED, PaymentState.REFUNDED
        )  # fmt: skip
        if Step.AUTHORIZE not in order.tried:
            assert order.payment is PaymentState.NONE
