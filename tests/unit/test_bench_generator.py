"""The load generator keeps to what it was told, and hides no wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.buyers import Visitors
from bench.generator import KINDS, GeneratorError, crowd, generate
from bench.loads import Done, Load, Told, errors


def load(**more: object) -> Load:
    named = {"kind": "noop", "grpc": "", "http": "", "ingress": "", "key_file": "", "seal_keys": "", "subject_key": ""}
    return Load(**{**named, "seed": 1, "seconds": 0.3, **more})  # type: ignore[arg-type]


class Slow(Visitors):
    """Answers after a time; counts how many are inside at once."""

    def __init__(self, given: Load, took: float, *, is_single: bool = False) -> None:
        super().__init__(given)
        self.took, self.inside, self.most, self.numbers = took, 0, 0, set[int]()
        self.turn = asyncio.Semaphore(1 if is_single else 1000)

    async def visit(self, number: int) -> str | None:
        self.numbers.add(number)
        self.inside += 1
        self.most = max(self.most, self.inside)
        async with self.turn:
            await asyncio.sleep(self.took)
        self.inside -= 1
        return ""


async def test_as_many_visit_at_once_as_the_load_says() -> None:
    """Each comes again as soon as it is answered, every visit with a number of its own, until the time is over."""
    slow = Slow(load(concurrency=5), 0.01)
    told = await crowd(slow, slow.load)
    assert slow.most == 5
    assert slow.numbers == set(range(len(told.visits)))
    assert len(told.visits) > 10
    assert told.seconds >= 0.3


async def test_a_load_of_so_many_visits_ends_after_them() -> None:
    """Not one more."""
    slow = Slow(load(concurrency=4, most=7, seconds=60), 0.001)
    assert len((await crowd(slow, slow.load)).visits) == 7


async def test_at_a_rate_the_wait_for_a_slow_server_is_counted() -> None:
    """Visitors come whether or not the one before was served, and their time counts from when they came."""
    slow = Slow(load(per_second=200, seconds=0.5), 0.02, is_single=True)
    told = await crowd(slow, slow.load)
    # Served 50 a second, 200 come: the last ones wait for more than a second although each takes 0.02 s.
    assert len(told.visits) > 60
    assert max(visit.took for visit in told.visits) > 0.5


async def test_at_a_rate_the_generators_own_delay_is_counted() -> None:
    """Visitors whom it could not let in at their time have waited since then."""

    class Blocking(Visitors):
        async def visit(self, number: int) -> str | None:
            if number == 0:
                time.sleep(0.3)  # noqa: ASYNC251 - the generator itself stands still
            return ""

    told = await crowd(Blocking(load()), load(per_second=100, seconds=0.5))
    assert sum(visit.took > 0.05 for visit in told.visits) > 5


async def test_an_answer_that_does_not_come_is_a_refusal_of_its_own() -> None:
    """The others go on, and the generator tells of it."""

    class Mute(Visitors):
        async def visit(self, number: int) -> str | None:
            if number == 1:
                raise TimeoutError
            return ""

    told = await crowd(Mute(load()), load(concurrency=1, most=3, seconds=60))
    assert [visit.reason for visit in told.visits] == ["", "no answer: TimeoutError", ""]


async def test_the_same_seed_takes_the_same_seats() -> None:
    """Each seat once, all seats, in another order for another seed."""
    seats = [f"A-1-{number}" for number in range(20)]

    def taken(seed: int) -> list[str]:
        visitors = Visitors(load(seed=seed, seats=seats, seats_each=2))
        return [seat for _ in range(10) for seat in visitors.take() or []]

    assert taken(1) == taken(1) != taken(2)
    assert sorted(taken(1)) == sorted(seats)


def test_seats_that_run_out_are_told() -> None:
    """A load that has nothing more to do would else look like a slow server."""
    visitors = Visitors(load(seats=["A-1-1"], seats_each=2))
    assert visitors.take() is None
    assert errors(visitors.told) == ["the seats ran out before the time did"]


def test_refusals_that_were_not_expected_are_told() -> None:
    """By reason and number."""
    told = Told(visits=[Done(0, 0), Done(0, 0, "INTERNAL"), Done(0, 0, "INTERNAL"), Done(0, 0, "SEAT_UNAVAILABLE")])
    assert errors(told, ["SEAT_UNAVAILABLE"]) == ["2 visits ended with INTERNAL"]
    assert len(told.done) == 1


def test_a_generator_that_cannot_begin_is_told_and_ended() -> None:
    """Here one that has no key to sign its buyers' tokens with."""
    begun = time.monotonic()
    with pytest.raises(GeneratorError, match="of ingress-sale did not begin"):
        generate(load(kind="ingress-sale", subject_key="short"))
    assert time.monotonic() - begun < 60


def test_every_kind_of_load_is_known() -> None:
    """What a message may name, a generator can make."""
    from typing import get_args

    from bench.loads import Kind

    assert set(get_args(Kind)) == set(KINDS)
