"""What clients did and were told, and what is there in the end: all that the checker is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf


class Told(StrEnum):
    """What a client knows of its call. UNKNOWN: no answer, or one that leaves the outcome open."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Operation:
    """One call of one client. Times are seconds on the client's monotonic clock, `expires_at` too.

    `kind`: hold, extend, release, buy, cancel, look. `state`: of the hold, order or seat that was answered.
    `conflicts`: seats that a refusal names, with their status. `reason`: of a refusal.
    """

    kind: str
    buyer: str
    start: float
    end: float
    told: Told
    seats: tuple[str, ...] = ()
    hold_id: str = ""
    order_id: str = ""
    request_id: str = ""
    state: str = ""
    reason: str = ""
    conflicts: Mapping[str, str] = field(default_factory=dict)
    expires_at: float = inf

    def __str__(self) -> str:
        """Give the operation on one line."""
        what = " ".join(filter(None, (",".join(self.seats), self.hold_id, self.order_id, self.state, self.reason)))
        return f"[{self.start:.3f}, {self.end:.3f}] {self.buyer} {self.kind} {what}: {self.told}"


@dataclass(frozen=True)
class SeatAtEnd:
    """A seat once everything is quiet: the Ticket's status and order, and what the map shows."""

    status: str
    order_id: str = ""
    shown: str = ""


@dataclass(frozen=True)
class OrderAtEnd:
    """An order once everything is quiet; `state` empty where nobody knows it."""

    state: str
    seats: tuple[str, ...] = ()
    amount_minor: int = 0
    hold_id: str = ""


@dataclass(frozen=True)
class Moved:
    """An entry of the provider's ledger that moved money, or decided not to."""

    payment_key: str
    effect: str
    amount_minor: int = 0


@dataclass(frozen=True)
class Letter:
    """A mail as the mail server took it, `at` in seconds (Unix time)."""

    address: str
    message_id: str
    at: float


@dataclass(frozen=True)
class AtEnd:
    """Everything once it is quiet, from `at` on. `holds`: state by id."""

    at: float
    seats: Mapping[str, SeatAtEnd]
    orders: Mapping[str, OrderAtEnd]
    holds: Mapping[str, str]
    ledger: tuple[Moved, ...]
    unfinished: tuple[str, ...] = ()
