"""Layout: sections, rows and seats of an event, and how they are cut into stored pieces. Pure.

Two forms are stored: pages in the order of the layout (for people and for the seat map), and lookup
chunks found by a hash of the seat's id (for quotes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, isfinite
from typing import Protocol

from services.common.errors import InvalidRequestError
from services.common.ids import is_id
from services.common.seats import lookup_of

MAX_SEATS = 100_000
PAGE_SEATS = 200
"""Seats per stored page of the layout: two chunks of the seat map."""

LOOKUP_SEATS = 64
"""Seats per lookup chunk on average: a quote reads one chunk per seat, so they are small."""

MAX_LOOKUP_SEATS = 300
"""Most seats of one lookup chunk: with the longest ids it stays below 64 kB."""

SECTIONS_PER_PIECE = 100
"""Sections per stored piece of the list of sections."""


@dataclass(frozen=True, slots=True)
class PlacedSeat:
    """A seat of the layout in its row."""

    seat_id: str
    category_id: str
    row_id: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True)
class PlacedSection:
    """A section with its seats in the order of the layout."""

    section_id: str
    title: str
    seats: list[PlacedSeat]


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """What is stored of a section besides its seats."""

    section_id: str
    title: str
    seat_count: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a seat is: what a quote needs to know of it."""

    section_id: str
    position: int
    category_id: str


@dataclass(frozen=True, slots=True)
class LayoutPage:
    """Up to PAGE_SEATS seats of one section."""

    seats: list[PlacedSeat]
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class SectionPiece:
    """Up to SECTIONS_PER_PIECE sections."""

    sections: list[SectionSummary]
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class LookupChunk:
    """Seats whose ids fall on the same hash."""

    places: dict[str, Place]
    schema_version: int = 1


class SeatSpec(Protocol):
    """A seat as a client describes it."""

    @property
    def seat_id(self) -> str:
        """Id within the event."""

    @property
    def category_id(self) -> str:
        """Price category."""

    @property
    def x(self) -> float | None:
        """Position on the plan."""

    @property
    def y(self) -> float | None:
        """Position on the plan."""


class RowSpec(Protocol):
    """A row as a client describes it."""

    @property
    def row_id(self) -> str:
        """Id within the section."""

    @property
    def seats(self) -> Sequence[SeatSpec]:
        """Seats from left to right."""


class SectionSpec(Protocol):
    """A section as a client describes it: rows, or row_count x seats_per_row seats of a category."""

    @property
    def section_id(self) -> str:
        """Id within the event."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def row_count(self) -> int:
        """Rows to make."""

    @property
    def seats_per_row(self) -> int:
        """Seats to make in each row."""

    @property
    def category_id(self) -> str:
        """Price category of the seats that are made."""

    @property
    def rows(self) -> Sequence[RowSpec]:
        """Rows from front to back."""


def build(sections: Sequence[SectionSpec], category_ids: set[str]) -> list[PlacedSection]:
    """Build the layout that a client describes.

    Raises InvalidRequestError naming each field that is wrong (the first 20 of them).
    """
    violations: dict[str, str] = {}
    seen_sections: set[str] = set()
    seen_seats: set[str] = set()
    built: list[PlacedSection] = []
    if not sections:
        violations["event.sections"] = "at least one section"
    for index, spec in enumerate(sections):
        path = f"event.sections[{index}]"
        if spec.section_id in seen_sections:
            violations[f"{path}.section_id"] = f"used once; {spec.section_id} is there twice"
        seen_sections.add(spec.section_id)
        seats: list[PlacedSeat] = []
        for seat_path, seat in _seats(spec, path, violations, MAX_SEATS - len(seen_seats)):
            if seat.seat_id in seen_seats:
                violations[f"{seat_path}.seat_id"] = f"used once; {seat.seat_id} is there twice"
            if seat.category_id not in category_ids:
                violations[f"{seat_path}.category_id"] = "one of price_categories"
            seen_seats.add(seat.seat_id)
            seats.append(seat)
            if len(violations) >= MAX_VIOLATIONS:
                break
        if len(violations) >= MAX_VIOLATIONS:
            break
        built.append(PlacedSection(spec.section_id, spec.title, seats))
    if violations:
        raise InvalidRequestError(dict(islice(violations.items(), MAX_VIOLATIONS)))
    return built


MAX_VIOLATIONS = 20


def _seats(spec: SectionSpec, path: str, violations: dict[str, str], room: int) -> Iterator[tuple[str, PlacedSeat]]:
    """Yield a section's seats with the path of the field that describes each."""
    is_made = bool(spec.row_count or spec.seats_per_row)
    if is_made == bool(spec.rows):
        violations[path] = "rows, or row_count with seats_per_row and category_id, and not both"
        return
    count = spec.row_count * spec.seats_per_row if is_made else sum(len(row.seats) for row in spec.rows)
    if count == 0:
        violations[path] = "at least one seat"
    elif count > room:
        violations[path] = f"at most {MAX_SEATS} seats in the event"
    elif is_made:
        yield from _made_seats(spec, path, violations)
    else:
        yield from _written_seats(spec, path, violations)


