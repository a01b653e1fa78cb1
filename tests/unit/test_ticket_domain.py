"""Ticket: a seat has at most one live hold or owner, whatever arrives in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.errors import HoldExpiredError, NexusError, SeatUnavailableError
from services.common.states import SeatStatus
from services.ticket import domain
from services.ticket.domain import Ticket

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DEADLINE = NOW + timedelta(minutes=48)
TICK = timedelta(microseconds=1)
FRESH = Ticket()


def reserved(ticket: Ticket = FRESH, hold_id: str = "h1", now: datetime = NOW, deadline: datetime = DEADLINE) -> Ticket:
    return domain.reserve(
        ticket,
        seat_id="A-1-1",
        hold_id=hold_id,
        buyer="ada",
        section_id="A",
        position=7,
        hard_deadline=deadline,
        now=now,
    )


def blocked(ticket: Ticket = FRESH, block_id: str = "b1", now: datetime = NOW) -> Ticket:
    return domain.block(ticket, seat_id="A-1-1", block_id=block_id, section_id="A", position=7, now=now)


HELD = reserved()
SOLD = domain.confirm(HELD, hold_id="h1", order_id="o1", now=NOW)
BLOCKED = blocked()
EACH = {"fresh": FRESH, "held": HELD, "sold": SOLD, "blocked": BLOCKED}


def test_untouched_seat_is_available() -> None:
    """A Ticket without state is AVAILABLE at revision 0."""
    assert (domain.status_at(FRESH, NOW), FRESH.revision) == (SeatStatus.AVAILABLE, 0)


def test_reserve_writes_down_who_holds_the_seat() -> None:
    """A reserved seat knows its hold, its buyer, its place on the map and its hard deadline, and nothing else."""
    assert (
        Ticket(
            status=SeatStatus.HELD,
            revision=1,
            section_id="A",
            position=7,
            hold_id="h1",
            buyer="ada",
            hard_deadline=DEADLINE,
        )
        == HELD
    )


def test_reserve_is_idempotent_per_hold() -> None:
    """The same hold may ask again, also late, and nothing changes."""
    assert reserved(HELD) is HELD
    assert reserved(HELD, now=DEADLINE) is HELD


@pytest.mark.parametrize(("ticket", "status"), [(HELD, "HELD"), (SOLD, "SOLD"), (BLOCKED, "BLOCKED")])
def test_taken_seat_is_refused_with_its_status(ticket: Ticket, status: str) -> None:
    """Whoever wants a seat that is not AVAILABLE learns which seat and what it is."""
    for claim in (lambda: reserved(ticket, "h2"), lambda: blocked(ticket, "b2")):
        with pytest.raises(SeatUnavailableError) as refused:
            claim()
        assert refused.value.conflicts == {"A-1-1": status}


def test_sold_seat_is_not_reserved_again_by_its_own_hold() -> None:
    """A reserve that arrives after the sale does not turn SOLD back into HELD, not even for the same hold."""
    with pytest.raises(SeatUnavailableError):
        reserved(SOLD)


def test_confirm_sells_to_the_order_of_the_hold() -> None:
    """Confirm makes the held seat the order's; no deadline is left on it."""
    assert replace(HELD, status=SeatStatus.SOLD, revision=2, order_id="o1", hard_deadline=None) == SOLD


def test_confirm_is_idempotent_for_its_order() -> None:
    """The same order may confirm again, at any time."""
    assert domain.confirm(SOLD, hold_id="h1", order_id="o1", now=DEADLINE + timedelta(days=1)) is SOLD


@pytest.mark.parametrize(
    ("ticket", "hold_id", "order_id"),
    [
        (FRESH, "h1", "o1"),
        (FRESH, "", "o1"),
        (HELD, "h2", "o1"),
        (SOLD, "h2", "o2"),
        (SOLD, "h1", "o2"),
        (SOLD, "h2", "o1"),
        (BLOCKED, "h1", "o1"),
        (BLOCKED, "", "o1"),
    ],
)
def test_confirm_refuses_any_other_hold_or_order(ticket: Ticket, hold_id: str, order_id: str) -> None:
    """A seat that is not held by exactly this hold is never sold to its order."""
    with pytest.raises(HoldExpiredError):
        domain.confirm(ticket, hold_id=hold_id, order_id=order_id, now=NOW)


