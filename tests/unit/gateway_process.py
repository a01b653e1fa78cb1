"""A gateway in a process of its own, before an ingress that a test decides about."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from services.cli.ports import Ports

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SIGN_IN = {"NEXUS_INSECURE_DEV": "true"}


def settings_of(ports: Ports, ingress_url: str, more: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a gateway; `more` says how it signs in."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return inherited | {
        "NEXUS_INGRESS_URL": ingress_url,
        "NEXUS_HTTP_PORT": str(ports.http_port),
        "NEXUS_GRPC_PORT": str(ports.grpc_port),
        "NEXUS_METRICS_PORT": str(ports.gateway_metrics_port),
        "NEXUS_SEAL_KEYS": "k1:" + base64.b64encode(b"s" * 32).decode(),
        "NEXUS_SUBJECT_KEY": base64.b64encode(b"k" * 32).decode(),
        **more,
    }


@dataclass
class Running:
    """The process, and the Restate that it asks: away, there, or answering as `handler` says; pings take a while."""

    process: Process
    ports: Ports
    is_away: bool = True
    handler: Handler | None = None
    ping_seconds: float = 0.0
    seen: list[dict[str, str]] = field(default_factory=list)

    @property
    def probes_url(self) -> str:
        """The plain port."""
        return f"http://127.0.0.1:{self.ports.gateway_metrics_port}"

    @property
    def grpc_address(self) -> str:
        """The gRPC door."""
        return f"127.0.0.1:{self.ports.grpc_port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as a Restate does whose services all answer."""
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        if request.path.endswith("/ping"):
            await asyncio.sleep(self.ping_seconds)
        if self.handler is not None and not self.is_away and not request.path.endswith(("/health", "/ping")):
            return await self.handler(request)
        return web.json_response("ok", status=503 if self.is_away else 200)

    async def readiness(self, wanted: int) -> None:
        """Wait until /readyz of the plain port answers with a status."""
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while await self._status(session) != wanted:  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.05)

    async def _status(self, session: aiohttp.ClientSession) -> int:
        assert self.process.returncode is None, "the gateway has ended"
        try:
            async with session.get(f"{self.probes_url}/readyz") as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0


@asynccontextmanager
async def started(more: Mapping[str, str]) -> AsyncIterator[Running]:
    """Run a gateway with these settings."""
    ports = Ports.free()
    made: list[Running] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        return await made[0].answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = settings_of(ports, f"http://127.0.0.1:{runner.addresses[0][1]}", more)
    command = (sys.executable, "-m", "services.cli", "run", "gateway")
    process = await asyncio.create_subprocess_exec(*command, env=environ, start_new_session=True)
    made.append(Running(process, ports))
    try:
        yield made[0]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await runner.cleanup()


async def refused(more: Mapping[str, str]) -> list[str]:
    """Run a gateway that must not start; give the lines that it says, having seen it end with code 2."""
    environ = settings_of(Ports.free(), "http://127.0.0.1:9", more)
    command = (sys.executable, "-m", "services.cli", "run", "gateway")
    process = await asyncio.create_subprocess_exec(*command, env=environ, start_new_session=True, stderr=PIPE)
    try:
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 2, said
    return said.decode().splitlines()
