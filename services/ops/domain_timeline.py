"""The timeline of an order: its history, Restate's journal and the provider's payment as one list. Pure.

A journal's entries come in pairs, a command and later its notification; a pair is one step with how long it took.
What only keeps the books (state, clocks) is left out. Source: sys_journal of restate-server 1.7.12, seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

BOOKKEEPING: Final = frozenset({"timestamp", "moment", "now"})
"""Names of steps that read a clock or chance."""

PROVIDER_STEPS: Final = frozenset({"authorize", "capture", "void", "refund"})
"""Steps whose answer is told: it holds an outcome and nothing personal."""

COMPENSATIONS: Final = frozenset({"revoke", "release", "void", "refund"})
"""Steps and handlers that undo something."""

UNDONE: Final = frozenset({"revoked", "voided", "refunded"})
"""The same in an order's history."""

SHOWN_KEY: Final = 24
"""Characters of a part of an object key that are shown; a hashed subject has more."""


class Source(StrEnum):
    """Who says that something happened, under its name in the proto."""

    HISTORY = "TIMELINE_SOURCE_HISTORY"
    INVOCATION = "TIMELINE_SOURCE_INVOCATION"
    JOURNAL = "TIMELINE_SOURCE_JOURNAL"
    ERROR = "TIMELINE_SOURCE_ERROR"
    PROVIDER = "TIMELINE_SOURCE_PROVIDER"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `milliseconds`: how long it took, None where that is not known."""

    at: datetime
    source: Source
    what: str
    detail: str = ""
    milliseconds: int | None = None
    invocation_id: str = ""
    is_compensation: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is known, oldest first, and what is not."""

    entries: list[Entry]
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation. `refusal`: what it ended with; `failure`: of its last attempt."""

    invocation_id: str
    target: str
    status: str
    begun_at: datetime
    ended_at: datetime | None
    refusal: str = ""
    attempts: int = 0
    next_retry_at: datetime | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An entry of a journal; `content` is Restate's JSON of it."""

    invocation_id: str
    index: int
    kind: str
    name: str
    at: datetime | None
    content: Mapping[str, Any]

    @property
    def command(self) -> Mapping[str, Any]:
        """The command, without its kind."""
        found = self.content.get("Command")
        return next(iter(found.values()), {}) if isinstance(found, dict) else {}

    @property
    def invoked_id(self) -> str:
        """The invocation that it called or sent."""
        return str(self.command.get("invocation_id", ""))

    @property
    def completion_id(self) -> int | None:
        """What joins a command to its notification."""
        if self.kind.startswith("Command"):
            own = self.command
            return _number(own.get("result_completion_id", own.get("completion_id")))
        found: dict[str, Any] = self.content.get("Notification", {})
        if "id" in found:
            return _number(found["id"].get("CompletionId"))
        whole: list[dict[str, Any]] = list(found.get("Completion", {}).values())
        return _number(whole[0].get("completion_id")) if whole else None


def history(steps: Iterable[tuple[str, datetime]]) -> list[Entry]:
    """Tell the order's own history."""
    return [
        Entry(at, Source.HISTORY, step, is_compensation=step in ("revoked", "voided", "refunded")) for step, at in steps
    ]


def invocations(own: Iterable[Invocation]) -> list[Entry]:
    """Tell what ran at the order's object: when it began, how it ended or how it is."""
    entries = []
    for one in own:
        entries.append(
            Entry(one.begun_at, Source.INVOCATION, f"{_handler(one.target)} begins", "", None, one.invocation_id)
        )
        if one.ended_at is not None:
            took = _milliseconds(one.begun_at, one.ended_at)
            detail = f"refused: {one.refusal}" if one.refusal else "answered"
            entries.append(
                Entry(one.ended_at, Source.INVOCATION, f"{_handler(one.target)} ends", detail, took, one.invocation_id)
            )
        elif one.failure or one.status in ("paused", "backing-off"):
            retry = f", tried again at {one.next_retry_at:%H:%M:%S}" if one.next_retry_at else ""
            detail = f"attempt {one.attempts} failed{retry}: {one.failure}"
            entries.append(
                Entry(
                    one.next_retry_at or one.begun_at,
                    Source.INVOCATION,
                    f"{_handler(one.target)} is {one.status}",
                    detail,
                    None,
                    one.invocation_id,
                )
            )
    return entries


