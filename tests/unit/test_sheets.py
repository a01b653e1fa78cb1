"""What a process remembers of events on sale: never longer, and never of more, than Event would answer for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.common.seats import lookup_of
from services.common.states import EventState
from services.seatmap.messages_quote import Quote, QuotedSeat, Sheet, SheetSeat
from services.ticket import sheets
from services.ticket.sheets import FRESH_SECONDS, Sheets

AT = datetime(2030, 1, 1, tzinfo=UTC)
SEATS = {"A-1-1": SheetSeat("A", 0, "std"), "A-1-2": SheetSeat("A", 1, "vip")}


class Clock:
    """Monotonic seconds that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def told(seats: dict[str, SheetSeat] | None = None, version: str = "c:1", **more: object) -> Quote:
    """Give what Event answers: one lookup chunk, which holds all seats."""
    sheet = Sheet(AT, version, 1, {"std": 4500, "vip": 9000}, {0: SEATS if seats is None else seats})
    sheet = msgspec.structs.replace(
        sheet, **{name: more.pop(name) for name in ("opens_at", "closes_at") if name in more}
    )
    quote = Quote(EventState.ON_SALE, "owner", "Gala", "Hall", AT, "EUR", 900, 8, [], sheet)
    return msgspec.structs.replace(quote, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> Sheets:
    made = Sheets(clock)
    made.learn("e", told(), AT)
    return made


def test_seats_are_quoted_in_the_order_asked_for(known: Sheets) -> None:
    """A remembered quote is what Event would answer, neighbours of the seat asked for included."""
    quote = known.quote("e", ["A-1-2", "A-1-1"], AT)
    assert quote is not None
    assert quote.seats == [QuotedSeat("A-1-2", "A", 1, "vip", 9000), QuotedSeat("A-1-1", "A", 0, "std", 4500)]
    assert quote.sheet is None
    assert (quote.title, quote.hold_seconds, quote.max_seats_per_buyer) == ("Gala", 900, 8)


def test_what_was_said_counts_for_half_a_second(known: Sheets, clock: Clock) -> None:
    """A pause, a close or another price works within a second, for it is asked for again by then."""
    clock.seconds += FRESH_SECONDS * 0.99
    assert known.quote("e", ["A-1-1"], AT) is not None
    clock.seconds += FRESH_SECONDS * 0.02
    assert known.quote("e", ["A-1-1"], AT) is None


@pytest.mark.parametrize("late", [timedelta(seconds=FRESH_SECONDS + 0.01), -timedelta(seconds=FRESH_SECONDS + 0.01)])
def test_an_answer_that_a_replay_hears_again_is_not_learnt(clock: Clock, late: timedelta) -> None:
    """What Event said a while ago, or by a clock that is off, counts for nothing."""
    made = Sheets(clock)
    made.learn("e", told(), AT + late)
    assert made.quote("e", ["A-1-1"], AT) is None


@pytest.mark.parametrize("state", set(EventState) - {EventState.ON_SALE})
def test_every_refusal_is_events_own(clock: Clock, state: EventState) -> None:
    """A sale that is not open, a seat that is not there, another event: only Event can tell."""
    made = Sheets(clock)
    made.learn("e", told(state=state), AT)
    assert made.quote("e", ["A-1-1"], AT) is None


def test_an_unknown_seat_or_event_is_asked_for(known: Sheets) -> None:
    """Only Event can say that there is no such seat."""
    assert known.quote("e", ["A-1-1", "A-9-9"], AT) is None
    assert known.quote("other", ["A-1-1"], AT) is None


def test_the_bounds_of_the_sale_are_kept(clock: Clock) -> None:
    """From opens_at, and before closes_at."""
    made = Sheets(clock)
    made.learn("e", told(opens_at=AT, closes_at=AT + timedelta(seconds=1)), AT)
    asked = [made.quote("e", ["A-1-1"], AT + timedelta(seconds=offset)) is not None for offset in (-0.1, 0, 0.9, 1)]
    assert asked == [False, True, True, False]


def test_places_of_another_version_are_not_mixed_in(known: Sheets) -> None:
    """After a change of the event its seats are asked for anew."""
    changed = told({}, "c:2")
    assert changed.sheet is not None
    known.learn("e", msgspec.structs.replace(changed, sheet=msgspec.structs.replace(changed.sheet, chunks={})), AT)
    assert known.quote("e", ["A-1-1"], AT) is None


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten where there is more than a process keeps."""
    monkeypatch.setattr(sheets, "MAX_EVENTS", 2)
    monkeypatch.setattr(sheets, "MAX_CHUNKS", 2)
    made = Sheets(clock)
    for event_id in ("a", "b", "c"):
        made.learn(event_id, told(), AT)
    assert [made.quote(event_id, ["A-1-1"], AT) is not None for event_id in ("a", "b", "c")] == [False, True, True]


def test_the_chunk_of_a_seat_is_the_same_everywhere() -> None:
    """Ticket finds a seat in the chunk into which SeatMap's side has put it. Source: CRC-32 of the id."""
    assert [lookup_of(seat_id, 7) for seat_id in ("A-1-1", "B-20-3")] == [0xA5B42475 % 7, 0x2BB00F32 % 7]
