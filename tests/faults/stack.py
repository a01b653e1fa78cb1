"""The stack that fault runs break: every endpoint has crash points, and every process may be killed or stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from services.cli.errors import StackError
from services.cli.local import LocalStack
from services.common.config import ENDPOINTS
from tests.faults.crashing import FOLDER, Places, file_of
from tests.integration.client import Client, make_stack, register

REVIVE_SECONDS = 30.0
OWNERS = {"Ticket": "ticket", "Buyer": "ticket", "Checkout": "checkout", "Mailer": "checkout"}


def component_of(point: str) -> str:
    """Name the endpoint whose process dies at a crash point."""
    return OWNERS.get(point.partition(".")[0], "seatmap")


class BreakableStack(LocalStack):
    """A local stack whose endpoints are started by tests.faults.crashing."""

    def _argv(self, component: str) -> list[str]:
        if component in ENDPOINTS:
            return [sys.executable, "-m", "tests.faults.crashing", component]
        return super()._argv(component)


class Victim:
    """A running stack, and what may be done to it."""

    def __init__(self, home: Path) -> None:
        made = make_stack(home)
        # Granian's parent is what survives a crash point.
        made.overrides["*"] = {**made.overrides.get("*", {}), FOLDER: str(home / "crash"), "NEXUS_SERVER": "granian"}
        self.stack = BreakableStack(home, made.ports, made.overrides)
        self.places = Places(home / "crash")
        self.kills: list[tuple[float, str]] = []
        """What was killed, and when (Unix time). Whoever kills otherwise than by `kill` notes it here as well."""

        self.client: Client

    async def start(self) -> None:
        """Start everything."""
        await asyncio.to_thread(self.stack.start_all)
        await register(self.stack)
        await asyncio.to_thread(self.stack.wait_ready, "gateway", ready=True)
        self.client = Client(self.stack)

    async def stop(self) -> None:
        """Stop everything."""
        if hasattr(self, "client"):
            await self.client.session.close()
        await asyncio.to_thread(self.stack.stop_all)

    async def kill(self, component: str) -> None:
        """SIGKILL a component's process group and start it again."""
        self.kills.append((time.time(), component))
        await asyncio.to_thread(self.stack.kill, component)
        await self.revive(component)

    async def revive(self, component: str) -> None:
        """Start a component that is dead, and wait until it answers."""
        deadline = time.monotonic() + REVIVE_SECONDS
        while True:
            try:
                await asyncio.to_thread(self.stack.start, component)
                await asyncio.to_thread(self.stack.wait_ready, component)
            except StackError:
                # Its port may be taken by what is left of it for a moment.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def mend(self) -> None:
        """Bring everything back, and wait until the gateway finds all of it."""
        for point in list(self.places.armed.iterdir()):
            point.unlink(missing_ok=True)
        for simulator in ("payments", "mail"):
            await self.switch(simulator)
        for component in ("restate", *ENDPOINTS, "gateway"):
            await self.revive(component)
        await asyncio.to_thread(self.stack.wait_ready, "gateway", ready=True)

    async def freeze(self, component: str, seconds: float) -> None:
        """Let a component's processes stand still for a while."""
        self.stack.processes.signal(component, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.stack.processes.signal(component, signal.SIGCONT)

    async def switch(self, simulator: str, **switches: Any) -> None:
        """Set all switches of a simulator; without any, all faults are off."""
        base = self.stack.payments_url if simulator == "payments" else self.stack.mail_url
        async with aiohttp.request("PUT", f"{base}/switches", json=switches) as answer:
            answer.raise_for_status()

    def arm(self, point: str) -> None:
        """Let whatever process comes to a point first die there."""
        self.places.armed.joinpath(file_of(point)).touch()

    def is_armed(self, point: str) -> bool:
        """Tell whether nobody has come to an armed point yet."""
        return self.places.armed.joinpath(file_of(point)).exists()

    def disarm(self, point: str) -> None:
        """Take an armed point back."""
        self.places.armed.joinpath(file_of(point)).unlink(missing_ok=True)

    def died(self) -> list[tuple[float, str]]:
        """List the crash points at which a process has died, with the time (Unix), the first one first."""
        if not self.places.died.exists():
            return []
        lines = [line.partition(" ") for line in self.places.died.read_text().splitlines()]
        return [(float(at), point) for at, _, point in lines]

    def deaths(self, *components: str) -> list[float]:
        """Give the times (Unix) at which one of these components died so far, killed or at a point."""
        kills = [*self.kills, *((at, component_of(point)) for at, point in self.died())]
        return sorted(at for at, component in kills if component in components)

    def points(self) -> list[str]:
        """List the points that any process has come to so far."""
        return sorted(path.read_text() for path in self.places.seen.iterdir())
