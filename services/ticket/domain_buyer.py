"""Buyer: the holds and orders of one buyer of one event, as pure functions.

This is the one place that ends a hold: OPEN -> PAYING(order_id) -> SOLD, RELEASED or EXPIRED;
OPEN -> RELEASED or EXPIRED. The rules of a seat are in `domain.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

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

MAX_EXTENSION_FACTOR = 3
"""A hold lives at most so many times hold_seconds."""

HARD_DEADLINE_GRACE = timedelta(seconds=180)
"""From the latest possible expires_at to the moment at which a Ticket lets anyone take the seat."""

SHORTEST_PAYMENT = timedelta(seconds=60)
LONGEST_PAYMENT = timedelta(seconds=300)

KEPT_ENDED_HOLDS = 20
KEPT_LAPSES = 10
"""Beside them, of holds that ran out unpaid: as many as lengthen a pause, which no releases may push off the list."""

KEPT_OTHER_ORDERS = 50


@dataclass(frozen=True, slots=True)
class Hold:
    """The stored record of a hold. `order_id`: the order that pays it; `made_by`: the one that made it."""

    hold_id: str
    event_id: str
    seats: list[HeldSeat]
    total: Money
    created_at: datetime
    expires_at: datetime
    hold_seconds: int
    event_title: str
    event_venue: str
    event_starts_at: datetime
    state: HoldState = HoldState.OPEN
    order_id: str = ""
    made_by: str = ""
    pay_until: datetime | None = None
    schema_version: int = 1

    @property
    def seat_ids(self) -> list[str]:
        """The seats, sorted."""
        return [seat.seat_id for seat in self.seats]

    @property
    def latest_expiry(self) -> datetime:
        """The latest expires_at that any extension can reach."""
        return self.created_at + timedelta(seconds=MAX_EXTENSION_FACTOR * self.hold_seconds)

    @property
    def hard_deadline(self) -> datetime:
        """From then on the Tickets give the seats to anyone."""
        return self.latest_expiry + HARD_DEADLINE_GRACE

    @property
    def is_live(self) -> bool:
        """Whether the hold has not ended."""
        return self.state in (HoldState.OPEN, HoldState.PAYING)


@dataclass(frozen=True, slots=True)
class HoldEntry:
    """A line of the buyer's list of holds. `had_order`: an order has begun to pay the hold."""

    hold_id: str
    state: HoldState
    seat_count: int
    expires_at: datetime
    had_order: bool = False

    @property
    def is_lapse(self) -> bool:
        """Whether the hold ran out, and nobody had tried to pay it."""
        return self.state is HoldState.EXPIRED and not self.had_order


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """A line of the buyer's list of orders."""

    order_id: str
    state: OrderState
    seat_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HoldList:
    """The buyer's holds, last changed first: the live ones and the last ended ones."""

    entries: list[HoldEntry] = field(default_factory=list)
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class OrderList:
    """The buyer's orders, newest first: the confirmed ones and the last others."""

    entries: list[OrderEntry] = field(default_factory=list)
    schema_version: int = 1


def new_hold(
    *,
    hold_id: str,
    event_id: str,
    seats: list[HeldSeat],
    total: Money,
    hold_seconds: int,
    event: tuple[str, str, datetime],
    now: datetime,
) -> Hold:
    """Make an OPEN hold; price and hold_seconds are frozen in it. `event`: title, venue, starts_at."""
    title, venue, starts_at = event
    return Hold(
        hold_id=hold_id,
        event_id=event_id,
        seats=seats,
        total=total,
        created_at=now,
        expires_at=now + timedelta(seconds=hold_seconds),
        hold_seconds=hold_seconds,
        event_title=title,
        event_venue=venue,
        event_starts_at=starts_at,
    )


def require_within_limit(holds: HoldList, orders: OrderList, *, wanted: int, limit: int, now: datetime) -> None:
    """Refuse what would give the buyer more seats than `limit`, counting live holds and sold seats.

    An OPEN hold past expires_at no longer counts, whether or not its timer has come.
    """
    held = sum(
        entry.seat_count
        for entry in holds.entries
        if entry.state is HoldState.PAYING or (entry.state is HoldState.OPEN and now < entry.expires_at)
    )
    sold = sum(entry.seat_count for entry in orders.entries if entry.state is OrderState.CONFIRMED)
    if held + sold + wanted > limit:
        raise BuyerLimitError(
            f"at most {limit} seats of this event per buyer",
            {"limit": str(limit), "held": str(held), "sold": str(sold), "wanted": str(wanted)},
        )


def listed(holds: HoldList, hold: Hold) -> tuple[HoldList, list[str]]:
    """List a hold as it is now; gives the list and the ids of ended holds that fall off it."""
    entry = HoldEntry(hold.hold_id, hold.state, len(hold.seats), hold.expires_at, bool(hold.order_id))
    # To the front: a hold that ends now must not fall off because of younger ones that ended before it.
    entries = [entry, *(old for old in holds.entries if old.hold_id != hold.hold_id)]
    kept: list[HoldEntry] = []
    dropped: list[HoldEntry] = []
    room = {False: KEPT_ENDED_HOLDS, True: KEPT_LAPSES}
    for line in entries:
        is_live = line.state in (HoldState.OPEN, HoldState.PAYING)
        is_kept = is_live or room[line.is_lapse] > 0
        room[line.is_lapse] -= not is_live
        (kept if is_kept else dropped).append(line)
    return HoldList(kept), [line.hold_id for line in dropped]


