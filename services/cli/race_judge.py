"""What must hold after a race for one seat, from what its buyers were told and what was found. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

CONFIRMED: Final = "ORDER_STATE_CONFIRMED"
EXPECTED: Final = "SEAT_UNAVAILABLE"


@dataclass(frozen=True)
class Outcome:
    """How a buyer fared. `code`: of gRPC; `reason`: of the refusal, or the state of an order that is no refusal."""

    order_id: str
    code: str
    reason: str

    @property
    def has_won(self) -> bool:
        """Tell whether the seat was bought."""
        return (self.code, self.reason) == ("OK", CONFIRMED)


@dataclass(frozen=True)
class Facts:
    """What was found after the race. `seat_order`: the order that GetTicket names to the winner."""

    seat_status: str
    seat_order: str
    captured: Sequence[str]
    open_authorizations: Sequence[str]
    mails: Sequence[str]


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found."""

    name: str
    is_ok: bool
    text: str


@dataclass
class Report:
    """All that a race came to."""

    event_id: str
    gateway: str
    buyers: int
    seconds: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Tell whether everything held."""
        return bool(self.checks) and all(check.is_ok for check in self.checks)

    def counts(self) -> list[tuple[str, str, int]]:
        """Count the outcomes by code and reason, the most frequent first."""
        return [
            (code, reason, count)
            for (code, reason), count in Counter((it.code, it.reason) for it in self.outcomes).most_common()
        ]

    def as_json(self) -> dict[str, Any]:
        """Give the report for a program."""
        return {
            "gateway": self.gateway,
            "event_id": self.event_id,
            "buyers": self.buyers,
            "ok": self.is_ok,
            "seconds": round(self.seconds, 3),
            "outcomes": [{"code": code, "reason": reason, "count": count} for code, reason, count in self.counts()],
            "winners": [outcome.order_id for outcome in self.outcomes if outcome.has_won],
            "checks": [{"check": check.name, "ok": check.is_ok, "text": check.text} for check in self.checks],
        }


def judge(outcomes: Sequence[Outcome], facts: Facts) -> list[Check]:
    """Decide what held. Pure."""
    winners = [outcome.order_id for outcome in outcomes if outcome.has_won]
    refused = Counter(f"{it.code} {it.reason or 'without a reason'}" for it in outcomes if not it.has_won)
    expected = sum(it.reason == EXPECTED for it in outcomes)
    others = ", ".join(f"{count} {name}" for name, count in refused.items() if not name.endswith(f" {EXPECTED}"))
    return [
        Check("one buyer gets the seat", len(winners) == 1, f"{len(winners)} of {len(outcomes)}"),
        Check(
            "all others are refused by code",
            expected == len(outcomes) - 1 and not others,
            f"{expected} {EXPECTED}" + (f"; others: {others}" if others else ""),
        ),
        Check(
            "the seat is the winner's",
            facts.seat_status == "SEAT_STATUS_SOLD" and [facts.seat_order] == winners,
            f"{facts.seat_status.removeprefix('SEAT_STATUS_')}, order {facts.seat_order or 'unknown'}",
        ),
        Check(
            "one capture, the winner's",
            list(facts.captured) == winners and len(winners) == 1,
            f"{len(facts.captured)} in the ledger",
        ),
        Check(
            "no authorization stays open",
            not facts.open_authorizations,
            f"{len(facts.open_authorizations)} in the ledger",
        ),
        Check("one mail, the winner's", list(facts.mails) == winners and len(winners) == 1, f"{len(facts.mails)} sent"),
    ]
