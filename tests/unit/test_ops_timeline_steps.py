"""The timeline of an order, entry by entry: what each says, from whom, how long it took and what it undoes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.ops.domain_timeline import (
    Entry,
    Invocation,
    JournalEntry,
    Source,
    Timeline,
    failure,
    first_line,
    history,
    invocations,
    payment,
    sorted_entries,
    steps,
)
from tests.unit.test_ops_timeline import BEGUN, answered, at, call, entry, ran, run, success


def test_what_is_not_known_of_an_entry_is_left_empty() -> None:
    """No detail, no duration, no invocation, and it undoes nothing; an invocation was tried no time yet."""
    assert Entry(BEGUN, Source.HISTORY, "held") == Entry(BEGUN, Source.HISTORY, "held", "", None, "", False)
    assert Timeline([]) == Timeline([], [])
    assert Invocation("i", "t", "s", BEGUN, None) == Invocation("i", "t", "s", BEGUN, None, "", 0, None, "")


def test_the_history_is_told_as_it_is() -> None:
    """What takes something back is marked."""
    told = history([(step, BEGUN) for step in ("held", "revoked", "voided", "refunded", "mailed")])
    assert [(it.source, it.what, it.at) for it in told[:1]] == [(Source.HISTORY, "held", BEGUN)]
    assert [it.what for it in told if it.is_compensation] == ["revoked", "voided", "refunded"]


def test_an_invocation_that_ended_is_told_twice() -> None:
    """When it began and when it ended, how, and after how long."""
    answered_one = Invocation("inv_1", "Checkout/o/process", "completed", BEGUN, at(70))
    refused = Invocation("inv_2", "Checkout/o/cancel", "completed", at(5), at(8), "[409] too late", failure="old")
    assert invocations([answered_one, refused]) == [
        Entry(BEGUN, Source.INVOCATION, "process begins", "", None, "inv_1"),
        Entry(at(70), Source.INVOCATION, "process ends", "answered", 70, "inv_1"),
        Entry(at(5), Source.INVOCATION, "cancel begins", "", None, "inv_2"),
        Entry(at(8), Source.INVOCATION, "cancel ends", "refused: [409] too late", 3, "inv_2"),
    ]


@pytest.mark.parametrize(
    ("status", "fault", "retry_at", "told"),
    [
        ("backing-off", "boom", at(2000), [(at(2000), "attempt 4 failed, tried again at 12:00:02: boom")]),
        ("paused", "", None, [(BEGUN, "attempt 4 failed: ")]),
        ("backing-off", "", None, [(BEGUN, "attempt 4 failed: ")]),
        ("running", "boom", None, [(BEGUN, "attempt 4 failed: boom")]),
        ("running", "", None, []),
        ("suspended", "", at(2000), []),
    ],
)
def test_an_invocation_that_has_not_ended_tells_how_it_fares(
    status: str, fault: str, retry_at: datetime | None, told: list[tuple[datetime, str]]
) -> None:
    """Only where something failed; at the time of the next attempt where there is one."""
    one = Invocation("inv_1", "Checkout/o/process", status, BEGUN, None, "", 4, retry_at, fault)
    begins = Entry(BEGUN, Source.INVOCATION, "process begins", "", None, "inv_1")
    expected = [Entry(when, Source.INVOCATION, f"process is {status}", detail, None, "inv_1") for when, detail in told]
    assert invocations([one]) == [begins, *expected]


@pytest.mark.parametrize("name", ["authorize", "capture", "void", "refund"])
def test_what_the_provider_answered_is_told(name: str) -> None:
    """Of the four steps that ask it, whole: when, how long, of which invocation, and whether it undoes something."""
    undoes = name in {"void", "refund"}
    told = steps([run(1, name), ran(4, 1, success({"outcome": "DONE"}))], {})
    assert told == [Entry(at(10), Source.JOURNAL, name, "DONE", 30, "inv_1", undoes)]


@pytest.mark.parametrize(
    ("result", "detail"),
    [
        (success({}), ""),
        (success("done"), ""),
        ({"Success": list(b"no json")}, ""),
        ({"Success": list(b"{}")}, ""),
        ({"Success": list(b"[]")}, ""),
        ({"Success": ["x"]}, ""),
        ("Void", "failed for good"),
        (None, "failed for good"),
        ({"Failure": {"code": 500}}, "failed for good"),
    ],
)
def test_an_answer_that_ops_does_not_know_is_told_as_nothing(result: object, detail: str) -> None:
    """The journal may be of another version: the timeline is shown all the same."""
    assert [it.detail for it in steps([run(1, "void"), ran(2, 1, result)], {})] == [detail]


def test_a_result_without_its_parts_is_a_failure() -> None:
    """A notification that is cut short in any place."""
    for content in ({}, {"Completion": {}}, {"Completion": {"Run": {"completion_id": 1}}}):
        notification = {"id": {"CompletionId": 1}, **content}
        told = steps([run(1, "void"), entry(3, "Notification: Run", {"Notification": notification})], {})
        assert [(it.detail, it.milliseconds) for it in told] == [("failed for good", 20)]


def test_a_step_is_joined_to_its_own_notification() -> None:
    """Of the same invocation and the same number; a command is nobody's notification."""
    other = JournalEntry("inv_2", 3, "Notification: Run", "", at(30), ran(3, 1, success({"outcome": "DONE"})).content)
    assert [(it.detail, it.milliseconds) for it in steps([run(1, "void"), other], {})] == [("has no answer yet", None)]
    several = [run(1, "void"), run(2, "revoke"), ran(5, 2, success(None)), ran(7, 1, success({"outcome": "DONE"}))]
    assert [(it.what, it.detail, it.milliseconds) for it in steps(several, {})] == [
        ("void", "DONE", 60),
        ("revoke", "", 30),
    ]


