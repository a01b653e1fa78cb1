"""What the runs of a load spike and of a soak are judged by, and that each judgement can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.openloop import Load, Told
from tests.faults.spike import AFTER_SECONDS, BEFORE_SECONDS, Found, analyse, judge, normal_again

SPIKE = 10.0
OVER = BEFORE_SECONDS + SPIKE
SHED = Told("sale", BEFORE_SECONDS + 1, 0.01, "RESOURCE_EXHAUSTED", "RATE_LIMITED", has_retry=True)


def sale(at: float, seconds: float = 0.1) -> Told:
    return Told("sale", at, seconds, "OK")


def good() -> list[Told]:
    """Ten visitors a second before and after; in the spike twenty are served and as many shed."""
    calm = [sale(at / 10) for at in range(int(BEFORE_SECONDS * 10))]
    served = [sale(BEFORE_SECONDS + at / 20, 1.5) for at in range(int(SPIKE * 20))]
    shed = [replace(SHED, at=one.at) for one in served]
    after = [sale(OVER + at / 10, 1.5 if at < 50 else 0.11) for at in range(int(AFTER_SECONDS * 10))]
    return [*calm, *served, *shed, *after]


def found_of(told: list[Told]) -> Found:
    found = Found(limit_per_second=25.0, memory_mb={"gateway": (90.0, 120.0), "restate": (250.0, 500.0)})
    analyse(found, Load(told), SPIKE)
    return found


def judged(told: list[Told], **more: object) -> list[str]:
    return judge(replace(found_of(told), **more), told, SPIKE)  # type: ignore[arg-type]


def test_a_good_run_holds() -> None:
    """Shed with RetryInfo, served all along, normal again 5 s after."""
    found = found_of(good())
    assert judge(found, good(), SPIKE) == []
    assert found.normal_after_seconds == 5.0
    assert found.served_per_second == 20.0
    assert found.answers["spike"] == {"OK": 200, "RESOURCE_EXHAUSTED RATE_LIMITED": 200}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (Told("sale", OVER - 1, 0.1, "UNAVAILABLE"), "other answers than OK and RESOURCE_EXHAUSTED: 1 UNAVAILABLE"),
        (Told("look", 1, 60.0, "DEADLINE_EXCEEDED"), "1 DEADLINE_EXCEEDED"),
        (replace(SHED, has_retry=False), "1 refusals do not say when to repeat"),
        (replace(SHED, at=2.0), "calls of the normal load were shed before the spike"),
    ],
)
def test_each_wrong_answer_is_named(more: Told, words: str) -> None:
    """One call is enough."""
    assert any(words in one for one in judged([*good(), more]))


def test_a_spike_that_is_none_is_named() -> None:
    """Without a refusal nothing is shown."""
    assert judged([one for one in good() if one.code == "OK"]) == ["nothing was shed: the spike was no spike"]


def test_to_shed_nearly_everything_is_named() -> None:
    """Half of the limit is to be served."""
    few = [one for one in good() if one.code != "OK" or not BEFORE_SECONDS <= one.at < OVER or one.at >= OVER - 5]
    assert judged(few) == ["only 10.0 visits/s were served during the spike, less than 50% of 25.0/s"]


def test_a_process_that_died_or_grew_is_named() -> None:
    """Memory is bounded for each."""
    assert judged(good(), dead=["ticket"]) == ["processes died: ticket"]
    grown = {"gateway": (90.0, 90.0 + 151), "ticket": (100.0, 300.0), "restate": (250.0, 849.0)}
    assert judged(good(), memory_mb=grown) == ["gateway took 151 MB more than before, 150 MB is its limit"]


def test_a_latency_that_stays_high_is_named() -> None:
    """Also one that is normal for a moment only."""
    slow = [replace(one, seconds=1.0) if one.at >= OVER else one for one in good()]
    assert judged(slow) == ["latency was not normal again within 30 s"]
    again = [replace(one, seconds=1.0) if one.at >= OVER + AFTER_SECONDS - 2 else one for one in good()]
    assert judged(again) == ["latency was not normal again within 30 s"]


BEFORE = {"p50": 0.1, "p99": 0.2}


def window(begin: float, p50: float, p99: float, served: float = 1.0) -> dict[str, float]:
    return {"from": begin, "p50": p50, "p99": p99, "served": served}


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([window(0, 0.1, 0.2), window(5, 0.24, 0.44)], 0),
        ([window(0, 0.26, 0.2), window(5, 0.1, 0.2)], 5),
        ([window(0, 0.1, 0.46), window(5, 0.1, 0.2)], 5),
        ([window(0, 0.1, 0.2, served=0.99), window(5, 0.1, 0.2)], 5),
        ([window(0, 0.1, 0.2), window(5, 0.1, 9.0), window(10, 0.1, 0.2)], 10),
        ([window(0, 0.1, 0.2), window(5, 0.1, 9.0)], None),
        ([], None),
    ],
)
def test_normal_means_at_most_twice_as_slow_and_everybody_served(
    windows: list[dict[str, float]], expected: float | None
) -> None:
    """From the first window on after which none is worse; 50 ms are chance."""
    assert normal_again(BEFORE, windows) == expected