def _made_seats(spec: SectionSpec, path: str, violations: dict[str, str]) -> Iterator[tuple[str, PlacedSeat]]:
    longest = f"{spec.section_id}-{spec.row_count}-{spec.seats_per_row}"
    if not is_id(longest):
        violations[f"{path}.section_id"] = f"short enough that {longest} has at most 64 characters"
        return
    for row in range(1, spec.row_count + 1):
        for number in range(1, spec.seats_per_row + 1):
            yield path, PlacedSeat(f"{spec.section_id}-{row}-{number}", spec.category_id, str(row))


def _written_seats(spec: SectionSpec, path: str, violations: dict[str, str]) -> Iterator[tuple[str, PlacedSeat]]:
    seen_rows: set[str] = set()
    for row_index, row in enumerate(spec.rows):
        if row.row_id in seen_rows:
            violations[f"{path}.rows[{row_index}].row_id"] = f"used once; {row.row_id} is there twice"
        seen_rows.add(row.row_id)
        for seat_index, seat in enumerate(row.seats):
            seat_path = f"{path}.rows[{row_index}].seats[{seat_index}]"
            if not all(value is None or isfinite(value) for value in (seat.x, seat.y)):
                violations[seat_path] = "finite coordinates"
            yield seat_path, PlacedSeat(seat.seat_id, seat.category_id, row.row_id, seat.x, seat.y)


def summaries(sections: Sequence[PlacedSection]) -> list[SectionSummary]:
    """Give what is stored of each section besides its seats."""
    return [SectionSummary(section.section_id, section.title, len(section.seats)) for section in sections]


def page_count(seat_count: int) -> int:
    """Tell how many pages a section's seats take."""
    return ceil(seat_count / PAGE_SEATS)


def pages(section: PlacedSection) -> list[LayoutPage]:
    """Cut a section's seats into pages."""
    return [LayoutPage(section.seats[begin : begin + PAGE_SEATS]) for begin in range(0, len(section.seats), PAGE_SEATS)]


def pieces(sections: Sequence[SectionSummary]) -> list[SectionPiece]:
    """Cut the list of sections into pieces."""
    return [
        SectionPiece(list(sections[begin : begin + SECTIONS_PER_PIECE]))
        for begin in range(0, len(sections), SECTIONS_PER_PIECE)
    ]


def lookup_count(seat_count: int) -> int:
    """Tell into how many lookup chunks so many seats are spread."""
    return max(1, ceil(seat_count / LOOKUP_SEATS))


def lookups(sections: Sequence[PlacedSection]) -> list[LookupChunk]:
    """Spread all seats over lookup chunks."""
    chunks: list[dict[str, Place]] = [{} for _ in range(lookup_count(sum(len(section.seats) for section in sections)))]
    for section in sections:
        for position, seat in enumerate(section.seats):
            place = Place(section.section_id, position, seat.category_id)
            chunks[lookup_of(seat.seat_id, len(chunks))][seat.seat_id] = place
    if max(map(len, chunks)) > MAX_LOOKUP_SEATS:
        # Never by chance: somebody has chosen ids that fall on one hash.
        raise InvalidRequestError({"event.sections": "seat ids that were not made to collide"})
    return [LookupChunk(places) for places in chunks]
