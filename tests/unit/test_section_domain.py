"""SeatMap: whatever order news comes in, the view converges, and a watcher misses nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.states import EventState, SeatStatus
from services.seatmap import domain, domain_catalog
from services.seatmap.domain import Chunk, News, Section

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DEADLINE = NOW + timedelta(minutes=48)
TICK = timedelta(microseconds=1)
AVAILABLE, HELD, SOLD, BLOCKED = SeatStatus.AVAILABLE, SeatStatus.HELD, SeatStatus.SOLD, SeatStatus.BLOCKED
EMPTY = (Section(), Chunk())


def news_of(position: int, status: SeatStatus, revision: int, held_until: datetime | None = None) -> News:
    return News(f"A-{position}", position, status, revision, held_until)


def told(state: tuple[Section, Chunk], *news: News) -> tuple[Section, Chunk]:
    for each in news:
        state = domain.apply(*state, each)
    return state


@pytest.mark.parametrize(("status", "letter"), [(AVAILABLE, "A"), (HELD, "H"), (SOLD, "S"), (BLOCKED, "B")])
def test_news_is_shown_at_its_place_only(status: SeatStatus, letter: str) -> None:
    """A seat's news changes that seat and no other."""
    section, chunk = told(EMPTY, news_of(1, SOLD, 1), news_of(107, status, 4))
    assert chunk.statuses == "AS" + "A" * 5 + letter + "A" * 92
    assert (chunk.revisions[1], chunk.revisions[7]) == (1, 4)
    assert chunk.revisions.count(domain.NEVER) == 98
    assert section.revision == 1 + (status is not AVAILABLE)


def test_only_newer_news_counts() -> None:
    """News that is older than what is known, or known already, changes nothing at all."""
    section, chunk = told(EMPTY, news_of(3, HELD, 2, DEADLINE))
    for stale in (news_of(3, AVAILABLE, 1), news_of(3, SOLD, 2), news_of(3, AVAILABLE, 0)):
        after = domain.apply(section, chunk, stale)
        assert after[0] is section
        assert after[1] is chunk


def test_first_announcement_of_an_untouched_seat_is_taken_in() -> None:
    """A Ticket at revision 0 is news to a map that has never heard of it, though nothing shows."""
    section, chunk = told(EMPTY, news_of(0, AVAILABLE, 0))
    assert chunk.revisions[0] == 0
    assert section.revision == 0


def test_section_counts_what_shows() -> None:
    """The section's revision moves by one where a seat's status changes, and not where it only repeats."""
    section, chunk = told(EMPTY, news_of(0, HELD, 1, DEADLINE), news_of(0, SOLD, 2), news_of(1, BLOCKED, 1))
    assert section.revision == 3
    assert domain.apply(section, chunk, news_of(0, SOLD, 5)) == (
        section,
        replace(chunk, revisions=[5, 1, *[domain.NEVER] * 98]),
    )


def test_hold_that_follows_a_lapsed_one_is_counted() -> None:
    """A seat that showed AVAILABLE after its hard deadline and is HELD again is a change that watchers get."""
    section, chunk = told(EMPTY, news_of(0, HELD, 1, DEADLINE))
    assert domain.shown(chunk, 1, DEADLINE) == "A"
    later, chunk = told((section, chunk), news_of(0, HELD, 2, DEADLINE + timedelta(hours=1)))
    assert domain.shown(chunk, 1, DEADLINE) == "H"
    assert later.revision == section.revision + 1


def test_lapsed_hold_shows_as_available_to_the_instant() -> None:
    """From its hard deadline on a held seat is shown as AVAILABLE; the others are not touched by that."""
    _, chunk = told(EMPTY, news_of(0, HELD, 1, DEADLINE), news_of(1, HELD, 1, DEADLINE + TICK), news_of(2, SOLD, 1))
    assert domain.shown(chunk, 4, DEADLINE - TICK) == "HHSA"
    assert domain.shown(chunk, 4, DEADLINE) == "AHSA"


def test_sold_or_released_seat_has_no_deadline() -> None:
    """A seat that was held and then sold is never shown as AVAILABLE again by the hold's deadline."""
    _, chunk = told(EMPTY, news_of(0, HELD, 1, DEADLINE), news_of(0, SOLD, 2), news_of(5, HELD, 1, DEADLINE))
    assert domain.shown(chunk, 1, DEADLINE + timedelta(days=1)) == "S"
    assert chunk.held_until == {5: DEADLINE}


