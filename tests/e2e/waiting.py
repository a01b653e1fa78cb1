"""Waiting for a predicate: what is asked again, until when, and what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(check: Callable[[], Found], what: str, seconds: float, every: float = 0.25) -> Found:
    """Ask until the answer is true and give it; fails naming what was waited for and the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; the last answer was {found!r}")
        time.sleep(every)
