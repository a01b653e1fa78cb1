"""A stack whose Restate is three nodes, each with ports and a data folder of its own, set up as by the chart."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, cast

import aiohttp

from services.cli.local import HOST, READY_SECONDS, STOP_SECONDS, restate_server
from services.cli.ports import Ports
from services.common.config import Port
from tests.faults.nodes_balancer import Balancer
from tests.faults.nodes_probes import Probe
from tests.faults.stack import BreakableStack, Victim

NAMES: Final = ("restate-1", "restate-2", "restate-3")
REPLICATION: Final = 2
"""Nodes that hold each record: one more than may be lost. Source: nexus.restate.replication in the chart."""

FIRST_GROUP: Final = 23801
"""Group ids that the nodes run under where a firewall is to know them by; nothing else uses them."""

LEADERS: Final = "restate_num_active_partition_leaders"
PARTITIONS: Final = 4
WHOLE_SECONDS: Final = 30.0
SETTLED_SECONDS: Final = 3.0
"""When a node has come back, partitions move once more, which may fail reads. Seen: within 2 s."""

NOTE_SECONDS: Final = 0.1
_LEADS = re.compile(r"^(\S+Z) .*\n +Processor became Leader", re.MULTILINE)


class NodePorts(Ports, frozen=True, kw_only=True):
    """The ports of a local stack, of which Restate's own two are the balancer's, and those of each node."""

    restate_1_ingress_port: Port = 0
    restate_1_admin_port: Port = 0
    restate_1_node_port: Port = 0
    restate_2_ingress_port: Port = 0
    restate_2_admin_port: Port = 0
    restate_2_node_port: Port = 0
    restate_3_ingress_port: Port = 0
    restate_3_admin_port: Port = 0
    restate_3_node_port: Port = 0

    def of(self, component: str) -> dict[str, int]:
        """Give the ports that a component listens on, by field name."""
        if component in NAMES:
            names = [f"{component.replace('-', '_')}_{door}_port" for door in ("ingress", "admin", "node")]
            return {name: getattr(self, name) for name in names}
        return Ports.of(self, component)

    @classmethod
    def free(cls) -> NodePorts:
        """Choose ports that nobody listens on now."""
        return cast(NodePorts, super().free())

    def door(self, node: str, door: str) -> int:
        """Give one port of a node: ingress, admin or node."""
        return self.of(node)[f"{node.replace('-', '_')}_{door}_port"]


def settings(node: str, home: Path, node_ports: NodePorts) -> dict[str, str]:
    """Give what a node is told beside what a single Restate is told. The first makes the cluster, once."""
    peers = [f"http://{HOST}:{node_ports.door(name, 'node')}" for name in NAMES]
    own = {door: f"{HOST}:{node_ports.door(node, door)}" for door in ("ingress", "admin", "node")}
    return {
        "RESTATE_NODE_NAME": node,
        "RESTATE_BASE_DIR": str(home / "data" / node),
        "RESTATE_BIND_ADDRESS": own["node"],
        "RESTATE_ADVERTISED_ADDRESS": f"http://{own['node']}",
        "RESTATE_INGRESS__BIND_ADDRESS": own["ingress"],
        "RESTATE_ADMIN__BIND_ADDRESS": own["admin"],
        "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(peers),
        "RESTATE_DEFAULT_REPLICATION": str(REPLICATION),
        # In place of the chart's restatectl, which `make setup` does not install.
        "RESTATE_AUTO_PROVISION": "true" if node == NAMES[0] else "false",
    }


def group_of(node: str) -> int:
    """Give the id of the group that a node runs under."""
    return FIRST_GROUP + NAMES.index(node)


def in_group() -> bool:
    """Tell whether nodes can be given groups of their own here."""
    return os.geteuid() == 0 and shutil.which("setpriv") is not None


def leaders(metrics: str) -> int:
    """Read from a node's metrics how many partitions it leads."""
    lines = (line for line in metrics.splitlines() if line.startswith(LEADERS))
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def leads_since(log: str) -> list[float]:
    """Read from a node's log when (Unix time) it came to lead a partition."""
    return [datetime.fromisoformat(moment).timestamp() for moment in _LEADS.findall(log)]


def busiest(led: Mapping[str, int]) -> tuple[str, int]:
    """Name the node that leads most partitions, and how many."""
    return max(led.items(), key=lambda pair: pair[1])


