"""What an audit compares, and what it finds: plain facts, as they were read from state and provider. Pure.

The rules that compare them are in `domain_rules.py`, what makes a difference damage in `domain_settle.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.common.states import EventState, HoldState, OrderState, PaymentState, SeatStatus


class FindingKind(StrEnum):
    """Kinds of damage, under their names in the proto, where each is explained."""

    SEAT_IN_TWO_ORDERS = "FINDING_KIND_SEAT_IN_TWO_ORDERS"
    ORDER_WITHOUT_SEAT = "FINDING_KIND_ORDER_WITHOUT_SEAT"
    SEAT_WITHOUT_ORDER = "FINDING_KIND_SEAT_WITHOUT_ORDER"
    SEAT_WITHOUT_HOLD = "FINDING_KIND_SEAT_WITHOUT_HOLD"
    HOLD_WITHOUT_SEAT = "FINDING_KIND_HOLD_WITHOUT_SEAT"
    HOLD_NOT_ENDED = "FINDING_KIND_HOLD_NOT_ENDED"
    ORDER_ABANDONED = "FINDING_KIND_ORDER_ABANDONED"
    CAPTURE_WITHOUT_ORDER = "FINDING_KIND_CAPTURE_WITHOUT_ORDER"
    ORDER_WITHOUT_CAPTURE = "FINDING_KIND_ORDER_WITHOUT_CAPTURE"
    AMOUNT_DIFFERS = "FINDING_KIND_AMOUNT_DIFFERS"
    AUTHORIZATION_LEFT_OPEN = "FINDING_KIND_AUTHORIZATION_LEFT_OPEN"
    MAP_DIFFERS = "FINDING_KIND_MAP_DIFFERS"
    COUNT_DIFFERS = "FINDING_KIND_COUNT_DIFFERS"
    SEAT_NOT_IN_LAYOUT = "FINDING_KIND_SEAT_NOT_IN_LAYOUT"
    STATE_UNREADABLE = "FINDING_KIND_STATE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. Two looks that give equal findings have seen the very same difference."""

    kind: FindingKind
    text: str
    seat_ids: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()
    hold_id: str = ""
    section_id: str = ""

    @property
    def about(self) -> tuple[FindingKind, tuple[str, ...], tuple[str, ...], str, str]:
        """What it is about, however it looks at the moment."""
        return (self.kind, self.seat_ids, self.order_ids, self.hold_id, self.section_id)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the layout: the seats that it says it has, and those that it names, by their place."""

    section_id: str
    capacity: int
    seat_ids: list[str]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The event and its layout."""

    event_id: str
    state: EventState
    currency_code: str
    created_at: datetime | None
    sections: list[Section]


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """A seat, as its Ticket knows it."""

    status: SeatStatus = SeatStatus.AVAILABLE
    revision: int = 0
    hold_id: str = ""
    order_id: str = ""
    hard_deadline: datetime | None = None

    def ends_at(self) -> datetime | None:
        """When a HELD seat may be taken by anyone."""
        return self.hard_deadline if self.status is SeatStatus.HELD else None


UNTOUCHED = TicketFacts()
"""A seat that nobody ever touched has no state."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order's record. `is_worked_on`: an invocation of it has not ended."""

    order_id: str
    state: OrderState
    seat_ids: tuple[str, ...]
    hold_id: str
    currency_code: str
    amount_minor: int
    is_worked_on: bool = False


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """A hold's record."""

    hold_id: str
    state: HoldState
    seat_ids: tuple[str, ...]
    expires_at: datetime
    hard_deadline: datetime
    order_id: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in (HoldState.OPEN, HoldState.PAYING)


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What the provider has under an order's payment key."""

    state: PaymentState
    currency_code: str = ""
    amount_minor: int = 0

    @property
    def was_captured(self) -> bool:
        """Whether money was taken, whatever came after."""
        return self.state in (PaymentState.CAPTURED, PaymentState.REFUNDED)


@dataclass(frozen=True, slots=True)
class MapSeat:
    """A place of the seat map: the seat that it stands for, the status it shows, the Ticket's revision it knows."""

    seat_id: str
    letter: str
    revision: int


@dataclass(slots=True)
class Snapshot:
    """What was read in one look. `orphans`: payments under keys for which there is no order at all.

    `gaps`: why the provider's payments are not in it, where they are not.
    Its parts were read one after another while seats were being sold, so they may disagree and nothing be wrong.
    """

    event: EventFacts
    at: datetime
    tickets: dict[str, TicketFacts] = field(default_factory=dict)
    orders: dict[str, OrderFacts] = field(default_factory=dict)
    holds: dict[str, HoldFacts] = field(default_factory=dict)
    payments: dict[str, PaymentFacts] = field(default_factory=dict)
    orphans: dict[str, PaymentFacts] = field(default_factory=dict)
    maps: dict[str, dict[int, MapSeat]] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @property
    def has_money(self) -> bool:
        """Whether the provider was asked."""
        return not self.gaps


@dataclass(frozen=True, slots=True)
class SectionCount:
    """A section as its seats' tickets have it."""

    section_id: str
    capacity: int
    available: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class MoneySum:
    """Money of the event in minor units, by the provider's list; `confirmed` by the orders."""

    captured: int
    refunded: int
    confirmed: int
    in_progress: int


def counts(snapshot: Snapshot) -> list[SectionCount]:
    """Count the seats of each section; a hold past its hard deadline holds nothing."""
    counted = []
    for section in snapshot.event.sections:
        tally = dict.fromkeys(SeatStatus, 0)
        for seat_id in section.seat_ids:
            ticket = snapshot.tickets.get(seat_id, UNTOUCHED)
            ends_at = ticket.ends_at()
            is_free = ends_at is not None and snapshot.at >= ends_at
            tally[SeatStatus.AVAILABLE if is_free else ticket.status] += 1
        counted.append(
            SectionCount(
                section.section_id,
                section.capacity,
                tally[SeatStatus.AVAILABLE],
                tally[SeatStatus.HELD],
                tally[SeatStatus.SOLD],
                tally[SeatStatus.BLOCKED],
            )
        )
    return counted


def money(snapshot: Snapshot) -> MoneySum:
    """Add up the money of the event's orders, in the event's currency."""
    known = {
        order_id: payment
        for order_id, payment in snapshot.payments.items()
        if order_id in snapshot.orders and payment.currency_code == snapshot.event.currency_code
    }
    return MoneySum(
        captured=sum(payment.amount_minor for payment in known.values() if payment.was_captured),
        refunded=sum(payment.amount_minor for payment in known.values() if payment.state is PaymentState.REFUNDED),
        confirmed=sum(order.amount_minor for order in snapshot.orders.values() if order.state is OrderState.CONFIRMED),
        in_progress=sum(
            payment.amount_minor
            for order_id, payment in known.items()
            if payment.state is PaymentState.CAPTURED and not snapshot.orders[order_id].state.is_final
        ),
    )
