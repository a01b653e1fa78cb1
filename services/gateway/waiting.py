"""How a call waits for a Restate that restarts, and which calls may be made again.

A call that surely never left may always be made again. One that may have been sent is made again only
where that cannot do anything twice: it carries an Idempotency-Key, or it reads.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from services.common.errors import DeadlineExceededError, NexusError, UnavailableError
from services.gateway import metrics

FIRST_SECONDS: Final = 0.05
LONGEST_SECONDS: Final = 1.0
"""Pause between two attempts: the first, and the longest."""

TRY_SECONDS: Final = 0.02
"""Between two attempts of waiting calls while Restate is away: 2,000 that all tried would be busy with nothing else."""

MAX_WAITING: Final = 2000
"""Calls that wait at once; each holds its request (most are below 1 kB, none but events above 64 kB)."""

Result = TypeVar("Result")
Attempt = Callable[[float], Awaitable[Result]]
"""Makes the call once, within so many seconds. Raises AwayError where Restate could not take it."""


class AwayError(Exception):
    """Restate could not take a call. `error`: what the client is told; `was_sent`: it may be there all the same."""

    def __init__(self, error: UnavailableError, *, was_sent: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.was_sent = was_sent


def may_repeat(*, was_sent: bool, is_repeatable: bool) -> bool:
    """Tell whether a call that failed may be made again without doing anything twice."""
    return is_repeatable or not was_sent


def pause_seconds(number: int, chance: float) -> float:
    """Give a call's next pause: doubled each time, and spread so that calls do not come at once.

    `number`: of pauses that it has had already. `chance`: 0 to 1.
    """
    longest = min(FIRST_SECONDS * (1 << min(number, 16)), LONGEST_SECONDS)
    return longest * (0.5 + chance / 2)


def may_try(*, is_away: bool, seconds_since_try: float) -> bool:
    """Tell whether a waiting call may look for Restate now. While it is away, few do it for all.

    `seconds_since_try`: since a waiting call last did.
    """
    return not is_away or seconds_since_try >= TRY_SECONDS


class WaitingRoom:
    """The calls of a process that wait for Restate, at most `max_calls` of them.

    `wait_seconds`: how long a call waits, counted from its first failure; 0 lets none wait.
    """

    def __init__(self, wait_seconds: float, max_calls: int = MAX_WAITING) -> None:
        self.wait_seconds = wait_seconds
        self.waiting = 0
        self._max_calls = max_calls
        self._is_away = False
        self._tried_at = float("-inf")

    async def call(self, attempt: Attempt[Result], *, is_repeatable: bool, limit_seconds: float) -> Result:
        """Make a call, and make it again while Restate is away, as far as it may be.

        `limit_seconds`: for all of it. Raises what the attempt raises; UnavailableError where Restate
        stays away, where the call may not be made again, or at once where too many wait already.
        """
        ends_at = time.monotonic() + limit_seconds
        gives_up_at: float | None = None
        pauses = itertools.count()
        while True:
            try:
                # All the time that is left: once Restate has taken it, a call may last as long as any other.
                result = await attempt(ends_at - time.monotonic())
            except AwayError as away:
                self._is_away = True
                if not may_repeat(was_sent=away.was_sent, is_repeatable=is_repeatable):
                    raise away.error from away
                if gives_up_at is None:
                    self._enter(away)
                    gives_up_at = min(ends_at, time.monotonic() + self.wait_seconds)
                await self._wait(pauses, gives_up_at, away)
            except DeadlineExceededError:
                raise
            except NexusError:
                # A refusal is an answer.
                self._is_away = False
                raise
            else:
                self._is_away = False
                return result

    def _enter(self, away: AwayError) -> None:
        if self.wait_seconds <= 0:
            raise away.error from away
        if self.waiting >= self._max_calls:
            raise UnavailableError("too many calls wait for Restate to come back") from away

    async def _wait(self, pauses: Iterator[int], gives_up_at: float, away: AwayError) -> None:
        """Wait until the call may be tried again. Raises UnavailableError where that would be too late."""
        self._count(1)
        try:
            for number in pauses:
                pause = pause_seconds(number, random.random())  # noqa: S311 - spreads load, hides nothing
                if time.monotonic() + pause >= gives_up_at:
                    raise away.error from away
                await asyncio.sleep(pause)
                now = time.monotonic()
                if may_try(is_away=self._is_away, seconds_since_try=now - self._tried_at):
                    self._tried_at = now
                    break
        finally:
            self._count(-1)
        metrics.REPEATED_CALLS.inc()

    def _count(self, change: int) -> None:
        self.waiting += change
        metrics.WAITING_CALLS.set(self.waiting)
