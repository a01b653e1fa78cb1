"""The gateway's live seat map over a section that lives in memory."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import InvalidRequestError, RateLimitedError, UnavailableError
from services.common.states import SeatStatus
from services.gateway.events import KnownSection
from services.gateway.gen.nexus.v1 import common_pb2, seatmap_pb2
from services.gateway.livemap import LiveMap, LiveMapLimits
from services.gateway.mailbox import Mailbox
from services.gateway.sectionview import LETTERS, LOG_LENGTH, read_snapshot
from services.gateway.watch import UNSENT, SeatMapStream, decode_token, encode_token
from services.seatmap.messages import MapSeat, SectionChange, SectionPage

EVENT = "gala"
FAST = LiveMapLimits(poll_seconds=0.01, reads_per_second=10_000, patience_seconds=0.0)
DEADLINE_SECONDS = 5.0


class MemorySection:
    """A section as SeatMap keeps it: pages of `page_seats`, a log of its last changes, a count of reads."""

    def __init__(self, seats: int = 10, page_seats: int = 4, log_length: int = LOG_LENGTH) -> None:
        self.seats = [MapSeat(f"s{place}", "std", float(place), None) for place in range(seats)]
        self.letters = ["A"] * seats
        self.log: list[SectionChange] = []
        self.revision = 0
        self.page_seats = page_seats
        self.log_length = log_length
        self.floor = 0
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False
        self.before_answer: Callable[[], None] = lambda: None

    def change(self, place: int, status: SeatStatus = SeatStatus.HELD) -> None:
        """Change a seat, as a Ticket's news does."""
        self.revision += 1
        self.letters[place] = LETTERS[status]
        self.log.append(SectionChange(self.revision, self.seats[place].seat_id, status))
        if len(self.log) > self.log_length:
            self.floor = self.log.pop(0).revision

    async def read(self, _event: str, _section: str, since: int | None, position: int, _limit: int) -> SectionPage:
        """Answer SeatMap.get."""
        self.reads += 1
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.is_away:
            raise UnavailableError("away")
        try:
            if since is None:
                end = position + self.page_seats
                following = end if end < len(self.seats) else None
                return SectionPage(
                    self.revision, self.seats[position:end], "".join(self.letters[position:end]), following
                )
            if not self.floor <= since <= self.revision:
                return SectionPage(self.revision, is_gone=True)
            return SectionPage(self.revision, changes=[change for change in self.log if change.revision > since])
        finally:
            self.before_answer()


class MemoryHall:
    """Sections by id."""

    def __init__(self, **sections: MemorySection) -> None:
        self.sections = sections

    async def read(self, event: str, section: str, since: int | None, position: int, limit: int) -> SectionPage:
        """Answer SeatMap.get of a section."""
        return await self.sections[section].read(event, section, since, position, limit)

    def known(self) -> list[KnownSection]:
        """The layout as Event.get tells it."""
        return [KnownSection(name, len(section.seats)) for name, section in self.sections.items()]


class Client:
    """Rebuilds the map from a stream's messages, as a browser would."""

    def __init__(self) -> None:
        self.seats: dict[str, dict[str, int]] = {}
        self.revisions: dict[str, list[int]] = {}
        self.token = ""
        self.resets = 0

    def take(self, message: seatmap_pb2.WatchSeatMapResponse) -> None:
        """Apply one message."""
        self.token = message.resume_token
        self.resets += message.reset
        for section in message.sections:
            if message.reset:
                self.seats[section.section_id] = {}
            self.seats[section.section_id].update({seat.seat_id: seat.status for seat in section.seats})
            self.revisions.setdefault(section.section_id, []).append(section.revision)
        for change in message.changes:
            self.seats.setdefault(change.section_id, {})[change.seat_id] = change.status
            self.revisions.setdefault(change.section_id, []).append(change.revision)

    async def follow(
        self, messages: AsyncIterator[seatmap_pb2.WatchSeatMapResponse], until: Callable[[], bool]
    ) -> None:
        """Apply messages until the predicate holds."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not until():
                self.take(await anext(messages))


@pytest.fixture
async def hall() -> MemoryHall:
    """Two sections of 10 and 3 seats."""
    return MemoryHall(A=MemorySection(10), B=MemorySection(3))


@pytest.fixture
async def live(hall: MemoryHall) -> AsyncIterator[LiveMap]:
    """The live map of the hall."""
    made = LiveMap(hall.read, FAST)
    yield made
    await made.close()


def stream_of(live: LiveMap, hall: MemoryHall, token: str = "", heartbeat_seconds: float = 15.0) -> SeatMapStream:
    """A stream of the whole hall."""
    known = hall.known()
    ids = [section.section_id for section in known]
    revisions = decode_token(token, EVENT, ids) if token else [UNSENT] * len(ids)
    return SeatMapStream(live, EVENT, known, revisions, heartbeat_seconds)


def statuses(section: MemorySection) -> dict[str, int]:
    """What a client must know of a section."""
    numbers = {"A": 1, "H": 2, "S": 3, "B": 4}
    return {seat.seat_id: numbers[letter] for seat, letter in zip(section.seats, section.letters, strict=True)}


async def wait_for(predicate: Callable[[], bool]) -> None:
    """Let the loop run until the predicate holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not predicate():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


