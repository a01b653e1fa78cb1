#!/usr/bin/env python3
"""Prints examples/theatre.yaml: 1,000 seats in curved rows around a stage. `python examples/make_theatre.py > ...`.

Metres on the plan; the middle of the stage's edge is at x = 0, y = 0, the audience at y > 0.
"""

# ruff: noqa: T201 - printing is what it is for
from __future__ import annotations

from collections.abc import Iterator
from math import cos, sin
from typing import NamedTuple

CENTRE_Y = -14.0  # the rows are arcs around this point, behind the stage
PITCH = 0.55  # from seat to seat along a row
AISLE = 1.2
HEAD = """\
# A theatre of 1,000 seats in four sections; `make up` creates and publishes it as the event `demo`.
# Printed by examples/make_theatre.py. The fields are those of nexus.v1.Event (proto/nexus/v1/event.proto);
# x and y are metres on the plan, the stage is at y = 0. Make one of your own from it:
#   nexus events create examples/theatre.yaml --publish
event_id: winters-tale
title: The Winter's Tale
venue: Nexus Playhouse
starts_at: 2030-01-01T20:00:00Z
currency_code: EUR
hold_seconds: 900
max_seats_per_buyer: 8
price_categories:
  - {category_id: premium, title: Premium, amount_minor: 7900}
  - {category_id: standard, title: Standard, amount_minor: 4500}
  - {category_id: view, title: Restricted view, amount_minor: 1900}
sections:"""


class Section(NamedTuple):
    """A section of curved rows. `radius`: of the first row; `view_ends`: seats at each end that see less."""

    section_id: str
    title: str
    radius: float
    row_distance: float
    seats: list[int]
    premium_rows: range
    view_rows: range
    view_ends: int


SECTIONS = [
    Section(
        "A", "Stalls", 18.0, 0.95, [22, 24, 24, 26, 26, 28, 28, 30, 30, 32, 32, 34, 34, 36], range(1, 7), range(0), 0
    ),
    Section("B", "Circle", 34.0, 1.0, [34, 36, 36, 38, 38, 40, 40, 42], range(1, 3), range(0), 4),
    Section("C", "Balcony", 43.0, 1.05, [42, 44, 44, 46, 46, 32], range(0), range(5, 7), 6),
]
BOXES = 6  # on each side
BOX_SEATS = 3


def curved_row(section: Section, row: int) -> Iterator[tuple[float, float]]:
    """Place the seats of a row from left to right, with an aisle after each quarter from the ends."""
    count = section.seats[row - 1]
    radius = section.radius + section.row_distance * (row - 1)
    wing = count // 4
    for number in range(count):
        aisles = (number >= wing) + (number >= count - wing)
        along = (number - (count - 1) / 2) * PITCH + (aisles - 1) * AISLE
        angle = along / radius
        yield radius * sin(angle), CENTRE_Y + radius * cos(angle)


def category(section: Section, row: int, number: int) -> str:
    """Choose the price of a seat."""
    is_at_end = number <= section.view_ends or number > section.seats[row - 1] - section.view_ends
    if row in section.view_rows or is_at_end:
        return "view"
    return "premium" if row in section.premium_rows else "standard"


def box(number: int) -> Iterator[tuple[float, float]]:
    """Place the seats of a box: 1 to 6 along the left wall, 7 to 12 along the right one, front to back."""
    side = -1 if number <= BOXES else 1
    for seat in range(BOX_SEATS):
        # From left to right on either side: the seat by the rail is the one nearer to the middle.
        from_rail = BOX_SEATS - 1 - seat if side < 0 else seat
        yield side * (12.5 + PITCH * from_rail), 3.0 + 1.8 * ((number - 1) % BOXES)


def print_row(section_id: str, row: int, seats: list[tuple[str, float, float]]) -> None:
    """Print a row; seats are numbered from the left."""
    print(f'      - row_id: "{row}"')
    print("        seats:")
    for number, (category_id, x, y) in enumerate(seats, 1):
        print(
            f"          - {{seat_id: {section_id}-{row}-{number}, category_id: {category_id}, x: {x:.2f}, y: {y:.2f}}}"
        )


def main() -> None:
    """Print the event."""
    print(HEAD)
    for section in SECTIONS:
        print(f"  - section_id: {section.section_id}\n    title: {section.title}\n    rows:")
        for row in range(1, len(section.seats) + 1):
            places = enumerate(curved_row(section, row), 1)
            print_row(section.section_id, row, [(category(section, row, number), x, y) for number, (x, y) in places])
    print("  - section_id: D\n    title: Boxes\n    rows:")
    for number in range(1, 2 * BOXES + 1):
        rail = BOX_SEATS - 1 if number <= BOXES else 0
        print_row("D", number, [("premium" if it == rail else "view", x, y) for it, (x, y) in enumerate(box(number))])


if __name__ == "__main__":
    main()
