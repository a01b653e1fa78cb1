"""Layout: what a client describes is what is stored, and every seat is found again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import InvalidRequestError
from services.common.ids import is_id
from services.seatmap import domain_layout as domain
from services.seatmap.domain import CHUNK_SEATS
from services.seatmap.domain_layout import LayoutPage, Place, PlacedSeat, PlacedSection, SectionPiece, SectionSummary
from services.seatmap.messages import Row, Seat, Section

STATE_VALUE_BYTES = 64_000
LONGEST_ID = "x" * 64
LARGEST_NUMBER = -999_999.9999999999
WIDEST_TITLE = "\N{PILE OF POO}" * 100


def made(section_id: str = "A", row_count: int = 2, seats_per_row: int = 3, category_id: str = "std") -> Section:
    return Section(section_id, "", row_count=row_count, seats_per_row=seats_per_row, category_id=category_id)


def written(section_id: str, rows: dict[str, Sequence[str]], category_id: str = "std") -> Section:
    listed = [Row(row, [Seat(seat, category_id) for seat in seats]) for row, seats in rows.items()]
    return Section(section_id, section_id.lower(), listed)


def build(*sections: Section) -> list[PlacedSection]:
    return domain.build(sections, {"std", "vip"})


def violations(*sections: Section) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as refused:
        build(*sections)
    return refused.value.violations


def test_counted_rows_make_named_seats() -> None:
    """row_count x seats_per_row makes seats SECTION-ROW-SEAT, counted from 1, row by row."""
    assert build(made()) == [
        PlacedSection(
            "A",
            "",
            [PlacedSeat(f"A-{row}-{seat}", "std", str(row)) for row in (1, 2) for seat in (1, 2, 3)],
        )
    ]


def test_written_rows_are_taken_as_they_are() -> None:
    """Seats that the client names keep names, order, row, category and coordinates."""
    spec = Section("B", "Balcony", [Row("front", [Seat("b2", "vip", 1.5, -2.0), Seat("b1", "std")])])
    assert build(spec) == [
        PlacedSection("B", "Balcony", [PlacedSeat("b2", "vip", "front", 1.5, -2.0), PlacedSeat("b1", "std", "front")])
    ]


SEATS, ROWS = "event.sections[0].rows[1].seats[0]", {"1": ["a"], "2": ["b"]}


@pytest.mark.parametrize(
    ("sections", "fields"),
    [
        ([], {"event.sections"}),
        ([Section("A")], {"event.sections[0]"}),
        ([made(row_count=0)], {"event.sections[0]"}),
        ([made(seats_per_row=0)], {"event.sections[0]"}),
        ([Section("A", rows=[Row("1", [])])], {"event.sections[0]"}),
        ([Section("A", rows=[Row("1", [Seat("a", "std")])], row_count=1)], {"event.sections[0]"}),
        ([made(category_id="gold")], {"event.sections[0].category_id"}),
        ([made(section_id="x" * 61)], {"event.sections[0].section_id"}),
        ([made(), made("B"), made()], {"event.sections[2].section_id", "event.sections[2].seat_id"}),
        ([written("A", ROWS | {"2": ["a"]})], {f"{SEATS}.seat_id"}),
        ([written("A", ROWS, "gold")], {f"{SEATS}.category_id", "event.sections[0].rows[0].seats[0].category_id"}),
        ([Section("A", rows=[Row("1", [Seat("a", "std")]), Row("1", [Seat("b", "std")])])],
         {"event.sections[0].rows[1].row_id"}),
        ([made(), written("B", {"1": ["A-2-3"]})], {"event.sections[1].rows[0].seats[0].seat_id"}),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(sections: list[Section], fields: set[str]) -> None:
    """A layout without seats, with anything twice, or with a category that has no price, is refused by path."""
    assert set(violations(*sections)) == fields


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_coordinates_are_finite(bad: float) -> None:
    """A coordinate that JSON cannot hold is refused."""
    for seat in (Seat("a", "std", bad, 0.0), Seat("a", "std", 0.0, bad)):
        assert set(violations(Section("A", rows=[Row("1", [seat])]))) == {"event.sections[0].rows[0].seats[0]"}


def test_event_has_at_most_100_000_seats() -> None:
    """The 100,001st seat is refused before any is made, however the sections share them."""
    assert len(build(made(row_count=1000, seats_per_row=100))[0].seats) == domain.MAX_SEATS == 100_000
    assert set(violations(made(row_count=100_001, seats_per_row=1))) == {"event.sections[0]"}
    too_many = [made(row_count=100_000, seats_per_row=100_000)]
    assert set(violations(*too_many)) == {"event.sections[0]"}
    assert set(violations(made(row_count=999, seats_per_row=100), made("B", 101, 1))) == {"event.sections[1]"}


@pytest.mark.parametrize(
    "sections",
    [
        [made(section_id="A", row_count=0)] * 1000,
        [written("A", {"1": ["same"] * 1000})],
        [written("A", {str(row): ["same"] for row in range(1000)}, "gold")],
        [Section("A", rows=[Row("1", [Seat(f"s{seat}", "std", float("nan"))]) for seat in range(1000)])],
    ],
)
def test_refusal_names_the_first_20_fields(sections: list[Section]) -> None:
    """However much is wrong, an answer stays short."""
    assert len(violations(*sections)) == 20


def test_longest_made_seat_id_is_an_id() -> None:
    """A section whose made seats would have ids of more than 64 characters is refused, and not a shorter one."""
    seats = build(made(section_id="x" * 58, row_count=10, seats_per_row=10))[0].seats
    assert all(is_id(seat.seat_id) for seat in seats)
    assert violations(made(section_id="x" * 59, row_count=10, seats_per_row=10))


SPECS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 4), st.integers(1, 130), st.sampled_from(["std", "vip"])),
    min_size=1,
    max_size=5,
)


@given(specs=SPECS)
@settings(deadline=None)
def test_every_seat_is_found_where_it_is(specs: list[Any]) -> None:
    """Pages and pieces put together are the layout; each seat is in the one lookup chunk that its id points to."""
    sections = []
    for index, (is_made, rows, per_row, category_id) in enumerate(specs):
        name = f"S{index}"
        names = {str(row): [f"{name}.{row}.{seat}" for seat in range(per_row)] for row in range(rows)}
        sections.append(made(name, rows, per_row, category_id) if is_made else written(name, names, category_id))
    built = build(*sections)
    chunks = domain.lookups(built)
    seat_count = sum(len(section.seats) for section in built)
    assert len(chunks) == domain.lookup_count(seat_count)
    assert sum(len(chunk.places) for chunk in chunks) == seat_count
    for section in built:
        pages = domain.pages(section)
        assert [seat for page in pages for seat in page.seats] == section.seats
        assert len(pages) == domain.page_count(len(section.seats))
        for position, seat in enumerate(section.seats):
            chunk = chunks[domain.lookup_of(seat.seat_id, len(chunks))]
            assert chunk.places[seat.seat_id] == Place(section.section_id, position, seat.category_id)
    summaries = domain.summaries(built)
    assert [(each.section_id, each.title, each.seat_count) for each in summaries] == [
        (section.section_id, section.title, len(section.seats)) for section in built
    ]
    assert [each for piece in domain.pieces(summaries) for each in piece.sections] == summaries


def test_place_of_a_seat_never_moves_between_versions() -> None:
    """The hash that finds a seat's chunk is fixed: stored layouts depend on it."""
    assert [domain.lookup_of(seat_id, 16) for seat_id in ("A-1-1", "A-1-2", "balcony_7")] == [5, 15, 11]
    assert domain.lookup_of("A-1-1", 1) == 0