@settings(max_examples=200, deadline=None)
@given(
    page_seats=st.integers(1, 10),
    log_length=st.integers(1, 20),
    places=st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=40),
)
def test_snapshot_over_pages_is_true_at_its_revision(page_seats: int, log_length: int, places: list[list[int]]) -> None:
    """A snapshot of several pages shows each seat as it was at the revision it names, whatever changes meanwhile."""

    async def scenario() -> None:
        section = MemorySection(10, page_seats, log_length)
        history = {0: list(section.letters)}
        order = iter(places)

        def change() -> None:
            for place in next(order, []):
                free = section.letters[place] == "A"
                section.change(place, SeatStatus.HELD if free else SeatStatus.AVAILABLE)
                history[section.revision] = list(section.letters)

        section.before_answer = change
        try:
            snapshot = await read_snapshot(section.read, EVENT, "A")
        except UnavailableError:
            return  # changes came faster than so short a log can tell
        assert [seat.seat_id for seat in snapshot.seats] == [f"s{place}" for place in range(10)]
        assert list(snapshot.letters.decode()) == history[snapshot.revision]

    asyncio.run(scenario())


async def test_many_readers_are_one_read(hall: MemoryHall, live: LiveMap) -> None:
    """A hundred readers at once cause one read of the section."""
    section = hall.sections["B"]
    section.gate.clear()
    readers = [asyncio.create_task(live.view(EVENT, "B")) for _ in range(100)]
    await wait_for(lambda: section.reads > 0)
    section.gate.set()
    views = await asyncio.gather(*readers)
    assert section.reads == 1
    assert len({id(view) for view in views}) == 1


async def test_reader_that_gives_up_does_not_spoil_the_read(hall: MemoryHall, live: LiveMap) -> None:
    """The read goes on for the others when the reader that began it is cancelled."""
    section = hall.sections["B"]
    section.gate.clear()
    first = asyncio.create_task(live.view(EVENT, "B"))
    await wait_for(lambda: section.reads > 0)
    second = asyncio.create_task(live.view(EVENT, "B"))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    section.gate.set()
    assert (await second).revision == 0
    assert section.reads == 1


async def test_view_is_not_older_than_asked(hall: MemoryHall) -> None:
    """A reader never gets a view that was read longer ago than it allows."""
    now = [100.0]
    live = LiveMap(hall.read, replace(FAST, poll_seconds=60), clock=lambda: now[0])
    await live.view(EVENT, "B", max_age_seconds=1.0)
    hall.sections["B"].change(0)
    now[0] += 0.9
    assert (await live.view(EVENT, "B", max_age_seconds=1.0)).letter("s0") == "A"
    now[0] += 0.2
    assert (await live.view(EVENT, "B", max_age_seconds=1.0)).letter("s0") == "H"
    await live.close()