def unlisted(holds: HoldList, hold_id: str) -> HoldList:
    """Strike a hold that never came to be."""
    return HoldList([entry for entry in holds.entries if entry.hold_id != hold_id])


def recorded(orders: OrderList, entry: OrderEntry) -> OrderList:
    """Record an order that has ended; the oldest of the unconfirmed ones fall off."""
    entries = [entry, *(old for old in orders.entries if old.order_id != entry.order_id)]
    kept, others = [], 0
    for line in entries:
        others += line.state is not OrderState.CONFIRMED
        if line.state is OrderState.CONFIRMED or others <= KEPT_OTHER_ORDERS:
            kept.append(line)
    return OrderList(kept)


def shown(hold: Hold, now: datetime) -> Hold:
    """Give the hold as a reader sees it: OPEN past expires_at is EXPIRED."""
    if hold.state is HoldState.OPEN and now >= hold.expires_at:
        return replace(hold, state=HoldState.EXPIRED)
    return hold


def extend(hold: Hold, *, now: datetime) -> Hold:
    """Move expires_at to now + hold_seconds, never past created_at + 3 x hold_seconds."""
    _require_open(hold, now)
    wanted = now + timedelta(seconds=hold.hold_seconds)
    return replace(hold, expires_at=max(hold.expires_at, min(wanted, hold.latest_expiry)))


def release(hold: Hold) -> Hold:
    """End an OPEN hold at its buyer's wish; a released one stays as it is."""
    if hold.state is HoldState.RELEASED:
        return hold
    if hold.state is not HoldState.OPEN:
        raise _refusal(hold)
    return replace(hold, state=HoldState.RELEASED)


def begin_checkout(hold: Hold, *, order_id: str, now: datetime) -> Hold:
    """Move an OPEN hold to PAYING for an order; idempotent for that order, refused for another."""
    if hold.state is HoldState.PAYING and hold.order_id == order_id:
        return hold
    _require_open(hold, now)
    pay_until = max(now + SHORTEST_PAYMENT, min(hold.expires_at, now + LONGEST_PAYMENT))
    return replace(hold, state=HoldState.PAYING, order_id=order_id, pay_until=pay_until)


@dataclass(frozen=True, slots=True)
class TimerVerdict:
    """What a hold's timer does: `ended` is the hold it ends, `next_due_at` when it comes again."""

    ended: Hold | None = None
    next_due_at: datetime | None = None


def on_timer(hold: Hold | None, *, due_at: datetime) -> TimerVerdict:
    """Decide what the timer that was set for `due_at` finds; no clock is asked.

    A timer that finds no live hold, or whose hold has another plan, does nothing.
    """
    if hold is None or not hold.is_live:
        return TimerVerdict()
    if due_at >= hold.hard_deadline:
        return TimerVerdict(ended=replace(hold, state=HoldState.EXPIRED))
    if hold.state is HoldState.PAYING:
        return TimerVerdict(next_due_at=hold.hard_deadline)
    if hold.expires_at > due_at:
        return TimerVerdict(next_due_at=hold.expires_at)
    return TimerVerdict(ended=replace(hold, state=HoldState.EXPIRED))


@dataclass(frozen=True, slots=True)
class FinishVerdict:
    """What the end of an order does to its hold: the hold after it, and whether its seats are released."""

    hold: Hold | None
    must_release: bool


def finish_checkout(hold: Hold | None, *, order_id: str, outcome: OrderState) -> FinishVerdict:
    """End the hold that an order paid or made.

    A confirmed order makes its hold SOLD, even one that its timer has ended meanwhile. A hold that is
    another order's, or open and not made by this one, is left alone. Releases to seats of a hold that
    has ended or is not listed any more change nothing that is not its own.
    """
    if hold is not None and order_id != (hold.order_id or hold.made_by):
        return FinishVerdict(hold, must_release=False)
    if outcome is OrderState.CONFIRMED:
        return FinishVerdict(hold and replace(hold, state=HoldState.SOLD), must_release=False)
    if hold is None or not hold.is_live:
        return FinishVerdict(hold, must_release=True)
    ended = HoldState.EXPIRED if outcome is OrderState.EXPIRED else HoldState.RELEASED
    return FinishVerdict(replace(hold, state=ended), must_release=True)


def _require_open(hold: Hold, now: datetime) -> None:
    if hold.state is not HoldState.OPEN:
        raise _refusal(hold)
    if now >= hold.expires_at:
        raise HoldExpiredError("the hold has expired", {"hold_id": hold.hold_id})


def _refusal(hold: Hold) -> NexusError:
    details = {"hold_id": hold.hold_id, "state": hold.state.name}
    if hold.state is HoldState.PAYING:
        return HoldInPaymentError("the hold is being paid", details)
    if hold.state is HoldState.EXPIRED:
        return HoldExpiredError("the hold has expired", details)
    return InvalidTransitionError(f"the hold is {hold.state.name}", details)
