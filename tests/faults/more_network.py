"""Faults of the network, by toxiproxy: between the gateway and the ingress, and between checkout and the provider."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from services.cli.ports import Ports
from tests.faults.faults import Damage
from tests.faults.stack import Victim
from tests.integration.client import PROJECT

PROXY: Final = "toxiproxy"
PROXIES: Final = ("ingress", "provider")
BUILD_SECONDS: Final = 400.0
READY_SECONDS: Final = 10.0
TOXIC_SECONDS: Final = 1.5

TOXICS: Final[tuple[tuple[str, dict[str, int]], ...]] = (
    ("latency", {"latency": 100, "jitter": 50}),
    ("bandwidth", {"rate": 20}),
    ("slicer", {"average_size": 64, "size_variation": 32, "delay": 500}),
    ("reset_peer", {"timeout": 100}),
    ("timeout", {"timeout": 500}),
)
"""Milliseconds, kB/s, bytes, and for the slicer's delay microseconds. `timeout` passes nothing on, then closes."""


@functools.cache
def find() -> tuple[str, str]:
    """Give toxiproxy's path, or empty and why it cannot be had; the first time it may be built."""
    tool = PROJECT / ".ci" / "tool"
    if not tool.exists():
        return "", "toxiproxy is built by .ci/tool, which is not here"
    done = subprocess.run([str(tool), PROXY], capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    if done.returncode == 0:
        return done.stdout.strip(), ""
    return "", (done.stderr.strip().splitlines() or ["toxiproxy cannot be had here"])[-1]


def why_not() -> str:
    """Tell why there is no toxiproxy; empty where there is."""
    return find()[1]


class ProxiedVictim(Victim):
    """A stack whose gateway reaches the ingress, and whose checkout the provider, through toxiproxy."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        # Three ports beside those of the stack; it does not matter whose names they have.
        free = Ports.free()
        self.control = f"http://127.0.0.1:{free.http_port}"
        self.listens = {"ingress": free.restate_ingress_port, "provider": free.payments_port}
        overrides = self.stack.overrides
        for component, setting, proxy in (
            ("gateway", "NEXUS_INGRESS_URL", "ingress"),
            ("checkout", "NEXUS_PAYMENTS_URL", "provider"),
        ):
            through = {setting: f"http://127.0.0.1:{self.listens[proxy]}"}
            overrides[component] = {**overrides.get(component, {}), **through}

    async def start(self) -> None:
        """Start the proxies, then everything."""
        port = self.control.rpartition(":")[2]
        argv = [find()[0], "-host", "127.0.0.1", "-port", port]
        self.stack.processes.start(PROXY, argv, os.environ)
        deadline = time.monotonic() + READY_SECONDS
        while not await self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"toxiproxy did not start: {self.stack.processes.tail(PROXY)}")
            await asyncio.sleep(0.05)
        behind = {"ingress": self.stack.ingress_url, "provider": self.stack.payments_url}
        for name, port_of_it in self.listens.items():
            upstream = behind[name].removeprefix("http://")
            made = {"name": name, "listen": f"127.0.0.1:{port_of_it}", "upstream": upstream, "enabled": True}
            await self._ask("POST", "/proxies", made)
        await super().start()

    async def stop(self) -> None:
        """Stop everything, the proxies last."""
        try:
            await super().stop()
        finally:
            await asyncio.to_thread(self.stack.processes.stop, [PROXY], 5)

    async def mend(self) -> None:
        """Remove every toxic, and bring everything back."""
        await self._ask("POST", "/reset", {})
        await super().mend()

    async def poison(self, proxy: str, kind: str, stream: str, attributes: dict[str, int]) -> None:
        """Let a proxy disturb its connections, those that are open included."""
        toxic = {"name": kind, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}
        await self._ask("POST", f"/proxies/{proxy}/toxics", toxic)

    async def heal(self, proxy: str, kind: str) -> None:
        """Remove a toxic."""
        await self._ask("DELETE", f"/proxies/{proxy}/toxics/{kind}", None)

    async def _ask(self, method: str, path: str, body: Any) -> None:
        async with aiohttp.request(method, self.control + path, json=body) as answer:
            answer.raise_for_status()

    async def _answers(self) -> bool:
        try:
            await self._ask("GET", "/version", None)
        except aiohttp.ClientConnectionError:
            return False
        return True


async def poisoned(victim: Victim, chance: Random, damage: Damage) -> None:
    """Disturb one proxy after another in every way, in requests or in answers, with a healthy moment in between."""
    assert isinstance(victim, ProxiedVictim)
    ways = [(proxy, *toxic) for toxic in TOXICS for proxy in PROXIES]
    while True:
        chance.shuffle(ways)
        for proxy, kind, attributes in ways:
            await victim.poison(proxy, kind, chance.choice(("upstream", "downstream")), attributes)
            damage.count += 1
            await asyncio.sleep(TOXIC_SECONDS)
            await victim.heal(proxy, kind)
            await asyncio.sleep(TOXIC_SECONDS / 3)