def steps(journal: Iterable[JournalEntry], called: Mapping[str, Invocation]) -> list[Entry]:
    """Tell the steps of the journals. `called`: the invocations that they called, by id."""
    entries = list(journal)
    done: dict[tuple[str, int], JournalEntry] = {}
    for entry in entries:
        if entry.kind.startswith("Notification") and entry.completion_id is not None:
            done[entry.invocation_id, entry.completion_id] = entry
    told = []
    for entry in entries:
        number = entry.completion_id
        end = done.get((entry.invocation_id, number)) if number is not None else None
        step = _step(entry, end, called) if entry.kind.startswith("Command") and entry.at is not None else None
        if step is not None:
            told.append(step)
    return told


def _step(entry: JournalEntry, end: JournalEntry | None, called: Mapping[str, Invocation]) -> Entry | None:
    kind = entry.kind.removeprefix("Command: ")
    took = _milliseconds(entry.at, end.at) if entry.at and end and end.at else None
    if kind == "Run" and entry.name not in BOOKKEEPING:
        detail = (_outcome(end) if entry.name in PROVIDER_STEPS else "") if end else "has no answer yet"
        return _entry(entry, entry.name, detail, took)
    if kind in ("Call", "OneWayCall"):
        target = _target(entry.command.get("invocation_target", {}))
        verb = "call" if kind == "Call" else "send"
        detail = _ending(called.get(entry.invoked_id), end) if kind == "Call" else _sent(called.get(entry.invoked_id))
        return _entry(entry, f"{verb} {target}", detail, took if kind == "Call" else None)
    if kind == "Sleep":
        until = datetime.fromtimestamp(entry.command.get("wake_up_time", 0) / 1000, UTC)
        return _entry(entry, "wait", f"until {until:%H:%M:%S}", took)
    return None


def _entry(entry: JournalEntry, what: str, detail: str, took: int | None) -> Entry:
    assert entry.at is not None  # noqa: S101  asked by the caller
    undoes = what in COMPENSATIONS or what.rpartition("/")[2] in COMPENSATIONS
    return Entry(entry.at, Source.JOURNAL, what, detail, took, entry.invocation_id, undoes)


def failure(invocation_id: str, at: datetime, kind: str, content: Mapping[str, Any]) -> Entry:
    """Tell what Restate noted beside a journal: an attempt that failed, or a pause."""
    step = content.get("related_command_name") or content.get("related_command_type") or ""
    what = "paused" if kind == "Paused" else "attempt failed"
    failed = content.get("last_failure", content)
    text = first_line(str(failed.get("error_message", "")) if isinstance(failed, dict) else "")
    return Entry(at, Source.ERROR, f"{what} at {step}" if step else what, text, None, invocation_id)


def payment(state: str, amount: str, at: datetime) -> Entry:
    """Tell what the provider has under the order."""
    return Entry(at, Source.PROVIDER, f"the provider has it as {state}", amount)


def sorted_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Put entries in the order in which they happened."""
    order = list(Source)
    return sorted(entries, key=lambda entry: (entry.at, order.index(entry.source)))


def first_line(text: str) -> str:
    """Give the first line of an error, which may be a whole traceback; bounded."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:300]


def _outcome(end: JournalEntry) -> str:
    """Read the provider's answer from a step's result."""
    result = end.content.get("Notification", {}).get("Completion", {}).get("Run", {}).get("result", {})
    if not isinstance(result, dict) or "Success" not in result:
        return "failed for good"
    try:
        answer = json.loads(bytes(result["Success"]))["answer"]
    except (ValueError, TypeError, KeyError):
        return ""
    if answer is None:
        return "too late to try"
    return str(answer.get("outcome", "")) if isinstance(answer, dict) else ""


def _ending(called: Invocation | None, end: JournalEntry | None) -> str:
    if called is not None and called.ended_at is None:
        return f"{called.status}{': ' + called.failure if called.failure else ''}"
    if called is not None and called.refusal:
        return f"refused: {called.refusal}"
    return "answered" if end is not None else "has no answer yet"


def _sent(called: Invocation | None) -> str:
    if called is None:
        return "sent"
    if called.ended_at is None:
        return f"sent; {called.status}{': ' + called.failure if called.failure else ''}"
    return f"sent; refused: {called.refusal}" if called.refusal else "sent; done"


def _target(target: Mapping[str, Any]) -> str:
    """Write where a call went; a buyer's hashed subject says nothing to a reader and is shortened."""
    own: Mapping[str, Any] = next(iter(target.values()), {})
    key = str(own.get("key", ""))
    short = ":".join(part if len(part) <= SHOWN_KEY else f"{part[:8]}..." for part in key.split(":"))
    return "/".join(filter(None, (str(own.get("name", "")), short, str(own.get("handler", "")))))


def _handler(target: str) -> str:
    return target.rpartition("/")[2]


def _milliseconds(begun: datetime, ended: datetime) -> int:
    return max(round((ended - begun).total_seconds() * 1000), 0)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
