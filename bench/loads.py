"""What a load generator is told and what it tells: the messages between it and the program that measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Kind = Literal[
    "noop",
    "sale",
    "hold-checkout",
    "hold",
    "hold-release",
    "ingress-sale",
    "ingress-hold-checkout",
    "map-section",
    "map-whole",
    "map-unchanged",
    "screens",
]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and how hard.

    `grpc`, `http`, `ingress`: where; `key_file`: signs the buyers' tokens; `seal_keys`, `subject_key`: what the gateway
    has, for loads that go round it. `seats`: taken one after another (`is_any`: one at random each time).
    `concurrency`: visits at once; with `per_second` they begin at random moments at that rate instead, and how long
    they took counts from then. The first `warm_up` of all `seconds` are not counted in the rate. `most`: visits at all.
    `keeps_moments`: tell when each seat was sold.
    """

    kind: Kind
    grpc: str
    http: str
    ingress: str
    key_file: str
    seal_keys: str
    subject_key: str
    seed: int
    seconds: float
    event_id: str = ""
    seats: list[str] = []
    sections: list[str] = []
    is_any: bool = False
    seats_each: int = 1
    buyers: int = 1000
    concurrency: int = 64
    connections: int = 4
    per_second: float = 0.0
    warm_up: float = 0.0
    most: int = 0
    keeps_moments: bool = False
    deadline_seconds: float = 60.0


class Done(msgspec.Struct):
    """One visit. `at`: when it ended, seconds since the begin; `took`: seconds; `reason`: of a refusal, or empty."""

    at: float
    took: float
    reason: str = ""


class Told(msgspec.Struct, kw_only=True):
    """What a generator has seen.

    `seconds`: from the first visit to the end of the last; `cpu_seconds`: its own, threads included.
    `bought`: the seats of each order that was confirmed; `moments`: Unix seconds at which a
    seat was sold, or was seen to be, by each screen that read it; `facts`: what its kind adds.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    visits: list[Done] = []
    bought: dict[str, list[str]] = {}
    moments: dict[str, list[float]] = {}
    facts: dict[str, float] = {}
    ran_out: bool = False

    @property
    def done(self) -> list[Done]:
        """Give the visits that were not refused."""
        return [visit for visit in self.visits if not visit.reason]

    def refused(self) -> dict[str, int]:
        """Count the refusals by reason."""
        counts: dict[str, int] = {}
        for visit in self.visits:
            if visit.reason:
                counts[visit.reason] = counts.get(visit.reason, 0) + 1
        return counts


def errors(told: Told, allowed: Sequence[str] = ()) -> list[str]:
    """Name the refusals that a load should not have met."""
    found = [f"{count} visits ended with {reason}" for reason, count in told.refused().items() if reason not in allowed]
    return [*found, *(["the seats ran out before the time did"] if told.ran_out else [])]
