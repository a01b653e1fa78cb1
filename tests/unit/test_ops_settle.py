"""A difference is damage when it stays the very same; one that is gone or changes is a sale."""

from __future__ import annotations

from services.ops.domain import Finding, FindingKind
from services.ops.domain_settle import begun, looked_again

GONE = Finding(FindingKind.MAP_DIFFERS, "lags", ("A-1",))
STAYS = Finding(FindingKind.SEAT_IN_TWO_ORDERS, "twice", ("A-2",))


def changing(number: int) -> Finding:
    return Finding(FindingKind.MAP_DIFFERS, f"change {number}", ("A-3",))


def test_what_stays_the_same_is_damage_and_what_is_gone_is_not() -> None:
    """Not before settle_seconds have passed, and only what was suspected at first."""
    court = begun([GONE, STAYS, STAYS], 10, now=0)
    assert len(court.suspects) == 2
    court = looked_again(court, [GONE, STAYS], now=9.9)
    assert (court.damage, court.settled) == ((), 0)
    court = looked_again(court, [STAYS, changing(1)], now=10)
    assert (court.damage, court.settled, court.is_done) == ((STAYS,), 1, True)


def test_what_looks_different_each_time_is_left_alone_in_the_end() -> None:
    """Each change begins its time anew; after four times settle_seconds it is a sale in progress."""
    court = begun([changing(0)], 10, now=0)
    for number in range(1, 5):
        court = looked_again(court, [changing(number)], now=number * 9)
        assert (court.damage, court.unsettled, len(court.suspects)) == ((), (), 1), number
    court = looked_again(court, [changing(5)], now=45)
    assert (court.damage, court.unsettled, court.is_done) == ((), (changing(5),), True)


def test_one_that_comes_back_after_it_was_gone_is_settled() -> None:
    """It was right in between, so it was a sale."""
    court = looked_again(begun([GONE], 10, now=0), [], now=1)
    assert (court.is_done, court.settled) == (True, 1)


def test_nothing_found_is_done_at_once() -> None:
    """A whole event takes one look."""
    assert begun([], 10, now=0).is_done


def test_times_are_counted_from_the_first_look() -> None:
    """Whatever the clock shows then; damage and what was left alone are kept while others are looked at."""
    court = begun([STAYS, changing(0)], 10, now=1000)
    court = looked_again(court, [STAYS, changing(1)], now=1009)
    assert (court.damage, court.unsettled, len(court.suspects)) == ((), (), 2)
    court = looked_again(court, [STAYS, changing(2)], now=1010)
    assert (court.damage, court.unsettled, len(court.suspects)) == ((STAYS,), (), 1)
    court = looked_again(court, [changing(3)], now=1039.9)
    assert (court.damage, court.unsettled, court.settled) == ((STAYS,), (), 0)
    court = looked_again(court, [changing(4)], now=1040)
    assert (court.damage, court.unsettled, court.is_done) == ((STAYS,), (changing(4),), True)
    assert looked_again(court, [], now=1050) == court
