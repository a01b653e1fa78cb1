"""Catalog: which events exist, as pure functions. Entries are kept in stored pages of PAGE_EVENTS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from services.common.states import EventState

PAGE_EVENTS = 25
"""Events per stored page; with the longest titles a page stays below 64 kB."""

MAX_PAGES_READ = 40
"""Stored pages that one answer looks at; what is left comes with the next page token."""

Entry = TypeVar("Entry")


def is_listed(*, state: EventState, owner: str, subject: str, is_admin: bool) -> bool:
    """Tell whether a caller sees an event in the list: published ones, and their own drafts."""
    return state is not EventState.DRAFT or is_admin or (bool(subject) and subject == owner)


def place(entries: Sequence[Entry], index: int, entry: Entry) -> list[Entry]:
    """Put an entry at its place of a page, or at the end of it."""
    return [*entries[:index], entry, *entries[index + 1 :]]
