"""The hall in a terminal: every seat once, nothing wider than the screen, statuses that read without colour."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.drawing import bar, draw
from services.cli.eventfile import read_event
from services.cli.hall import Hall, HallRow, HallSection, Scale, Seat, lines_of
from services.cli.show import money

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EVENT: dict[str, Any] = {
    "title": "Gala",
    "venue": "Hall",
    "starts_at": "2030-01-01T20:00:00Z",
    "state": "EVENT_STATE_ON_SALE",
    "currency_code": "EUR",
    "price_categories": [
        {"category_id": "std", "title": "Standard", "amount_minor": "4500"},
        {"category_id": "vip", "title": "First rows", "amount_minor": "9000"},
    ],
}


def hall_of(*rows: list[Seat], title: str = "Stalls") -> Hall:
    """Make a hall of one section, every seat free."""
    section = HallSection("A", title, sum(map(len, rows)), [HallRow(str(it), row) for it, row in enumerate(rows, 1)])
    hall = Hall(EVENT, [section])
    for row in rows:
        for seat in row:
            hall.put("A", seat.seat_id, "SEAT_STATUS_AVAILABLE")
    return hall


def row_of(count: int, row: int = 1, *, step: float | None = None) -> list[Seat]:
    """Make a row of free seats, with positions where a step is given."""
    if step is None:
        return [Seat(f"A-{row}-{number}", "std") for number in range(1, count + 1)]
    return [Seat(f"A-{row}-{number}", "std", number * step, row) for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def theatre() -> Hall:
    """The theatre of the examples, every seat free."""
    event = read_event(EXAMPLES / "theatre.yaml")
    sections = []
    for section in event.sections:
        rows = [
            HallRow(row.row_id, [Seat(it.seat_id, it.category_id, it.x, it.y) for it in row.seats])
            for row in section.rows
        ]
        sections.append(HallSection(section.section_id, section.title, sum(len(row.seats) for row in rows), rows))
    categories = [
        {"category_id": it.category_id, "title": it.title, "amount_minor": it.amount_minor}
        for it in event.price_categories
    ]
    hall = Hall(EVENT | {"price_categories": categories}, sections)
    for section in sections:
        for row in section.rows:
            for seat in row.seats:
                hall.put(section.section_id, seat.seat_id, "AVAILABLE")
    return hall


def texts(hall: Hall, width: int, height: int | None = None) -> list[str]:
    return [line.plain for line in draw(hall, width, height)]


def pictures(lines: list[str]) -> list[str]:
    """Give the lines of seats, without their labels."""
    return [line[6:] for line in lines if line[:5].strip().replace(" ", "").isdigit()]


@pytest.mark.parametrize("width", [60, 79, 80, 100, 120, 200])
def test_every_seat_is_drawn_once_and_fits(theatre: Hall, width: int) -> None:
    """Whatever the width: no seat is lost, none hides another, no line is longer than the screen."""
    lines = texts(theatre, width)
    assert max(map(len, lines)) <= width
    assert sum(len(line.replace(" ", "")) for line in pictures(lines)) == 1000


@pytest.mark.parametrize("width", [80, 120])
def test_both_sides_of_the_hall_mirror_each_other(theatre: Hall, width: int) -> None:
    """Rows are curved and have two aisles; rounding to columns does not bend them to one side."""
    columns = width - 10
    scale = Scale.of(theatre.sections, columns)
    for section in theatre.sections:
        for line in lines_of(section, scale, columns):
            taken = [column for column, _ in line.seats]
            gaps = [right - left for left, right in pairwise(taken)]
            assert gaps == gaps[::-1], (section.section_id, line.label)
            assert taken[0] + taken[-1] == 2 * scale.middle, (section.section_id, line.label)


@given(
    wing=st.lists(st.integers(1, 5), max_size=3),
    middle=st.integers(1, 9),
    aisles=st.lists(st.sampled_from([1.75, 2.0, 2.25, 2.5, 3.0, 7.5]), min_size=3, max_size=3),
    width=st.integers(60, 100),
)
def test_any_hall_that_is_symmetrical_is_drawn_so(
    wing: list[int], middle: int, aisles: list[float], width: int
) -> None:
    """Whole and half columns alike: the same aisles on both sides, and no two seats in one column."""
    xs, at = [], 0.0
    sizes = [*wing, middle, *reversed(wing)]
    for size, aisle in zip(sizes, [*aisles[: len(wing)], *reversed(aisles[: len(wing)]), 0.0], strict=True):
        xs += [at + number for number in range(size)]
        at += size - 1 + aisle
    hall = hall_of([Seat(f"A-1-{number}", "std", x, 0.0) for number, x in enumerate(xs)])
    (line,) = lines_of(hall.sections[0], Scale.of(hall.sections, width), width)
    taken = [column for column, _ in line.seats]
    gaps = [right - left for left, right in pairwise(taken)]
    assert gaps == gaps[::-1]
    assert min(gaps, default=1) >= 1
    assert [seat.seat_id for _, seat in line.seats] == [f"A-1-{number}" for number in range(len(xs))]


def test_a_far_away_seat_squeezes_aisles_and_no_seats() -> None:
    """Where the hall is much wider than the screen, seats still have a column each and an aisle stays open."""
    near = [Seat(f"A-1-{number}", "std", number + 3.0 * (number > 5), 1.0) for number in range(1, 11)]
    hall = hall_of(near, [Seat("A-2-1", "std", -500.0, 2.0), Seat("A-2-2", "std", 500.0, 2.0)])
    first, second = lines_of(hall.sections[0], Scale.of(hall.sections, 60), 60)
    taken = [column for column, _ in first.seats]
    assert [right - left for left, right in pairwise(taken)] == [1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert [column for column, _ in second.seats][-1] < 60


def test_boxes_on_both_sides_share_a_line(theatre: Hall) -> None:
    """Rows equally far from the stage are one line, labelled with both."""
    labels = [line.split()[:2] for line in texts(theatre, 80)[-6:]]
    assert labels == [[str(it), str(it + 6)] for it in range(1, 7)]


@pytest.mark.parametrize("height", [7, 10, 24, 40, 80])
def test_a_low_screen_shows_what_fits(theatre: Hall, height: int) -> None:
    """Sections whose rows do not fit are a line with a bar; nothing is drawn beyond the screen."""
    lines = texts(theatre, 80, height)
    assert len(lines) <= height
    if height >= 10:
        assert all(any(line.startswith(section.title) for line in lines) for section in theatre.sections)
    else:
        assert "more sections" in lines[-1]


def test_statuses_read_without_colour() -> None:
    """A free seat shows the figure of its price, H, S and B are the others, ? is what is not known yet."""
    hall = hall_of([Seat("A-1-1", "std"), Seat("A-1-2", "vip"), *row_of(6)[2:]])
    for number, status in ((3, "HELD"), (4, "SOLD"), (5, "BLOCKED")):
        assert hall.put("A", f"A-1-{number}", f"SEAT_STATUS_{status}")
    del hall.status["A-1-6"]
    lines = texts(hall, 80)
    assert lines[-1].split() == ["1", "1", "2", "H", "S", "B", "?"]
    assert "1 Standard 45.00 EUR  2 First rows 90.00 EUR  H held  S sold  B blocked" in lines
    assert "3 free, 1 held, 1 sold, 1 blocked" in lines[-2]


def test_counts_follow_the_changes() -> None:
    """Each change is counted once, however often it is told; a seat of no section is none."""
    hall = hall_of(row_of(3))
    assert [hall.put("A", "A-1-1", "HELD"), hall.put("A", "A-1-1", "HELD"), hall.put("Z", "A-1-2", "HELD")] == [
        True,
        False,
        False,
    ]
    assert hall.counts == {"AVAILABLE": 2, "HELD": 1}
    hall.put("A", "A-1-1", "AVAILABLE")
    assert hall.counts == {"AVAILABLE": 3}


@pytest.mark.parametrize("step", [None, 0.5])
def test_a_row_longer_than_the_screen_is_broken(step: float | None) -> None:
    """With positions or without: all its seats are there, from left to right."""
    lines = texts(hall_of(row_of(150, step=step)), 60)
    assert max(map(len, lines)) <= 60
    rows = lines[next(at for at, line in enumerate(lines) if "150 free" in line) + 1 :]
    assert sum(line[3:].count("1") for line in rows) == 150


def test_a_row_that_runs_away_from_the_stage_is_drawn_as_a_row() -> None:
    """Positions one behind another have no columns of their own; the order stays that of the layout."""
    away = [Seat(f"A-1-{it}", "vip" if it == 3 else "std", 5 - 0.01 * it, it * 0.5) for it in (1, 2, 3, 4)]
    assert texts(hall_of(away), 80)[-1].split() == ["1", "1", "1", "2", "1"]


def test_a_bar_shows_what_is_there_at_all() -> None:
    """One seat of ten thousand has a column, and the bar keeps its length."""
    section = HallSection("A", "A")
    section.counts.update({"AVAILABLE": 9_998, "SOLD": 1, "HELD": 1})
    assert bar(section.counts, 10).plain == "SH········"
    section.counts.update({"SOLD": 1_000_000, "BLOCKED": 1})
    assert len(bar(section.counts, 10).plain) == 10


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (4550, "EUR", "45.50 EUR"),
        ("5", "EUR", "0.05 EUR"),
        (1200, "JPY", "1,200 JPY"),
        (1234567, "KWD", "1,234.567 KWD"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: int | str, currency: str, text: str) -> None:
    """Minor units are hundredths but for the currencies that say otherwise."""
    assert money(amount, currency) == text
