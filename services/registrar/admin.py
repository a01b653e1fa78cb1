"""A client of Restate's admin API: the calls that registration needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from services.registrar.errors import AdminError

CALL_SECONDS: Final = 30
RETRY_SECONDS: Final = 0.25
_ANSWERED_ERROR_SECONDS: Final = 8
"""How long an error that Restate answers with is retried: an endpoint may just be starting."""


class Service(msgspec.Struct, frozen=True):
    """A service of a deployment. `definition`: all that was discovered of it, in a form to compare."""

    name: str
    kind: str
    definition: Mapping[str, Any]


class Deployment(msgspec.Struct, frozen=True):
    """A version of an endpoint that is, or would be, registered."""

    deployment_id: str
    uri: str
    metadata: Mapping[str, str]
    services: tuple[Service, ...]

    def same_services(self, other: Deployment) -> bool:
        """Tell whether the other would be discovered as this one was."""
        return {service.name: service.definition for service in self.services} == {
            service.name: service.definition for service in other.services
        }


class Admin:
    """The admin API at `url`; a call is repeated for `seconds` while Restate is away. `token`: sent as Bearer."""

    def __init__(self, url: str, seconds: float, token: str = "") -> None:
        self.url = url.rstrip("/")
        self.seconds = seconds
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection."""
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        headers = {"accept": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        self._session = aiohttp.ClientSession(timeout=timeout, headers=headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()

    async def version(self) -> str:
        """Tell Restate's version, as in `1.7.12`."""
        return str((await self._call("GET", "/version"))["version"])

    async def deployments(self) -> list[Deployment]:
        """List what is registered, without the services' definitions."""
        return [_deployment(item) for item in (await self._call("GET", "/deployments"))["deployments"]]

    async def deployment(self, deployment_id: str) -> Deployment:
        """Show a deployment with its services as they were discovered."""
        return _deployment(await self._call("GET", f"/deployments/{deployment_id}"))

    async def latest(self) -> dict[str, str]:
        """Map each service to the deployment that new calls go to."""
        return {item["name"]: item["deployment_id"] for item in (await self._call("GET", "/services"))["services"]}

    async def discover(self, uri: str) -> Deployment:
        """Let Restate discover an address anew, without registering it."""
        # force: without it Restate would show what it already knows of the address. Source: FACTS.md.
        body = {"uri": uri, "force": True, "breaking": True, "dry_run": True}
        return _deployment({"uri": uri} | await self._call("POST", "/deployments", body))

    async def preview(self, uri: str, *, breaking: bool) -> Deployment:
        """Ask whether a new address would be registered. Raises AdminError where it would be refused."""
        body = {"uri": uri, "force": False, "breaking": breaking, "dry_run": True}
        return _deployment({"uri": uri} | await self._call("POST", "/deployments", body))

    async def register(self, uri: str, metadata: Mapping[str, str], *, breaking: bool) -> Deployment:
        """Register a new address."""
        body = {"uri": uri, "force": False, "breaking": breaking, "dry_run": False, "metadata": dict(metadata)}
        return _deployment({"uri": uri} | await self._call("POST", "/deployments", body))

    async def remove(self, deployment_id: str) -> None:
        """Remove a deployment that nothing needs any more."""
        # The API knows only forced removals; that it is drained was asked before.
        await self._call("DELETE", f"/deployments/{deployment_id}?force=true")

    async def in_use(self) -> set[str]:
        """Give the deployments that are latest for a service, or that an unfinished invocation is pinned to."""
        latest = "select deployment_id as id from sys_service"
        pinned = (
            "select distinct pinned_deployment_id as id from sys_invocation_status "
            "where status != 'completed' and pinned_deployment_id is not null"
        )
        rows = [
            row for query in (latest, pinned) for row in (await self._call("POST", "/query", {"query": query}))["rows"]
        ]
        return {row["id"] for row in rows}

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        if self._session is None:
            raise AdminError("the admin client is not open")
        begun = time.monotonic()
        while True:
            patience = self.seconds
            try:
                async with self._session.request(method, self.url + path, json=body) as answer:
                    text = await answer.text()
                    if answer.ok:
                        return msgspec.json.decode(text) if text else None
                    problem, is_final = _refusal(text), answer.status < 500  # noqa: PLR2004 - 4xx does not change
                    patience = min(patience, _ANSWERED_ERROR_SECONDS)
            except (aiohttp.ClientError, TimeoutError) as error:
                why = (isinstance(error, aiohttp.ClientConnectorError) and error.strerror) or str(error) or "no answer"
                problem, is_final = f"Restate's admin API at {self.url} cannot be reached: {why}", False
            if is_final or time.monotonic() - begun > patience:
                raise AdminError(problem)
            await asyncio.sleep(RETRY_SECONDS)


def _refusal(text: str) -> str:
    try:
        return str(msgspec.json.decode(text)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return text.strip()[:500] or "Restate refused without a text"


def _deployment(item: Mapping[str, Any]) -> Deployment:
    return Deployment(
        deployment_id=item["id"],
        uri=item["uri"].rstrip("/"),
        metadata=item.get("metadata", {}),
        services=tuple(_service(service) for service in item.get("services", ())),
    )


def _service(item: Mapping[str, Any]) -> Service:
    handlers = {handler["name"]: handler for handler in item.get("handlers", ())}
    # What registration itself adds is no part of what was discovered.
    definition = {name: value for name, value in item.items() if name not in ("handlers", "deployment_id", "revision")}
    return Service(item["name"], item.get("ty", ""), definition | {"handlers": handlers})
