"""What the faults of three nodes are made of: door, settings, cut, and the judge of orders without a majority."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from services.cli.ports import Ports
from tests.faults import nodes_balancer
from tests.faults.nodes_balancer import MOST_FAILURES, Balancer, Seen, failures_after, ready
from tests.faults.nodes_cut import cut_off, cutting, marking, why_not
from tests.faults.nodes_probes import Probe, judge, told
from tests.faults.nodes_stack import NAMES, NodePorts, NodesStack, busiest, group_of, leaders, leads_since

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "charts" / "nexus" / "templates" / "restate"
SECONDS = 10


def chart() -> str:
    return "\n".join(path.read_text() for path in sorted(CHART.iterdir()))


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_node_is_left_out_after_three_looks_in_vain_and_at_once_where_its_process_has_ended() -> None:
    """New connections go to a node as long as kube-proxy would send them there."""
    failures = 0
    for left_in in (True, True, False):
        failures = failures_after(failures, Seen.ILL)
        assert (ready({"a": failures}) == ["a"]) is left_in
    assert ready({"a": failures_after(0, Seen.DEAD)}) == []
    assert ready({"a": failures_after(MOST_FAILURES, Seen.WELL)}) == ["a"]


def test_the_door_looks_as_often_as_the_chart_says() -> None:
    """The balancer takes a node out when the chart's readinessProbe would."""
    probe = chart().partition("readinessProbe:")[2].partition("livenessProbe:")[0]
    said = {name: int(number) for name, number in re.findall(r"(\w+): (\d+)$", probe, re.MULTILINE)}
    assert said == {
        "periodSeconds": nodes_balancer.PERIOD_SECONDS,
        "timeoutSeconds": nodes_balancer.TIMEOUT_SECONDS,
        "failureThreshold": nodes_balancer.MOST_FAILURES,
    }


def test_a_node_is_told_all_that_the_chart_tells_one(tmp_path: Path) -> None:
    """What holds of the three nodes here says something of the chart's three."""
    stack = NodesStack(tmp_path, NodePorts.free(), {})
    body = chart().partition('define "nexus.restate.env"')[2].partition('define "nexus.restate.snapshots"')[0]
    names = set(re.findall(r"name: (RESTATE_\w+)", body))
    # How much memory, and how and where it logs and traces, is the machine's affair.
    names -= {name for name in names if "MEMORY" in name or "LOG_" in name or "TRACING" in name}
    assert len(names) > 8
    for node in NAMES:
        assert names - set(stack.environ(node)) == set()


def test_nodes_share_a_cluster_and_nothing_else(tmp_path: Path) -> None:
    """Each node has a name, a folder and ports of its own, all know the same three, and one makes the cluster."""
    stack = NodesStack(tmp_path, NodePorts.free(), {})
    told_to = [stack.environ(node) for node in NAMES]
    for own in ("NODE_NAME", "BASE_DIR", "BIND_ADDRESS", "INGRESS__BIND_ADDRESS", "ADMIN__BIND_ADDRESS"):
        assert len({environ[f"RESTATE_{own}"] for environ in told_to}) == 3
    for common in ("CLUSTER_NAME", "METADATA_CLIENT__ADDRESSES", "DEFAULT_REPLICATION"):
        assert len({environ[f"RESTATE_{common}"] for environ in told_to}) == 1
    assert [environ["RESTATE_AUTO_PROVISION"] for environ in told_to] == ["true", "false", "false"]
    assert Ports.of(stack.ports, "restate")["restate_ingress_port"] not in stack.ports.of(NAMES[0]).values()


def test_the_busiest_node_is_the_one_that_leads_most() -> None:
    """A fault that hits one node hits the one that matters most."""
    page = (
        "# TYPE restate_num_active_partition_leaders gauge\n"
        'restate_num_active_partition_leaders{cluster_name="n",node_name="restate-2"} 3\n'
        "restate_other 9\n"
    )
    assert leaders(page) == 3
    assert leaders("") == 0
    assert busiest({"a": 0, "b": 3, "c": 1}) == ("b", 3)


def test_a_change_of_leader_is_read_from_a_node_s_log() -> None:
    """A step that is repeated because a partition moved is told from one that is repeated for no reason."""
    log = (
        "2026-11-21T15:14:27.314228Z INFO restate_worker::partition_processor_manager\n  Partition processor stopped\n"
        "2026-11-21T15:14:27.500000Z INFO restate_worker::partition\n  Processor transitioned into BecomingLeader.\n"
        "2026-11-21T15:14:27.734018Z INFO restate_worker::partition::leadership\n"
        "  Processor became Leader of epoch e5\n    partition_id: 1\non rt:pp-1\n"
    )
    assert leads_since(log) == [1795274067.734018]
    assert leads_since("") == []


