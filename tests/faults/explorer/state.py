"""What the explorer walks over: one immutable state of a small world, made of the domain's own records.

Records (Ticket, Hold, Order) are kept once on a shelf and named by a number, so that states are small, quick to
compare, and equal exactly where every field that a rule reads is equal. Left out of that comparison, because no
rule reads them: a ticket's revision, an order's history and provider reference, and what is the same in all
states (titles, prices, places on the map).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from services.checkout.domain import Order
from services.ticket.domain import Ticket
from services.ticket.domain_buyer import Hold

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SEATS = ("A-1", "A-2")


@cache
def clock(seconds: int) -> datetime:
    """Give the instant so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


@cache
def elapsed(at: datetime) -> int:
    """Give the whole seconds from the beginning to an instant, rounded up."""
    return -int((NOW - at).total_seconds() // 1)


class Message(NamedTuple):
    """What one object sends a Ticket. Those from one sender to one seat arrive in the order in which they were sent.

    `sender`: the number of a buyer, 10 + that of an order, or 20 for a duplicate that is late. `is_awaited`:
    whether somebody waits for the answer.
    """

    sender: int
    seat: int
    kind: str
    hold: int
    order: int
    at: int = 0
    deadline: int = 0
    is_awaited: bool = False


class Request(NamedTuple):
    """What an order's process asks of Buyer: hold, begin or finish; `order` is the record on the shelf."""

    kind: str
    order: int
    is_awaited: bool = True


class Claim(NamedTuple):
    """A hold that is being made: the place of the seat that was asked, and the order that waits, -1 for none."""

    place: int
    order: int
    is_awaited: bool


class Buyer(NamedTuple):
    """A buyer's object: the record of the hold, a claim under way, and what its client has done so far."""

    hold: int = 0
    claim: Claim | None = None
    has_asked: bool = False
    is_acknowledged: bool = False


class Process(NamedTuple):
    """An order: the record in memory, the one that is stored, and where `process` stands.

    Phases: new, ready, called, confirm (answers by seat), revoke (answers missing), answered (result, the record
    stored before), sleep (until), dead, ended.
    """

    order: int = 0
    stored: int = 0
    phase: tuple[Any, ...] = ("new",)
    is_cancelled: bool = False
    requests: tuple[Request, ...] = ()


class Money(NamedTuple):
    """An order's payment at the provider: what was done, (call, effect) each, and the calls that arrive late."""

    done: tuple[tuple[str, str], ...] = ()
    late: tuple[str, ...] = ()


class Left(NamedTuple):
    """How much may still go wrong, or be asked for, on this path.

    `delays`: how often time may pass although something could be done at once; while nothing can, it is free.
    """

    delays: int
    crashes: int
    faults: int
    duplicates: int
    cancels: int
    extends: int


NOTHING = Left(delays=0, crashes=0, faults=0, duplicates=0, cancels=0, extends=0)
"""A path on which nothing goes wrong."""


class State(NamedTuple):
    """Everything at one instant. `timers`: (due, buyer), sorted; `mail`: sorted by sender and seat."""

    now: int
    tickets: tuple[int, ...]
    buyers: tuple[Buyer, ...]
    processes: tuple[Process, ...]
    money: tuple[Money, ...]
    mail: tuple[Message, ...] = ()
    timers: tuple[tuple[int, int], ...] = ()
    left: Left = NOTHING


@dataclass(frozen=True)
class Plan:
    """Who wants what. `seats`: places in SEATS by buyer; `orders`: the buyer of each order; `is_one_step` by buyer."""

    name: str
    seats: tuple[tuple[int, ...], ...]
    is_one_step: tuple[bool, ...]
    orders: tuple[int, ...] = (0, 1)
    left: Left = NOTHING


class Shelf:
    """Records by number, equal ones once, and the results of pure functions of them."""

    def __init__(self) -> None:
        self._records: list[Any] = [None]
        self._numbers: dict[Hashable, int] = {}
        self._known: dict[Hashable, Any] = {}

    def __getitem__(self, number: int) -> Any:
        return self._records[number]

    def put(self, record: Ticket | Hold | Order | None) -> int:
        """Give the number of a record; 0 stands for none."""
        if record is None:
            return 0
        key = KEYS[type(record)](record)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._records)
            self._records.append(record)
        return number

    def once(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """Give what `work` gives for this key: pure functions of the domain are called once for each argument."""
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = work()
            return found


def _ticket_key(ticket: Ticket) -> Hashable:
    return ("T", ticket.status, ticket.hold_id, ticket.order_id, ticket.hard_deadline)


def _hold_key(hold: Hold) -> Hashable:
    moments = (hold.created_at, hold.expires_at, hold.pay_until)
    return ("H", hold.hold_id, hold.state, hold.order_id, hold.made_by, tuple(hold.seat_ids), moments)


def _order_key(order: Order) -> Hashable:
    decided = (order.state, order.verdict, order.reason, order.payment, order.is_refund_due)
    tries = (order.attempts, order.failed_in_a_row, order.wait_seconds, tuple(order.tried), frozenset(order.done))
    held = (order.total is None, order.pay_until, order.hold_id, tuple(order.seat_ids))
    return ("O", order.order_id, order.payment_method, decided, tries, held)


KEYS: dict[type, Callable[[Any], Hashable]] = {Ticket: _ticket_key, Hold: _hold_key, Order: _order_key}
