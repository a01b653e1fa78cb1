"""The hall as a terminal can show it: sections of rows, the status of every seat, its place in its line.

Pure but for `load`: drawing is in `drawing.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, hypot
from statistics import mean, median
from typing import Any, Final

from services.cli.client import Gateway

SEATS_WITH_ROWS: Final = 3_000
"""A larger hall is shown section by section: its rows would not fit any screen."""

AISLE: Final = 1.6
"""Neighbours further apart than so many seats have an aisle between them."""

SAME_LINE: Final = 0.5
"""Rows whose distance to the stage differs by less than so many seats may share a line."""

TINY: Final = 0.02
"""Positions are rounded in files: what is less than so many columns is no difference."""

LAYOUT_PAGE_SEATS: Final = 5_000
STATUS_PREFIX: Final = "SEAT_STATUS_"


@dataclass(slots=True)
class Seat:
    """A seat of the layout."""

    seat_id: str
    category_id: str
    x: float | None = None
    y: float | None = None


@dataclass(slots=True)
class HallRow:
    """A row of the layout, seats from left to right."""

    row_id: str
    seats: list[Seat] = field(default_factory=list)


@dataclass(slots=True)
class HallSection:
    """A section; `rows` is empty where the hall is too large to show them."""

    section_id: str
    title: str
    seat_count: int = 0
    rows: list[HallRow] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Hall:
    """An event's sections and the status of every seat, as AVAILABLE, HELD, SOLD or BLOCKED."""

    event: dict[str, Any]
    sections: list[HallSection]
    status: dict[str, str] = field(default_factory=dict)
    _section_of: dict[str, HallSection] = field(default_factory=dict)

    def put(self, section_id: str, seat_id: str, status: str) -> bool:
        """Note the status of a seat; False where it had it already."""
        status = status.removeprefix(STATUS_PREFIX)
        before = self.status.get(seat_id)
        section = self._sections().get(section_id)
        if before == status or section is None:
            return False
        if before is not None:
            section.counts[before] -= 1
        section.counts[status] += 1
        self.status[seat_id] = status
        return True

    @property
    def counts(self) -> Counter[str]:
        """How many seats have each status."""
        return sum((section.counts for section in self.sections), Counter())

    def _sections(self) -> dict[str, HallSection]:
        if not self._section_of:
            self._section_of = {section.section_id: section for section in self.sections}
        return self._section_of


def load(gateway: Gateway, event_id: str, section_id: str = "") -> Hall:
    """Read an event's layout, rows only where they can be shown. The seats' statuses are still unknown.

    Raises GatewayError.
    """
    event = gateway.call("GetEvent", {"event_id": event_id})
    sections = {
        section["section_id"]: HallSection(section["section_id"], section["title"], section["seat_count"])
        for section in event["sections"]
        if section_id in {"", section["section_id"]}
    }
    if section_id or event["seat_count"] <= SEATS_WITH_ROWS:
        for page in _layout(gateway, event_id, section_id):
            for found in page["sections"]:
                _add_rows(sections[found["section_id"]], found["rows"])
    if section_id:
        for section in sections.values():
            _face(section)
    return Hall(event, list(sections.values()))


def _layout(gateway: Gateway, event_id: str, section_id: str) -> Iterator[dict[str, Any]]:
    request = {
        "event_id": event_id,
        "view": "EVENT_VIEW_FULL",
        "section_id": section_id,
        "page_size": LAYOUT_PAGE_SEATS,
    }
    token = ""
    while True:
        page = gateway.call("GetEvent", {**request, "page_token": token})
        yield page
        token = page["next_page_token"]
        if not token:
            return


