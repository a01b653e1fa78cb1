"""The fault switches of the payment simulator: what shall go wrong, for which payments, how often."""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Annotated, NamedTuple

import msgspec

from simulators.ledger import Call

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that PUT /switches replaces as a whole.

    `latency_ms`: wait before a call is looked at. `error_rate`: share of changes answered 503, nothing done.
    `lose_answer`: these calls are done, then the connection is reset. `away`: 503 to everything, nothing done.
    `hold_calls`: these calls are answered 504 at once and done `late_seconds` later.
    `times`: only for the next n calls that match, null without end. `payment_keys`: only for these payments;
    null for all. Reads (lookup, list) know only `latency_ms` and `away`, and are not counted.
    """

    latency_ms: Milliseconds = 0
    error_rate: Rate = 0.0
    lose_answer: tuple[Call, ...] = ()
    away: bool = False
    hold_calls: tuple[Call, ...] = ()
    late_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    times: Annotated[int, msgspec.Meta(ge=0)] | None = None
    payment_keys: tuple[str, ...] | None = None


class Fault(StrEnum):
    """How a call goes wrong."""

    AWAY = "away"
    ERROR = "error"
    LOSE_ANSWER = "lose_answer"
    LATE = "late"


class Trouble(NamedTuple):
    """What happens to one call: first it waits, then the fault. `late_seconds`: for Fault.LATE."""

    fault: Fault | None = None
    wait_seconds: float = 0.0
    late_seconds: float = 0.0


class Panel:
    """The switches as they are now, and how many calls they still act on."""

    def __init__(self, seed: int) -> None:
        # Not for secrets: a seeded source makes a failing run repeatable.
        self._random = Random(seed)  # noqa: S311
        self.switches = Switches()

    def set(self, switches: Switches) -> None:
        """Replace all switches."""
        self.switches = switches

    def trouble(self, call: Call, payment_key: str) -> Trouble:
        """Decide what happens to a change, and count `times` down if the switches match it."""
        now = self.switches
        if not self._concerns(payment_key) or not _matches(now, call):
            return Trouble()
        if now.times is not None:
            self.switches = msgspec.structs.replace(now, times=now.times - 1)
        return Trouble(self._fault(now, call), now.latency_ms / 1000, now.late_seconds)

    def trouble_of_read(self, payment_key: str | None) -> Trouble:
        """Decide what happens to a lookup, or to a list (None); counts nothing."""
        now = self.switches
        if now.payment_keys is not None if payment_key is None else not self._concerns(payment_key):
            return Trouble()
        return Trouble(Fault.AWAY if now.away else None, now.latency_ms / 1000)

    def _concerns(self, payment_key: str) -> bool:
        now = self.switches
        return now.times != 0 and (now.payment_keys is None or payment_key in now.payment_keys)

    def _fault(self, now: Switches, call: Call) -> Fault | None:
        if now.away:
            return Fault.AWAY
        if self._random.random() < now.error_rate:
            return Fault.ERROR
        if call in now.hold_calls:
            return Fault.LATE
        return Fault.LOSE_ANSWER if call in now.lose_answer else None


def _matches(now: Switches, call: Call) -> bool:
    return bool(now.away or now.error_rate or now.latency_ms or call in now.hold_calls or call in now.lose_answer)