def test_only_the_asked_seats_are_shown() -> None:
    """A chunk that is not full shows as many seats as there are, whatever deadlines it keeps."""
    _, chunk = told(EMPTY, news_of(3, HELD, 1, DEADLINE))
    assert domain.shown(chunk, 3, DEADLINE) == "AAA"
    assert domain.shown(chunk, domain.CHUNK_SEATS, NOW) == chunk.statuses
    assert domain.shown(chunk, 0, NOW) == ""


def test_forgetting_lets_every_ticket_speak_again() -> None:
    """After `forget` the map still shows what it showed, and a Ticket of any revision repairs its seat."""
    section, chunk = told(EMPTY, news_of(0, SOLD, 9), news_of(1, HELD, 3, DEADLINE))
    forgotten = domain.forget(chunk)
    assert (forgotten.statuses, forgotten.held_until) == (chunk.statuses, chunk.held_until)
    repaired, after = told((section, forgotten), news_of(0, AVAILABLE, 0))
    assert after.statuses[0] == "A"
    assert repaired.revision == section.revision + 1


@pytest.mark.parametrize(("position", "chunk"), [(0, 0), (99, 0), (100, 1), (250, 2)])
def test_chunks_hold_100_seats(position: int, chunk: int) -> None:
    """Seats are kept in chunks of 100 in the order of the section."""
    assert domain.chunk_of(position) == chunk


def test_log_keeps_the_last_500_changes_and_little_more() -> None:
    """After any number of changes a watcher up to 500 behind finds each change it missed; one further is told no."""
    pages: dict[int, list[int]] = {}
    for revision in range(1, 1801):
        pages.setdefault(domain.log_page_of(revision), []).append(revision)
        dropped = domain.dropped_log_page(revision)
        if dropped is not None:
            del pages[dropped]
        assert len(pages) <= 11
        for behind in (0, 1, 49, 50, 51, 499, 500):
            since = max(0, revision - behind)
            numbers = domain.log_pages(revision, since)
            assert numbers is not None
            found = [change for number in numbers for change in pages[number]]
            assert [change for change in found if change > since] == list(range(since + 1, revision + 1))
            # No page is read for nothing.
            assert all(pages[number][-1] > since for number in numbers)
        assert domain.log_pages(revision, revision - 501) is None


def test_log_has_no_answer_for_what_never_was() -> None:
    """A revision of the future or before the beginning gets a fresh snapshot, not an empty list of changes."""
    assert domain.log_pages(10, 11) is None
    assert domain.log_pages(10, -1) is None
    assert domain.log_pages(10, 10) == []
    assert domain.log_pages(0, 0) == []


