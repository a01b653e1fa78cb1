"""Buyer: one place ends a hold, once, and the limit holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.errors import (
    BuyerLimitError,
    HoldExpiredError,
    HoldInPaymentError,
    InvalidTransitionError,
    NexusError,
)
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import HoldState, OrderState
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold, HoldList, OrderEntry, OrderList, TimerVerdict

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
STATE_VALUE_BYTES = 64_000
MAX_SEATS_PER_BUYER = 300  # the greatest limit that the proto lets an organizer set
ENDED = (HoldState.SOLD, HoldState.RELEASED, HoldState.EXPIRED)
FAILED = (OrderState.DECLINED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def held(hold_id: str = "h1", seats: int = 2, hold_seconds: int = 900, now: datetime = NOW, made_by: str = "") -> Hold:
    prices = [HeldSeat(f"A-1-{number}", "std", "A", Money("EUR", 4500)) for number in range(seats)]
    made = domain.new_hold(
        hold_id=hold_id,
        event_id="gala",
        seats=prices,
        total=Money("EUR", 4500 * seats),
        hold_seconds=hold_seconds,
        event=("Gala", "Town Hall", NOW + timedelta(days=30)),
        now=now,
    )
    return replace(made, made_by=made_by)


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


def listing(*holds: Hold) -> HoldList:
    entries = HoldList()
    for hold in holds:
        entries, _ = domain.listed(entries, hold)
    return entries


def order(order_id: str = "o1", state: OrderState = OrderState.CONFIRMED, seats: int = 2) -> OrderEntry:
    return OrderEntry(order_id, state, seats, NOW)


@pytest.mark.parametrize(
    ("holds", "orders", "now", "counted"),
    [
        ([], [], NOW, 0),
        ([OPEN], [], NOW, 2),
        ([OPEN], [], OPEN.expires_at - TICK, 2),
        ([OPEN], [], OPEN.expires_at, 0),
        ([PAYING], [], OPEN.hard_deadline, 2),
        ([RELEASED], [], NOW, 0),
        ([EXPIRED], [], NOW, 0),
        ([SOLD], [order()], NOW, 2),
        ([], [order(state=OrderState.DECLINED), order("o2", OrderState.EXPIRED)], NOW, 0),
        ([OPEN, replace(PAYING, hold_id="h2")], [order(seats=3)], NOW, 7),
    ],
)
def test_limit_counts_live_holds_and_sold_seats(
    holds: list[Hold], orders: list[OrderEntry], now: datetime, counted: int
) -> None:
    """What a buyer has is what is held, being paid or sold; lapsed and ended holds and failed orders do not count."""
    lists = listing(*holds), OrderList(orders)
    domain.require_within_limit(*lists, wanted=8 - counted, limit=8, now=now)
    with pytest.raises(BuyerLimitError) as refused:
        domain.require_within_limit(*lists, wanted=9 - counted, limit=8, now=now)
    details = {name: int(text) for name, text in refused.value.details.items()}
    assert details["held"] + details["sold"] == counted
    assert (details["limit"], details["wanted"]) == (8, 9 - counted)


def test_list_shows_a_hold_as_it_is_now() -> None:
    """A hold has one line, which changes with it."""
    extended = domain.extend(OPEN, now=NOW + seconds(60))
    entries = listing(OPEN, held("h2"), extended).entries
    assert [entry.hold_id for entry in entries] == ["h1", "h2"]
    assert entries[0] == domain.HoldEntry("h1", HoldState.OPEN, 2, extended.expires_at)


def test_last_20_ended_holds_are_kept_and_every_live_one() -> None:
    """Live holds never fall off the list; of the ended ones exactly the oldest do, and are named to be forgotten."""
    live = [held(f"live-{number}") for number in range(30)]
    holds = listing(*live)
    dropped: list[str] = []
    for number in range(25):
        holds, gone = domain.listed(holds, replace(held(f"h{number}"), state=HoldState.RELEASED))
        dropped += gone
    assert dropped == [f"h{number}" for number in range(5)]
    ids = {entry.hold_id for entry in holds.entries}
    assert ids == {hold.hold_id for hold in live} | {f"h{number}" for number in range(5, 25)}


def test_hold_that_has_just_ended_is_not_forgotten() -> None:
    """An old hold that ends after twenty younger ones is one of the last twenty: it can still be read."""
    holds = listing(OPEN, *(replace(held(f"h-{number}"), state=HoldState.RELEASED) for number in range(20)))
    holds, dropped = domain.listed(holds, domain.release(OPEN))
    assert dropped == ["h-0"]
    assert "h1" in {entry.hold_id for entry in holds.entries}


def test_hold_that_never_came_to_be_leaves_no_line() -> None:
    """A refused hold is struck from the list, and only that one."""
    assert domain.unlisted(listing(OPEN, held("h2")), "h1") == listing(held("h2"))


def test_confirmed_orders_stay_and_the_last_50_others() -> None:
    """No confirmed order is ever forgotten, so the limit holds for ever; of the others the oldest go."""
    orders = OrderList()
    for number in range(60):
        orders = domain.recorded(orders, order(f"sold-{number}"))
        orders = domain.recorded(orders, order(f"lost-{number}", OrderState.DECLINED))
    ids = [entry.order_id for entry in orders.entries]
    assert [name for name in ids if name.startswith("sold")] == [f"sold-{number}" for number in reversed(range(60))]
    assert [name for name in ids if name.startswith("lost")] == [f"lost-{number}" for number in reversed(range(10, 60))]


def test_order_is_recorded_once() -> None:
    """Finishing an order again replaces its line, so that its seats never count twice."""
    orders = domain.recorded(domain.recorded(OrderList(), order()), order())
    assert orders.entries == [order()]


def test_lists_stay_below_64_kilobytes() -> None:
    """The fullest lists that the limits allow are state values of less than 64 kB."""
    holds = listing(*(held("h-" + f"{number:032x}", 1) for number in range(MAX_SEATS_PER_BUYER)))
    orders = OrderList()
    for number in range(domain.KEPT_ENDED_HOLDS + 5):
        holds, _ = domain.listed(holds, replace(held(f"g-{number:032d}"), state=HoldState.RELEASED))
    for number in range(MAX_SEATS_PER_BUYER):
        orders = domain.recorded(orders, order(f"o-{number:062d}", seats=1))
    for number in range(domain.KEPT_OTHER_ORDERS + 5):
        orders = domain.recorded(orders, order(f"x-{number:062d}", OrderState.CANCELLED))
    assert len(holds.entries) == MAX_SEATS_PER_BUYER + domain.KEPT_ENDED_HOLDS
    assert len(orders.entries) == MAX_SEATS_PER_BUYER + domain.KEPT_OTHER_ORDERS
    assert len(msgspec.json.encode(holds)) < STATE_VALUE_BYTES
    assert len(msgspec.json.encode(orders)) < STATE_VALUE_BYTES


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
