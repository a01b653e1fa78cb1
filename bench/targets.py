"""What each figure is called and which value is aimed at. Source of the limits: issue 7, part 3, for two cores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.figures import Measured

LABELS: Final[Mapping[str, str]] = {
    "rate": "a second",
    "noops_per_second": "no-ops a second",
    "efficiency": "efficiency",
    "invocations": "invocations each",
    "timers": "timers each",
    "p50_ms": "p50, ms",
    "p90_ms": "p90, ms",
    "p99_ms": "p99, ms",
    "gateway_cost": "ingress / gateway",
    "gateway_cpu_ms": "gateway CPU a call, ms",
    "client_cpu_ms": "load generator CPU each, ms",
    "endpoint_mb": "largest endpoint, MB",
    "gateway_mb": "gateway, MB",
    "restate_mb": "Restate, MB",
    "seconds": "seconds",
    "refused": "refused: seat taken",
    "shed": "refused: gateway full",
    "refusals_per_second": "refusals a second",
    "sold_out_seconds": "sold out after, s",
    "attempts": "attempts",
    "late_seconds": "last seat free after its time, s",
    "whole_seconds": "whole map, s",
    "map_reads": "reads of Restate",
    "not_modified": "answered 304",
    "delay_p50_ms": "sale to screen p50, ms",
    "delay_p99_ms": "sale to screen p99, ms",
    "rate_alone": "sales a second without",
    "rate_share": "share of the rate kept",
    "reads_per_section_second": "reads a section and second",
    "messages_per_second": "messages a second",
    "apply_ms": "CPU of an update, ms",
    "flatness": "dearest / cheapest update",
    "create_seconds": "create, s",
    "publish_seconds": "publish, s",
    "mapped_seconds": "created, published, on the map, s",
    "verify_seconds": "verify, s",
    "bytes": "bytes an answer",
}
"""By the names in Measured.figures: how a table calls them, unit included."""


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of one figure of one scenario: at most that, or with `is_least` at least. `text`: what it means."""

    scenario: str
    figure: str
    limit: float
    is_least: bool = False
    text: str = ""

    def is_met(self, value: float) -> bool:
        """Tell whether a value is within the limit; not a number never is."""
        return not math.isnan(value) and (value >= self.limit if self.is_least else value <= self.limit)

    @property
    def wanted(self) -> str:
        """Give the limit as a reader reads it."""
        return f"{'>=' if self.is_least else '<='} {self.limit:g}"


TARGETS: Final = (
    Target("sale", "rate", 200, is_least=True),
    Target("sale", "efficiency", 0.75, is_least=True),
    Target("sale", "invocations", 9),
    Target("sale", "timers", 1),
    Target("sale", "gateway_cost", 1.25),
    Target("sale", "gateway_cpu_ms", 0.5),
    Target("sale", "endpoint_mb", 250),
    Target("sale", "gateway_mb", 400),
    Target("sale-half-load", "p50_ms", 60),
    Target("sale-half-load", "p99_ms", 250),
    Target("hold-checkout", "rate", 150, is_least=True),
    Target("hold-checkout", "invocations", 10),
    Target("sale-simulator", "rate", 120, is_least=True),
    Target("hot-seat", "seconds", 3),
    Target("hot-seat", "refused", 999, is_least=True),
    Target("hot-event", "refusals_per_second", 2000, is_least=True),
    Target("map-section", "p99_ms", 50),
    Target("map-section", "map_reads", 4.2, text="as few as for one reader"),
    Target("map-whole", "whole_seconds", 1),
    Target("map-update", "flatness", 1.3),
    Target("watchers", "delay_p99_ms", 1000),
    Target("watchers", "rate_share", 0.85, is_least=True),
    Target("watchers", "reads_per_section_second", 4.2, text="however many watch"),
    Target("event-50000", "mapped_seconds", 20),
    Target("event-beside-sale", "rate_share", 0.7, is_least=True),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A target beside what was measured."""

    target: Target
    title: str
    value: float

    @property
    def is_met(self) -> bool:
        """Tell whether the target was met."""
        return self.target.is_met(self.value)


def judge(measured: Iterable[Measured]) -> list[Judged]:
    """Put each target of what was measured beside its figure; one whose figure is missing is not met."""
    by_name = {one.scenario: one for one in measured}
    return [
        Judged(target, by_name[target.scenario].title, by_name[target.scenario].figures.get(target.figure, math.nan))
        for target in TARGETS
        if target.scenario in by_name
    ]
