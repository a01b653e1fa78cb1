"""Arithmetic of measurements: percentiles, rates over time, efficiency, and what counts as worse. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

GUARDED: Final[Mapping[str, bool]] = {"efficiency": True, "invocations_per_sale": False, "gateway_cost": False}
"""What `make bench-check` compares, ratios that hold on any machine: whether more is better."""

MOST_WORSE: Final = 0.15


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least `share` of the values do not exceed; not a number where there is none.

    Source: the nearest-rank definition.
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def per_second(moments: Sequence[float], seconds: float) -> list[int]:
    """Count moments (seconds since the begin) in each whole second of a run."""
    counts = [0] * int(seconds)
    for moment in moments:
        if 0 <= moment < len(counts):
            counts[int(moment)] += 1
    return counts


def rate(moments: Sequence[float], begin: float, end: float) -> float:
    """Count moments within [begin, end) per second."""
    return sum(begin <= moment < end for moment in moments) / (end - begin) if end > begin else 0.0


def efficiency(sales_per_second: float, invocations_per_sale: float, noops_per_second: float) -> float:
    """Tell which share of the invocations that the machine can carry were the sales'; nan without a yardstick."""
    return sales_per_second * invocations_per_sale / noops_per_second if noops_per_second else math.nan


def latencies(took: Sequence[float]) -> dict[str, float]:
    """Give the percentiles that every table shows, in milliseconds. `took`: seconds."""
    return {f"p{share}_ms": percentile(took, share / 100) * 1000 for share in (50, 90, 99)}


def differences(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Subtract counters by name; one that was not there before counts from 0, one that did not move is left out."""
    found = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {name: value for name, value in found.items() if value}


def worse(recorded: Mapping[str, float], found: Mapping[str, float], most: float = MOST_WORSE) -> list[str]:
    """Name each guarded figure that is worse than recorded by more than a share of `most`.

    One that was not found, or not recorded, is named as well: a guard that compares nothing guards nothing.
    """
    told = []
    for name, is_more_better in GUARDED.items():
        was, now = recorded.get(name, math.nan), found.get(name, math.nan)
        if math.isnan(was) or math.isnan(now) or was <= 0:
            told.append(f"{name}: recorded {was:.3f}, found {now:.3f}: cannot be compared")
            continue
        change = (was - now) / was if is_more_better else (now - was) / was
        if change > most:
            told.append(f"{name}: recorded {was:.3f}, found {now:.3f}, worse by {change:.0%} (at most {most:.0%})")
    return told


@dataclass
class Measured:
    """What one scenario came to.

    `figures`: by the names of bench.targets.LABELS; `cpu_ms`: CPU milliseconds by process for each thing that was
    counted (a sale, a reading); `per_second`: things done in each second; `wrong`: what must not be.
    """

    scenario: str
    family: str
    title: str
    figures: dict[str, float] = field(default_factory=dict)
    cpu_ms: dict[str, float] = field(default_factory=dict)
    per_second: list[int] = field(default_factory=list)
    handlers: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def compared(measured: Sequence[Measured]) -> None:
    """Add to each scenario what only another one of the same run tells: what the gateway costs."""
    by_name = {one.scenario: one.figures for one in measured}
    for name, found in by_name.items():
        direct = by_name.get(f"{name}-ingress", {})
        if direct.get("rate") and found.get("rate"):
            found["gateway_cost"] = direct["rate"] / found["rate"]


def repeated(before: Sequence[Measured], after: Sequence[Measured]) -> list[tuple[str, float, float]]:
    """Give (scenario, rate before, rate after) of every scenario that both runs have a rate of. Pure."""
    was = {one.scenario: one.figures.get("rate", 0.0) for one in before}
    return [
        (one.scenario, was[one.scenario], one.figures["rate"])
        for one in after
        if was.get(one.scenario) and one.figures.get("rate")
    ]
