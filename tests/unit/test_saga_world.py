"""Checkout's saga in a small world: real rules of Ticket and Buyer, a provider that loses answers, and crashes.

What `handlers.py` and `steps.py` do on Restate is done here by `World.perform`; a crash is a `resume` of the
last stored record, which is the one after `about_to`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from services.checkout import domain as orders
from services.checkout import saga
from services.checkout.domain import EventInfo, Order
from services.checkout.saga import Held, Outcome, Result, Step
from services.common.errors import HoldExpiredError, NexusError, SeatUnavailableError
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import HoldState, OrderState, PaymentState, SeatStatus
from services.ticket import domain as tickets
from services.ticket import domain_buyer as buyer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SEAT_IDS = ["A-1-1", "A-1-2"]
MOST_STEPS = 150
MOST_CRASHES = 4
ORDER, HOLD, RIVAL = "o1", "h1", "h-rival"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


EFFECTS = {
    "authorize": ("none", "authorized"),
    "capture": ("authorized", "captured"),
    "void": ("any", "voided"),
    "refund": ("captured", "refunded"),
}
DECLINES = {("authorize", "card_decline"), ("capture", "card_capture_decline")}
CARDS = ["card_success"] * 4 + [card for _, card in sorted(DECLINES)]


class Provider:
    """Remembers keys as the payment simulator does: void is a fence, a decided key gives its first answer again."""

    def __init__(self, card: str) -> None:
        self.card = card
        self.state = "none"
        self.decided: dict[str, Result] = {}
        self.late: list[str] = []
        self.effects: list[str] = []

    def call(self, name: str) -> Result:
        """Do a call whose answer arrives."""
        if name in self.decided:
            return self.decided[name]
        result = self.judge(name)
        if result in (Result.DONE, Result.DECLINED):
            self.decided[name] = result
        return result

    def judge(self, name: str) -> Result:
        if name == "void" and self.state in ("captured", "refunded"):
            return Result.ALREADY_CAPTURED
        if name != "void" and self.state == "voided":
            return Result.VOIDED
        needed, effect = EFFECTS[name]
        if needed not in (self.state, "any"):
            return Result.UNKNOWN
        if (name, self.card) in DECLINES:
            return Result.DECLINED
        self.state = effect
        self.effects.append(effect)
        return Result.DONE

    def attempt(self, name: str, fault: str) -> Result:
        """Do a call under a fault: `lost`: done, no answer; `away`: nothing done; `late`: done some time later."""
        match fault:
            case "lost":
                self.call(name)
                return Result.UNKNOWN
            case "away":
                return Result.UNKNOWN
            case "late":
                self.late.append(name)
                return Result.UNKNOWN
        return self.call(name)

    def deliver_late(self) -> None:
        for name in self.late:
            self.call(name)
        self.late = []


class World:
    """The seats, the buyer's hold with its timers, and the provider."""

    def __init__(self, data: st.DataObject, *, is_one_step: bool) -> None:
        self.data = data
        self.now = NOW
        self.tickets = dict.fromkeys(SEAT_IDS, tickets.Ticket())
        self.hold: buyer.Hold | None = None
        self.timers: list[datetime] = []
        self.provider = Provider(data.draw(st.sampled_from(CARDS), "card"))
        self.hold_seconds = data.draw(st.sampled_from([60, 60, 60, 900, 1]), "hold_seconds")
        # An outage that begins with the capture: only the void can tell what became of it.
        self.is_capture_answer_lost = data.draw(st.integers(0, 2), "capture answers lost") == 2
        self.hold_ends = 0
        self.mails = 0
        self.finished: list[OrderState] = []
        if not is_one_step:
            self.claim(made_by="")

    def claim(self, made_by: str) -> None:
        """Make the hold as Buyer does: record and timer first, then seat by seat, all or none."""
        seats = [HeldSeat(seat_id, "std", "A", Money("EUR", 4500)) for seat_id in SEAT_IDS]
        hold = replace(
            buyer.new_hold(
                hold_id=HOLD, event_id="gala", seats=seats, total=Money("EUR", 9000), hold_seconds=self.hold_seconds,
                event=("Gala", "Town Hall", NOW), now=self.now,
            ),
            made_by=made_by,
        )  # fmt: skip
        taken = dict(self.tickets)
        for seat_id in SEAT_IDS:
            taken[seat_id] = self.reserved(seat_id, HOLD, hold.hard_deadline)
        self.tickets, self.hold, self.timers = taken, hold, [hold.expires_at]

    def reserved(self, seat_id: str, hold_id: str, hard_deadline: datetime) -> tickets.Ticket:
        return tickets.reserve(
            self.tickets[seat_id], seat_id=seat_id, hold_id=hold_id, buyer="ada", section_id="A", position=0,
            hard_deadline=hard_deadline, now=self.now,
        )  # fmt: skip

    def release(self, hold_id: str) -> None:
        self.tickets = {seat: tickets.release(ticket, hold_id=hold_id) for seat, ticket in self.tickets.items()}

    def keep(self, hold: buyer.Hold | None) -> None:
        if self.hold is not None and hold is not None and self.hold.is_live and not hold.is_live:
            self.hold_ends += 1
        self.hold = hold

    def pass_time(self) -> None:
        """Let time pass, timers come, late calls arrive, and a rival take what is free."""
        self.now += seconds(self.data.draw(st.sampled_from([0] * 20 + [1, 12, 70, 400, 4000]), "elapsed"))
        for due_at in [due_at for due_at in self.timers if due_at <= self.now]:
            self.timers.remove(due_at)
            verdict = buyer.on_timer(self.hold, due_at=due_at)
            if verdict.ended is not None:
                self.release(HOLD)
                self.keep(verdict.ended)
            if verdict.next_due_at is not None:
                self.timers.append(verdict.next_due_at)
        if self.data.draw(st.integers(0, 7), "late calls arrive") == 7:
            self.provider.deliver_late()
        if self.data.draw(st.integers(0, 7), "rival") == 7:
            for seat_id in SEAT_IDS:
                if tickets.status_at(self.tickets[seat_id], self.now) is SeatStatus.AVAILABLE:
                    self.tickets[seat_id] = self.reserved(seat_id, RIVAL, self.now + seconds(10**6))

    def has_sold(self, seat_id: str) -> bool:
        ticket = self.tickets[seat_id]
        return ticket.status is SeatStatus.SOLD and ticket.order_id == ORDER

    def perform(self, order: Order, step: Step) -> Outcome:
        match step:
            case Step.HOLD | Step.BEGIN:
                return self.begin(order, step)
            case Step.AUTHORIZE | Step.CAPTURE:
                return self.ask(order, step)
            case Step.WAIT:
                self.now += seconds(order.wait_seconds or 0)
            case Step.CONFIRM:
                return self.confirm()
            case Step.REVOKE:
                self.tickets = {seat: tickets.revoke(ticket, order_id=ORDER) for seat, ticket in self.tickets.items()}
            case Step.FINISH:
                self.finish(order)
            case Step.VOID | Step.REFUND:
                for _ in range(self.data.draw(st.integers(0, 2), "lost answers")):
                    self.provider.attempt(str(step), self.data.draw(st.sampled_from(["away", "lost"]), "void fault"))
                return Outcome(self.provider.call(str(step)), self.now)
            case Step.MAIL:
                self.mails += 1
        return Outcome(Result.DONE, self.now, is_cancelled=self.cancels(is_heard=step is Step.WAIT))

    def finish(self, order: Order) -> None:
        assert order.verdict is not None
        verdict = buyer.finish_checkout(self.hold, order_id=ORDER, outcome=order.verdict)
        if verdict.must_release:
            self.release(HOLD)
        self.keep(verdict.hold)
        self.finished.append(order.verdict)

    def cancels(self, *, is_heard: bool) -> bool:
        return is_heard and self.data.draw(st.integers(0, 11), "cancelled") == 11

    def begin(self, order: Order, step: Step) -> Outcome:
        try:
            if step is Step.HOLD:
                self.claim(made_by=ORDER)
                if self.data.draw(st.integers(0, 9), "no answer") == 9:
                    return Outcome(Result.UNKNOWN, self.now, reason="UNAVAILABLE")
            assert self.hold is not None
            paying = buyer.begin_checkout(self.hold, order_id=ORDER, now=self.now)
        except (SeatUnavailableError, HoldExpiredError) as refusal:
            return Outcome(Result.REFUSED, self.now, reason=refusal.reason)
        self.keep(paying)
        assert paying.pay_until is not None
        held = Held(paying.seats, paying.total, paying.pay_until, EventInfo("Gala", "Town Hall", NOW))
        return Outcome(Result.DONE, self.now, held)

    def ask(self, order: Order, step: Step) -> Outcome:
        assert order.pay_until is not None
        is_cancelled = self.cancels(is_heard=step is Step.AUTHORIZE)
        if self.now > order.pay_until:
            return Outcome(Result.TOO_LATE, self.now, is_cancelled=is_cancelled)
        if step is Step.CAPTURE:
            assert all(map(self.has_sold, SEAT_IDS)), "a capture is tried for confirmed seats only"
        fine = [] if step is Step.CAPTURE and self.is_capture_answer_lost else ["none"] * 4
        fault = self.data.draw(st.sampled_from([*fine, "lost", "away", "late"]), "fault")
        result = self.provider.attempt(str(step), fault)
        self.now += seconds(self.data.draw(st.sampled_from([0, 0, 10]), "took"))
        return Outcome(result, self.now, is_cancelled=is_cancelled)

    def confirm(self) -> Outcome:
        """Confirm side by side: each seat on its own, the first refusal counts."""
        result = Result.DONE
        for seat_id in SEAT_IDS:
            try:
                self.tickets[seat_id] = tickets.confirm(
                    self.tickets[seat_id], hold_id=HOLD, order_id=ORDER, now=self.now
                )
            except NexusError:
                result = Result.REFUSED
        if self.data.draw(st.integers(0, 15), "no answer") == 15:
            result = Result.UNKNOWN
        return Outcome(result, self.now, is_cancelled=self.cancels(is_heard=True))