def _add_rows(section: HallSection, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        # A page may end within a row.
        if not section.rows or section.rows[-1].row_id != row["row_id"]:
            section.rows.append(HallRow(row["row_id"]))
        section.rows[-1].seats += [
            Seat(seat["seat_id"], seat["category_id"], seat.get("x"), seat.get("y")) for seat in row["seats"]
        ]


def _face(section: HallSection) -> None:
    """Turn a section that is shown alone so that its rows run from left to right, wherever on the plan it is."""
    along_x = along_y = 0.0
    for row in section.rows:
        first, last = row.seats[0], row.seats[-1]
        if None in {first.x, first.y, last.x, last.y}:
            return
        along_x += (last.x or 0.0) - (first.x or 0.0)
        along_y += (last.y or 0.0) - (first.y or 0.0)
    length = hypot(along_x, along_y)
    if length:
        for seat in (seat for row in section.rows for seat in row.seats):
            x, y = seat.x or 0.0, seat.y or 0.0
            seat.x, seat.y = (x * along_x + y * along_y) / length, (y * along_x - x * along_y) / length


@dataclass(slots=True)
class Line:
    """A line of the terminal: seats at columns, of one row or of several that are equally far from the stage."""

    label: str
    y: float | None
    seats: list[tuple[int, Seat]]

    @property
    def end(self) -> int:
        """The first free column."""
        return max((column for column, _ in self.seats), default=-1) + 1

    def joins(self, other: Line, tolerance: float) -> bool:
        """Take the seats of another row if it is beside this one; False where it is not."""
        if self.y is None or other.y is None or abs(self.y - other.y) > tolerance:
            return False
        mine, others = {column for column, _ in self.seats}, {column for column, _ in other.seats}
        if mine & {column + beside for column in others for beside in (-1, 0, 1)}:
            return False
        self.label = f"{self.label} {other.label}"
        self.seats = sorted([*self.seats, *other.seats], key=lambda at: at[0])
        return True


@dataclass(frozen=True, slots=True)
class Scale:
    """How positions become columns. `unit`: distance of neighbours, 0 where there are no positions.

    `middle`: the column of the hall's middle, a whole number or a half, so that both sides mirror each other.
    """

    middle_x: float = 0.0
    unit: float = 0.0
    middle: float = 0.0

    @classmethod
    def of(cls, sections: Sequence[HallSection], columns: int) -> Scale:
        """Choose the scale at which neighbours stand side by side and the whole hall fits."""
        rows = [_across(row) for section in sections for row in section.rows]
        steps = [right - left for xs in rows for left, right in pairwise(xs) if right > left]
        everywhere = [x for xs in rows for x in xs]
        if not steps:
            return cls()
        span = max(everywhere) - min(everywhere)
        unit = max(median(steps), span / max(1, columns - 2))
        # Where most rows have an even number of seats, the middle is between two columns.
        is_between = 2 * sum(len(xs) % 2 == 0 for xs in rows) >= len(rows)
        twice = round(span / unit)
        return cls(min(everywhere) + span / 2, unit, (twice + (twice % 2 != is_between)) / 2)

    def column(self, x: float) -> float:
        """Give the column of a position, not rounded."""
        return (x - self.middle_x) / self.unit + self.middle


def lines_of(section: HallSection, scale: Scale, columns: int) -> list[Line]:
    """Give the lines of a section: no two seats share a column, aisles stay open where there is room."""
    lines: list[Line] = []
    for row in section.rows:
        for line in _lines_of_row(row, scale, columns):
            if not any(other.joins(line, SAME_LINE * scale.unit) for other in lines):
                lines.append(line)
    return lines


def _lines_of_row(row: HallRow, scale: Scale, columns: int) -> Iterator[Line]:
    ys = [seat.y for seat in row.seats if seat.y is not None]
    if scale.unit and _across(row):
        blocks = _blocks(sorted(row.seats, key=lambda seat: seat.x or 0.0))
        starts = _starts(blocks, scale, columns)
        if starts is not None:
            placed = [
                (start + offset, seat)
                for start, block in zip(starts, blocks, strict=True)
                for offset, seat in enumerate(block)
            ]
            yield Line(row.row_id, mean(ys) if ys else None, placed)
            return
    # No positions, or more seats than fit: as a text, from left to right, broken where the line ends.
    for start in range(0, len(row.seats), columns):
        part = row.seats[start : start + columns]
        yield Line(row.row_id if start == 0 else "", None, list(enumerate(part)))


def _across(row: HallRow) -> list[float]:
    """Give the positions from left to right; none for a row that lacks some, or runs away from the stage."""
    xs = sorted(seat.x for seat in row.seats if seat.x is not None)
    ys = [seat.y for seat in row.seats if seat.y is not None]
    is_away = bool(ys) and bool(xs) and max(ys) - min(ys) > xs[-1] - xs[0]
    return xs if len(xs) == len(row.seats) and not is_away else []


def _blocks(seats: Sequence[Seat]) -> list[list[Seat]]:
    """Cut a row at its aisles."""
    xs = [seat.x or 0.0 for seat in seats]
    steps = [right - left for left, right in pairwise(xs)]
    pitch = median(steps) if steps else 0.0
    blocks = [[seats[0]]]
    for step, seat in zip(steps, seats[1:], strict=True):
        if pitch and step > AISLE * pitch:
            blocks.append([])
        blocks[-1].append(seat)
    return blocks


def _starts(blocks: Sequence[Sequence[Seat]], scale: Scale, columns: int) -> list[int] | None:
    """Give the first column of each block, as near to its place as its neighbours allow; None without room."""
    if sum(map(len, blocks)) + len(blocks) - 1 > columns:
        return None
    centres = [scale.column(mean(seat.x or 0.0 for seat in block)) for block in blocks]
    # A half goes away from the middle on either side.
    starts = [
        ceil(start - 0.5 - TINY) if centre < scale.middle else floor(start + 0.5 + TINY)
        for centre, start in (
            (centre, centre - (len(block) - 1) / 2) for centre, block in zip(centres, blocks, strict=True)
        )
    ]
    # From the middle outwards, so that what is pushed aside is so on both sides.
    pivot = min(range(len(blocks)), key=lambda index: abs(centres[index] - scale.middle))
    for index in range(pivot + 1, len(blocks)):
        starts[index] = max(starts[index], starts[index - 1] + len(blocks[index - 1]) + 1)
    for index in reversed(range(pivot)):
        starts[index] = min(starts[index], starts[index + 1] - 1 - len(blocks[index]))
    # Then back onto the screen, the row as a whole where it may be.
    starts = [start + max(0, -starts[0]) for start in starts]
    end = columns
    for index in reversed(range(len(blocks))):
        starts[index] = min(starts[index], end - len(blocks[index]))
        end = starts[index] - 1
    return starts
