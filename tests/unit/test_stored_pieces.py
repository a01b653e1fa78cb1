"""How what is stored is cut into pieces: other numbers would lose what is stored already."""

from __future__ import annotations

import itertools

import pytest

from services.common.errors import InvalidRequestError
from services.seatmap import domain, domain_catalog, domain_layout
from services.seatmap.domain_layout import PlacedSeat, PlacedSection, SectionSummary

ANSWER_BYTES = 4_000_000
STATE_VALUE_BYTES = 64_000


def colliding(count: int) -> PlacedSection:
    """Give a section whose seats all fall on the first lookup chunk."""
    chunks = domain_layout.lookup_count(count)
    names = (f"S-{number}" for number in itertools.count())
    chosen = itertools.islice((name for name in names if domain_layout.lookup_of(name, chunks) == 0), count)
    return PlacedSection("S", "", [PlacedSeat(name, "std", "1") for name in chosen])


def test_what_is_stored_keeps_the_size_of_its_pieces() -> None:
    """Where an entry is follows from its number: with another size it would be looked for in another piece."""
    assert domain_catalog.PAGE_EVENTS == 25
    assert (domain.CHUNK_SEATS, domain.LOG_PAGE_CHANGES) == (100, 50)
    assert (domain_layout.PAGE_SEATS, domain_layout.SECTIONS_PER_PIECE) == (200, 100)
    pieces = domain_layout.pieces([SectionSummary(f"S{number}", "", 1) for number in range(201)])
    assert [len(piece.sections) for piece in pieces] == [100, 100, 1]
    pages = domain_layout.pages(colliding(201))
    assert [len(page.seats) for page in pages] == [200, 1]


def test_an_answer_of_the_catalog_stays_below_four_megabytes() -> None:
    """However many stored pages it looks at, each as large as a value may be; and it looks at several."""
    assert domain_catalog.MAX_PAGES_READ > 1
    assert domain_catalog.MAX_PAGES_READ * STATE_VALUE_BYTES < ANSWER_BYTES


def test_a_lookup_chunk_takes_300_seats_and_not_one_more() -> None:
    """Chance never makes so many, and a stored value stays below its bound."""
    assert max(len(chunk.places) for chunk in domain_layout.lookups([colliding(300)])) == 300
    with pytest.raises(InvalidRequestError):
        domain_layout.lookups([colliding(301)])