def test_hard_deadline_ends_a_hold_to_the_instant() -> None:
    """Up to the hard deadline the hold counts; from it on the seat is AVAILABLE and confirm is refused."""
    assert domain.status_at(HELD, DEADLINE - TICK) is SeatStatus.HELD
    assert domain.status_at(HELD, DEADLINE) is SeatStatus.AVAILABLE
    domain.confirm(HELD, hold_id="h1", order_id="o1", now=DEADLINE - TICK)
    with pytest.raises(HoldExpiredError):
        domain.confirm(HELD, hold_id="h1", order_id="o1", now=DEADLINE)


def test_anyone_may_take_a_seat_after_the_hard_deadline() -> None:
    """After the hard deadline another hold or a block takes the seat at once, not an instant before."""
    for take in (lambda now: reserved(HELD, "h2", now, now + timedelta(1)), lambda now: blocked(HELD, "b1", now)):
        with pytest.raises(SeatUnavailableError):
            take(DEADLINE - TICK)
        taken = take(DEADLINE)
        assert taken.hold_id != "h1"
        assert taken.revision == HELD.revision + 1


def test_sold_seat_has_no_deadline() -> None:
    """A sale does not lapse, however much time passes."""
    assert domain.status_at(SOLD, DEADLINE + timedelta(days=9999)) is SeatStatus.SOLD


def test_release_frees_the_seat_of_its_hold() -> None:
    """A released seat remembers nothing of the hold but its place and its count of changes."""
    assert domain.release(HELD, hold_id="h1") == Ticket(revision=2, section_id="A", position=7)


@pytest.mark.parametrize("ticket", EACH.values(), ids=EACH.keys())
def test_stale_release_changes_nothing(ticket: Ticket) -> None:
    """Another hold's release leaves the seat alone, whatever it is."""
    assert domain.release(ticket, hold_id="h2") is ticket


def test_release_acts_on_held_only() -> None:
    """The release of the very hold that was sold does not take the seat from its order."""
    assert domain.release(SOLD, hold_id="h1") is SOLD
    assert domain.release(FRESH, hold_id="") is FRESH
    assert domain.release(BLOCKED, hold_id="") is BLOCKED


def test_stale_release_is_told_from_a_repeated_one() -> None:
    """Only a release that meets another hold's seat is worth a log line; one that comes twice is not."""
    assert domain.is_stale_release(HELD, hold_id="h2")
    assert domain.is_stale_release(SOLD, hold_id="h2")
    assert not domain.is_stale_release(HELD, hold_id="h1")
    assert not domain.is_stale_release(SOLD, hold_id="h1")
    assert not domain.is_stale_release(FRESH, hold_id="h1")
    assert not domain.is_stale_release(BLOCKED, hold_id="h1")


def test_revoke_takes_back_its_own_sale_only() -> None:
    """An order takes back what was sold to it; another order's seat, or a held one, stays."""
    assert domain.revoke(SOLD, order_id="o1") == Ticket(revision=3, section_id="A", position=7)
    assert domain.revoke(SOLD, order_id="o2") is SOLD
    for ticket in (FRESH, HELD, BLOCKED):
        assert domain.revoke(ticket, order_id="o1") is ticket
        assert domain.revoke(ticket, order_id="") is ticket


def test_block_takes_the_seat_out_of_the_sale() -> None:
    """A blocked seat knows which request blocked it, and repeating that request changes nothing."""
    assert Ticket(SeatStatus.BLOCKED, revision=1, section_id="A", position=7, block_id="b1") == BLOCKED
    assert blocked(BLOCKED) is BLOCKED


def test_unblock_of_a_failed_request_undoes_that_request_only() -> None:
    """With its block_id a request undoes what it blocked itself; without one the organizer unblocks any."""
    assert domain.unblock(BLOCKED, block_id="b2") is BLOCKED
    for block_id in ("b1", ""):
        assert domain.unblock(BLOCKED, block_id=block_id) == Ticket(revision=2, section_id="A", position=7)
    for ticket in (FRESH, HELD, SOLD):
        assert domain.unblock(ticket, block_id="") is ticket