def test_an_order_acknowledged_without_a_majority_is_a_lie() -> None:
    """The judge names the order that was answered 200, the one that never ends, and a run that asked for none."""
    probes = [Probe("o1", "", 200), Probe("o2", "", 503), Probe("o3", "", 0)]
    found = {"o1": "CONFIRMED", "o2": "", "o3": "CONFIRMED"}
    assert judge(probes, found) == ["I6: o1 was acknowledged without a majority"]
    assert judge(probes[1:], found | {"o3": "PENDING"}) == ["I8: o3 has not ended: PENDING"]
    assert judge(probes[1:], found) == []
    assert judge([], {}) == ["I9: no order was asked for without a majority"]
    assert told(probes, found) == "200, then CONFIRMED; 503, then no order; no answer, then CONFIRMED"


class Node:
    """Says its name to whoever connects, and answers as a health page does; may stand still."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Server]:
        writers = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            while line := await reader.readline():
                if line.startswith(b"GET"):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                else:
                    writer.write(f"{self.name}\n".encode())

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        try:
            yield server
        finally:
            server.close()
            for writer in writers:
                writer.transport.abort()


async def whom(port: int) -> str:
    """Ask the door once whom it leads to; empty where it drops us."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"who\n")
        return (await reader.readline()).decode().strip()
    except ConnectionError:
        return ""
    finally:
        writer.transport.abort()


async def test_a_dead_node_is_replaced_and_gets_connections_again_when_it_is_back() -> None:
    """A client of the door is served as long as one node lives, by all that are alive."""
    numbers = NodePorts.free().of(NAMES[0])
    door, *own = numbers.values()
    nodes = [Node(name, port) for name, port in zip("ab", own, strict=True)]
    at = {node.name: node.port for node in nodes}
    balancer = Balancer({door: at}, {name: f"http://127.0.0.1:{port}/health" for name, port in at.items()})
    await balancer.open()
    try:
        assert await whom(door) == ""
        async with nodes[0].running():
            async with nodes[1].running():
                await until(lambda: len(ready(balancer.failures)) == 2)
                assert {await whom(door) for _ in range(50)} == {"a", "b"}
            # Nothing has looked at it since, and still nobody is dropped.
            assert {await whom(door) for _ in range(20)} == {"a"}
            async with nodes[1].running():
                await until(lambda: len(ready(balancer.failures)) == 2)
                assert {await whom(door) for _ in range(50)} == {"a", "b"}
    finally:
        await balancer.close()


def test_a_cut_drops_both_directions_of_both_kinds_of_connections_and_nothing_else() -> None:
    """What the others open to the node and what it opens to them is cut; what they do among themselves is not."""
    rules = cutting("t", 7, "b", {"a": 11, "b": 12, "c": 13})
    assert rules == [
        "add rule inet t out tcp dport 12 drop",
        "add rule inet t out tcp sport 12 drop",
        "add rule inet t out ct mark 7 tcp dport { 11, 13 } drop",
        "add rule inet t out ct mark 7 tcp sport { 11, 13 } drop",
    ]
    assert "meta skgid 7" in marking("t", 7)[-1]


cuts = pytest.mark.skipif(bool(why_not()), reason=why_not() or "this machine can")


async def _answers(port: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            return await whom(port) != ""
    return False


@cuts
async def test_a_cut_lasts_as_long_as_its_block() -> None:
    """A node that is cut off cannot be reached on its port, the others can, and after it all is as it was."""
    free = NodePorts.free()
    ports = {node: free.door(node, "node") for node in NAMES}
    async with Node("a", ports[NAMES[0]]).running(), Node("b", ports[NAMES[1]]).running():
        async with cut_off(NAMES[0], group_of(NAMES[0]), ports):
            assert not await _answers(ports[NAMES[0]])
            assert await _answers(ports[NAMES[1]])
        assert await _answers(ports[NAMES[0]])


HOLDS_A_CUT = """
import asyncio
from tests.faults.nodes_cut import cut_off
async def main():
    async with cut_off("a", 23801, {"a": 1, "b": 2, "c": 3}):
        print("cut", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@cuts
async def test_a_cut_does_not_outlive_a_test_that_is_killed() -> None:
    """The kernel drops the rules of a test that got SIGKILL."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDS_A_CUT, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    table = f"nexus_faults_{child.pid}"
    assert child.stdout is not None
    assert await child.stdout.readline() == b"cut\n"
    assert table in _tables()
    child.kill()
    await child.wait()
    await until(lambda: table not in _tables())


def _tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
