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
    `answer_late`: these calls are done at once and answered `late_seconds` later.
    `reset`: the connection of these calls is reset, nothing done. `repeat`: these calls arrive twice, as when the
    network or a proxy repeats them; the second answer is given. `busy`: these calls are answered 429, nothing done,
    with a Retry-After of `retry_after_seconds`.
    `share`: only for this share of the calls that match. `times`: only for the next n calls that match, null without
    end. `payment_keys`: only for these payments; null for all. Reads (lookup, list) know only `latency_ms` and
    `away`, and are not counted.
    """

    latency_ms: Milliseconds = 0
    error_rate: Rate = 0.0
    lose_answer: tuple[Call, ...] = ()
    away: bool = False
    hold_calls: tuple[Call, ...] = ()
    answer_late: tuple[Call, ...] = ()
    late_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    reset: tuple[Call, ...] = ()
    repeat: tuple[Call, ...] = ()
    busy: tuple[Call, ...] = ()
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 1
    share: Rate = 1.0
    times: Annotated[int, msgspec.Meta(ge=0)] | None = None
    payment_keys: tuple[str, ...] | None = None


class Fault(StrEnum):
    """How a call goes wrong."""

    AWAY = "away"
    ERROR = "error"
    LOSE_ANSWER = "lose_answer"
    LATE = "late"
    ANSWER_LATE = "answer_late"
    RESET = "reset"
    REPEAT = "repeat"
    BUSY = "busy"


class Trouble(NamedTuple):
    """What happens to one call: first it waits, then the fault.

    `late_seconds`: for Fault.LATE and ANSWER_LATE. `retry_after_seconds`: for Fault.BUSY.
    """

    fault: Fault | None = None
    wait_seconds: float = 0.0
    late_seconds: float = 0.0
    retry_after_seconds: int = 0


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
        if now.share < 1 and self._random.random() >= now.share:
            return Trouble()
        if now.times is not None:
            self.switches = msgspec.structs.replace(now, times=now.times - 1)
        return Trouble(self._fault(now, call), now.latency_ms / 1000, now.late_seconds, now.retry_after_seconds)

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
        return next((fault for fault, calls in _by_call(now) if call in calls), None)


def _by_call(now: Switches) -> list[tuple[Fault, tuple[Call, ...]]]:
    """Give the faults that are switched on call by call; the first that names a call counts."""
    return [
        (Fault.LATE, now.hold_calls),
        (Fault.RESET, now.reset),
        (Fault.BUSY, now.busy),
        (Fault.LOSE_ANSWER, now.lose_answer),
        (Fault.ANSWER_LATE, now.answer_late),
        (Fault.REPEAT, now.repeat),
    ]


def _matches(now: Switches, call: Call) -> bool:
    return bool(now.away or now.error_rate or now.latency_ms) or any(call in calls for _, calls in _by_call(now))
