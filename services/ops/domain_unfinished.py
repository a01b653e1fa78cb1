"""What has not ended: whether that is fine, why not, and what to do about it. Pure.

The advice is never a kill: it would skip compensations, and end the timers that the invocation has set (FACTS.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

ORDERS: Final = "Checkout"
PROCESS: Final = "process"

LATE_TIMER: Final = timedelta(seconds=10)
SLOW: Final = timedelta(seconds=60)
"""Longer than that no handler but `process` takes where nothing is wrong."""

SLOW_ORDER: Final = timedelta(seconds=420)
"""The longest payment (300 s, DESIGN.md rule 3), and time to undo it."""

FAILING: Final = ("paused", "backing-off")
FAILING_ATTEMPTS: Final = 2
"""Restate counts the attempts since it last began: a second one means that the first has failed."""


class Severity(StrEnum):
    """How bad it is, under its name in the proto."""

    FINE = "SEVERITY_FINE"
    SLOW = "SEVERITY_SLOW"
    STUCK = "SEVERITY_STUCK"


ORDER_OF_SEVERITY: Final = (Severity.STUCK, Severity.SLOW, Severity.FINE)


@dataclass(frozen=True, slots=True)
class Running:
    """An invocation that has not ended, as Restate's table has it.

    `due_at`: of a timer when it is to run, else when it was made. `holder`: the invocation that has its object now,
    where that is another one.
    """

    invocation_id: str
    service: str
    key: str
    handler: str
    status: str
    due_at: datetime
    attempts: int = 0
    next_retry_at: datetime | None = None
    failure: str = ""
    failed_step: str = ""
    holder: str = ""

    @property
    def order_id(self) -> str:
        """The order that it works on, where it is one's."""
        return self.key if self.service == ORDERS else ""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order whose record is not final."""

    order_id: str
    state: str
    created_at: datetime
    has_process: bool
    seat_count: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What is told of something that has not ended."""

    severity: Severity
    invocation_id: str
    service: str
    key: str
    handler: str
    status: str
    due_at: datetime
    why: str
    advice: str = ""
    order_id: str = ""
    attempts: int = 0
    next_retry_at: datetime | None = None
    failed_step: str = ""
    blocked_by: str = ""


def judge_all(running: Iterable[Running], orders: Iterable[OpenOrder], at: datetime) -> list[Judged]:
    """Judge everything that has not ended; the worst first, then the oldest."""
    by_id = {one.invocation_id: one for one in running}
    judged = [judge(one, by_id, at) for one in by_id.values()]
    judged += [_abandoned(order) for order in orders if not order.has_process]
    return sorted(judged, key=lambda one: (ORDER_OF_SEVERITY.index(one.severity), one.due_at, one.invocation_id))


def judge(one: Running, others: Mapping[str, Running], at: datetime) -> Judged:
    """Judge an invocation. `others`: by id, to tell what it waits for."""
    severity, why, advice = _verdict(one, others, at)
    return Judged(
        severity=severity,
        invocation_id=one.invocation_id,
        service=one.service,
        key=one.key,
        handler=one.handler,
        status=one.status,
        due_at=one.due_at,
        why=why,
        advice=advice,
        order_id=one.order_id,
        attempts=one.attempts,
        next_retry_at=one.next_retry_at,
        failed_step=one.failed_step,
        blocked_by=one.holder,
    )


def _verdict(one: Running, others: Mapping[str, Running], at: datetime) -> tuple[Severity, str, str]:
    if one.status in FAILING or (one.attempts >= FAILING_ATTEMPTS and one.failure):
        return _failing(one)
    age = at - one.due_at
    if one.status == "scheduled":
        if age > LATE_TIMER:
            advice = "look at Restate: its timers stand still"
            return Severity.STUCK, f"a timer that should have run {_seconds(age)} ago", advice
        return Severity.FINE, "a timer", ""
    limit = SLOW_ORDER if (one.service, one.handler) == (ORDERS, PROCESS) else SLOW
    if age <= limit:
        return Severity.FINE, f"{one.status} for {_seconds(age)}", ""
    return _late(one, others, age)


def _failing(one: Running) -> tuple[Severity, str, str]:
    step = f" at {one.failed_step}" if one.failed_step else ""
    failure = one.failure or "no error is told"
    if one.status == "paused":
        why = f"paused after {one.attempts} attempts{step}: {failure}"
        return Severity.STUCK, why, f"mend the cause, then {_again(one)}"
    why = f"attempt {one.attempts} failed{step}: {failure}"
    return Severity.STUCK, why, f"mend the cause: it is tried again by itself; at once with {_again(one)}"


def _late(one: Running, others: Mapping[str, Running], age: timedelta) -> tuple[Severity, str, str]:
    if one.holder:
        held_by = others.get(one.holder)
        name = f"{held_by.service}/{held_by.handler} ({held_by.status})" if held_by else "an invocation"
        why = f"waits {_seconds(age)} for its turn behind {name} {one.holder}"
        return Severity.STUCK, why, f"look at {one.holder} first"
    if one.status == "suspended":
        return Severity.SLOW, f"waits {_seconds(age)} for a call, a timer or an answer", _look(one)
    return Severity.SLOW, f"{one.status} for {_seconds(age)}", _look(one)


def _abandoned(order: OpenOrder) -> Judged:
    state = order.state.removeprefix("ORDER_STATE_")
    return Judged(
        severity=Severity.STUCK,
        invocation_id="",
        service=ORDERS,
        key=order.order_id,
        handler=PROCESS,
        status="abandoned",
        due_at=order.created_at,
        why=f"the order is {state} with {order.seat_count} seats, and nothing works on it",
        advice=f"nexus retry {order.order_id}",
        order_id=order.order_id,
    )


def _again(one: Running) -> str:
    return f"nexus retry {one.key}" if one.handler == PROCESS and one.order_id else f"nexus retry {one.invocation_id}"


def _look(one: Running) -> str:
    if not one.order_id:
        return ""
    given_up = f'nexus call CancelOrder \'{{"order_id": "{one.order_id}"}}\''
    return f"nexus timeline {one.order_id}; to give it up: {given_up}"


def _seconds(age: timedelta) -> str:
    return f"{max(round(age.total_seconds()), 0)} s"


class Action(StrEnum):
    """What a retry does, under its name in the proto."""

    FINAL = "RETRY_ACTION_FINAL"
    IN_PROGRESS = "RETRY_ACTION_IN_PROGRESS"
    RESUMED = "RETRY_ACTION_RESUMED"
    TAKEN_UP = "RETRY_ACTION_TAKEN_UP"


def retry_of(is_final: bool, processes: Iterable[Running]) -> tuple[Action, str]:  # noqa: FBT001 - the first question
    """Tell what helps an order, and the invocation that works on it, if any.

    A second `process` beside one that lives would only queue behind it.
    """
    alive = sorted(processes, key=lambda one: one.due_at)
    failing = [one for one in alive if one.status in FAILING]
    if failing:
        return Action.RESUMED, failing[0].invocation_id
    if alive:
        return Action.IN_PROGRESS, alive[0].invocation_id
    return (Action.FINAL if is_final else Action.TAKEN_UP), ""


def with_holders(running: Iterable[Running], holders: Mapping[tuple[str, str], str]) -> list[Running]:
    """Tell each invocation that waits for its turn which one has its object.

    `holders`: (service, key) -> invocation.
    """
    told = []
    for one in running:
        holder = holders.get((one.service, one.key), "")
        is_waiting = one.status in ("pending", "inboxed", "ready") and holder != one.invocation_id
        told.append(replace(one, holder=holder) if holder and is_waiting else one)
    return told