async def test_a_reader_who_comes_as_a_slow_read_ends_is_answered() -> None:
    """In that moment the read is done but has not landed; waiting for it again and again would stop the process."""
    late: list[asyncio.Task[object]] = []

    async def read(*_wanted: object) -> SectionPage:
        # Slower than a view may be old, so that the late reader needs another read.
        await asyncio.sleep(0.05)
        if not late:
            late.append(asyncio.create_task(live.view("gala", "A", max_age_seconds=0.02)))
        return SectionPage(revision=1)

    def give_up(*_signal: object) -> None:
        raise AssertionError("the loop does not turn any more")

    live = LiveMap(read)
    # No time-out of asyncio would come: it needs the loop.
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 10)
    try:
        await live.view("gala", "A", max_age_seconds=0.02)
        await late[0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        await live.close()


async def test_resume_without_a_gap(hall: MemoryHall, live: LiveMap) -> None:
    """A stream that is resumed with its token gets every change since, each once, and no snapshot."""
    client = Client()
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    hall.sections["A"].change(3)
    await client.follow(messages, lambda: client.revisions["A"][-1] == 1)
    await messages.aclose()
    for place in range(5):
        hall.sections["A"].change(place, SeatStatus.SOLD)
    hall.sections["B"].change(1)
    again = stream_of(live, hall, client.token).messages()
    await client.follow(again, lambda: client.revisions["A"][-1] == 6 and client.revisions["B"][-1] == 1)
    assert client.revisions["A"] == [0, 1, 2, 3, 4, 5, 6]
    assert client.resets == 1
    assert client.seats["A"] == statuses(hall.sections["A"])
    await again.aclose()


async def test_resume_at_another_gateway(hall: MemoryHall) -> None:
    """A gateway that has just begun to watch still serves an older token from the section's own log."""
    for place in range(4):
        hall.sections["A"].change(place)
    token = encode_token(EVENT, ["A", "B"], [1, 0])
    live, client = LiveMap(hall.read, FAST), Client()
    messages = stream_of(live, hall, token).messages()
    await client.follow(messages, lambda: client.revisions.get("A", [0])[-1] == 4)
    assert client.revisions["A"] == [2, 3, 4]
    assert client.resets == 0
    await messages.aclose()
    await live.close()


@pytest.mark.parametrize("revision", [1, 10**30])
async def test_token_that_cannot_be_resumed_resets(hall: MemoryHall, live: LiveMap, revision: int) -> None:
    """A token whose changes are gone, or that is ahead of the section, is answered by a snapshot."""
    section = hall.sections["A"]
    for number in range(LOG_LENGTH + 10):
        section.change(number % 10, SeatStatus.SOLD)
    client = Client()
    messages = stream_of(live, hall, encode_token(EVENT, ["A", "B"], [revision, 0])).messages()
    await client.follow(messages, lambda: "A" in client.seats)
    assert client.resets == 1
    assert client.seats["A"] == statuses(section)
    await messages.aclose()


@pytest.mark.parametrize(
    "token",
    ["garbage!", "AAAA", "%00", "x" * 20_000, "", encode_token("other", ["A", "B"], [0, 0])],
    ids=["no base64", "no zlib", "percent", "long", "empty", "another event"],
)
def test_foreign_token_is_refused(token: str) -> None:
    """What is no token of this event is INVALID_ARGUMENT that names the field."""
    with pytest.raises(InvalidRequestError) as refused:
        decode_token(token, EVENT, ["A", "B"])
    assert list(refused.value.violations) == ["resume_token"]


def test_token_of_a_large_hall_fits_into_a_header() -> None:
    """With 1,000 sections and long ids a token stays below 8 kB."""
    ids = [f"section-with-a-rather-long-name-{number}" for number in range(1_000)]
    revisions = [number * 7919 % 1_000_003 for number in range(1_000)]
    token = encode_token("e" * 64, ids, revisions)
    assert len(token) < 8_192
    assert decode_token(token, "e" * 64, ids) == revisions


async def test_slow_watcher_is_reset_and_keeps_up(hall: MemoryHall, live: LiveMap) -> None:
    """A watcher that lets more changes pass than the log holds gets a snapshot, and memory stays bounded."""
    client = Client()
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    section = hall.sections["A"]
    for number in range(3 * LOG_LENGTH):
        section.change(number % 10, SeatStatus.SOLD if number % 20 < 10 else SeatStatus.AVAILABLE)
        if number % 100 == 0:
            view = await live.view(EVENT, "A", max_age_seconds=0)
    view = await live.view(EVENT, "A", max_age_seconds=0)
    assert len(view.log) <= LOG_LENGTH
    await client.follow(messages, lambda: client.revisions["A"][-1] == section.revision)
    assert client.resets == 2
    assert client.seats["A"] == statuses(section)
    assert client.revisions["A"] == sorted(client.revisions["A"])
    await messages.aclose()


async def test_revision_never_goes_back(hall: MemoryHall, live: LiveMap) -> None:
    """A section that answers with a lower revision ends the streams; nobody is shown the older state."""
    client = Client()
    hall.sections["A"].change(0)
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    hall.sections["A"].revision = 0
    hall.sections["A"].log.clear()
    with pytest.raises(UnavailableError):
        await client.follow(messages, lambda: False)
    assert client.revisions["A"] == [1]


async def test_watchers_share_the_polls(hall: MemoryHall, live: LiveMap) -> None:
    """Fifty watchers cause no more reads than the poll of one, and all see the change."""
    clients = [Client() for _ in range(50)]
    streams = [stream_of(live, hall).messages() for _ in clients]
    for client, messages in zip(clients, streams, strict=True):
        await client.follow(messages, lambda client=client: len(client.seats) == 2)  # type: ignore[misc]
    section = hall.sections["B"]
    before, began = section.reads, asyncio.get_running_loop().time()
    section.change(2, SeatStatus.BLOCKED)
    for client, messages in zip(clients, streams, strict=True):
        await client.follow(messages, lambda client=client: client.seats["B"]["s2"] == 4)  # type: ignore[misc]
    seconds = asyncio.get_running_loop().time() - began
    assert section.reads - before <= seconds / FAST.poll_seconds + 2
    for messages in streams:
        await messages.aclose()


async def test_silence_is_filled_by_heartbeats(hall: MemoryHall, live: LiveMap) -> None:
    """A stream without changes says so, under a token that resumes it."""
    client = Client()
    messages = stream_of(live, hall, heartbeat_seconds=0.02).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    async with asyncio.timeout(DEADLINE_SECONDS):
        beat = await anext(messages)
    assert beat.heartbeat
    assert decode_token(beat.resume_token, EVENT, ["A", "B"]) == [0, 0]
    await messages.aclose()


async def test_large_section_is_split(live: LiveMap, hall: MemoryHall) -> None:
    """A snapshot comes in messages below 1 MB; a token in the middle of a section does not claim it."""
    hall.sections["A"] = MemorySection(12_000, 2_500)
    client = Client()
    messages = stream_of(live, hall).messages()
    seen = []

    def whole() -> bool:
        return set(client.seats) == {"A", "B"} and len(client.seats["A"]) == 12_000

    async with asyncio.timeout(DEADLINE_SECONDS):
        while not whole():
            message = await anext(messages)
            seen.append(message)
            client.take(message)
    assert [message.reset for message in seen] == [True, False, False, True]
    assert all(message.ByteSize() < 1_000_000 for message in seen)
    assert decode_token(seen[0].resume_token, EVENT, ["A", "B"]) == [UNSENT, UNSENT]
    assert decode_token(seen[2].resume_token, EVENT, ["A", "B"]) == [0, UNSENT]
    assert client.seats["A"] == statuses(hall.sections["A"])
    assert client.seats["B"] == statuses(hall.sections["B"])
    await messages.aclose()


async def test_sections_reset_at_once_are_told_apart(live: LiveMap, hall: MemoryHall) -> None:
    """A section's snapshot never rides on the rest of another's, and a token in between claims neither."""
    hall.sections["A"] = MemorySection(12_000, 2_500)
    client = Client()
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: set(client.seats) == {"A", "B"})
    for section in hall.sections.values():
        for number in range(LOG_LENGTH + 10):
            section.change(number % 3, SeatStatus.SOLD if number % 2 else SeatStatus.AVAILABLE)
    for name in hall.sections:
        await live.view(EVENT, name, max_age_seconds=0)
    seen = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (client.revisions["A"][-1] == client.revisions["B"][-1] == LOG_LENGTH + 10):
            message = await anext(messages)
            seen.append([message.reset, *(section.section_id for section in message.sections)])
            client.take(message)
            if len(seen) == 1:
                assert decode_token(message.resume_token, EVENT, ["A", "B"]) == [UNSENT, UNSENT]
    assert seen == [[True, "A"], [False, "A"], [False, "A"], [True, "B"]]
    assert client.seats["A"] == statuses(hall.sections["A"])
    assert client.seats["B"] == statuses(hall.sections["B"])
    await messages.aclose()


