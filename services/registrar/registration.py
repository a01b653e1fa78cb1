"""What `nexus register` does: find the endpoints, give changed code a new address, tell what is where.

An endpoint's address ends in the hash of its code, so changed code is a new deployment and calls in
flight stay with the old one. Source: FACTS.md, Registration.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from services.common import code
from services.common.code import SERVICES, code_hash
from services.registrar.admin import Admin, Deployment
from services.registrar.errors import AdminError, RegistrationError

MANAGED_BY: Final = "nexus"
HEALTH_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1


class Status(StrEnum):
    """What registration did, or would do, with an endpoint."""

    NEW = "new"
    UNCHANGED = "unchanged"
    PROMOTED = "promoted"
    """The code was registered before but newer code had taken over; now it serves again."""


class EndpointAt(msgspec.Struct, frozen=True):
    """An endpoint to register. `folder`: its code on this machine."""

    name: str
    url: str
    folder: Path


class Row(msgspec.Struct, frozen=True):
    """A service and where it is registered. `deployment_id` is empty in a preview of a new address."""

    service: str
    kind: str
    endpoint: str
    address: str
    deployment_id: str
    status: Status


class Registrar:
    """Registers endpoints at one Restate."""

    def __init__(self, admin: Admin, *, dry_run: bool = False, breaking: bool = False) -> None:
        self.admin = admin
        self.dry_run = dry_run
        self.breaking = breaking

    async def register(self, endpoints: Sequence[EndpointAt], seconds: float = HEALTH_SECONDS) -> list[Row]:
        """Register every endpoint whose code is not the latest.

        Repeating it changes nothing. Raises RegistrationError or AdminError.
        """
        hashes = await asyncio.gather(*(running_code(endpoint, seconds) for endpoint in endpoints))
        rows: list[Row] = []
        for endpoint, running in zip(endpoints, hashes, strict=True):
            rows += await self._register_one(endpoint, running)
        return rows

    async def prune(self) -> list[str]:
        """Remove our deployments that no service and no unfinished invocation needs; give their addresses."""
        # Asked in this order: a deployment registered in between is not in the list.
        ours = [item for item in await self.admin.deployments() if item.metadata.get("managed_by") == MANAGED_BY]
        in_use = await self.admin.in_use()
        drained = [item for item in ours if item.deployment_id not in in_use]
        if not self.dry_run:
            for item in drained:
                await self.admin.remove(item.deployment_id)
        return [item.uri for item in drained]

    async def _register_one(self, endpoint: EndpointAt, running: str) -> list[Row]:
        base = f"{endpoint.url.rstrip('/')}/v/{running}"
        known = await self._known(base)
        newest = known[-1] if known else None
        preview = await self.admin.discover(newest.uri if newest else base)
        if newest and (await self.admin.deployment(newest.deployment_id)).same_services(preview):
            latest = await self.admin.latest()
            if all(latest.get(service.name) == newest.deployment_id for service in preview.services):
                return _rows(endpoint, preview, newest.uri, newest.deployment_id, Status.UNCHANGED)
            status = Status.PROMOTED
        else:
            status = Status.NEW
        # An address that is registered cannot be registered again: it would silently stay what it was.
        uri = f"{base}-{_number(newest, base) + 1}" if newest else base
        if self.dry_run:
            await self.admin.preview(uri, breaking=self.breaking)
            return _rows(endpoint, preview, uri, "", status)
        done = await self.admin.register(uri, _metadata(endpoint, running), breaking=self.breaking)
        await self._check(done)
        return _rows(endpoint, done, uri, done.deployment_id, status)

    async def _known(self, base: str) -> list[Deployment]:
        """List the deployments of this code, the oldest address first."""
        ours = [item for item in await self.admin.deployments() if re.fullmatch(re.escape(base) + r"(-\d+)?", item.uri)]
        return sorted(ours, key=lambda item: _number(item, base))

    async def _check(self, done: Deployment) -> None:
        latest = await self.admin.latest()
        behind = [service.name for service in done.services if latest.get(service.name) != done.deployment_id]
        if behind:
            raise RegistrationError(f"{', '.join(behind)}: registered at {done.uri}, but calls still go elsewhere")


async def running_code(endpoint: EndpointAt, seconds: float = HEALTH_SECONDS) -> str:
    """Wait until an endpoint answers and give the hash of the code it runs.

    Raises RegistrationError where it does not answer in time, is no endpoint of ours, or runs
    other code than the files here: its address would lie.
    """
    running = await _health(endpoint, seconds)
    if not running:
        raise RegistrationError(f"{endpoint.name}: {endpoint.url}/health is answered by something else")
    here = code_hash(endpoint.folder)
    if running != here:
        raise RegistrationError(
            f"{endpoint.name}: the process at {endpoint.url} runs other code ({running}) than the files here ({here}): "
            "restart it (make up does)"
        )
    return running


async def _health(endpoint: EndpointAt, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            try:
                async with session.get(f"{endpoint.url.rstrip('/')}/health") as answer:
                    if answer.ok:
                        return answer.headers.get(code.HEADER, "")
                    problem = f"status {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() > deadline:
                raise RegistrationError(
                    f"{endpoint.name}: {endpoint.url}/health did not answer within {seconds:.0f} s ({problem})"
                )
            await asyncio.sleep(POLL_SECONDS)


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


def _rows(endpoint: EndpointAt, found: Deployment, address: str, deployment_id: str, status: Status) -> list[Row]:
    services = sorted(found.services, key=lambda service: service.name)
    return [Row(item.name, item.kind, endpoint.name, address, deployment_id, status) for item in services]


def _metadata(endpoint: EndpointAt, running: str) -> Mapping[str, str]:
    try:
        release = version("nexus")
    except PackageNotFoundError:
        release = "unreleased"
    return {
        "managed_by": MANAGED_BY,
        "endpoint": endpoint.name,
        "version": release,
        "git_sha": _git_sha(),
        "code": running,
    }


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
