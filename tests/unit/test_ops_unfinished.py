"""What the doctor says of what has not ended, and what a retry does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.ops.domain_backlog import Backlog, Version, overdue_timers, versions
from services.ops.domain_unfinished import (
    Action,
    OpenOrder,
    Running,
    Severity,
    judge,
    judge_all,
    retry_of,
    with_holders,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def one(status: str, age: float = 0, **fields: object) -> Running:
    told = {"service": "Checkout", "key": "o-1", "handler": "process", **fields}
    return Running("inv_1", status=status, due_at=NOW - timedelta(seconds=age), **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("running", "severity", "words"),
    [
        (
            one("paused", attempts=7, failure="boom", failed_step="void"),
            Severity.STUCK,
            "paused after 7 attempts at void: boom",
        ),
        (one("backing-off", attempts=3, failure="boom"), Severity.STUCK, "attempt 3 failed: boom"),
        (one("running", attempts=2, failure="boom"), Severity.STUCK, "attempt 2 failed: boom"),
        (one("running", attempts=2), Severity.FINE, "running"),
        (one("suspended", 420), Severity.FINE, "suspended"),
        (one("suspended", 421), Severity.SLOW, "waits 421 s"),
        (one("suspended", 61, handler="expire", service="Buyer"), Severity.SLOW, "waits 61 s"),
        (one("running", 61, handler="send", service="Mailer", key=""), Severity.SLOW, "running for 61 s"),
        (one("scheduled", -900, handler="expire", service="Buyer"), Severity.FINE, "a timer"),
        (one("scheduled", 11, handler="expire", service="Buyer"), Severity.STUCK, "should have run 11 s ago"),
        (one("pending", 421, holder="inv_2"), Severity.STUCK, "behind an invocation inv_2"),
        (one("pending", 30, holder="inv_2"), Severity.FINE, "pending"),
    ],
)
def test_each_state_has_its_severity_and_reason(running: Running, severity: Severity, words: str) -> None:
    """A payment may take seven minutes, anything else one; a timer counts from when it is to run."""
    judged = judge(running, {}, NOW)
    assert judged.severity is severity, judged
    assert words in judged.why


def test_no_advice_is_a_kill() -> None:
    """What is stuck is resumed, taken up or cancelled by its own rules."""
    for status in ("paused", "backing-off", "suspended", "running", "scheduled", "pending"):
        for age in (0, 1000):
            advice = judge(one(status, age, attempts=3, failure="boom"), {}, NOW).advice
            assert "kill" not in advice, advice
    assert judge(one("paused"), {}, NOW).advice == "mend the cause, then nexus retry o-1"
    assert "nexus retry inv_1" in judge(one("paused", service="Mailer", handler="send", key=""), {}, NOW).advice
    assert "CancelOrder" in judge(one("suspended", 1000), {}, NOW).advice


def test_the_worst_comes_first_and_an_abandoned_order_is_among_it() -> None:
    """An order with a living process is told by that alone."""
    orders = [
        OpenOrder("o-1", "ORDER_STATE_AUTHORIZING", NOW, has_process=True),
        OpenOrder("o-2", "ORDER_STATE_AUTHORIZING", NOW - timedelta(hours=1), has_process=False, seat_count=2),
    ]
    judged = judge_all([one("suspended")], orders, NOW)
    assert [(it.severity, it.order_id, it.status) for it in judged] == [
        (Severity.STUCK, "o-2", "abandoned"),
        (Severity.FINE, "o-1", "suspended"),
    ]
    assert judged[0].why == "the order is AUTHORIZING with 2 seats, and nothing works on it"


def test_who_waits_is_told_for_whom() -> None:
    """Only an invocation that waits for its turn, never the one that has the object."""
    waiting, holder = one("pending"), Running("inv_2", "Checkout", "o-1", "process", "paused", NOW)
    told = with_holders([waiting, holder], {("Checkout", "o-1"): "inv_2"})
    assert [it.holder for it in told] == ["inv_2", ""]
    assert (
        "behind Checkout/process (paused) inv_2"
        in judge(
            Running("inv_1", "Checkout", "o-1", "process", "pending", NOW - timedelta(hours=1), holder="inv_2"),
            {"inv_2": holder},
            NOW,
        ).why
    )


def test_a_retry_never_starts_a_second_process_beside_a_living_one() -> None:
    """Failing: resumed. Working: left alone. None: taken up, unless the order is final."""
    paused = one("paused")
    assert retry_of(False, [one("suspended"), Running("inv_9", "Checkout", "o-1", "process", "paused", NOW)]) == (
        Action.RESUMED,
        "inv_9",
    )
    assert retry_of(True, [paused]) == (Action.RESUMED, "inv_1")
    assert retry_of(False, [one("suspended")]) == (Action.IN_PROGRESS, "inv_1")
    assert retry_of(False, []) == (Action.TAKEN_UP, "")
    assert retry_of(True, []) == (Action.FINAL, "")


def test_a_timer_has_no_age_before_it_is_due() -> None:
    """And late ones are counted by service."""
    early = Backlog("Buyer", "scheduled", 3, NOW + timedelta(hours=1), NOW)
    late = Backlog("Buyer", "pending", 2, NOW - timedelta(seconds=40), NOW, overdue=2)
    assert (early.oldest_seconds, late.oldest_seconds) == (0, 40)
    assert overdue_timers([early, late]) == {"Buyer": 2}


def test_versions_drain_from_the_moment_that_another_took_over() -> None:
    """Serving: latest of a service. Draining: something is pinned to it. Drained: nothing is."""
    known = [
        Version("dp_1", ("Ticket", "Buyer"), NOW - timedelta(days=3)),
        Version("dp_2", ("Ticket", "Buyer"), NOW - timedelta(days=2)),
        Version("dp_3", ("Ticket", "Buyer"), NOW - timedelta(seconds=90)),
        Version("dp_4", ("Checkout",), NOW - timedelta(seconds=10)),
        Version("dp_5", ("Ticket", "Buyer"), NOW - timedelta(seconds=5)),
    ]
    latest = {"Ticket": "dp_5", "Buyer": "dp_5", "Checkout": "dp_4"}
    found = versions(known, latest, {"dp_2", "dp_5"}, NOW)
    assert (found.serving, found.draining, found.drained, found.draining_seconds) == (2, 1, 2, 90)
    assert versions(known[3:], latest, set(), NOW).draining_seconds == 0
