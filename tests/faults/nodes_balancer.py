"""A door before several nodes, as the chart's Service F-restate is: a new connection goes to a node that is ready.

Which are ready is found out as the kubelet does with the chart's readinessProbe. As with kube-proxy, a connection that
stands stays with its node, also where that is no longer ready or answers nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum
from random import Random
from typing import Final

import aiohttp

PERIOD_SECONDS: Final = 2.0
TIMEOUT_SECONDS: Final = 3.0
MOST_FAILURES: Final = 3
"""Source: the readinessProbe in charts/nexus/templates/restate; a unit test compares them."""

HOST: Final = "127.0.0.1"
PIECE_BYTES: Final = 64 * 1024
_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Seen(Enum):
    """What came of one look at a node."""

    WELL = "answered 200"
    DEAD = "no process listens"
    ILL = "no answer in time, or another one"


def failures_after(failures: int, seen: Seen) -> int:
    """Count the looks in a row that failed. A process that has ended is seen at once, not after three looks."""
    return {Seen.WELL: 0, Seen.DEAD: MOST_FAILURES, Seen.ILL: failures + 1}[seen]


def ready(failures: Mapping[str, int]) -> list[str]:
    """Name the nodes that new connections may go to."""
    return [node for node, count in failures.items() if count < MOST_FAILURES]


async def look(url: str) -> Seen:
    """Ask a node for its health."""
    limit = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with aiohttp.request("GET", url, timeout=limit) as answer:
            return Seen.WELL if answer.ok else Seen.ILL
    except aiohttp.ClientConnectorError:
        return Seen.DEAD
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Seen.ILL


class Balancer:
    """Listens on doors of its own and hands connections to nodes.

    `doors`: own port -> node -> the node's port. `health`: node -> address that is asked.
    """

    def __init__(self, doors: Mapping[int, Mapping[str, int]], health: Mapping[str, str]) -> None:
        self._doors, self._health = doors, health
        self.failures = dict.fromkeys(health, MOST_FAILURES)
        # Which node a connection gets is no part of what a seed repeats: it depends on when it comes.
        self._chance = Random()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, and look after the nodes from now on."""
        for port, nodes in self._doors.items():
            self._servers.append(await asyncio.start_server(self._door(nodes), HOST, port))
        for node in self._health:
            self._keep(asyncio.create_task(self._watch(node)))

    async def close(self) -> None:
        """Listen no longer, and drop every connection."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, node: str) -> None:
        while True:
            self.failures[node] = failures_after(self.failures[node], await look(self._health[node]))
            # One that is dead or new is seen sooner: the kubelet is told of that, and need not ask.
            await asyncio.sleep(PERIOD_SECONDS if self.failures[node] < MOST_FAILURES else PERIOD_SECONDS / 10)

    def _door(self, nodes: Mapping[str, int]) -> _Handler:
        def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._keep(asyncio.create_task(self._serve(nodes, reader, writer)))

        return arrive

    async def _serve(
        self, nodes: Mapping[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far = await self._connect(nodes)
        if far is None:
            writer.transport.abort()
            return
        far_reader, far_writer = far
        pumps = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
        try:
            await asyncio.gather(*pumps)
        except OSError:
            # One side was reset: so is the other.
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            for side in (writer, far_writer):
                side.transport.abort()

    async def _connect(self, nodes: Mapping[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        names = ready(self.failures)
        self._chance.shuffle(names)
        for node in names:
            try:
                return await asyncio.open_connection(HOST, nodes[node])
            except OSError:
                # It died just now. A client would be refused, has sent nothing, and would try again.
                self.failures[node] = MOST_FAILURES
        return None


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, and that nothing more comes."""
    while piece := await source.read(PIECE_BYTES):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
