"""What the doctor says of what has not ended: its bounds, its words, and everything else that it passes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.ops.domain_backlog import Backlog, Version, overdue_timers, versions
from services.ops.domain_unfinished import (
    Action,
    Judged,
    OpenOrder,
    Running,
    Severity,
    judge,
    judge_all,
    retry_of,
    with_holders,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
PROCESS = Running("inv_1", "Checkout", "o-1", "process", "running", NOW)
EXPIRE = Running("inv_2", "Buyer", "demo:b", "expire", "scheduled", NOW)
TIMELINE = 'nexus timeline o-1; to give it up: nexus call CancelOrder \'{"order_id": "o-1"}\''


def aged(one: Running, seconds: float, **fields: object) -> Running:
    return replace(one, due_at=NOW - timedelta(seconds=seconds), **fields)  # type: ignore[arg-type]


def verdict(one: Running, *others: Running) -> tuple[Severity, str, str]:
    judged = judge(one, {other.invocation_id: other for other in others}, NOW)
    return judged.severity, judged.why, judged.advice


def test_an_invocation_of_which_nothing_else_is_known_has_not_failed() -> None:
    """No attempts, no failure, nobody before it; an order has no seats unless they were read."""
    assert replace(PROCESS, attempts=0, next_retry_at=None, failure="", failed_step="", holder="") == PROCESS
    assert OpenOrder("o", "s", NOW, has_process=True) == OpenOrder("o", "s", NOW, has_process=True, seat_count=0)


def test_everything_known_of_an_invocation_is_passed_on() -> None:
    """So that the doctor's table needs no second look."""
    one = replace(
        PROCESS,
        status="backing-off",
        attempts=3,
        next_retry_at=NOW + timedelta(seconds=9),
        failure="boom",
        failed_step="void",
        holder="inv_0",
    )
    assert judge(one, {}, NOW) == Judged(
        severity=Severity.STUCK,
        invocation_id="inv_1",
        service="Checkout",
        key="o-1",
        handler="process",
        status="backing-off",
        due_at=NOW,
        why="attempt 3 failed at void: boom",
        advice="mend the cause: it is tried again by itself; at once with nexus retry o-1",
        order_id="o-1",
        attempts=3,
        next_retry_at=NOW + timedelta(seconds=9),
        failed_step="void",
        blocked_by="inv_0",
    )


def test_an_abandoned_order_is_told_with_all_that_is_known() -> None:
    """It has no invocation, and its age counts from when it was made."""
    (judged,) = judge_all([], [OpenOrder("o-2", "ORDER_STATE_PENDING", NOW, has_process=False, seat_count=3)], NOW)
    assert judged == Judged(
        severity=Severity.STUCK,
        invocation_id="",
        service="Checkout",
        key="o-2",
        handler="process",
        status="abandoned",
        due_at=NOW,
        why="the order is PENDING with 3 seats, and nothing works on it",
        advice="nexus retry o-2",
        order_id="o-2",
        attempts=0,
        next_retry_at=None,
        failed_step="",
        blocked_by="",
    )


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (aged(EXPIRE, 10), (Severity.FINE, "a timer", "")),
        (
            aged(EXPIRE, 10.6),
            (
                Severity.STUCK,
                "a timer that should have run 11 s ago",
                "look at Restate: its timers stand still",
            ),
        ),
        (aged(PROCESS, 420), (Severity.FINE, "running for 420 s", "")),
        (aged(PROCESS, 421), (Severity.SLOW, "running for 421 s", TIMELINE)),
        (aged(PROCESS, 60, handler="cancel"), (Severity.FINE, "running for 60 s", "")),
        (aged(PROCESS, 61, handler="cancel"), (Severity.SLOW, "running for 61 s", TIMELINE)),
        (aged(PROCESS, 61, service="Other"), (Severity.SLOW, "running for 61 s", "")),
        (aged(PROCESS, -30), (Severity.FINE, "running for 0 s", "")),
        (
            aged(PROCESS, 421, status="suspended"),
            (Severity.SLOW, "waits 421 s for a call, a timer or an answer", TIMELINE),
        ),
        (
            aged(EXPIRE, 61, status="suspended"),
            (Severity.SLOW, "waits 61 s for a call, a timer or an answer", ""),
        ),
        (
            aged(EXPIRE, 61, status="pending", holder="inv_9"),
            (Severity.STUCK, "waits 61 s for its turn behind an invocation inv_9", "look at inv_9 first"),
        ),
        (
            aged(EXPIRE, 61, status="pending", holder="inv_1"),
            (Severity.STUCK, "waits 61 s for its turn behind Checkout/process (running) inv_1", "look at inv_1 first"),
        ),
    ],
)
def test_time_is_judged_to_the_second_and_told_with_what_to_do(one: Running, told: tuple[Severity, str, str]) -> None:
    """Ten seconds for a timer, a minute for a call, seven for a payment; exactly so long is still fine."""
    assert verdict(one, PROCESS) == told


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (
            replace(PROCESS, status="paused"),
            (Severity.STUCK, "paused after 0 attempts: no error is told", "mend the cause, then nexus retry o-1"),
        ),
        (
            replace(EXPIRE, status="paused", attempts=9, failure="boom", failed_step="now"),
            (Severity.STUCK, "paused after 9 attempts at now: boom", "mend the cause, then nexus retry inv_2"),
        ),
        (
            replace(PROCESS, handler="cancel", status="backing-off", attempts=1),
            (
                Severity.STUCK,
                "attempt 1 failed: no error is told",
                "mend the cause: it is tried again by itself; at once with nexus retry inv_1",
            ),
        ),
        (
            replace(PROCESS, service="Other", status="backing-off", attempts=1, failure="boom"),
            (
                Severity.STUCK,
                "attempt 1 failed: boom",
                "mend the cause: it is tried again by itself; at once with nexus retry inv_1",
            ),
        ),
        (replace(PROCESS, attempts=1, failure="boom"), (Severity.FINE, "running for 0 s", "")),
        (replace(PROCESS, attempts=3), (Severity.FINE, "running for 0 s", "")),
        (
            replace(PROCESS, attempts=3, failure="boom"),
            (
                Severity.STUCK,
                "attempt 3 failed: boom",
                "mend the cause: it is tried again by itself; at once with nexus retry o-1",
            ),
        ),
    ],
)
def test_what_fails_is_told_with_its_error_and_what_tries_it_again(
    one: Running, told: tuple[Severity, str, str]
) -> None:
    """An order's process by the order, anything else by its invocation; a first attempt has not failed yet."""
    assert verdict(one) == told


