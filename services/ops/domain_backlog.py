"""What is unfinished in Restate, counted: invocations, timers, versions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unfinished invocations of one service and status.

    `due_at`: when the oldest was due, which of a timer is when it is to run, else when it was made.
    `overdue`: timers that have not begun although they should have.
    """

    service: str
    status: str
    count: int
    due_at: datetime
    asked_at: datetime
    overdue: int = 0

    @property
    def oldest_seconds(self) -> float:
        """How long ago the oldest was due; 0 where that is yet to come."""
        return max((self.asked_at - self.due_at).total_seconds(), 0.0)


def overdue_timers(backlog: Iterable[Backlog]) -> dict[str, int]:
    """Count timers that are late, by service."""
    counts: dict[str, int] = {}
    for entry in backlog:
        counts[entry.service] = counts.get(entry.service, 0) + entry.overdue
    return counts


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version of an endpoint."""

    deployment_id: str
    services: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Versions:
    """Registered versions by what they still do; `draining_seconds`: for how long the oldest drains."""

    serving: int
    draining: int
    drained: int
    draining_seconds: float


def versions(known: Collection[Version], latest: Mapping[str, str], pinned: Collection[str], at: datetime) -> Versions:
    """Sort versions into serving (new calls go there), draining (invocations are pinned to it) and drained.

    `latest`: service -> its newest version. A version drains since another took one of its services over.
    """
    serving = set(latest.values())
    draining = [
        version for version in known if version.deployment_id not in serving and version.deployment_id in pinned
    ]
    drained = sum(version.deployment_id not in serving and version.deployment_id not in pinned for version in known)
    since = [_superseded_at(version, known) for version in draining]
    return Versions(
        serving=sum(version.deployment_id in serving for version in known),
        draining=len(draining),
        drained=drained,
        draining_seconds=max(((at - moment).total_seconds() for moment in since), default=0.0),
    )


def _superseded_at(version: Version, known: Iterable[Version]) -> datetime:
    newer = [
        other.created_at
        for other in known
        if other.created_at > version.created_at and not set(other.services).isdisjoint(version.services)
    ]
    return min(newer, default=version.created_at)