async def test_section_that_is_being_seeded_is_read_again(hall: MemoryHall, live: LiveMap) -> None:
    """A view with fewer seats than the layout is replaced as soon as the section has them, also for watchers."""
    section = hall.sections["B"]
    all_seats, section.seats = section.seats, section.seats[:1]
    section.letters = ["A"]
    known = [KnownSection("B", 3)]
    client = Client()
    messages = SeatMapStream(live, EVENT, known, [UNSENT]).messages()
    await client.follow(messages, lambda: "B" in client.seats)
    assert len(client.seats["B"]) == 1
    section.seats, section.letters = all_seats, ["A", "S", "A"]
    await client.follow(messages, lambda: len(client.seats["B"]) == 3)
    assert client.seats["B"] == statuses(section)
    await messages.aclose()


async def test_reader_waits_for_a_section_that_is_being_seeded(hall: MemoryHall) -> None:
    """A map read just after publication is whole; one that stays damaged is answered as it is after a moment."""
    live, section = LiveMap(hall.read, replace(FAST, patience_seconds=0.5)), hall.sections["B"]
    all_seats, section.seats = section.seats, []
    asyncio.get_running_loop().call_later(0.1, setattr, section, "seats", all_seats)
    assert len((await live.view(EVENT, "B", seat_count=3)).seats) == 3
    section.seats = all_seats[:2]
    assert len((await live.view(EVENT, "B", seat_count=4, max_age_seconds=0)).seats) == 2
    await live.close()