def test_order_is_shown_to_buyer_organizer_and_admin_only() -> None:
    """Nobody else learns which order has a seat, and no caller at all is nobody."""

    def may_see(subject: str, *, is_admin: bool = False) -> bool:
        return domain.may_see_order(SOLD, subject=subject, is_admin=is_admin, owner="org")

    assert may_see("ada")
    assert may_see("org")
    assert may_see("root", is_admin=True)
    assert not may_see("eve")
    assert not may_see("", is_admin=True)
    assert not domain.may_see_order(FRESH, subject="", is_admin=False, owner="")


HOLDS = st.sampled_from(["h1", "h2", "h3"])
ORDERS = st.sampled_from(["o1", "o2", "o3"])
BLOCKS = st.sampled_from(["b1", "b2"])


class OneSeat(RuleBasedStateMachine):
    """One seat under any sequence of calls by any holds, orders and organizers.

    The model is who has been promised the seat: a set of claims, each ended only by its own end, its
    deadline, or (a sale) its own order's revoke. Guarantee: there is never more than one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ticket = Ticket()
        self.now = NOW
        self.claims: dict[tuple[str, ...], datetime | None] = {}

    def step(self, change: Callable[[], Ticket]) -> bool:
        """Make a change; gives whether it was accepted. Each change counts exactly once."""
        before = self.ticket
        try:
            self.ticket = change()
        except NexusError:
            return False
        assert self.ticket.revision == before.revision + (self.ticket is not before)
        return True

    @rule(seconds=st.sampled_from([0, 1, 30, 61]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.claims = {who: end for who, end in self.claims.items() if end is None or self.now < end}

    @rule(hold_id=HOLDS, seconds=st.sampled_from([1, 60]))
    def reserve(self, hold_id: str, seconds: int) -> None:
        deadline = self.now + timedelta(seconds=seconds)
        had = self.ticket.status is SeatStatus.HELD and self.ticket.hold_id == hold_id
        is_free = not self.claims
        accepted = self.step(lambda: reserved(self.ticket, hold_id, self.now, deadline))
        assert accepted == (is_free or had)
        if accepted and not had:
            self.claims[hold_id, ""] = deadline

    @rule(hold_id=HOLDS, order_id=ORDERS)
    def confirm(self, hold_id: str, order_id: str) -> None:
        is_due = (hold_id, "") in self.claims or (hold_id, order_id) in self.claims
        accepted = self.step(lambda: domain.confirm(self.ticket, hold_id=hold_id, order_id=order_id, now=self.now))
        assert accepted == is_due
        if accepted:
            self.claims.pop((hold_id, ""), None)
            self.claims[hold_id, order_id] = None

    @rule(hold_id=HOLDS)
    def release(self, hold_id: str) -> None:
        self.step(lambda: domain.release(self.ticket, hold_id=hold_id))
        self.claims.pop((hold_id, ""), None)

    @rule(order_id=ORDERS)
    def revoke(self, order_id: str) -> None:
        self.step(lambda: domain.revoke(self.ticket, order_id=order_id))
        self.claims = {who: end for who, end in self.claims.items() if who[1:] != (order_id,)}

    @rule(block_id=BLOCKS)
    def block(self, block_id: str) -> None:
        is_free = not self.claims
        accepted = self.step(lambda: blocked(self.ticket, block_id, self.now))
        assert accepted == (is_free or ("blocked by", "", block_id) in self.claims)
        if accepted:
            self.claims["blocked by", "", block_id] = None

    @rule(block_id=st.sampled_from(["", "b1", "b2"]))
    def unblock(self, block_id: str) -> None:
        self.step(lambda: domain.unblock(self.ticket, block_id=block_id))
        for who in [who for who in self.claims if len(who) == 3 and block_id in ("", who[2])]:
            del self.claims[who]

    @invariant()
    def the_seat_is_promised_at_most_once_and_shows_it(self) -> None:
        assert len(self.claims) <= 1
        status = domain.status_at(self.ticket, self.now)
        match next(iter(self.claims), None):
            case None:
                assert status is SeatStatus.AVAILABLE
            case ("blocked by", "", block_id):
                assert (status, self.ticket.block_id) == (SeatStatus.BLOCKED, block_id)
            case (hold_id, ""):
                assert (status, self.ticket.hold_id) == (SeatStatus.HELD, hold_id)
            case (hold_id, order_id):
                shown = (status, self.ticket.hold_id, self.ticket.order_id)
                assert shown == (SeatStatus.SOLD, hold_id, order_id)


TestOneSeat = OneSeat.TestCase
TestOneSeat.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
