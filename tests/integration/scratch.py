"""A Restate of a test's own with a scratch endpoint: the runner and the registrar without Nexus's services."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from services.cli.local import LocalStack
from services.cli.ports import Ports
from services.registrar.admin import Admin
from services.registrar.registration import EndpointAt, Registrar, Row

SERVICE_SOURCE = """
import restate
Scratch = restate.Service("Scratch")

@Scratch.handler()
async def renamed(ctx: restate.Context) -> str:
    return VERSION

SERVICES = [Scratch]
"""

SOURCE = """
import asyncio, datetime, os, pathlib
import restate

Scratch = restate.VirtualObject("Scratch")
TRACE = pathlib.Path(os.environ["SCRATCH_TRACE"])

def note(text):
    with TRACE.open("a") as file:
        file.write(text + "\\n")

@Scratch.handler()
async def slow(ctx: restate.ObjectContext, seconds: float) -> str:
    async def step() -> str:
        note("begin")
        await asyncio.sleep(seconds)
        note("end")
        return VERSION
    answer = await ctx.run_typed("step", step)
    note("answered")
    return answer

@Scratch.handler(kind="shared")
async def wait(ctx: restate.ObjectSharedContext, seconds: float) -> str:
    note("waits")
    await ctx.sleep(datetime.timedelta(seconds=seconds))
    return VERSION

@Scratch.handler(kind="shared")
async def version(ctx: restate.ObjectSharedContext) -> str:
    return VERSION

if os.environ.get("SCRATCH_EXTRA"):
    @Scratch.handler(kind="shared")
    async def extra(ctx: restate.ObjectSharedContext) -> str:
        return "extra"

SERVICES = [Scratch]
"""


class ScratchStack:
    """One restate-server and one endpoint `scratch` whose code a test can change."""

    def __init__(self, folder: Path) -> None:
        self.stack = LocalStack(folder / "home", Ports.free())
        self.package = folder / "code" / "scratch"
        self.package.mkdir(parents=True)
        self.trace_file = folder / "trace"
        self.url = self.stack.endpoint_url("ticket")
        self.write("one")

    def write(self, version: str, source: str = SOURCE) -> None:
        """Write the endpoint's code; the process that runs keeps what it was started with."""
        (self.package / "app.py").write_text(f"VERSION = {version!r}\n{source}")

    def start(self, *, wait: bool = True, **environ: str) -> None:
        """Start the endpoint."""
        started = self.stack.environ("ticket") | {"SCRATCH_TRACE": str(self.trace_file)} | environ
        started["PYTHONPATH"] += f"{os.pathsep}{self.package.parent}"
        argv = [sys.executable, "-c", "from services.common.endpoint import run; run('scratch', 'scratch.app')"]
        self.stack.processes.start("ticket", argv, started)
        if wait:
            self.stack.wait_ready("ticket")

    def restart(self, **environ: str) -> None:
        """Let the endpoint drain, then start it with the code that is there now."""
        self.stack.stop("ticket")
        self.start(**environ)

    def group(self) -> int:
        """Give the process group of the endpoint."""
        record = self.stack.processes.record("ticket")
        assert record is not None
        return record.pid

    def terminate(self, *, parent_only: bool) -> None:
        """SIGTERM the whole process group, or the process that was started alone."""
        (os.kill if parent_only else os.killpg)(self.group(), signal.SIGTERM)

    def trace(self) -> list[str]:
        """Tell what the steps have noted so far."""
        return self.trace_file.read_text().split() if self.trace_file.exists() else []

    def endpoint(self) -> EndpointAt:
        """Name the endpoint for the registrar."""
        return EndpointAt("scratch", self.url, self.package)

    async def register(self, *, dry_run: bool = False, breaking: bool = False, seconds: float = 10) -> list[Row]:
        """Register the endpoint."""
        async with Admin(self.stack.admin_url, seconds) as admin:
            return await Registrar(admin, dry_run=dry_run, breaking=breaking).register([self.endpoint()], seconds)

    async def prune(self) -> list[str]:
        """Remove what is drained."""
        async with Admin(self.stack.admin_url, 10) as admin:
            return await Registrar(admin).prune()

    async def call(self, handler: str, body: object = None, key: str = "k", service: str = "Scratch") -> Any:
        """Call a scratch service through the ingress."""
        timeout = aiohttp.ClientTimeout(total=60)
        url = f"{self.stack.ingress_url}/{service}/{key}/{handler}"
        # A handler without input refuses a content-type.
        sent: dict[str, Any] = {"skip_auto_headers": ["content-type"]} if body is None else {"json": body}
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, **sent) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


async def until(check: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for a predicate."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"waited {seconds} s"
        await asyncio.sleep(0.05)
