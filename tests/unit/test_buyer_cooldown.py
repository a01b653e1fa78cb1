"""Buyer: who lets hold after hold lapse unpaid pauses, for a time that grows and has an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import BuyerCoolingDownError
from services.common.states import HoldState
from services.ticket import domain_buyer as domain
from services.ticket import domain_cooldown as cooldown
from services.ticket.domain_buyer import HoldEntry, HoldList
from tests.unit.holds import NOW, held, seconds

LIFETIME = 900
TICK = timedelta(microseconds=1)


def lapse(number: int, *, had_order: bool = False, state: HoldState = HoldState.EXPIRED) -> HoldEntry:
    """Give the hold that ends `number` lifetimes after NOW."""
    return HoldEntry(f"h{number}", state, 2, NOW + seconds(number * LIFETIME), had_order)


def newest_first(*entries: HoldEntry) -> HoldList:
    return HoldList(list(reversed(entries)))


def pause_of(holds: HoldList, now: datetime) -> timedelta | None:
    until = cooldown.rested_at(holds, hold_seconds=LIFETIME, now=now)
    return None if until is None else until - now


@pytest.mark.parametrize(
    ("lapses", "pause_seconds"),
    [(0, None), (1, None), (2, None), (3, 90), (4, 180), (5, 360), (8, 2880), (9, 3600), (20, 3600)],
)
def test_the_pause_doubles_from_the_third_lapse_on(lapses: int, pause_seconds: float | None) -> None:
    """Two lapses are free, the third costs a tenth of hold_seconds, each further one twice that, at most fourfold."""
    holds = newest_first(*(lapse(number) for number in range(lapses)))
    now = NOW + seconds((lapses - 1) * LIFETIME)
    assert pause_of(holds, now) == (None if pause_seconds is None else seconds(pause_seconds))


def test_the_refusal_tells_exactly_when_to_come_again() -> None:
    """One who waits for as long as told may hold, a moment earlier not."""
    holds = newest_first(*(lapse(number) for number in range(3)))
    now = NOW + seconds(2 * LIFETIME + 30.5)
    with pytest.raises(BuyerCoolingDownError) as refused:
        cooldown.require_rested(holds, hold_seconds=LIFETIME, now=now)
    assert refused.value.retry_seconds == 59.5
    end = now + seconds(refused.value.retry_seconds)
    with pytest.raises(BuyerCoolingDownError):
        cooldown.require_rested(holds, hold_seconds=LIFETIME, now=end - TICK)
    cooldown.require_rested(holds, hold_seconds=LIFETIME, now=end)


def test_a_buyer_without_lapses_may_hold_at_any_time() -> None:
    """A new one, and one with fewer lapses than are free."""
    cooldown.require_rested(HoldList(), hold_seconds=LIFETIME, now=NOW)
    cooldown.require_rested(newest_first(lapse(0), lapse(1)), hold_seconds=LIFETIME, now=NOW + seconds(LIFETIME))


@pytest.mark.parametrize(
    "forgiven",
    [
        lapse(2, had_order=True),
        lapse(2, state=HoldState.RELEASED),
        lapse(2, state=HoldState.PAYING, had_order=True),
        lapse(3, state=HoldState.OPEN),
    ],
    ids=["an order tried to pay it", "given back", "being paid", "still open"],
)
def test_only_unpaid_lapses_count(forgiven: HoldEntry) -> None:
    """A hold that was given back, is alive, or whose payment failed is no lapse."""
    now = NOW + seconds(2 * LIFETIME)
    assert pause_of(newest_first(lapse(0), lapse(1), forgiven), now) is None
    assert pause_of(newest_first(lapse(0), lapse(1), lapse(2), forgiven), now) is not None


def test_no_releases_push_a_lapse_off_the_list() -> None:
    """Holding and giving back again and again does not shorten a pause."""
    holds = HoldList()
    for number in range(domain.KEPT_LAPSES + 1):
        holds, _ = domain.listed(holds, replace(held(f"lapse-{number}"), state=HoldState.EXPIRED))
    for number in range(domain.KEPT_ENDED_HOLDS + 1):
        holds, _ = domain.listed(holds, replace(held(f"back-{number}"), state=HoldState.RELEASED))
    ids = [entry.hold_id for entry in holds.entries]
    assert ids == [
        *(f"back-{number}" for number in range(domain.KEPT_ENDED_HOLDS, 0, -1)),
        *(f"lapse-{number}" for number in range(domain.KEPT_LAPSES, 0, -1)),
    ]


def test_a_hold_past_its_time_counts_before_its_timer_comes() -> None:
    """A timer that is late gives no further hold."""
    holds = newest_first(lapse(0), lapse(1), lapse(2, state=HoldState.OPEN))
    end = NOW + seconds(2 * LIFETIME)
    assert pause_of(holds, end - TICK) is None
    assert pause_of(holds, end) == seconds(90)


def test_a_purchase_wipes_the_slate() -> None:
    """Who buys is no bot: only lapses after the newest sale count."""
    sold = lapse(3, state=HoldState.SOLD, had_order=True)
    now = NOW + seconds(6 * LIFETIME)
    assert pause_of(newest_first(lapse(0), lapse(1), lapse(2), sold, lapse(5), lapse(6)), now) is None
    assert pause_of(newest_first(lapse(0), sold, lapse(4), lapse(5), lapse(6)), now) == seconds(90)


def test_holds_that_were_alive_together_lapse_once() -> None:
    """A buyer who held eight seats one by one and then left has let one chance pass, not eight."""
    together = [HoldEntry(f"h{n}", HoldState.EXPIRED, 1, NOW + seconds(n * 60)) for n in range(8)]
    assert pause_of(newest_first(*together), NOW + seconds(480)) is None


def test_old_lapses_are_forgotten() -> None:
    """What lies a hundred lifetimes back does not count."""
    holds = newest_first(*(lapse(number) for number in range(3)))
    last = NOW + seconds(102 * LIFETIME)
    assert cooldown.rested_at(holds, hold_seconds=LIFETIME, now=NOW + seconds(100 * LIFETIME)) is not None
    assert cooldown.rested_at(holds, hold_seconds=LIFETIME, now=NOW + seconds(100 * LIFETIME) + TICK) is None
    assert cooldown.rested_at(holds, hold_seconds=LIFETIME, now=last + TICK) is None


def test_the_list_keeps_that_an_order_tried_to_pay() -> None:
    """A hold that expires while its provider is away is remembered as one that was to be paid."""
    paying = domain.begin_checkout(held(), order_id="o1", now=NOW)
    listed, _ = domain.listed(HoldList(), replace(paying, state=HoldState.EXPIRED))
    assert listed.entries[0].had_order
    plain, _ = domain.listed(HoldList(), replace(held(), state=HoldState.EXPIRED))
    assert not plain.entries[0].had_order


ENTRIES = st.lists(
    st.builds(
        HoldEntry,
        hold_id=st.uuids().map(str),
        state=st.sampled_from([state for state in HoldState if state.value]),
        seat_count=st.just(1),
        expires_at=st.integers(-200 * LIFETIME, LIFETIME).map(lambda at: NOW + seconds(at)),
        had_order=st.booleans(),
        # A timer ends a hold when it is over, never before.
    ).filter(lambda entry: entry.state is not HoldState.EXPIRED or entry.expires_at <= NOW),
    max_size=24,
)


@given(ENTRIES, st.integers(1, 86_400))
def test_every_pause_has_an_end(entries: list[HoldEntry], hold_seconds: int) -> None:
    """Whatever a buyer did, it may hold again at the latest four lifetimes from now, and once told a time, then."""
    until = cooldown.rested_at(HoldList(entries), hold_seconds=hold_seconds, now=NOW)
    assert until is None or until <= NOW + seconds(4 * hold_seconds)
    if until is not None and until > NOW:
        quiet = [entry for entry in entries if entry.state is not HoldState.OPEN]
        ended = cooldown.rested_at(HoldList(quiet), hold_seconds=hold_seconds, now=until)
        assert ended is None or ended <= until


@given(ENTRIES)
def test_a_further_lapse_never_shortens_the_pause(entries: list[HoldEntry]) -> None:
    """To let one more hold lapse does not let a buyer hold earlier."""
    one_more = HoldEntry("late", HoldState.EXPIRED, 1, NOW)
    before = cooldown.rested_at(HoldList(entries), hold_seconds=LIFETIME, now=NOW)
    after = cooldown.rested_at(HoldList([one_more, *entries]), hold_seconds=LIFETIME, now=NOW)
    assert before is None or (after is not None and after >= before) or before <= NOW
