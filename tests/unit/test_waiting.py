"""Which calls are made again while Restate is away, how long, and how many wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from services.common.errors import DeadlineExceededError, UnavailableError
from services.gateway.waiting import (
    FIRST_SECONDS,
    LONGEST_SECONDS,
    TRY_SECONDS,
    AwayError,
    WaitingRoom,
    may_repeat,
    may_try,
    pause_seconds,
)


def away(*, was_sent: bool = False) -> AwayError:
    return AwayError(UnavailableError("Restate cannot be reached"), was_sent=was_sent)


class Restate:
    """Away for so many attempts."""

    def __init__(self, times: float, *, was_sent: bool = False) -> None:
        self.left = times
        self.was_sent = was_sent
        self.attempts = 0

    async def attempt(self, seconds: float) -> str:
        self.attempts += 1
        if self.left > 0:
            self.left -= 1
            raise away(was_sent=self.was_sent)
        return "ok"


@pytest.mark.parametrize(
    ("was_sent", "is_repeatable", "expected"),
    [(False, False, True), (False, True, True), (True, True, True), (True, False, False)],
)
def test_only_what_may_have_been_done_is_not_repeated(was_sent: bool, is_repeatable: bool, expected: bool) -> None:
    """A call that may have reached a handler is made again only where that does nothing twice."""
    assert may_repeat(was_sent=was_sent, is_repeatable=is_repeatable) is expected


def test_pauses_double_up_to_a_second_and_differ() -> None:
    """The first is at most 50 ms, none is above a second, and calls that failed together come back apart."""
    longest = [pause_seconds(number, 1.0) for number in range(40)]
    assert longest[0] == FIRST_SECONDS
    assert longest[1] == 2 * FIRST_SECONDS
    assert max(longest) == longest[-1] == LONGEST_SECONDS
    assert pause_seconds(3, 0.0) == pause_seconds(3, 1.0) / 2


async def test_a_call_that_never_left_waits() -> None:
    """It is made again until Restate takes it."""
    restate = Restate(3)
    assert await WaitingRoom(5).call(restate.attempt, is_repeatable=False, limit_seconds=5) == "ok"
    assert restate.attempts == 4


async def test_a_call_that_may_have_arrived_is_not_made_twice() -> None:
    """Without a key, and no read, it fails at once."""
    restate = Restate(1, was_sent=True)
    with pytest.raises(UnavailableError):
        await WaitingRoom(5).call(restate.attempt, is_repeatable=False, limit_seconds=5)
    assert restate.attempts == 1
    restate = Restate(1, was_sent=True)
    assert await WaitingRoom(5).call(restate.attempt, is_repeatable=True, limit_seconds=5) == "ok"


@pytest.mark.parametrize(("wait", "limit"), [(0.3, 30.0), (30.0, 0.3)])
async def test_waiting_ends(wait: float, limit: float) -> None:
    """After the setting's time, or before the deadline, whichever is first, it is UNAVAILABLE."""
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        await WaitingRoom(wait).call(Restate(float("inf")).attempt, is_repeatable=True, limit_seconds=limit)
    assert time.monotonic() - begun <= 0.35


async def test_a_call_that_was_taken_is_not_cut_off() -> None:
    """The setting bounds the waiting; an attempt has all the time until the deadline."""
    given: list[float] = []

    async def attempt(seconds: float) -> str:
        given.append(seconds)
        if len(given) < 3:
            raise away()
        return "ok"

    assert await WaitingRoom(1).call(attempt, is_repeatable=False, limit_seconds=60) == "ok"
    assert min(given) > 50


async def test_no_wait_is_one_attempt() -> None:
    """With 0 nothing is made again."""
    restate = Restate(1)
    with pytest.raises(UnavailableError):
        await WaitingRoom(0).call(restate.attempt, is_repeatable=True, limit_seconds=5)
    assert restate.attempts == 1


async def test_other_errors_are_no_outage() -> None:
    """A refusal, or a deadline that has passed, is given as it is, also by a later attempt."""
    attempts = 0

    async def attempt(seconds: float) -> str:
        nonlocal attempts
        attempts += 1
        raise away() if attempts == 1 else DeadlineExceededError("the deadline has passed")

    with pytest.raises(DeadlineExceededError):
        await WaitingRoom(5).call(attempt, is_repeatable=True, limit_seconds=5)
    assert attempts == 2


async def test_the_room_is_bounded() -> None:
    """Beyond the limit a call is refused at once with the advice to come back; those inside go on waiting."""
    is_away = True

    async def attempt(seconds: float) -> str:
        if is_away:
            raise away()
        return "ok"

    room = WaitingRoom(20, max_calls=3)
    inside = [asyncio.create_task(_call(room, attempt)) for _ in range(3)]
    await _until_waiting(room, 3)
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="too many calls wait") as refused:
        await _call(room, attempt)
    assert time.monotonic() - begun < 0.2
    assert refused.value.is_retryable
    is_away = False
    assert await asyncio.gather(*inside) == ["ok"] * 3
    assert room.waiting == 0


async def _until_waiting(room: WaitingRoom, count: int) -> None:
    async with asyncio.timeout(5):
        while room.waiting < count:  # noqa: ASYNC110 - the room tells nobody
            await asyncio.sleep(0)


async def _call(room: WaitingRoom, attempt: Callable[[float], Awaitable[str]]) -> str:
    return await room.call(attempt, is_repeatable=True, limit_seconds=20)


@pytest.mark.parametrize(
    ("is_away", "seconds", "expected"), [(True, 0.001, False), (True, TRY_SECONDS, True), (False, 0.0, True)]
)
def test_few_look_for_all(is_away: bool, seconds: float, expected: bool) -> None:
    """While Restate is away waiting calls take turns; once it has answered anyone, all go."""
    assert may_try(is_away=is_away, seconds_since_try=seconds) is expected


async def test_many_waiting_calls_are_few_attempts_and_all_go_on_at_once() -> None:
    """However many wait, they look for Restate some fifty times a second; one answer lets all of them through."""
    restate, room = Restate(float("inf")), WaitingRoom(20)
    inside = [asyncio.create_task(_call(room, restate.attempt)) for _ in range(500)]
    await _until_waiting(room, 490)
    before, begun = restate.attempts, time.monotonic()
    async with asyncio.timeout(10):
        while restate.attempts < before + 20:  # noqa: ASYNC110 - attempts tell nobody
            await asyncio.sleep(0.01)
    assert time.monotonic() - begun >= 19 * TRY_SECONDS
    restate.left = 0
    begun = time.monotonic()
    assert set(await asyncio.gather(*inside)) == {"ok"}
    assert time.monotonic() - begun < 3


async def test_a_client_that_leaves_frees_its_place() -> None:
    """A call that is given up while it waits does not count any more."""
    room = WaitingRoom(20)
    given_up = asyncio.create_task(_call(room, Restate(float("inf")).attempt))
    await _until_waiting(room, 1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert room.waiting == 0
