"""What registration does: give changed code a new address, promote what was rolled back to, tell what is where.

An endpoint's address ends in the hash of its code, so changed code is a new deployment and calls in
flight stay with the old one. Source: FACTS.md, Registration.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

import msgspec

from services.common.code import SERVICES
from services.registrar.admin import Admin, Deployment
from services.registrar.errors import AdminError, RegistrationError
from services.registrar.health import HEALTH_SECONDS, EndpointAt, running_codes

MANAGED_BY: Final = "nexus"
OLDEST_RESTATE: Final = (1, 7, 4)


class Status(StrEnum):
    """What registration did, or would do, with an endpoint."""

    NEW = "new"
    UNCHANGED = "unchanged"
    PROMOTED = "promoted"
    """The code was registered before but newer code had taken over; now it serves again."""


class Row(msgspec.Struct, frozen=True):
    """A service and where it is registered. `deployment_id` is empty in a preview of a new address."""

    service: str
    kind: str
    endpoint: str
    address: str
    deployment_id: str
    status: Status


class Plan(msgspec.Struct, frozen=True):
    """What will be done with one endpoint. `deployment_id` is empty where a new address is registered."""

    endpoint: EndpointAt
    running: str
    uri: str
    status: Status
    found: Deployment
    deployment_id: str = ""


class Registrar:
    """Registers endpoints at one Restate.

    `release`: whose deployments these are, as in `namespace/name`; empty on a laptop. Several releases may share
    a Restate: each sees its own deployments only. `take_over`: another release's service may be moved here.
    """

    def __init__(
        self,
        admin: Admin,
        *,
        dry_run: bool = False,
        breaking: bool = False,
        release: str = "",
        take_over: bool = False,
    ) -> None:
        self.admin = admin
        self.dry_run = dry_run
        self.breaking = breaking
        self.release = release
        self.take_over = take_over

    async def register(
        self,
        endpoints: Sequence[EndpointAt],
        seconds: float = HEALTH_SECONDS,
        explain: Callable[[str], str] = lambda _: "",
    ) -> list[Row]:
        """Register every endpoint whose code is not the latest: all, or nothing where one would be refused.

        Repeating it changes nothing. `explain`: what is known of an endpoint that does not answer.
        Raises RegistrationError or AdminError.
        """
        check_restate(await self.admin.version())
        hashes = await running_codes(endpoints, seconds, explain)
        # Each is previewed before any is registered: half a release must not take calls.
        plans = [await self._plan(endpoint, running) for endpoint, running in zip(endpoints, hashes, strict=True)]
        await self._check_owners(plans)
        return [row for plan in plans for row in await self._do(plan)]

    async def prune(self) -> list[str]:
        """Remove our deployments that no service and no unfinished invocation needs; give their addresses."""
        # Asked in this order: a deployment registered in between is not in the list.
        ours = [item for item in await self.admin.deployments() if is_ours(item, self.release)]
        in_use = await self.admin.in_use()
        drained = [item for item in ours if item.deployment_id not in in_use]
        if not self.dry_run:
            for item in drained:
                await self.admin.remove(item.deployment_id)
        return [item.uri for item in drained]

    async def _plan(self, endpoint: EndpointAt, running: str) -> Plan:
        base = f"{endpoint.url.rstrip('/')}/v/{running}"
        known = await self._known(base)
        newest = known[-1] if known else None
        preview = await self.admin.discover(newest.uri if newest else base)
        if newest and (await self.admin.deployment(newest.deployment_id)).same_services(preview):
            latest = await self.admin.latest()
            if all(latest.get(service.name) == newest.deployment_id for service in preview.services):
                return Plan(endpoint, running, newest.uri, Status.UNCHANGED, preview, newest.deployment_id)
            status = Status.PROMOTED
        else:
            status = Status.NEW
        # An address that is registered cannot be registered again: it would silently stay what it was.
        uri = f"{base}-{_number(newest, base) + 1}" if newest else base
        return Plan(endpoint, running, uri, status, await self.admin.preview(uri, breaking=self.breaking))

    async def _check_owners(self, plans: Sequence[Plan]) -> None:
        """Refuse to take a service from another release: its calls, state and timers would move along."""
        if self.take_over:
            return
        latest = await self.admin.latest()
        strangers = {
            item.deployment_id: item
            for item in await self.admin.deployments()
            if item.metadata.get("release", "") != self.release
        }
        for plan in plans:
            for service in plan.found.services if plan.status is not Status.UNCHANGED else ():
                owner = strangers.get(latest.get(service.name, ""))
                # On a laptop whatever was registered by hand may be replaced, as ever.
                if owner and (self.release or owner.metadata.get("release")):
                    whose = owner.metadata.get("release") or "nobody's release"
                    raise RegistrationError(
                        f"{service.name} is served by {whose} at {owner.uri}, and a Restate knows one service of a "
                        "name: give each release a Restate of its own, or take it over with --take-over"
                    )

    async def _do(self, plan: Plan) -> list[Row]:
        if self.dry_run or plan.status is Status.UNCHANGED:
            return _rows(plan, plan.found, plan.deployment_id)
        metadata = _metadata(plan.endpoint, plan.running, self.release)
        done = await self.admin.register(plan.uri, metadata, breaking=self.breaking)
        await self._check(done)
        return _rows(plan, done, done.deployment_id)

    async def _known(self, base: str) -> list[Deployment]:
        """List the deployments of this code, the oldest address first."""
        ours = [item for item in await self.admin.deployments() if re.fullmatch(re.escape(base) + r"(-\d+)?", item.uri)]
        return sorted(ours, key=lambda item: _number(item, base))

    async def _check(self, done: Deployment) -> None:
        latest = await self.admin.latest()
        behind = [service.name for service in done.services if latest.get(service.name) != done.deployment_id]
        if behind:
            raise RegistrationError(f"{', '.join(behind)}: registered at {done.uri}, but calls still go elsewhere")


def is_ours(deployment: Deployment, release: str) -> bool:
    """Tell whether a deployment was registered by this release."""
    metadata = deployment.metadata
    return metadata.get("managed_by") == MANAGED_BY and metadata.get("release", "") == release


def parse_endpoints(text: str) -> list[EndpointAt]:
    """Read `ticket=http://127.0.0.1:9081,...`. Raises RegistrationError."""
    endpoints = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, url = part.partition("=")
        if not name or urlsplit(url).scheme not in ("http", "https") or not (SERVICES / name).is_dir():
            raise RegistrationError("NEXUS_ENDPOINTS: expected name=http://host:port, comma-separated, of our services")
        endpoints.append(EndpointAt(name, url, SERVICES / name))
    return endpoints


def _number(deployment: Deployment | None, base: str) -> int:
    return int(deployment.uri.removeprefix(base).lstrip("-") or 1) if deployment else 0


def check_restate(version_text: str) -> None:
    """Refuse a Restate that is too old. Raises RegistrationError. Source: FACTS.md, Getting the parts."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version_text)[:3])
    if numbers < OLDEST_RESTATE:
        oldest = ".".join(map(str, OLDEST_RESTATE))
        raise RegistrationError(f"Restate is version {version_text}; Nexus needs {oldest} or later: upgrade Restate")


def _rows(plan: Plan, found: Deployment, deployment_id: str) -> list[Row]:
    services = sorted(found.services, key=lambda service: service.name)
    return [Row(item.name, item.kind, plan.endpoint.name, plan.uri, deployment_id, plan.status) for item in services]


def _metadata(endpoint: EndpointAt, running: str, release: str) -> Mapping[str, str]:
    try:
        nexus_version = version("nexus")
    except PackageNotFoundError:
        nexus_version = "unreleased"
    known = {
        "managed_by": MANAGED_BY,
        "endpoint": endpoint.name,
        "version": nexus_version,
        "git_sha": _git_sha(),
        "code": running,
    }
    in_cluster = {"release": release, "endpoint_version": endpoint.version}
    return known | {name: value for name, value in in_cluster.items() if value}


def _git_sha() -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(SERVICES), "rev-parse", "HEAD"],  # noqa: S607 - whichever git the machine has
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


__all__ = ["AdminError", "EndpointAt", "Registrar", "RegistrationError", "Row", "Status", "parse_endpoints"]