async def test_idle_views_are_dropped(hall: MemoryHall) -> None:
    """A view that nobody uses is read no more after a while, and then forgotten."""
    live = LiveMap(hall.read, replace(FAST, live_seconds=0.03, drop_seconds=0.1))
    await live.view(EVENT, "A")
    await wait_for(lambda: len(live) == 0)
    reads = hall.sections["A"].reads
    assert (await live.view(EVENT, "A")).revision == 0
    assert hall.sections["A"].reads > reads
    await live.close()


async def test_least_recently_used_view_makes_room(hall: MemoryHall) -> None:
    """With as many views as allowed the one unused for longest goes; watched ones stay, and then no more fit."""
    hall.sections["C"] = MemorySection(2)
    live = LiveMap(hall.read, replace(FAST, max_views=2))
    watch = Mailbox()
    live.watch(watch, EVENT, ["A"])
    await live.view(EVENT, "B")
    await live.view(EVENT, "C")
    assert len(live) == 2
    assert live.statuses(EVENT, ["s0"], max_age_seconds=60) is not None
    live.watch(Mailbox(), EVENT, ["C"])
    with pytest.raises(RateLimitedError):
        await live.view(EVENT, "B")
    live.unwatch(watch, EVENT, ["A"])
    assert (await live.view(EVENT, "B")).revision == 0
    await live.close()


async def test_hold_past_its_hard_deadline_is_seen(hall: MemoryHall) -> None:
    """A seat that is free again without a counted change is shown free within a minute, to watchers as well."""
    now = [100.0]
    live = LiveMap(hall.read, FAST, clock=lambda: now[0])
    section, client = hall.sections["B"], Client()
    section.change(1)
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    section.letters[1] = "A"
    now[0] += 61
    await client.follow(messages, lambda: client.seats["B"] == statuses(section))
    assert client.resets == 2
    await live.close()


async def test_outage_ends_streams_and_heals(hall: MemoryHall) -> None:
    """A section that cannot be read for long ends its streams as UNAVAILABLE; a short outage is bridged."""
    live = LiveMap(hall.read, replace(FAST, give_up_seconds=0.2))
    client, section = Client(), hall.sections["A"]
    messages = stream_of(live, hall).messages()
    await client.follow(messages, lambda: len(client.seats) == 2)
    section.is_away = True
    reads = section.reads
    await wait_for(lambda: section.reads > reads + 1)
    section.is_away = False
    section.change(7)
    await client.follow(messages, lambda: client.seats["A"]["s7"] == common_pb2.SEAT_STATUS_HELD)
    section.is_away = True
    with pytest.raises(UnavailableError):
        await client.follow(messages, lambda: False)
    await live.close()


async def test_statuses_only_from_fresh_views(hall: MemoryHall) -> None:
    """The map answers for seats only where live, fresh views hold every one of them, and reads nothing for it."""
    now = [100.0]
    live = LiveMap(hall.read, replace(FAST, poll_seconds=60), clock=lambda: now[0])
    hall.sections["B"].change(0, SeatStatus.SOLD)
    assert live.statuses(EVENT, ["s0"]) is None
    await live.view(EVENT, "B")
    reads = hall.sections["B"].reads
    assert live.statuses(EVENT, ["s0", "s1"]) == {"s0": "S", "s1": "A"}
    assert live.statuses(EVENT, ["s0", "elsewhere"]) is None
    assert live.statuses("other", ["s0"]) is None
    now[0] += 1.1
    assert live.statuses(EVENT, ["s0"]) is None
    assert hall.sections["B"].reads == reads
    await live.close()