@pytest.mark.parametrize(("seats", "chunks"), [(0, 1), (1, 1), (64, 1), (65, 2), (1000, 16), (100_000, 1563)])
def test_lookup_chunks_are_small(seats: int, chunks: int) -> None:
    """There are as many lookup chunks as give 64 seats each on average, at least one."""
    assert domain.lookup_count(seats) == chunks


def test_pages_are_whole_chunks_of_the_map() -> None:
    """A page of the layout seeds whole chunks of the seat map: none is written by two pages."""
    assert domain.PAGE_SEATS % CHUNK_SEATS == 0
    assert [domain.page_count(seats) for seats in (0, 1, 200, 201)] == [0, 1, 1, 2]


def test_stadium_is_stored_in_values_below_64_kilobytes() -> None:
    """The largest layout that the contract allows, with its longest ids and titles, has no value over 64 kB."""
    seat = PlacedSeat(LONGEST_ID, LONGEST_ID, LONGEST_ID, LARGEST_NUMBER, LARGEST_NUMBER)
    page = domain.pages(PlacedSection("A", "", [seat] * 1000))[0]
    assert len(page.seats) == domain.PAGE_SEATS
    assert len(msgspec.json.encode(page)) < STATE_VALUE_BYTES
    summary = SectionSummary(LONGEST_ID, WIDEST_TITLE, domain.MAX_SEATS)
    piece = domain.pieces([summary] * 1000)[0]
    assert len(piece.sections) == domain.SECTIONS_PER_PIECE
    assert len(msgspec.json.encode(piece)) < STATE_VALUE_BYTES
    chunks = domain.lookups(build(made(row_count=1000, seats_per_row=100)))
    entry = len(msgspec.json.encode({LONGEST_ID: Place(LONGEST_ID, domain.MAX_SEATS, LONGEST_ID)}))
    assert max(len(chunk.places) for chunk in chunks) * entry < STATE_VALUE_BYTES
    assert (type(page), type(piece)) == (LayoutPage, SectionPiece)


def test_ids_made_to_collide_are_refused() -> None:
    """Seat ids that all fall on one lookup chunk are refused, so that no stored value outgrows its bound."""
    count = 400
    chunks = domain.lookup_count(count)
    numbers = (f"S-{number}" for number in itertools.count())
    colliding = list(itertools.islice((name for name in numbers if domain.lookup_of(name, chunks) == 0), count))
    section = PlacedSection("S", "", [PlacedSeat(name, "std", "1") for name in colliding])
    with pytest.raises(InvalidRequestError):
        domain.lookups([section])