def test_a_journal_without_times_tells_nothing_of_how_long() -> None:
    """A command without a time has no place in a timeline; without the notification's, its duration is unknown."""
    nowhere = JournalEntry("inv_1", 1, "Command: Run", "void", None, run(1, "void").content)
    assert steps([nowhere, ran(2, 1, success(None))], {}) == []
    timeless = JournalEntry("inv_1", 2, "Notification: Run", "", None, ran(2, 1, success(None)).content)
    (told,) = steps([run(1, "void"), timeless], {})
    assert (told.detail, told.milliseconds) == ("too late to try", None)


def test_a_clock_that_ran_backwards_takes_no_time() -> None:
    """Two processes' clocks differ by some milliseconds."""
    (told,) = steps([run(3, "void"), ran(1, 3, success(None))], {})
    assert told.milliseconds == 0


def test_a_wait_tells_until_when() -> None:
    """With how long it took, once it is over; the timer's time is in milliseconds."""
    wakes = int((BEGUN + timedelta(seconds=5)).timestamp() * 1000)
    sleep = entry(1, "Command: Sleep", {"Command": {"Sleep": {"wake_up_time": wakes, "completion_id": 1}}})
    over = entry(4, "Notification: Sleep", {"Notification": {"Completion": {"Sleep": {"completion_id": 1}}}})
    assert steps([sleep, over], {}) == [Entry(at(10), Source.JOURNAL, "wait", "until 12:00:05", 30, "inv_1")]
    unknown = entry(1, "Command: Sleep", {"Command": {"Sleep": {}}})
    assert [(it.detail, it.milliseconds) for it in steps([unknown], {})] == [("until 00:00:00", None)]


@pytest.mark.parametrize(
    ("status", "ended_at", "refusal", "fault", "of_call", "of_send"),
    [
        ("running", None, "", "", "running", "sent; running"),
        ("backing-off", None, "", "boom", "backing-off: boom", "sent; backing-off: boom"),
        ("paused", None, "old", "", "paused", "sent; paused"),
        ("completed", at(9), "[409] no", "", "refused: [409] no", "sent; refused: [409] no"),
        ("completed", at(9), "", "old", "has no answer yet", "sent; done"),
    ],
)
def test_a_call_is_told_with_what_became_of_it(
    status: str, ended_at: datetime | None, refusal: str, fault: str, of_call: str, of_send: str
) -> None:
    """How the called invocation is, what it refused, or that it is done; an answer counts once it is in the journal."""
    called = {"inv_9": Invocation("inv_9", "Ticket/x/get", status, BEGUN, ended_at, refusal, failure=fault)}
    assert steps([call(1, "get", "inv_9")], called)[0].detail == of_call
    assert steps([call(1, "get", "inv_9", "OneWayCall")], called)[0].detail == of_send


