"""What is a flat memory line, and that each judgement of a soak can fail."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

# It plots: matplotlib is in the extra `bench`, which the image of the tests has not.
soak = pytest.importorskip("bench.soak", exc_type=ImportError)

SECONDS = 600


def memory(per_minute: float, *, warm_up: float = 40.0, noise: float = 1.0) -> list[tuple[float, float]]:
    """Make samples: quick growth while caches fill, then a slope."""
    chance = random.Random(1)
    return [
        (float(at), 100 + warm_up * min(at / 120, 1) + per_minute * at / 60 + chance.uniform(-noise, noise))
        for at in range(SECONDS)
    ]


def test_growth_during_the_warm_up_is_not_held_against_a_process() -> None:
    """Caches fill; then it is flat."""
    line = soak.line(memory(0.0), SECONDS, 24.0)
    assert line.is_flat
    assert abs(line.gain_mb) < 0.5
    assert line.peak_mb == pytest.approx(140, abs=2)


def test_a_leak_is_seen() -> None:
    """4 MB a minute are 28 MB in the seven minutes after the warm-up."""
    line = soak.line(memory(4.0), SECONDS, 24.0)
    assert line.gain_mb == pytest.approx(28, abs=1)
    assert line.slope_mb_per_minute == pytest.approx(4, abs=0.1)
    assert not line.is_flat


def test_a_run_that_is_too_short_is_refused() -> None:
    """A line needs two points after the warm-up."""
    with pytest.raises(ValueError, match="too few samples"):
        soak.line([(0.0, 1.0), (1.0, 1.0)], SECONDS, 24.0)


def test_a_longer_run_may_gain_more_and_a_shorter_one_as_much() -> None:
    """The bounds are those of ten minutes."""
    assert [soak.bound_mb("ticket", seconds) for seconds in (60, 600, 1200)] == [24, 24, 48]
    assert soak.bound_mb("restate", 600) == 120


def good() -> soak.Soak:
    lines = {"gateway": soak.line(memory(0.0), SECONDS, 24.0)}
    answers = {"OK": 995, "RESOURCE_EXHAUSTED RATE_LIMITED": 5}
    return soak.Soak(1, SECONDS, 100.0, 70.0, answers=answers, lines=lines)


def test_a_good_soak_holds() -> None:
    """One in two hundred may be shed."""
    assert soak.judge(good()) == []
    assert "| gateway | 140 | 140 |" in soak.table(good()).replace("139", "140").replace("141", "140")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"dead": ["ticket"]}, "processes died: ticket"),
        ({"answers": {"OK": 90, "RESOURCE_EXHAUSTED RATE_LIMITED": 10}}, "only 90 of 100 calls were served"),
        ({"answers": {"OK": 999, "UNAVAILABLE": 1}}, "other answers than OK and RESOURCE_EXHAUSTED"),
        ({"lines": {"gateway": soak.line(memory(4.0), SECONDS, 24.0)}}, "gateway gained 28"),
    ],
)
def test_each_failure_of_a_soak_is_named(more: dict[str, object], words: str) -> None:
    """One at a time."""
    wrong = soak.judge(replace(good(), **more))
    assert len(wrong) == 1
    assert words in wrong[0]
