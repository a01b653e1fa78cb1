"""The arithmetic of measurements."""

from __future__ import annotations

import math

import pytest

from bench.figures import (
    Measured,
    compared,
    differences,
    efficiency,
    latencies,
    per_second,
    percentile,
    rate,
    repeated,
    worse,
)
from bench.targets import LABELS, TARGETS, Target, judge

RECORDED = {"efficiency": 0.8, "invocations_per_sale": 9.0, "gateway_cost": 1.2}


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 50), (0.99, 99), (0.01, 1), (1.0, 100)])
def test_a_percentile_is_a_value_that_occurred(share: float, wanted: float) -> None:
    """Nearest rank, whatever the order."""
    assert percentile([float(value) for value in range(100, 0, -1)], share) == wanted


def test_of_nothing_there_is_no_percentile() -> None:
    """Neither 0 nor an error, which a target would take for good."""
    assert math.isnan(percentile([], 0.99))
    assert not Target("sale", "p99_ms", 250).is_met(latencies([])["p99_ms"])


def test_a_second_counts_what_ended_in_it() -> None:
    """What came after the time is left out."""
    assert per_second([0.0, 0.9, 1.0, 2.5, 3.1], 3) == [2, 1, 1]
    assert rate([0.0, 0.9, 1.0, 2.5, 3.1], 1.0, 3.0) == 1.0
    assert rate([1.0], 2.0, 2.0) == 0.0


def test_efficiency_is_the_share_of_the_invocations_that_the_machine_can_carry() -> None:
    """100 sales of 9 invocations where 1,200 no-ops a second are possible."""
    assert efficiency(100, 9, 1200) == 0.75
    assert math.isnan(efficiency(100, 9, 0))


def test_counters_that_did_not_move_are_left_out() -> None:
    """And one that is new counts from 0."""
    assert differences({"a": 5.0, "b": 2.0, "c": 1.0}, {"a": 3.0, "b": 2.0}) == {"a": 2.0, "c": 1.0}


def test_the_same_figures_are_not_worse() -> None:
    """Nor slightly worse ones, nor better ones."""
    assert not worse(RECORDED, RECORDED)
    assert not worse(RECORDED, {"efficiency": 0.7, "invocations_per_sale": 10.0, "gateway_cost": 1.3})
    assert not worse(RECORDED, {"efficiency": 1.9, "invocations_per_sale": 2.0, "gateway_cost": 0.5})


@pytest.mark.parametrize(
    ("name", "value"), [("efficiency", 0.67), ("invocations_per_sale", 10.4), ("gateway_cost", 1.39)]
)
def test_a_ratio_worse_by_more_than_15_percent_is_named(name: str, value: float) -> None:
    """Less efficiency, more invocations, a dearer gateway; that one alone."""
    (told,) = worse(RECORDED, RECORDED | {name: value})
    assert told.startswith(f"{name}: recorded ")
    assert f"found {value:.3f}" in told


@pytest.mark.parametrize("found", [{}, {"efficiency": math.nan}])
def test_a_ratio_that_is_missing_is_as_bad_as_one_that_is_worse(found: dict[str, float]) -> None:
    """A guard that has nothing to compare must not pass."""
    assert any(told.startswith("efficiency") for told in worse(RECORDED, found))
    assert len(worse({}, RECORDED)) == 3


def test_the_gateways_cost_is_known_where_both_were_measured() -> None:
    """As the rate straight on the ingress over that through the gateway."""
    sale, direct = (
        Measured("sale", "sales", "", {"rate": 100.0}),
        Measured("sale-ingress", "sales", "", {"rate": 120.0}),
    )
    alone = Measured("hold-checkout", "sales", "", {"rate": 50.0})
    compared([sale, direct, alone])
    assert sale.figures["gateway_cost"] == 1.2
    assert "gateway_cost" not in alone.figures


def test_two_runs_are_compared_by_the_rates_that_both_have() -> None:
    """Of the same scenario; what only one has measured is left out."""
    before = [Measured("sale", "sales", "", {"rate": 100.0}), Measured("hot-seat", "hot", "", {"seconds": 1.0})]
    after = [Measured("sale", "sales", "", {"rate": 90.0}), Measured("map-whole", "map", "", {"rate": 5.0})]
    assert repeated(before, after) == [("sale", 100.0, 90.0)]


def test_a_target_whose_figure_is_missing_is_not_met() -> None:
    """It is listed; targets of what was not run at all are not."""
    judged = judge([Measured("hot-seat", "hot", "one seat", {"seconds": 2.0})])
    assert [(one.target.figure, one.is_met) for one in judged] == [("seconds", True), ("refused", False)]


def test_every_target_has_a_name_for_people_and_a_scenario_that_is_measured() -> None:
    """A target that nothing measures would never be missed."""
    from bench.scenarios import SCENARIOS

    assert {target.figure for target in TARGETS} <= set(LABELS)
    assert {target.scenario for target in TARGETS} <= {scenario.name for scenario in SCENARIOS}
