"""The page of figures, the events that are sold, and what counts as wrong."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import guard, report
from bench.counting import of_sales, samples, started
from bench.figures import Measured
from bench.loads import Told
from bench.measuring import MONEY, disagreements, event_of
from bench.scenarios import SCENARIOS, chosen
from bench.scenarios.events import written_out
from bench.scenarios.watchers import late

SALE = Measured(
    "sale-simulator",
    "sales",
    "a sale",
    {"rate": 100.0, "p50_ms": 10.0, "p90_ms": 20.0, "p99_ms": 30.0},
    {"restate": 12.0, "ticket": 0.0, "load generator": 1.0},
    [90, 100],
    {"Checkout.process": 1.0},
    ["a note"],
    ["a seat was sold twice"],
)


def run(*measured: Measured) -> report.Run:
    return report.Run(7, 10.0, {"cores": "2"}, {"Restate": "1.7.12"}, datetime(2030, 1, 1, tzinfo=UTC), 60, [*measured])


def test_the_page_shows_figures_targets_costs_and_what_was_wrong() -> None:
    """With units, a missed target in bold, and without a section for what was not measured."""
    page = report.page(run(SALE))
    assert "| a sale | a second | >= 120 | 100 | **no** |" in page
    assert "| a sale | 12.0 | 1.00 | 13.0 |" in page
    assert "**a sale: a seat was sold twice**" in page
    assert "Checkout.process 1.00" in page
    assert "| 10x, 1,000 a second | 20.0 |" in page
    assert "## Watchers" not in page


def test_the_page_is_put_between_its_marks() -> None:
    """What people wrote around them stays."""
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.put(text, "new") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="has no"):
        report.put("no marks", "new")


def test_a_figure_that_is_none_is_not_shown_as_one() -> None:
    """Missing is blank, not a number is a question mark; others have three digits that say something."""
    shown = [report.number(value) for value in (None, math.nan, 1234.5, 12.34, 0.123)]
    assert shown == ["", "?", "1,234", "12.3", "0.12"]


def test_the_plots_that_the_page_shows_are_drawn(tmp_path: Path) -> None:
    """And no others."""
    pytest.importorskip("matplotlib", exc_type=ImportError)
    report.write(run(SALE), tmp_path / "performance.md")
    shown = report.plot_names("sales", [SALE])
    assert {path.name for path in (tmp_path / "images").iterdir()} == set(shown)
    assert all(f"images/{name}" in (tmp_path / "performance.md").read_text() for name in shown)


def test_an_audit_that_agrees_tells_nothing() -> None:
    """Orders and seats as the buyers were told."""
    whole = {"verdict": "VERDICT_PASSED", "findings": [], "sections": [{"sold": 2}], "confirmed_count": 1}
    assert not disagreements(whole, {"o-1": ["A-1", "A-2"]})


def test_an_audit_that_disagrees_is_told() -> None:
    """A finding, seats and orders that buyers were not told of, a seat with two buyers."""
    damage = {
        "verdict": "VERDICT_FAILED",
        "gaps": [],
        "findings": [{"kind": "FINDING_KIND_SEAT_IN_TWO_ORDERS"}],
        "sections": [{"sold": 1}],
        "confirmed_count": 3,
    }
    told = disagreements(damage, {"o-1": ["A-1"], "o-2": ["A-1"]})
    assert told == [
        "the audit finds 1 x FINDING_KIND_SEAT_IN_TWO_ORDERS",
        "the audit ends with VERDICT_FAILED: see its findings",
        "1 seats were sold to two buyers",
        "1 seats are sold, buyers were told of 2",
        "3 orders are confirmed, buyers were told of 2",
    ]


def test_money_is_not_asked_for_where_the_provider_is_in_process() -> None:
    """The audit cannot see it there; everything else still counts."""
    kinds = ("FINDING_KIND_ORDER_WITHOUT_CAPTURE", "FINDING_KIND_COUNT_DIFFERS")
    found = {
        "verdict": "VERDICT_FAILED",
        "findings": [{"kind": kind} for kind in kinds],
        "sections": [],
        "confirmed_count": 0,
    }
    assert disagreements(found, {}, ignored=MONEY) == ["the audit finds 1 x FINDING_KIND_COUNT_DIFFERS"]


@pytest.mark.parametrize(
    ("seats", "of_section"), [(100, 500), (1000, 500), (2500, 500), (50_000, 1000), (50_000, 50_000)]
)
def test_an_event_has_the_seats_that_are_asked_for(seats: int, of_section: int) -> None:
    """At least as many as wanted, under the names that the server will give them."""
    event, hall = event_of("e", seats, of_section)
    assert len(hall.seats) == len(set(hall.seats)) >= seats
    assert sum(one["row_count"] * one["seats_per_row"] for one in event["sections"]) == len(hall.seats)
    assert [one["section_id"] for one in event["sections"]] == hall.sections
    last = event["sections"][-1]
    assert hall.seats[-1] == f"{last['section_id']}-{last['row_count']}-{last['seats_per_row']}"


def test_an_event_that_is_written_out_has_the_same_seats() -> None:
    """Each with a place on the plan."""
    request, hall = written_out("e", 2000)
    seats = [seat for section in request.event.sections for row in section.rows for seat in row.seats]
    assert [seat.seat_id for seat in seats] == hall.seats
    assert all(seat.HasField("x") and seat.HasField("y") for seat in seats)


def test_a_screen_is_late_by_what_lies_between_the_sale_and_its_showing() -> None:
    """Every screen counts; clocks that differ a little make none early; what was not sold here does not count."""
    sold, seen = Told(moments={"A": [10.0], "B": [20.0]}), Told(moments={"A": [10.5, 11.0], "B": [19.9], "C": [1.0]})
    assert late(sold, seen) == [0.5, 1.0, 0.0]


def test_invocations_are_those_of_sales() -> None:
    """What the gateway reads for itself is left out."""
    page = 'x_total{service="SeatMap",handler="apply"} 3\nx_total{service="SeatMap",handler="get"} 4\ny_total 1\n'
    found = samples(page, "x_total")
    assert found == [({"service": "SeatMap", "handler": "apply"}, 3.0), ({"service": "SeatMap", "handler": "get"}, 4.0)]
    assert of_sales({f"{labels['service']}.{labels['handler']}": value for labels, value in found}) == 3.0


def test_restates_own_count_is_of_all_partitions() -> None:
    """Of what was started, not of what was completed as well."""
    name = "restate_invoker_invocation_tasks_total"
    page = f'{name}{{status="started",partition_id="0"}} 3\n{name}{{status="started",partition_id="1"}} 4\n'
    assert started(page + f'{name}{{status="completed",partition_id="0"}} 2\n') == 7.0


def test_scenarios_are_chosen_by_name_or_family() -> None:
    """All without a name; one that does not exist is named, with those that do."""
    assert chosen([]) == [*SCENARIOS]
    assert [one.name for one in chosen(["hot", "sale"])] == ["sale", "hot-seat", "hot-event"]
    with pytest.raises(ValueError, match=r"there is no scenario sold; choose from .*hot-seat"):
        chosen(["sold"])
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert {one.family for one in SCENARIOS} <= set(report.FAMILIES)


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    """And where nothing was, the guard says what to do rather than pass."""
    with pytest.raises(guard.NothingRecordedError, match="--record writes it"):
        guard.recorded(tmp_path / "recorded.json")
    guard.record({"efficiency": 0.81234}, tmp_path / "recorded.json")
    assert guard.recorded(tmp_path / "recorded.json") == {"efficiency": 0.812}
    (tmp_path / "recorded.json").write_text("[]")
    with pytest.raises(guard.NothingRecordedError, match="no JSON object"):
        guard.recorded(tmp_path / "recorded.json")
