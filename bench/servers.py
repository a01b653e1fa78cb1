"""The servers that are measured: a stack of its own on free ports, in one of several shapes."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import Usage, usage
from services.cli.local import START_ORDER, LocalStack
from services.cli.ports import Ports
from services.cli.up import endpoints, register
from services.common.config import ENDPOINTS
from services.registrar.admin import Admin

INSTANT: Final = "instant:"
"""A payment provider in checkout's own process, which takes no time. Source: services/checkout/instant.py."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is started. `is_instant`: payments in checkout's process and mail handed to nobody.

    `processes`: of each endpoint; `nodes`: of Restate, 1 or 3; `partitions`: of Restate.
    """

    is_instant: bool = True
    processes: int = 1
    partitions: int = 4
    nodes: int = 1

    def __str__(self) -> str:
        """Name what differs from what `nexus up` starts."""
        return (
            f"{'provider in process, no mail' if self.is_instant else 'payment simulator and mail'}, "
            f"{self.processes} process{'es' if self.processes > 1 else ''} an endpoint, "
            f"{self.partitions} partition{'s' if self.partitions > 1 else ''}, "
            f"{self.nodes} Restate node{'s' if self.nodes > 1 else ''}"
        )


class Servers(LocalStack):
    """A local stack in a shape."""

    def __init__(self, home: Path, shape: Shape) -> None:
        self.shape = shape
        self._others = [Ports.free() for _ in range(shape.nodes - 1)]
        super().__init__(home, Ports.free())
        restate = {"RESTATE_DEFAULT_NUM_PARTITIONS": str(shape.partitions)}
        if self._others:
            restate |= self._clustered("node-1")
        self.overrides = {
            "restate": restate,
            # All load comes from one address, which thousands of people would not; each caller keeps its limits.
            "gateway": {"NEXUS_RATE_LIMIT_EXEMPT": "127.0.0.1/32"},
            "checkout": {"NEXUS_PAYMENTS_URL": INSTANT} if shape.is_instant else {},
        }

    def version(self) -> str:
        """Tell Restate's version."""

        async def ask() -> str:
            async with Admin(self.admin_url, 30) as admin:
                return await admin.version()

        return asyncio.run(ask())

    def usage(self) -> dict[str, Usage]:
        """Tell what each component uses, by name; all Restate nodes together as `restate`."""
        records = {path.stem: self.processes.record(path.stem) for path in self.processes.run.glob("*.json")}
        found = usage({name: record.pid for name, record in records.items() if record is not None})
        for name in [name for name in found if name.startswith("restate-")]:
            other, one = found.pop(name), found["restate"]
            found["restate"] = Usage(one.memory_mb + other.memory_mb, one.cpu_seconds + other.cpu_seconds)
        return {name: found[name] for name in START_ORDER if name in found}

    def start_all(self, say: Callable[[str], None] = lambda _: None) -> list[str]:
        """Start everything, further nodes of Restate first: a cluster of three answers once two are there."""
        base, binary = self.environ("restate"), self._argv("restate")
        for number, ports in enumerate(self._others, 2):
            own = {
                "RESTATE_BASE_DIR": str(self.home / "data" / f"restate-{number}"),
                "RESTATE_BIND_ADDRESS": f"127.0.0.1:{ports.restate_node_port}",
                "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{ports.restate_node_port}",
                "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ports.restate_ingress_port}",
                "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{ports.restate_admin_port}",
            }
            self.processes.start(
                f"restate-{number}", binary, base | own | self._clustered(f"node-{number}"), f"node {number}"
            )
        return super().start_all(say)

    def stop_all(self) -> list[str]:
        """Stop everything."""
        stopped = super().stop_all()
        names = [f"restate-{number}" for number in range(2, len(self._others) + 2)]
        return stopped + self.processes.stop(names, 25)

    def kill_all(self) -> None:
        """SIGKILL everything that was started."""
        for path in self.processes.run.glob("*.json"):
            self.processes.kill(path.stem)

    def _clustered(self, name: str) -> dict[str, str]:
        """Give what makes a node one of three. Source: FACTS.md, three pods; the first one provisions."""
        addresses = [f"http://127.0.0.1:{each.restate_node_port}" for each in (self.ports, *self._others)]
        return {
            "RESTATE_NODE_NAME": name,
            "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(addresses),
            "RESTATE_AUTO_PROVISION": "true" if name == "node-1" else "false",
            "RESTATE_DEFAULT_REPLICATION": "2",
            "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "128MB",
        }

    def _argv(self, component: str) -> list[str]:
        if component not in ENDPOINTS:
            return super()._argv(component)
        argv = [sys.executable, "-m", "bench.serving", component, "--processes", str(self.shape.processes)]
        return [*argv, "--no-mail"] if component == "checkout" and self.shape.is_instant else argv


@contextmanager
def running(shape: Shape) -> Iterator[Servers]:
    """Start a stack in a temporary folder, register it, stop it at the end. Raises StackError."""
    with tempfile.TemporaryDirectory(prefix="nexus-bench-", ignore_cleanup_errors=True) as folder:
        servers = Servers(Path(folder), shape)
        try:
            servers.start_all()
            asyncio.run(register(servers.admin_url, endpoints(servers)))
            servers.wait_ready("gateway", ready=True)
            yield servers
        finally:
            try:
                servers.stop_all()
            except KeyboardInterrupt:
                # Ctrl-C while they drain: nobody waits for them, but none may be left.
                servers.kill_all()
                raise
