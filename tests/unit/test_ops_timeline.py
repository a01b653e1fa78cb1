"""A journal read as steps: pairs, outcomes, what undoes something; no state, no clocks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ops.domain_timeline import Invocation, JournalEntry, Source, failure, history, invocations, steps

BEGUN = datetime(2030, 1, 1, 12, tzinfo=UTC)


def at(milliseconds: int) -> datetime:
    return BEGUN + timedelta(milliseconds=milliseconds)


def entry(index: int, kind: str, content: dict[str, Any], name: str = "") -> JournalEntry:
    return JournalEntry("inv_1", index, kind, name, at(index * 10), content)


def run(index: int, name: str) -> JournalEntry:
    return entry(index, "Command: Run", {"Command": {"Run": {"completion_id": index, "name": name}}}, name)


def ran(index: int, of: int, result: object) -> JournalEntry:
    content = {"Notification": {"Completion": {"Run": {"completion_id": of, "result": result}}}}
    return entry(index, "Notification: Run", content)


def call(index: int, handler: str, invoked: str, kind: str = "Call") -> JournalEntry:
    target = {"VirtualObject": {"name": "Ticket", "key": f"demo:{'f' * 32}", "handler": handler}}
    own = {"invocation_id": invoked, "invocation_target": target, "result_completion_id": index}
    return entry(index, f"Command: {kind}", {"Command": {kind: own}})


def answered(index: int, of: int) -> JournalEntry:
    return entry(
        index, "Notification: Call", {"Notification": {"ty": {}, "id": {"CompletionId": of}, "result": "Success"}}
    )


def success(answer: object) -> dict[str, list[int]]:
    return {"Success": list(json.dumps({"answer": answer, "at": "2030-01-01T12:00:00Z"}).encode())}


def test_a_command_and_its_notification_are_one_step() -> None:
    """With how long it took and what the provider said."""
    told = steps([run(1, "authorize"), ran(4, 1, success({"outcome": "UNKNOWN", "reference": "secret"}))], {})
    assert [(it.what, it.detail, it.milliseconds) for it in told] == [("authorize", "UNKNOWN", 30)]


def test_a_step_without_an_answer_says_so() -> None:
    """Also one that failed for good, and one that was too late to try."""
    told = steps(
        [run(1, "void"), run(2, "capture"), ran(3, 2, {"Failure": {}}), run(5, "capture"), ran(6, 5, success(None))], {}
    )
    assert [(it.what, it.detail) for it in told] == [
        ("void", "has no answer yet"),
        ("capture", "failed for good"),
        ("capture", "too late to try"),
    ]


def test_books_and_clocks_are_left_out() -> None:
    """State, moments and timestamps are no steps; no result of a step that is not the provider's is told."""
    kept = steps(
        [
            entry(0, "Command: Input", {"Command": {"Input": {}}}),
            entry(1, "Command: SetState", {"Command": {"SetState": {"key": "order"}}}),
            run(2, "moment"),
            run(3, "timestamp"),
            run(6, "now"),
            run(4, "send mail"),
            ran(5, 4, success({"outcome": "ada@example.org"})),
        ],
        {},
    )
    assert [(it.what, it.detail) for it in kept] == [("send mail", "")]


def test_calls_are_told_with_how_they_ended() -> None:
    """A buyer's hash is cut short; compensations are marked; a send is not waited for."""
    called = {
        "inv_2": Invocation("inv_2", "Ticket/x/revoke", "completed", BEGUN, at(5)),
        "inv_3": Invocation("inv_3", "Ticket/x/confirm", "completed", BEGUN, at(5), "[410] the hold has expired"),
        "inv_4": Invocation("inv_4", "Mailer/send", "backing-off", BEGUN, None, failure="no mail server"),
    }
    journal = [
        call(1, "revoke", "inv_2"),
        answered(2, 1),
        call(3, "confirm", "inv_3"),
        call(4, "send", "inv_4", "OneWayCall"),
    ]
    told = steps(journal, called)
    assert [(it.what, it.detail, it.milliseconds, it.is_compensation) for it in told] == [
        ("call Ticket/demo:ffffffff.../revoke", "answered", 10, True),
        ("call Ticket/demo:ffffffff.../confirm", "refused: [410] the hold has expired", None, False),
        ("send Ticket/demo:ffffffff.../send", "sent; backing-off: no mail server", None, False),
    ]


def test_an_invocation_that_fails_tells_when_it_is_tried_again() -> None:
    """Begin, and how it is."""
    one = Invocation("inv_1", "Checkout/o/process", "backing-off", BEGUN, None, "", 5, at(2000), "boom")
    assert [(it.what, it.detail) for it in invocations([one])] == [
        ("process begins", ""),
        ("process is backing-off", "attempt 5 failed, tried again at 12:00:02: boom"),
    ]
    ended = Invocation("inv_1", "Checkout/o/process", "completed", BEGUN, at(70))
    assert [(it.what, it.detail, it.milliseconds) for it in invocations([ended])][1] == ("process ends", "answered", 70)


def test_errors_and_history_are_entries_too() -> None:
    """Of an error its first line, not the traceback."""
    content = {"error_message": "ProviderSilentError('void')\nTraceback ...", "related_command_name": "void"}
    told = failure("inv_1", BEGUN, "TransientError", content)
    assert (told.source, told.what, told.detail) == (
        Source.ERROR,
        "attempt failed at void",
        "ProviderSilentError('void')",
    )
    assert [it.is_compensation for it in history([("held", BEGUN), ("voided", BEGUN)])] == [False, True]
