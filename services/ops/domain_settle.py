"""When a difference is damage: it stays the very same for so long that no sale in progress explains it. Pure.

A snapshot's parts are read one after another while seats are sold, so most first differences are none. They are
looked at again: one that is gone once has settled, one that looks different each time belongs to a seat that is
being sold, and only what is the same in every look for `settle_seconds` is damage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from services.ops.domain import Finding

UNSETTLED_FACTOR: Final = 4
"""After so many times settle_seconds, what still keeps changing is left alone."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A difference, and the moments (s, of any one clock) since which it has been seen, and been seen like this."""

    finding: Finding
    first_seen: float
    same_since: float


@dataclass(frozen=True, slots=True)
class Court:
    """What was suspected so far. `damage` is proven, `suspects` are looked at again."""

    settle_seconds: float
    suspects: tuple[Suspect, ...] = ()
    damage: tuple[Finding, ...] = ()
    settled: int = 0
    unsettled: tuple[Finding, ...] = field(default=())

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to look at."""
        return not self.suspects


def begun(found: Iterable[Finding], settle_seconds: float, now: float) -> Court:
    """Suspect what the first look has found."""
    return Court(settle_seconds, tuple(Suspect(finding, now, now) for finding in dict.fromkeys(found)))


def looked_again(court: Court, found: Iterable[Finding], now: float) -> Court:
    """Take a further look in. What it finds beside the suspects belongs to another look's business, and is left out."""
    seen = {finding.about: finding for finding in found}
    suspects: list[Suspect] = []
    damage, unsettled = list(court.damage), list(court.unsettled)
    settled = court.settled
    for suspect in court.suspects:
        finding = seen.get(suspect.finding.about)
        if finding is None:
            settled += 1
            continue
        same_since = suspect.same_since if finding == suspect.finding else now
        if now - same_since >= court.settle_seconds:
            damage.append(finding)
        elif now - suspect.first_seen >= court.settle_seconds * UNSETTLED_FACTOR:
            unsettled.append(finding)
        else:
            suspects.append(Suspect(finding, suspect.first_seen, same_since))
    return Court(court.settle_seconds, tuple(suspects), tuple(damage), settled, tuple(unsettled))
