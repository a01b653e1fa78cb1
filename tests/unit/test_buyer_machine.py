"""Buyer: any sequence of requests, orders and timers ends each hold once and keeps the limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.errors import (
    BuyerLimitError,
    NexusError,
)
from services.common.states import HoldState, OrderState
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold, HoldList, OrderEntry, OrderList
from tests.unit.holds import NOW, held, seconds

FAILED = (OrderState.DECLINED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED)


LIMIT = 6
ANY = st.integers(0, 10**6)


class OneBuyer(RuleBasedStateMachine):
    """A buyer under any sequence of requests, orders and timers, the timers late, repeated or out of order.

    The machine keeps what the handlers keep (records, the two lists) and the timers that were sent.
    Guarantees: a hold ends at most once (but for EXPIRED, which its confirmed order makes SOLD), each live
    hold has a timer on its way, and no hold is granted beyond the limit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.holds: dict[str, Hold] = {}
        self.list = HoldList()
        self.orders = OrderList()
        self.timers: list[tuple[str, datetime]] = []
        self.delivered: list[tuple[str, datetime]] = []
        self.ends: Counter[str] = Counter()
        self.revived = 0
        self.made = 0

    def keep(self, after: Hold) -> None:
        """Store a hold as the handlers do, and check that it moved as rule 3 says."""
        before = self.holds.get(after.hold_id)
        if before is not None:
            moves = {
                HoldState.OPEN: {HoldState.OPEN, HoldState.PAYING, HoldState.RELEASED, HoldState.EXPIRED},
                HoldState.PAYING: {HoldState.PAYING, HoldState.SOLD, HoldState.RELEASED, HoldState.EXPIRED},
                HoldState.EXPIRED: {HoldState.SOLD},
            }
            assert after is before or after.state in moves[before.state]
            assert before.expires_at <= after.expires_at <= before.latest_expiry
            assert before.pay_until in (None, after.pay_until)
            assert before.order_id in ("", after.order_id)
            assert (before.hard_deadline, before.seats) == (after.hard_deadline, after.seats)
            if before.is_live and not after.is_live:
                self.ends[after.hold_id] += 1
            if before.state is HoldState.EXPIRED and after is not before:
                self.revived += len(after.seats)
        self.holds[after.hold_id] = after
        self.list, dropped = domain.listed(self.list, after)
        for hold_id in dropped:
            assert not self.holds.pop(hold_id).is_live

    def some(self, pick: int) -> Hold | None:
        """Pick one of the holds that are still known."""
        known = sorted(self.holds)
        return self.holds[known[pick % len(known)]] if known else None

    def had(self) -> int:
        """Count what the buyer has, from the records and not from the lists."""
        live = sum(
            len(hold.seats)
            for hold in self.holds.values()
            if hold.state is HoldState.PAYING or (hold.state is HoldState.OPEN and self.now < hold.expires_at)
        )
        return live + sum(entry.seat_count for entry in self.orders.entries if entry.state is OrderState.CONFIRMED)

    @rule(elapsed=st.sampled_from([0, 1, 29, 60, 100, 400]))
    def time_passes(self, elapsed: int) -> None:
        self.now += seconds(elapsed)

    @rule(seats=st.integers(1, 4), hold_seconds=st.sampled_from([1, 60, 100]), is_one_step=st.booleans())
    def hold(self, seats: int, hold_seconds: int, *, is_one_step: bool) -> None:
        is_allowed = self.had() + seats <= LIMIT
        try:
            domain.require_within_limit(self.list, self.orders, wanted=seats, limit=LIMIT, now=self.now)
        except BuyerLimitError:
            assert not is_allowed
            return
        assert is_allowed
        self.made += 1
        made_by = f"o-{self.made}" if is_one_step else ""
        made = held(f"h-{self.made}", seats, hold_seconds, self.now, made_by)
        self.keep(made)
        self.timers.append((made.hold_id, made.expires_at))

    def attempt(self, pick: int, change: Callable[[Hold], Hold]) -> None:
        hold = self.some(pick)
        if hold is None:
            return
        try:
            after = change(hold)
        except NexusError:
            return
        if after is not hold:
            self.keep(after)

    @rule(pick=ANY)
    def extend(self, pick: int) -> None:
        self.attempt(pick, lambda hold: domain.extend(hold, now=self.now))

    @rule(pick=ANY)
    def release(self, pick: int) -> None:
        self.attempt(pick, domain.release)

    @rule(pick=ANY, rival=st.booleans())
    def begin_checkout(self, pick: int, *, rival: bool) -> None:
        def begin(hold: Hold) -> Hold:
            order_id = hold.hold_id.replace("h", "rival" if rival else "o")
            after = domain.begin_checkout(hold, order_id=order_id, now=self.now)
            assert hold.order_id in ("", order_id)
            assert after.pay_until is not None
            return after

        self.attempt(pick, begin)

    @rule(pick=ANY, rival=st.booleans(), outcome=st.sampled_from([OrderState.CONFIRMED, *FAILED]))
    def finish_checkout(self, pick: int, outcome: OrderState, *, rival: bool) -> None:
        hold = self.some(pick)
        if hold is None:
            return
        order_id = hold.hold_id.replace("h", "rival" if rival else "o")
        if any(entry.order_id == order_id for entry in self.orders.entries):
            return  # an order ends once, with one outcome
        if outcome is OrderState.CONFIRMED and hold.order_id != order_id:
            return  # an order is confirmed only if it paid the hold
        verdict = domain.finish_checkout(hold, order_id=order_id, outcome=outcome)
        if hold.order_id not in ("", order_id) or (hold.state is HoldState.OPEN and hold.made_by != order_id):
            assert verdict == domain.FinishVerdict(hold, must_release=False)
        assert verdict.must_release or verdict.hold is hold or outcome is OrderState.CONFIRMED
        if verdict.hold is not None and verdict.hold is not hold:
            self.keep(verdict.hold)
        self.orders = domain.recorded(self.orders, OrderEntry(order_id, outcome, len(hold.seats), self.now))

    def deliver(self, hold_id: str, due_at: datetime) -> None:
        verdict = domain.on_timer(self.holds.get(hold_id), due_at=due_at)
        if verdict.ended is not None:
            hold = self.holds[hold_id]
            assert due_at == (hold.expires_at if hold.state is HoldState.OPEN else hold.hard_deadline)
            self.keep(verdict.ended)
        if verdict.next_due_at is not None:
            assert verdict.next_due_at > due_at
            self.timers.append((hold_id, verdict.next_due_at))
        self.delivered.append((hold_id, due_at))

    @precondition(lambda self: any(due_at <= self.now for _, due_at in self.timers))
    @rule(pick=ANY)
    def timer_comes(self, pick: int) -> None:
        due = [timer for timer in self.timers if timer[1] <= self.now]
        timer = due[pick % len(due)]
        self.timers.remove(timer)
        self.deliver(*timer)

    @precondition(lambda self: self.delivered)
    @rule(pick=ANY)
    def timer_comes_again(self, pick: int) -> None:
        self.deliver(*self.delivered[pick % len(self.delivered)])

    @invariant()
    def no_hold_ends_twice(self) -> None:
        assert all(count == 1 for count in self.ends.values())

    @invariant()
    def each_live_hold_has_a_timer_on_its_way(self) -> None:
        for hold in self.holds.values():
            due = [due_at for hold_id, due_at in self.timers if hold_id == hold.hold_id]
            assert not hold.is_live or (due and min(due) <= hold.hard_deadline)

    @invariant()
    def limit_is_not_exceeded(self) -> None:
        # A payment that turns out to have succeeded after its hard deadline keeps its seats (rule 3).
        assert self.had() <= LIMIT + self.revived

    @invariant()
    def list_agrees_with_the_records(self) -> None:
        lines = {entry.hold_id: (entry.state, entry.expires_at) for entry in self.list.entries}
        assert lines == {hold.hold_id: (hold.state, hold.expires_at) for hold in self.holds.values()}

    def teardown(self) -> None:
        """Let all timers come: each chain ends within three links of where it is, and every hold with it."""
        for _ in range(3):
            due, self.timers = self.timers, []
            for timer in due:
                self.deliver(*timer)
        assert not self.timers
        assert not any(hold.is_live for hold in self.holds.values())
        self.no_hold_ends_twice()


TestOneBuyer = OneBuyer.TestCase
TestOneBuyer.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