class NodesStack(BreakableStack):
    """A local stack whose component `restate` is three nodes behind one door."""

    ports: NodePorts

    def environ(self, component: str) -> dict[str, str]:
        """Give all the environment that a component is started with."""
        if component in NAMES:
            return super().environ("restate") | settings(component, self.home, self.ports)
        return super().environ(component)

    def check_ports(self, component: str) -> None:
        """Raise StackError where somebody else listens on a port of the component; the door itself is the test's."""
        for one in _parts(component):
            super().check_ports(one)

    def start(self, component: str) -> bool:
        """Start a component unless it runs as it should. False where nothing was done."""
        is_started = False
        for one in _parts(component):
            is_started |= super().start(one)
        return is_started

    def wait_ready(self, component: str, seconds: float = READY_SECONDS, *, ready: bool = False) -> None:
        """Wait until a component answers, with `restate` each node."""
        for one in _parts(component):
            super().wait_ready(one, seconds, ready=ready)

    def kill(self, component: str) -> None:
        """SIGKILL the whole process group of a component."""
        for one in _parts(component):
            super().kill(one)

    def stop_all(self) -> list[str]:
        """Stop every component, the doors first, the nodes last."""
        return [*super().stop_all(), *self.processes.stop(NAMES, STOP_SECONDS)]

    def health_urls(self, component: str) -> list[str]:
        """Where a component tells that it is alive."""
        if component in NAMES:
            ingress, admin = (self.ports.door(component, door) for door in ("ingress", "admin"))
            return [f"http://{HOST}:{ingress}/restate/health", f"http://{HOST}:{admin}/health"]
        return super().health_urls(component)

    def _argv(self, component: str) -> list[str]:
        if component in NAMES:
            prefix = ["setpriv", "--regid", str(group_of(component)), "--keep-groups"] if in_group() else []
            return [*prefix, restate_server(self.home)]
        return super()._argv(component)

    def _settings_hash(self, component: str, argv: list[str], environ: Mapping[str, str]) -> str:
        return super()._settings_hash("restate" if component in NAMES else component, argv, environ)


def _parts(component: str) -> tuple[str, ...]:
    return NAMES if component == "restate" else (component,)


class ThreeNodes(Victim):
    """A running stack with three nodes of Restate, and what may be done to them."""

    stack: NodesStack

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.stack = NodesStack(home, NodePorts.free(), self.stack.overrides)
        self.probes: list[Probe] = []
        """Orders that were asked for without a majority."""
        own = self.stack.ports
        self.balancer = Balancer(
            {
                own.restate_ingress_port: {node: own.door(node, "ingress") for node in NAMES},
                own.restate_admin_port: {node: own.door(node, "admin") for node in NAMES},
            },
            {node: self.stack.health_urls(node)[0] for node in NAMES},
        )

    async def start(self) -> None:
        """Start everything, the door before the nodes."""
        await self.balancer.open()
        await super().start()

    async def stop(self) -> None:
        """Stop everything, the door last."""
        try:
            await super().stop()
        finally:
            await self.balancer.close()

    @contextmanager
    def absent(self, *nodes: str) -> Iterator[None]:
        """Note that for as long as the block lasts nodes are dead to the others.

        At any moment of it another may come to lead what they led and repeat a step whose end is not journaled, as
        after a death: the judge of mails has to know.
        """
        begun = time.time()
        try:
            yield
        finally:
            moments = range(int((time.time() - begun) / NOTE_SECONDS) + 1)
            self.kills += [(begun + number * NOTE_SECONDS, node) for number in moments for node in nodes]

    def deaths(self, *components: str) -> list[float]:
        """Give the times (Unix) at which one of these components died, or a partition got another leader.

        That happens also when a node is back, and repeats a step whose end is not journaled, as a death does.
        """
        logs = (self.stack.processes.log_file(node) for node in NAMES)
        moves = [moment for log in logs if log.exists() for moment in leads_since(log.read_text(errors="replace"))]
        return sorted([*super().deaths(*components), *moves])

    async def mend(self) -> None:
        """Bring everything back, and wait until the nodes are one whole and stay so."""
        await super().mend()
        await self.wait_whole(SETTLED_SECONDS)

    async def wait_whole(self, seconds: float = 0.0) -> None:
        """Wait until each partition has a leader and every node can read them all, for so long without a break.

        One that stays in pieces is not told here: the judge sees what comes of it.
        """
        deadline = time.monotonic() + WHOLE_SECONDS
        whole_since = None
        while time.monotonic() < deadline:
            if not await self._is_whole():
                whole_since = None
            elif whole_since is None:
                whole_since = time.monotonic()
            if whole_since is not None and time.monotonic() >= whole_since + seconds:
                return
            await asyncio.sleep(0.2)

    async def _is_whole(self) -> bool:
        led = sum((await self.leaders()).values())
        return led == PARTITIONS and all(await asyncio.gather(*(self._reads_all(node) for node in NAMES)))

    async def _reads_all(self, node: str) -> bool:
        url = f"http://{HOST}:{self.stack.ports.door(node, 'admin')}/query"
        limit = aiohttp.ClientTimeout(total=5)
        headers, body = {"accept": "application/json"}, {"query": "SELECT count(*) FROM sys_invocation_status"}
        try:
            async with aiohttp.request("POST", url, json=body, headers=headers, timeout=limit) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def leaders(self) -> dict[str, int]:
        """Tell how many partitions each node leads; a node that does not tell leads none."""
        return dict(zip(NAMES, await asyncio.gather(*(self._leads(node) for node in NAMES)), strict=True))

    async def _leads(self, node: str) -> int:
        url = f"http://{HOST}:{self.stack.ports.door(node, 'node')}/metrics"
        try:
            async with aiohttp.request("GET", url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return leaders(await answer.text())
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