def test_a_call_of_which_nothing_is_known_is_told_by_the_journal_alone() -> None:
    """Restate forgets invocations sooner than journals tell of them."""
    target = "Ticket/demo:ffffffff.../release"
    assert steps([call(1, "release", "inv_9")], {}) == [
        Entry(at(10), Source.JOURNAL, f"call {target}", "has no answer yet", None, "inv_1", is_compensation=True)
    ]
    assert steps([call(1, "release", "inv_9"), answered(2, 1)], {})[0].detail == "answered"
    assert steps([call(1, "release", "inv_9", "OneWayCall"), answered(2, 1)], {}) == [
        Entry(at(10), Source.JOURNAL, f"send {target}", "sent", None, "inv_1", is_compensation=True)
    ]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"Service": {"name": "Mailer", "handler": "send"}}, "call Mailer/send"),
        ({"VirtualObject": {"name": "T", "key": "k" * 24, "handler": "h"}}, f"call T/{'k' * 24}/h"),
        ({"VirtualObject": {"name": "T", "key": "k" * 25, "handler": "h"}}, "call T/kkkkkkkk.../h"),
        ({}, "call "),
    ],
)
def test_a_call_s_target_is_told_without_long_keys(target: dict[str, Any], told: str) -> None:
    """A part of a key of 24 characters is shown whole, a longer one by its beginning."""
    command = {"Command": {"Call": {"invocation_id": "inv_9", "invocation_target": target}}}
    assert [it.what for it in steps([entry(1, "Command: Call", command)], {})] == [told]


@pytest.mark.parametrize("content", [{}, {"Command": None}, {"Command": "Input"}, {"Command": {}}])
def test_a_command_without_content_is_told_by_its_kind(content: dict[str, Any]) -> None:
    """The journal may be of another version."""
    assert entry(1, "Command: Call", content).invoked_id == ""
    assert entry(1, "Command: Call", content).completion_id is None
    assert [(it.what, it.detail) for it in steps([entry(1, "Command: Call", content)], {})] == [
        ("call ", "has no answer yet")
    ]


@pytest.mark.parametrize(
    ("kind", "content", "number"),
    [
        ("Command: Call", {"Command": {"Call": {"result_completion_id": 7, "completion_id": 8}}}, 7),
        ("Command: Run", {"Command": {"Run": {"completion_id": 8}}}, 8),
        ("Command: Run", {"Command": {"Run": {"completion_id": "8"}}}, None),
        ("Notification: Call", {"Notification": {"id": {"CompletionId": 7}}}, 7),
        ("Notification: Call", {"Notification": {"id": {"SignalId": 7}}}, None),
        ("Notification: Run", {"Notification": {"Completion": {"Run": {"completion_id": 9}}}}, 9),
        ("Notification: Run", {"Notification": {"Completion": {}}}, None),
        ("Notification: Run", {"Notification": {}}, None),
        ("Notification: Run", {}, None),
    ],
)
def test_a_command_and_its_notification_share_a_number(kind: str, content: dict[str, Any], number: int | None) -> None:
    """Each kind of entry has it in another place; a signal has none."""
    assert entry(1, kind, content).completion_id == number


@pytest.mark.parametrize(
    ("kind", "content", "what", "detail"),
    [
        (
            "TransientError",
            {"error_message": "boom", "related_command_name": "void", "related_command_type": "Run"},
            "attempt failed at void",
            "boom",
        ),
        ("TransientError", {"error_message": "boom", "related_command_type": "Run"}, "attempt failed at Run", "boom"),
        ("TransientError", {}, "attempt failed", ""),
        ("Paused", {"last_failure": {"error_message": "\n  boom  \nmore"}}, "paused", "boom"),
        ("Paused", {"last_failure": None, "error_message": "of another"}, "paused", ""),
    ],
)
def test_an_error_is_told_with_its_step_and_first_line(
    kind: str, content: dict[str, Any], what: str, detail: str
) -> None:
    """By the step's name, else its kind; of a pause the failure that led to it."""
    assert failure("inv_1", BEGUN, kind, content) == Entry(BEGUN, Source.ERROR, what, detail, None, "inv_1")


def test_the_first_line_of_an_error_is_bounded() -> None:
    """300 characters; of nothing, nothing."""
    assert first_line(f"\n \n {'x' * 301} \nTraceback") == "x" * 300
    assert first_line(" \n") == ""


def test_the_provider_s_payment_is_an_entry() -> None:
    """Its state and its amount."""
    assert payment("CAPTURED", "45.00 EUR", BEGUN) == Entry(
        BEGUN, Source.PROVIDER, "the provider has it as CAPTURED", "45.00 EUR"
    )


def test_entries_are_in_the_order_in_which_they_happened() -> None:
    """At the same moment the order's history comes first and the provider last, as in the contract."""
    mixed = [Entry(BEGUN, source, "x") for source in reversed(Source)] + [
        Entry(BEGUN - timedelta(seconds=1), Source.PROVIDER, "before")
    ]
    assert [(it.what, it.source) for it in sorted_entries(mixed)] == [
        ("before", Source.PROVIDER),
        *(("x", source) for source in Source),
    ]
