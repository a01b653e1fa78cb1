"""The load programs measure what a visitor waits, and come when the schedule says."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from bench.openloop import Arrival, Phase, Told, closed_loop, codes, open_loop, schedule, waits
from bench.visits import details, ledger_wrongs
from bench.watching import died

MIX = {"sale": 3.0, "look": 1.0}


def test_the_same_seed_gives_the_same_crowd() -> None:
    """And another seed another."""
    phases = [Phase("calm", 10, 20), Phase("spike", 5, 200)]
    assert schedule(phases, MIX, 7) == schedule(phases, MIX, 7)
    assert schedule(phases, MIX, 7) != schedule(phases, MIX, 8)


def test_a_schedule_has_the_rates_and_the_mix_that_were_asked_for() -> None:
    """Each phase within its time; a phase without visitors has none."""
    arrivals = schedule([Phase("calm", 100, 10), Phase("none", 50, 0), Phase("spike", 100, 100)], MIX, 1)
    calm, none, spike = (
        [one for one in arrivals if begin <= one.at < end] for begin, end in ((0, 100), (100, 150), (150, 250))
    )
    assert 850 < len(calm) < 1150
    assert none == []
    assert 9600 < len(spike) < 10400
    assert len(calm) + len(spike) == len(arrivals)
    assert 0.72 < Counter(one.kind for one in arrivals)["sale"] / len(arrivals) < 0.78
    assert [one.number for one in arrivals] == list(range(len(arrivals)))


async def test_nobody_waits_for_another_to_be_served() -> None:
    """Ten visitors of 0.2 s who come within 0.1 s are all served after 0.3 s, not after 2 s."""

    async def visit(arrival: Arrival, moment: float) -> list[Told]:
        await asyncio.sleep(0.2)
        return [Told(arrival.kind, arrival.at, time.monotonic() - moment, "OK")]

    load = await open_loop(visit, [Arrival(number, number / 100, "sale") for number in range(10)])
    assert len(load.told) == 10
    assert all(0.2 <= one.seconds < 1.0 for one in load.told)


async def test_a_load_program_that_falls_behind_adds_it_to_the_latency() -> None:
    """A visitor that is called late has waited since it was to come."""

    async def visit(arrival: Arrival, moment: float) -> list[Told]:
        if arrival.number == 0:
            time.sleep(0.3)  # noqa: ASYNC251 - blocks the loop, as garbage collection may
        return [Told(arrival.kind, arrival.at, time.monotonic() - moment, "OK")]

    load = await open_loop(visit, [Arrival(0, 0.0, "sale"), Arrival(1, 0.01, "sale")])
    assert load.told[1].seconds >= 0.28
    assert load.late_seconds >= 0.28


async def test_the_limit_counts_visits_that_were_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at once of 20 ms each are 200 a second; who is refused comes back later, and counts for nothing."""
    monkeypatch.setattr("bench.openloop.WARM_UP_SECONDS", 0.1)
    called = 0

    async def visit(arrival: Arrival, moment: float) -> list[Told]:
        nonlocal called
        called += 1
        await asyncio.sleep(0.02)
        is_first = arrival.number <= 3
        return [Told(arrival.kind, arrival.at, 0.02, "RESOURCE_EXHAUSTED" if is_first else "OK")]

    # Three of the four are away for a second, which is longer than it lasts.
    assert 10 < await closed_loop(visit, MIX, 1, at_once=4, seconds=0.6) <= 50
    assert called <= 40

    async def refused(arrival: Arrival, moment: float) -> list[Told]:
        return [Told(arrival.kind, arrival.at, 0.02, "UNAVAILABLE")]

    with pytest.raises(RuntimeError, match="nothing was served"):
        await closed_loop(refused, MIX, 1, at_once=4, seconds=0.2)


def test_answers_are_counted_by_code_and_reason() -> None:
    """Waits are of those who were served."""
    told = [Told("sale", 0, 1.5, "OK"), Told("sale", 0, 9.0, "RESOURCE_EXHAUSTED", "RATE_LIMITED", has_retry=True)]
    assert codes(told) == {"OK": 1, "RESOURCE_EXHAUSTED RATE_LIMITED": 1}
    assert waits(told) == [1.5]


def error(*with_details: object) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=8, message="full")
    for detail in with_details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), trailers, details="full")


def test_reason_and_retry_are_read_from_the_details() -> None:
    """None where there is no RetryInfo; 0 s is one."""
    info, retry = error_details_pb2.ErrorInfo(reason="RATE_LIMITED"), error_details_pb2.RetryInfo()
    assert details(error(info)) == ("RATE_LIMITED", None)
    assert details(error(info, retry)) == ("RATE_LIMITED", 0.0)
    retry.retry_delay.FromMilliseconds(1500)
    assert details(error(retry)) == ("", 1.5)
    assert details(error()) == ("", None)


SOLD = [("o1", "authorized"), ("o1", "captured"), ("o2", "authorized"), ("o2", "captured"), ("o3", "declined")]


def test_a_good_ledger_has_nothing_wrong() -> None:
    """What was voided or refunded is settled; what nobody is sure of may be captured."""
    assert ledger_wrongs(SOLD, {"o1", "o2"}, 0) == []
    more = [("o4", "authorized"), ("o4", "voided"), ("o5", "captured"), ("o5", "refunded"), ("o6", "captured")]
    assert ledger_wrongs([*SOLD, *more], {"o1", "o2"}, 1) == []


@pytest.mark.parametrize(
    ("more", "bought", "words"),
    [
        ([], {"o1", "o2", "o9"}, "1 orders were confirmed and never captured, o9 among them"),
        ([("o1", "captured")], {"o1", "o2"}, "1 orders were captured twice, o1 among them"),
        ([("o7", "authorized")], {"o1", "o2"}, "1 authorizations are open, o7 among them"),
        ([], {"o1"}, "1 captures that no client knows of, 0 sales are unsure"),
    ],
)
def test_each_damage_of_a_ledger_is_named(more: list[tuple[str, str]], bought: set[str], words: str) -> None:
    """Planted one at a time."""
    assert ledger_wrongs([*SOLD, *more], bought, 0) == [words]


def test_a_process_that_is_gone_or_was_born_again_has_died() -> None:
    """One more process is none the worse."""
    before = {"gateway": frozenset({("1", "10")}), "ticket": frozenset({("2", "20"), ("3", "30")})}
    assert died(before, {**before, "gateway": frozenset({("1", "10"), ("9", "90")})}) == []
    assert died(before, {**before, "gateway": frozenset({("1", "11")})}) == ["gateway"]
    assert died(before, {**before, "ticket": frozenset({("2", "20")})}) == ["ticket"]
    assert died({"restate": frozenset()}, {"restate": frozenset()}) == ["restate"]
