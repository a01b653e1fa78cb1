"""Decides which versions of the endpoints go and which stay. Pure: no cluster, no clock, no I/O.

A version is one Kubernetes Deployment and Service of an endpoint, named by the hash of its pod template. It has one
Restate deployment, or several after a rollback to it. See docs/decisions/versions-and-rollback.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from services.registrar.errors import RegistrationError

NEVER_REGISTERED_SECONDS: Final = 600
"""A version that was never registered may be part of an upgrade that is still going on."""

_CURRENT: Final = re.compile(r"[a-z][a-z0-9-]*=[a-z0-9]+(,[a-z][a-z0-9-]*=[a-z0-9]+)*")


class Version(msgspec.Struct, frozen=True, order=True):
    """Names a version of an endpoint: `ticket`, and the hash of its pod template."""

    endpoint: str
    digest: str

    def __str__(self) -> str:
        return f"{self.endpoint}={self.digest}"


class Present(msgspec.Struct, frozen=True):
    """A version that the cluster holds.

    `created_at`, `drained_at`: Unix seconds; `drained_at` is None where it was not seen drained yet.
    `has_deployment`: False where only its Service, or a ReplicaSet that nobody owns, is left.
    """

    version: Version
    created_at: float
    drained_at: float | None = None
    has_deployment: bool = True


class Registered(msgspec.Struct, frozen=True):
    """A Restate deployment of this release. `is_in_use`: a service's latest, or an unfinished invocation has it."""

    deployment_id: str
    uri: str
    version: Version
    is_in_use: bool


class Pruning(msgspec.Struct, frozen=True):
    """What one run of prune does, in this order."""

    unmark: tuple[Version, ...] = ()
    """Marked as drained, and used again."""
    mark: tuple[Version, ...] = ()
    """Drained from now on."""
    deregister: tuple[Registered, ...] = ()
    remove: tuple[Version, ...] = ()


def parse_current(text: str) -> frozenset[Version]:
    """Read `ticket=HASH,seatmap=HASH`. Raises RegistrationError."""
    if _CURRENT.fullmatch(text) is None:
        raise RegistrationError(
            "--current: expected endpoint=hash, comma-separated, as in ticket=1f0c5e,seatmap=77ab01"
        )
    found = [Version(*part.split("=")) for part in text.split(",")]
    if len({item.endpoint for item in found}) < len(found):
        raise RegistrationError("--current: an endpoint is there twice")
    return frozenset(found)


def write_current(current: Collection[Version]) -> str:
    """Write what parse_current reads."""
    return ",".join(map(str, sorted(current)))


def plan_prune(
    present: Sequence[Present],
    registered: Sequence[Registered],
    current: Collection[Version],
    now: float,
    keep_seconds: float,
) -> Pruning:
    """Decide what goes.

    Never a current version, never one in use, not one that was seen drained less than `keep_seconds` ago, not one
    that was never registered and is younger than 10 minutes. What `registered` says must be newer than `present`.
    """
    in_use = {item.version for item in registered if item.is_in_use}
    known = {item.version for item in registered}
    unmark, mark, remove = [], [], []
    for item in present:
        if item.version in current or item.version in in_use:
            unmark += [item.version] if item.drained_at is not None else []
        elif _goes_at_once(item, was_registered=item.version in known):
            if now - item.created_at >= NEVER_REGISTERED_SECONDS:
                remove.append(item.version)
        elif item.drained_at is None:
            mark.append(item.version)
        elif now - item.drained_at >= keep_seconds:
            remove.append(item.version)
    staying = {item.version for item in present} - set(remove)
    deregister = [
        item
        for item in registered
        if not item.is_in_use
        # A rollback left it behind: the same pods serve under a newer address.
        and (item.version in in_use or (item.version not in staying and item.version not in current))
    ]
    return Pruning(tuple(unmark), tuple(mark), tuple(deregister), tuple(remove))


def plan_rollback(
    present: Collection[Version], wanted: Collection[Version], manifest: Collection[Version] | None
) -> list[Version]:
    """Give the kept versions that Helm would trip over: it wants them, they exist, its last manifest lacks them.

    `manifest`: the versions of the last revision's manifest; None where nobody wrote them down, and then all count.
    Source: Helm 3, `Client.Update`: "no Deployment with the name X found".
    """
    return sorted(set(present) & set(wanted) - set(manifest or ()))


def not_serving(
    current: Collection[Version], registered: Sequence[Registered], latest: Collection[str]
) -> list[Version]:
    """Give the current versions whose endpoint serves nothing at all, under any version.

    Not simply those that are not registered: an upgrade whose registration was refused leaves the old version
    serving, and so it must stay. `latest`: ids of the deployments that new calls go to.
    """
    serving = {item.version.endpoint for item in registered if item.deployment_id in latest}
    return sorted(item for item in current if item.endpoint not in serving)


def _goes_at_once(item: Present, *, was_registered: bool) -> bool:
    """Tell whether nothing can have been running there: never registered, or nothing left that could run."""
    return not item.has_deployment or (not was_registered and item.drained_at is None)
