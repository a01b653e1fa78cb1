"""Everything that is measured, in the order in which it is, one module a family."""

from __future__ import annotations

from typing import Final

from bench.measuring import Scenario
from bench.scenarios import events, holds, hot, maps, sales, scale, watchers

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *sales.SCENARIOS,
    *hot.SCENARIOS,
    *holds.SCENARIOS,
    *maps.SCENARIOS,
    *watchers.SCENARIOS,
    *events.SCENARIOS,
    *scale.SCENARIOS,
)


def chosen(names: list[str]) -> list[Scenario]:
    """Give the scenarios of these names or families, all where none is named. Raises ValueError."""
    known = {one.name for one in SCENARIOS} | {one.family for one in SCENARIOS}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no scenario {name}; choose from {', '.join(sorted(known))}")
    return [one for one in SCENARIOS if not names or one.name in names or one.family in names]
