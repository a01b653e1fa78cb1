"""Bots against people: which way the limits work. The figures are printed, the direction is asserted."""

from __future__ import annotations

import pytest

from bench.bots import SCENARIOS, Sale, shares


def test_limits_bring_seats_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 100 bots and 100 people, people get more with the defaults than without, and most with strict addresses."""
    means = {rules.name: sum(found) / len(found) for rules in SCENARIOS for found in [shares(rules, range(3))]}
    with capsys.disabled():
        told = ", ".join(f"{name} {mean:.1%}" for name, mean in means.items())
        print(f"\nshare of the seats that people get: {told}")  # noqa: T201 - figures for whoever runs it
    none, defaults, middling, strict = means.values()
    assert none < min(defaults, middling)
    assert max(defaults, middling) < strict


@pytest.mark.parametrize("rules", SCENARIOS, ids=lambda rules: rules.name)
def test_no_limit_stands_in_the_way_of_people(rules: object) -> None:
    """Without bots everybody gets their seats, and not one person is refused for being too quick."""
    sale = Sale(rules, seed=1, bots=0, people=100)  # type: ignore[arg-type]
    assert sale.run() == 0.5
    assert sale.refused == {"rate": 0, "cool-down": 0}


def test_the_same_seed_is_the_same_sale() -> None:
    """A figure can be repeated from its seed."""
    assert shares(SCENARIOS[1], range(1)) == shares(SCENARIOS[1], range(1))