def test_the_list_goes_from_the_worst_to_the_fine_and_from_old_to_young() -> None:
    """Equal ones by their ids, so that two looks show the same order."""
    running = [
        replace(PROCESS, invocation_id="fine", key="o-9"),
        aged(PROCESS, 500, invocation_id="slow"),
        replace(PROCESS, invocation_id="b", status="paused"),
        replace(PROCESS, invocation_id="a", status="paused"),
        aged(PROCESS, 5, invocation_id="oldest", status="paused"),
    ]
    orders = [OpenOrder("o-8", "ORDER_STATE_PENDING", NOW - timedelta(seconds=1), has_process=False)]
    told = [one.invocation_id or one.order_id for one in judge_all(running, orders, NOW)]
    assert told == ["oldest", "o-8", "a", "b", "slow", "fine"]


def test_the_oldest_process_is_the_one_that_a_retry_looks_at() -> None:
    """A failing one before one that works, whatever their age."""
    old, young = aged(PROCESS, 9, invocation_id="old"), replace(PROCESS, invocation_id="young")
    assert retry_of(False, [young, old]) == (Action.IN_PROGRESS, "old")
    failing = [replace(young, status="backing-off"), replace(old, status="paused")]
    assert retry_of(False, failing) == (Action.RESUMED, "old")
    assert retry_of(False, [old, replace(young, status="backing-off")]) == (Action.RESUMED, "young")


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ("pending", True),
        ("inboxed", True),
        ("ready", True),
        ("running", False),
        ("suspended", False),
        ("backing-off", False),
        ("paused", False),
        ("scheduled", False),
    ],
)
def test_only_what_waits_for_its_turn_is_held_up(status: str, waits: bool) -> None:
    """What runs has its object itself, a timer does not want it yet; another object's holder holds nobody up."""
    one = replace(PROCESS, status=status)
    assert with_holders([one], {("Checkout", "o-1"): "inv_7"})[0].holder == ("inv_7" if waits else "")
    assert with_holders([one], {("Checkout", "o-1"): "inv_1"}) == [one]
    assert with_holders([one], {("Checkout", "o-2"): "inv_7", ("Buyer", "o-1"): "inv_7"}) == [one]


def test_late_timers_add_up_by_service() -> None:
    """A service without late ones is told with 0, so that its series does not vanish."""
    backlog = [
        Backlog("Buyer", "pending", 2, NOW, NOW, overdue=2),
        Backlog("Buyer", "ready", 4, NOW, NOW, overdue=3),
        Backlog("Event", "running", 1, NOW, NOW),
    ]
    assert overdue_timers(backlog) == {"Buyer": 5, "Event": 0}


def test_a_version_drains_since_the_first_that_took_over_a_service_of_its() -> None:
    """Another endpoint's newer version is none of its business; without a successor it counts from its own making."""
    days = [NOW - timedelta(days=day) for day in (4, 3, 2, 1)]
    old = Version("old", ("Ticket", "Buyer"), days[0])
    other = Version("other", ("Checkout",), days[1])
    half = Version("half", ("Buyer",), days[2])
    new = Version("new", ("Ticket", "Buyer"), days[3])
    found = versions([old, other, half, new], {"Ticket": "new", "Buyer": "new", "Checkout": "other"}, {"old"}, NOW)
    assert (found.serving, found.draining, found.drained) == (2, 1, 1)
    assert found.draining_seconds == timedelta(days=2).total_seconds()
    alone = versions([old], {}, {"old"}, NOW)
    assert (alone.serving, alone.draining, alone.draining_seconds) == (0, 1, timedelta(days=4).total_seconds())
    twins = [old, replace(old, deployment_id="twin")]
    assert versions(twins, {}, {"old"}, NOW).draining_seconds == timedelta(days=4).total_seconds()


def test_the_longest_drain_is_told() -> None:
    """Not the latest one, and 0 where nothing drains."""
    first = Version("first", ("Ticket",), NOW - timedelta(hours=3))
    second = Version("second", ("Ticket",), NOW - timedelta(hours=2))
    third = Version("third", ("Ticket",), NOW - timedelta(hours=1))
    latest = {"Ticket": "third"}
    found = versions([first, second, third], latest, {"first", "second"}, NOW)
    assert (found.draining, found.drained, found.draining_seconds) == (2, 0, timedelta(hours=2).total_seconds())
    assert versions([first, second, third], latest, (), NOW).draining_seconds == 0
