"""The checker of histories: it passes good ones, and catches each planted defect."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from tests.faults.history.audit import check, expired_early, letters, trivial
from tests.faults.history.operations import AtEnd, Letter, Moved, Operation, OrderAtEnd, SeatAtEnd, Told
from tests.faults.history.seats import Event, unexplained
from tests.faults.history.toy import Defect, Toy

INVARIANTS = {
    Defect.NO_FENCE: "I1",
    Defect.REFUSAL_IGNORED: "I1",
    Defect.LATE_CONFIRM: "I4",
    Defect.DOUBLE_CAPTURE: "I2",
    Defect.LOST_RELEASE: "I4",
    Defect.KEPT_MONEY: "I2",
    Defect.FORGOTTEN_ORDER: "I6",
    Defect.OPEN_AUTHORIZATION: "I2",
    Defect.OTHER_ANSWER: "I7",
    Defect.HALF_AN_ORDER: "I3",
    Defect.WRONG_MAP: "I5",
}


def test_a_good_history_of_ten_thousand_operations_passes_in_seconds() -> None:
    """Nothing is wrong with 10,000 operations of a shop that keeps its rules, and it takes seconds to say so."""
    history, end = Toy(seed=1).run(10_000)
    begun = time.process_time()
    assert check(history, end) == []
    assert time.process_time() - begun < 10
    assert {order.state for order in end.orders.values()} >= {"CONFIRMED", "DECLINED", "CANCELLED"}
    assert Counter(end.holds.values()).keys() == {"SOLD", "RELEASED", "EXPIRED"}
    assert any(operation.told is Told.UNKNOWN for operation in history)


@pytest.mark.parametrize("seed", range(2, 8))
def test_good_histories_pass(seed: int) -> None:
    """No false alarm, whatever the seed."""
    assert check(*Toy(seed).run(1_000)) == []


@pytest.mark.parametrize("defect", INVARIANTS)
@pytest.mark.parametrize("seed", [11, 12])
def test_a_planted_defect_is_caught(defect: Defect, seed: int) -> None:
    """A shop that leaves one rule out is caught by the invariant that the rule keeps."""
    wrong = check(*Toy(seed, defect).run(2_000))
    assert any(line.startswith(f"{INVARIANTS[defect]}: ") for line in wrong), wrong[:5]


def test_every_defect_has_its_invariant() -> None:
    """A defect that is planted nowhere proves nothing."""
    assert set(INVARIANTS) == set(Defect) - {Defect.NONE}


SEEN = [(1, "AVAILABLE"), (3, "HELD"), (5, "SOLD")]
PAID = (Moved("o", "authorized", 4500), Moved("o", "captured", 4500))


def event(kind: str, start: float, end: float, hold: str = "", **more: object) -> Event:
    return Event(kind, start, end, hold, why=f"{kind} {hold}", **more)


SALE = [event("take", 0, 4, "o"), event("sell", 0, 4, "o")]


@pytest.mark.parametrize(
    ("events", "stuck"),
    [
        ([event("take", 0, 1, "a"), event("take", 2, 3, "b")], "take b"),
        ([event("take", 0, 5, "a"), event("take", 2, 3, "b"), event("free", 0, 9, "b", is_certain=False)], ""),
        ([event("take", 0, 1, "a"), event("free", 4, 9, "a"), event("take", 2, 3, "b")], "take b"),
        ([event("take", 0, 1, "a"), event("free", 0, 9, "a"), event("take", 2, 3, "b")], ""),
        ([event("take", 0, 1, "a"), event("sell", 2, 3, "b")], "sell b"),
        ([event("take", 0, 1, "a", is_certain=False), event("look", 2, 3, seen="HELD")], ""),
        ([event("look", 0, 1, seen="HELD"), event("take", 2, 3, "a", is_certain=False)], "look"),
        ([*SALE, event("look", 1, 2, seen="AVAILABLE"), event("look", 3, 4, seen="SOLD")], ""),
        ([*SALE, event("look", 1, 2, seen="HELD"), event("look", 3, 4, seen="SOLD")], ""),
        ([*SALE, event("look", 1, 2, seen="SOLD"), event("look", 3, 4, seen="HELD")], "look"),
    ],
)
def test_a_seat_has_one_status_at_every_instant(events: list[Event], stuck: str) -> None:
    """Events are in order exactly if an instant can be found for each within its interval."""
    found = unexplained(events)
    assert found.partition(",")[0].strip() == stuck, found


def test_an_unknown_answer_may_be_either() -> None:
    """A hold without an answer explains a seat that is held, and does not ask for one (I6)."""
    asked = Operation("hold", "b", 0, 1, Told.UNKNOWN, ("A-1",))
    held = Operation("look", "c", 2, 3, Told.OK, ("A-1",), state="HELD")
    end = AtEnd(100, {"A-1": SeatAtEnd("AVAILABLE")}, {}, {}, ())
    assert check([asked, held], end) == []
    assert check([asked], end) == []
    assert check([replace(asked, told=Told.REFUSED), held], end) != []


def test_repeats_of_a_request_are_one_deed() -> None:
    """A repeat gets the first answer: it says nothing of the time at which it was asked."""
    first = Operation("hold", "b", 0, 1, Told.REFUSED, ("A-1",), request_id="r", conflicts={"A-1": "HELD"})
    other = Operation("hold", "c", 0, 1, Told.OK, ("A-1",), "h", request_id="q", expires_at=2.0)
    free = Operation("look", "c", 10, 11, Told.OK, ("A-1",), state="AVAILABLE")
    late = replace(first, start=20, end=21)
    end = AtEnd(100, {"A-1": SeatAtEnd("AVAILABLE")}, {}, {"h": "EXPIRED"}, ())
    assert check([other, first, free, late], end) == []
    assert check([other, free, late], end) != []
    lost = replace(other, told=Told.UNKNOWN, hold_id="")
    taken = Operation("look", "d", 2, 3, Told.OK, ("A-1",), state="HELD")
    assert check([lost, taken, replace(other, start=5, end=6, expires_at=7.0)], end) == []


def test_a_sale_in_one_step_may_be_seen_half_way() -> None:
    """Its seats are held before they are sold, and a look may fall between."""
    bought = Operation("buy", "b", 0, 9, Told.OK, ("A-1",), order_id="o", state="CONFIRMED")
    looks = [Operation("look", "c", at, at + 1, Told.OK, ("A-1",), state=status) for at, status in SEEN]
    end = AtEnd(100, {"A-1": SeatAtEnd("SOLD", "o")}, {"o": OrderAtEnd("CONFIRMED", ("A-1",), 4500)}, {}, PAID)
    assert check([bought, *looks], end) == []
    assert check([bought, *looks, replace(looks[0], start=10, end=11)], end) != []


def test_what_is_unfinished_is_named() -> None:
    """An invocation that is left over is named (I8)."""
    assert check([], AtEnd(0, {}, {}, {}, (), ("Checkout/o1/process",))) == ["I8: unfinished: Checkout/o1/process"]


def test_a_run_in_which_nothing_happens_is_not_a_pass() -> None:
    """I9 names each outcome that never occurred."""
    assert len(trivial(Counter())) == 5
    assert trivial(Counter(won=1, lost=1, expired=1, declined=1, cancelled=1)) == []


@pytest.mark.parametrize(
    ("is_authorized", "end", "wrong"),
    [(False, 2.5, True), (False, 3.1, False), (True, 16.5, True), (True, 17.1, False)],
)
def test_a_hold_expires_at_its_time_and_not_before(is_authorized: bool, end: float, wrong: bool) -> None:
    """An order that is told so earlier has lost its seats to somebody; one that is being paid has longer."""
    held = Operation("hold", "b", 0, 1, Told.OK, ("A-1",), "h", expires_at=3)
    buy = Operation("buy", "b", 2, end, Told.REFUSED, ("A-1",), "h", "o", "o", reason="HOLD_EXPIRED")
    ledger = (Moved("o", "authorized", 1), Moved("o", "voided", 1)) if is_authorized else ()
    assert bool([*expired_early([held, buy], AtEnd(20, {}, {}, {}, ledger))]) == wrong


@pytest.mark.parametrize(
    ("state", "sent", "deaths", "wrong"),
    [
        ("CONFIRMED", [("m", 10)], [], ""),
        ("CONFIRMED", [], [], "under 0 Message-IDs"),
        ("DECLINED", [], [], ""),
        ("DECLINED", [("m", 10)], [], "under 1 Message-IDs"),
        ("CONFIRMED", [("m", 10), ("n", 12)], [11], "under 2 Message-IDs"),
        ("CONFIRMED", [("m", 10), ("m", 12)], [11], ""),
        ("CONFIRMED", [("m", 10), ("m", 12)], [9, 13], "mailed again after 2.0 s"),
        ("CONFIRMED", [("m", 10), ("m", 12), ("m", 14)], [11], "mailed again after 2.0 s"),
    ],
)
def test_a_mail_comes_again_only_where_a_process_died(
    state: str, sent: list[tuple[str, float]], deaths: list[float], wrong: str
) -> None:
    """A confirmed order has one Message-ID; each further copy needs a death between it and the one before."""
    end = AtEnd(0, {}, {"o": OrderAtEnd(state)}, {}, ())
    mails = [Letter("o@example.org", message_id, at) for message_id, at in sent]
    told = letters(end, mails, deaths, {"o": "o@example.org"})
    assert wrong in told[0] if wrong else not told
