"""Seating plans of pretix with a price list beside them."""

# ruff: noqa: E501 - one mistake a line reads best

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.errors import FileError
from services.cli.eventfile import read_event
from services.cli.pretix import id_of
from services.common.ids import is_id

UUID = "0d3c8ff6-1a5e-4b0d-9c52-7b3a3a6f8a11"
PLAN: dict[str, Any] = {
    "name": "Town Hall",
    "categories": [{"name": "Stalls", "color": "red"}, {"name": "Côté jardin"}, {"name": "Unused"}],
    "size": {"width": 800, "height": 600},
    "zones": [
        {
            "name": "Main hall",
            "position": {"x": 100, "y": 200},
            "uuid": "an editor's own",
            "rows": [
                {
                    "row_number": "1",
                    "position": {"x": 0, "y": 50},
                    "row_number_position": "both",
                    "seats": [
                        {"seat_number": "1", "seat_guid": UUID, "position": {"x": 0, "y": 0}, "category": "Stalls"},
                        {"seat_number": "2", "seat_guid": "Row 1/2", "position": {"x": 25, "y": 3}, "category": "Stalls"},
                    ],
                },
                {
                    "row_number": "1",
                    "seats": [
                        {"seat_number": "9", "seat_guid": "G9", "position": {"x": 300, "y": 0}, "category": "Côté jardin"}
                    ],
                },
            ],
            "areas": [{"width": 10, "height": 10, "position": {"x": 0, "y": 0}, "text": "Stage"}],
        },
        {"name": "Foyer", "position": {"x": 0, "y": 0}, "rows": []},
    ],
}  # fmt: skip
PRICES = """\
venue: Town Hall
starts_at: 2030-05-01T19:00:00Z
currency_code: EUR
prices:
  Stalls: 4500
  Côté jardin: 2500
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hall.prices.yaml").write_text(PRICES)
    return tmp_path


def read(folder: Path, plan: object) -> Any:
    (folder / "hall.json").write_text(json.dumps(plan))
    return read_event(folder / "hall.json")


def problems(folder: Path, plan: object) -> list[str]:
    with pytest.raises(FileError) as refused:
        read(folder, plan)
    return [str(problem) for problem in refused.value.problems]


def changed(path: str, value: object = None) -> dict[str, Any]:
    """Give the plan with the value at a path changed, or taken away."""
    plan = copy.deepcopy(PLAN)
    at: Any = plan
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in above:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return plan


def test_a_plan_becomes_an_event(folder: Path) -> None:
    """Zones are sections, positions add up, names that are no ids become ids that stay the same."""
    event = read(folder, PLAN)
    (section,) = event.sections
    assert (event.title, event.venue, section.title) == ("Town Hall", "Town Hall", "Main hall")
    assert [row.row_id for row in section.rows] == ["1", "1-2"]
    seats = [seat for row in section.rows for seat in row.seats]
    assert [seat.seat_id for seat in seats] == [UUID, id_of("Row 1/2", "seat"), "G9"]
    assert [(seat.x, seat.y) for seat in seats] == [(100, 250), (125, 253), (400, 200)]
    assert [(it.title, it.amount_minor) for it in event.price_categories] == [("Stalls", 4500), ("Côté jardin", 2500)]
    assert read(folder, PLAN) == event


@pytest.mark.parametrize("name", ["Row 1/2", "Côté", "ряд 1", "-1", "x" * 200, "\u00e9", "e\u0301"])
def test_a_name_becomes_an_id(name: str) -> None:
    """Any text has its id, always the same one."""
    assert is_id(id_of(name, "seat"))
    assert id_of(name, "seat") == id_of(name, "seat")


def test_different_names_become_different_ids() -> None:
    """Also where they look alike without what an id cannot hold."""
    assert len({id_of(name, "seat") for name in ("A 1", "A/1", "A-1", "A:1")}) == 4


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("categories", None, "categories: expected a list; it is missing"),
        ("categories", [], "categories: expected at least one element"),
        ("categories", {"Stalls": 1}, "categories: expected a list, found a map"),
        ("categories.1.name", "Stalls", "categories[1].name: expected a name of its own; 'Stalls' is there twice"),
        ("zones", None, "zones: expected a list; it is missing"),
        ("zones.0.rows", None, "zones[0].rows: expected a list; it is missing"),
        ("zones.0.rows", [], "zones: expected at least one seat"),
        ("zones.0.position", None, "zones[0].position: expected a map with the numbers x and y"),
        ("zones.0.rows.0.row_number", None, "zones[0].rows[0].row_number: expected a text; it is missing"),
        ("zones.0.rows.0.seats", 3, "zones[0].rows[0].seats: expected a list, found '3'"),
        ("zones.0.rows.0.seats.1.position", {"x": 1}, "zones[0].rows[0].seats[1].position: expected a map with the numbers x and y"),
        ("zones.0.rows.0.seats.1.seat_guid", UUID, f"zones[0].rows[0].seats[1].seat_guid: expected a guid of its own; {UUID!r} is also at zones[0].rows[0].seats[0]"),
        ("zones.0.rows.0.seats.1.seat_guid", "", "zones[0].rows[0].seats[1].seat_guid: expected a text, found ''"),
        ("zones.0.rows.0.seats.1.category", "Stals", "zones[0].rows[0].seats[1].category: expected one of the plan's categories (Stalls, Côté jardin, Unused), found 'Stals'"),
        ("zones.0.rows.0.seats.1.category", None, "zones[0].rows[0].seats[1].category: expected a text; it is missing"),
        ("zones.0.rows.0.seats.1.position", {"x": 1e9, "y": 0}, "zones[0].rows[0].seats[1]: expected from -1000000 to 1000000"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_plan_is_named_with_its_path(folder: Path, path: str, value: object, expected: str) -> None:
    """And what was expected there."""
    assert expected in problems(folder, changed(path, value))


@pytest.mark.parametrize("categories", [None, [], {"Stalls": 1}, [{"color": "red"}]])
def test_a_plan_without_categories_has_one_mistake(folder: Path, categories: object) -> None:
    """Not one more for each seat."""
    [found] = problems(folder, changed("categories", categories))
    assert found.startswith("categories")


@pytest.mark.parametrize(
    ("written", "instead", "expected"),
    [
        ("  Stalls: 4500\n", "", "line 4: prices: expected the price of the category 'Stalls', which has seats"),
        ("  Stalls: 4500\n", "  Stalls: 4500\n  Unused: 1\n", "line 6: prices.Unused: expected a category of the plan that has seats (Stalls, Côté jardin)"),
        ("Stalls: 4500", "Stalls: -1", "hall.prices.yaml: line 5: prices.Stalls: expected from 0 to 1000000000000"),
        ("Stalls: 4500", "Stalls: free", "hall.prices.yaml: line 5: prices.Stalls: expected a whole number, found 'free'"),
        ("currency_code: EUR\n", "", "hall.prices.yaml: currency_code: expected a value; it is missing"),
        ("venue:", "vanue:", "hall.prices.yaml: line 1: vanue: unknown field; expected venue"),
        ("prices:", "price_categories:", "line 4: price_categories: expected nothing: the plan has it"),
        ("prices:\n  Stalls: 4500\n  Côté jardin: 2500\n", "prices: 4500\n", "line 4: prices: expected a map of category to amount_minor, for Stalls, Côté jardin"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_price_list_is_named_with_its_line(
    folder: Path, written: str, instead: str, expected: str
) -> None:
    """The line of the price list, not of the plan."""
    assert PRICES.count(written) == 1
    (folder / "hall.prices.yaml").write_text(PRICES.replace(written, instead))
    assert expected in problems(folder, PLAN)


def test_a_plan_without_prices_asks_for_them(folder: Path) -> None:
    """It says where they are looked for."""
    (folder / "hall.prices.yaml").unlink()
    (found,) = problems(folder, PLAN)
    assert "expected the prices of this seating plan in" in found
    assert "hall.prices.yaml, or --prices FILE" in found


def test_an_event_file_takes_no_price_list(folder: Path) -> None:
    """Two sets of prices would leave open which one counts."""
    (folder / "event.yaml").write_text("title: Gala\nsections: []\n")
    with pytest.raises(FileError, match="an event file has its own prices"):
        read_event(folder / "event.yaml", folder / "hall.prices.yaml")


def test_the_example_is_a_plan_with_prices() -> None:
    """examples/town-hall.json with its price list: what the documents tell a newcomer to try."""
    event = read_event(Path(__file__).resolve().parents[2] / "examples" / "town-hall.json")
    assert [(it.title, sum(len(row.seats) for row in it.rows)) for it in event.sections] == [
        ("Parkett", 60),
        ("Galerie", 28),
    ]
    assert event.starts_at.ToJsonString() == "2030-02-14T18:00:00Z"
