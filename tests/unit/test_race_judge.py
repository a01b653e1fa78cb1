"""The judge of a race sees each thing that may go wrong, and names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.cli.race_judge import Facts, Outcome, Report, judge

WON = Outcome("o-1", "OK", "ORDER_STATE_CONFIRMED")
LOST = [Outcome(f"o-{number}", "FAILED_PRECONDITION", "SEAT_UNAVAILABLE") for number in (2, 3)]
FACTS = Facts("SEAT_STATUS_SOLD", "o-1", captured=["o-1"], open_authorizations=[], mails=["o-1"])


def failed(outcomes: list[Outcome], facts: Facts) -> list[str]:
    return [check.name for check in judge(outcomes, facts) if not check.is_ok]


def test_a_good_race_passes() -> None:
    """One winner with a seat, a payment and a mail; all others refused by code."""
    assert failed([WON, *LOST], FACTS) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seat_status": "SEAT_STATUS_HELD"}, "the seat is the winner's"),
        ({"seat_order": "o-2"}, "the seat is the winner's"),
        ({"captured": []}, "one capture, the winner's"),
        ({"captured": ["o-1", "o-2"]}, "one capture, the winner's"),
        ({"captured": ["o-1", "o-1"]}, "one capture, the winner's"),
        ({"captured": ["o-2"]}, "one capture, the winner's"),
        ({"open_authorizations": ["o-2"]}, "no authorization stays open"),
        ({"mails": []}, "one mail, the winner's"),
        ({"mails": ["o-1", "o-1"]}, "one mail, the winner's"),
        ({"mails": ["o-2"]}, "one mail, the winner's"),
    ],
)
def test_what_is_wrong_with_the_seat_the_money_or_the_mail_is_named(change: dict[str, Any], name: str) -> None:
    """Each by its own check alone."""
    assert failed([WON, *LOST], replace(FACTS, **change)) == [name]


@pytest.mark.parametrize(
    ("code", "reason", "shown"),
    [
        ("INTERNAL", "INTERNAL", "INTERNAL INTERNAL"),
        ("UNAVAILABLE", "", "UNAVAILABLE without a reason"),
        ("FAILED_PRECONDITION", "", "FAILED_PRECONDITION without a reason"),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("RESOURCE_EXHAUSTED", "RATE_LIMITED", "RATE_LIMITED"),
        ("OK", "ORDER_STATE_PENDING", "ORDER_STATE_PENDING"),
    ],
)
def test_another_answer_than_the_refusal_is_named(code: str, reason: str, shown: str) -> None:
    """A loser is refused with SEAT_UNAVAILABLE, and with nothing else."""
    outcomes = [WON, LOST[0], Outcome("o-3", code, reason)]
    [check] = [check for check in judge(outcomes, FACTS) if not check.is_ok]
    assert check.name == "all others are refused by code"
    assert shown in check.text


def test_two_winners_and_none_fail() -> None:
    """Whatever the seat, the ledger and the mails say."""
    two = [WON, Outcome("o-2", "OK", "ORDER_STATE_CONFIRMED"), LOST[1]]
    assert "one buyer gets the seat" in failed(two, replace(FACTS, captured=["o-1", "o-2"], mails=["o-1", "o-2"]))
    assert "one buyer gets the seat" in failed(LOST, Facts("SEAT_STATUS_AVAILABLE", "", [], [], []))


def test_a_race_that_was_not_judged_has_not_passed() -> None:
    """No check, no success."""
    assert not Report("e", "g", 2).is_ok