def test_log_pages_are_never_too_large() -> None:
    """A page of the log is begun every 50 changes."""
    assert [domain.log_page_of(revision) for revision in (1, 50, 51, 100, 101)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("state", EventState)
def test_catalog_lists_published_events_and_own_drafts(state: EventState) -> None:
    """Anyone sees what was published; a draft only its organizer and an admin, and a stranger never is one."""
    is_public = state is not EventState.DRAFT

    def is_listed(subject: str, *, owner: str = "org", is_admin: bool = False) -> bool:
        return domain_catalog.is_listed(state=state, owner=owner, subject=subject, is_admin=is_admin)

    assert is_listed("org")
    assert is_listed("root", is_admin=True)
    assert is_listed("eve") == is_public
    assert is_listed("") == is_public
    assert is_listed("", owner="") == is_public


def test_catalog_entry_takes_its_place() -> None:
    """An entry replaces the one at its place or is put at the end; the others stay where they are."""
    assert domain_catalog.place(["a", "b", "c"], 1, "x") == ["a", "x", "c"]
    assert domain_catalog.place(["a"], 1, "x") == ["a", "x"]
    assert domain_catalog.place([], 0, "x") == ["x"]


SEATS = 6
PLACES = [0, 1, 99, 100, 150, 199]


class OneSection(RuleBasedStateMachine):
    """A section whose news arrives in any order, repeated, and through rebuilds; and a watcher of it.

    The log and the chunks are kept as the handler keeps them. Guarantees: the section's revision never goes
    back, replaying the log on an old picture gives the picture of now, and once the newest news of each seat
    has arrived the view is what the Tickets are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.section = Section()
        self.chunks = {0: Chunk(), 1: Chunk()}
        self.told: dict[int, list[News]] = {place: [news_of(place, AVAILABLE, 0)] for place in PLACES}
        self.log: list[tuple[int, int, str]] = []
        self.pages: dict[int, list[domain.Change]] = {}
        self.pictures = {0: "A" * SEATS}
        self.known: dict[int, int] = dict.fromkeys(PLACES, domain.NEVER)

    def picture(self) -> str:
        """Read the statuses as stored, without looking at deadlines."""
        return "".join(self.chunks[domain.chunk_of(place)].statuses[place % 100] for place in PLACES)

    def deliver(self, news: News) -> None:
        number = domain.chunk_of(news.position)
        before = self.section.revision
        self.section, self.chunks[number] = domain.apply(self.section, self.chunks[number], news)
        assert self.section.revision in (before, before + 1)
        if self.section.revision > before:
            self.log.append((self.section.revision, news.position, domain.LETTERS[news.status]))
            self.pages[domain.log_page_of(self.section.revision)] = self.section.changes
            self.pictures[self.section.revision] = self.picture()
        self.known[news.position] = max(self.known[news.position], news.revision)

    @rule(seat=st.integers(0, SEATS - 1), status=st.sampled_from(SeatStatus), skip=st.integers(1, 2))
    def ticket_changes(self, seat: int, status: SeatStatus, skip: int) -> None:
        revision = self.told[PLACES[seat]][-1].revision + skip
        held_until = NOW + timedelta(seconds=revision) if status is HELD else None
        self.told[PLACES[seat]].append(news_of(PLACES[seat], status, revision, held_until))

    @rule(seat=st.integers(0, SEATS - 1), pick=st.integers(0, 100))
    def news_arrives(self, seat: int, pick: int) -> None:
        told = self.told[PLACES[seat]]
        self.deliver(told[pick % len(told)])

    @rule(seat=st.integers(0, SEATS - 1))
    def newest_news_arrives(self, seat: int) -> None:
        self.deliver(self.told[PLACES[seat]][-1])

    @rule(number=st.sampled_from([0, 1]))
    def map_forgets(self, number: int) -> None:
        """Begin a rebuild; the announcements are news like any other, early, late or twice."""
        self.chunks[number] = domain.forget(self.chunks[number])
        self.known |= {place: domain.NEVER for place in PLACES if domain.chunk_of(place) == number}

    @rule(seat=st.integers(0, SEATS - 1), letter=st.sampled_from("AHSB"))
    def map_is_damaged_and_repaired(self, seat: int, letter: str) -> None:
        """Spoil a seat of the view, its revision too, and rebuild: the Ticket's announcement puts it right."""
        place, newest = PLACES[seat], self.told[PLACES[seat]][-1]
        if letter == domain.LETTERS[newest.status]:
            return
        number, at = domain.chunk_of(place), place % domain.CHUNK_SEATS
        chunk = self.chunks[number]
        statuses = chunk.statuses[:at] + letter + chunk.statuses[at + 1 :]
        self.chunks[number] = replace(chunk, statuses=statuses, revisions=[10**6] * domain.CHUNK_SEATS)
        self.map_forgets(number)
        self.deliver(newest)

    @invariant()
    def each_seat_shows_the_newest_of_what_has_arrived(self) -> None:
        for place, revision in self.known.items():
            chunk = self.chunks[domain.chunk_of(place)]
            if revision == domain.NEVER:
                continue
            newest = next(news for news in self.told[place] if news.revision == revision)
            assert chunk.statuses[place % 100] == domain.LETTERS[newest.status]
            assert chunk.held_until.get(place % 100) == newest.held_until
            assert chunk.revisions[place % 100] == revision

    @invariant()
    def pages_of_the_log_hold_each_change_once(self) -> None:
        written = [change for number in sorted(self.pages) for change in self.pages[number]]
        expected = [(revision, f"A-{place}", letter) for revision, place, letter in self.log]
        assert [(change.revision, change.seat_id, domain.LETTERS[change.status]) for change in written] == expected
        assert all(len(page) <= domain.LOG_PAGE_CHANGES for page in self.pages.values())

    @invariant()
    def watcher_can_go_on_from_any_picture(self) -> None:
        assert [revision for revision, _, _ in self.log] == list(range(1, self.section.revision + 1))
        for since, picture in self.pictures.items():
            letters = dict(zip(PLACES, picture, strict=True))
            letters |= {place: letter for revision, place, letter in self.log if revision > since}
            assert "".join(letters.values()) == self.picture()

    def teardown(self) -> None:
        """Let the newest news of each seat arrive before an older one: the view is what the Tickets are."""
        for told in self.told.values():
            self.deliver(told[-1])
            self.deliver(told[0])
        assert self.picture() == "".join(domain.LETTERS[told[-1].status] for told in self.told.values())
        self.watcher_can_go_on_from_any_picture()


TestOneSection = OneSection.TestCase
TestOneSection.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