class Watch:
    """Checks each step before it is taken, against what was really done so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_resumed = False
        self.may_be_captured = False
        self.has_voided = False
        self.is_declined = False

    def before(self, order: Order, step: Step) -> None:
        provider, sold = self.world.provider, [seat for seat in SEAT_IDS if self.world.has_sold(seat)]
        if self.is_resumed:
            assert step not in (Step.HOLD, Step.BEGIN, Step.AUTHORIZE, Step.CONFIRM, Step.CAPTURE, Step.WAIT)
        if order.verdict is OrderState.CONFIRMED:
            assert provider.state == "captured"
            assert step in (Step.FINISH, Step.MAIL, Step.CLOSE)
        if step is Step.CAPTURE:
            assert not self.has_voided
            self.may_be_captured = True
        if step is Step.REVOKE and self.may_be_captured:
            assert self.has_voided or self.is_declined, "seats that may be paid stay SOLD until void has answered"
        if step is Step.VOID and not self.may_be_captured:
            assert not sold, "before the first capture attempt the seats are freed first"
        if step is Step.FINISH and order.verdict is not OrderState.CONFIRMED:
            assert not sold, "the hold ends after its seats were revoked"

    def after(self, step: Step, outcome: Outcome) -> None:
        self.has_voided |= step is Step.VOID or outcome.result is Result.VOIDED
        self.is_declined |= step is Step.CAPTURE and outcome.result is Result.DECLINED


@given(data=st.data(), is_one_step=st.booleans())
@settings(max_examples=400, deadline=None)
def test_order_ends_with_tickets_for_money_or_with_neither(data: st.DataObject, *, is_one_step: bool) -> None:
    """Whatever is lost, late, refused, cancelled or killed at any step: seats are sold exactly if money is kept."""
    world = World(data, is_one_step=is_one_step)
    watch = Watch(world)
    stored = order = orders.new_order(
        order_id=ORDER, owner="ada", fingerprint="print", event_id="gala", hold_id="" if is_one_step else HOLD,
        made_hold_id=HOLD, seat_ids=SEAT_IDS if is_one_step else [], payment_method="card", email="sealed", at=NOW,
    )  # fmt: skip
    steps: Counter[Step] = Counter()
    crashes = 0
    while (step := saga.next_step(order)) is not None:
        world.pass_time()
        stored = order = saga.about_to(order, step)
        watch.before(order, step)
        crash = data.draw(st.sampled_from(["no"] * 38 + ["before", "after"]), f"crash at {step}")
        is_killed = crash != "no" and crashes < MOST_CRASHES
        if not is_killed or crash == "after":
            outcome = world.perform(order, step)
        if is_killed:
            # Killed before the step, or after it with its result lost: only what was stored is known.
            crashes += 1
            order = saga.resume(stored)
            watch.is_resumed = True
            watch.has_voided |= step is Step.VOID and crash == "after"
        else:
            watch.after(step, outcome)
            order = saga.record(order, step, outcome)
        steps[step] += 1
        assert steps.total() < MOST_STEPS
    event(f"{order.state.name} {order.payment.name}{' after a crash' if watch.is_resumed else ''}")
    provider = world.provider
    is_confirmed = order.state is OrderState.CONFIRMED
    state_at_end = provider.state
    provider.deliver_late()
    assert provider.state == state_at_end, "nothing that comes late moves money"
    assert all(count == 1 for count in Counter(provider.effects).values()), "each effect once"
    assert (provider.state == "captured") == is_confirmed
    assert provider.state != "authorized"
    assert [world.has_sold(seat) for seat in SEAT_IDS] == [is_confirmed] * 2
    assert (world.mails > 0) == is_confirmed
    assert set(world.finished) <= {order.state}
    assert world.hold_ends <= 1
    check_hold(world, order)
    check_record(provider, order)


def check_hold(world: World, order: Order) -> None:
    """No seat stays with an order that failed, and no hold stays PAYING."""
    if order.state is OrderState.CONFIRMED:
        assert world.hold is not None
        assert world.hold.state is HoldState.SOLD
        return
    if order.tried:
        assert not any(ticket.hold_id == HOLD for ticket in world.tickets.values()) or (
            world.hold is not None and world.hold.state is HoldState.OPEN and not world.hold.made_by
        )
    assert world.hold is None or world.hold.order_id != ORDER or not world.hold.is_live
    assert world.hold is None or world.hold.made_by != ORDER or not world.hold.is_live


def check_record(provider: Provider, order: Order) -> None:
    """The record says what became of the money."""
    shown = {
        PaymentState.CAPTURED: "captured",
        PaymentState.VOIDED: "voided",
        PaymentState.REFUNDED: "refunded",
        PaymentState.DECLINED: "none",
        PaymentState.NONE: "none",
    }
    assert shown[order.payment] == provider.state
    assert len({entry.step for entry in order.history}) == len(order.history)
    assert (orders.ending(order) is None) == (order.state is OrderState.CONFIRMED)
