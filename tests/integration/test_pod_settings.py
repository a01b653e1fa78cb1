"""What every pod needs: to be reached from elsewhere, metrics included, and to end when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.cli.local import LocalStack
from services.cli.ports import Ports
from tests.integration.modes import normal_mode_only
from tests.integration.test_mail_sink import free_port

pytestmark = normal_mode_only("the processes' settings")

ELSEWHERE = "127.0.0.2"
"""An address of this machine on which only those listen who listen on all."""

COMPONENTS = ("ticket", "seatmap", "checkout", "gateway", "payment-simulator", "mail-sink")


@pytest.fixture(scope="module")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("open"), Ports.free(), {"*": {"NEXUS_HOST": "0.0.0.0"}})
    try:
        for component in COMPONENTS:
            made.start(component)
        for component in COMPONENTS:
            made.wait_ready(component)
        yield made
    finally:
        made.stop_all()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a loopback address of its own must be set up first")
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_reached_from_elsewhere_on_all_its_ports(open_stack: LocalStack, component: str) -> None:
    """With NEXUS_HOST=0.0.0.0; metrics, gRPC and SMTP as well."""
    for name, port in open_stack.ports.of(component).items():
        with socket.create_connection((ELSEWHERE, port), timeout=5):
            pass
        assert name


@asynccontextmanager
async def simulator(component: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[int]]]:
    port, smtp_port = free_port(), free_port()
    ports = [port, smtp_port] if component == "mail-sink" else [port]
    env = os.environ | {
        "NEXUS_PORT": str(port),
        "NEXUS_SMTP_PORT": str(smtp_port),
        "NEXUS_LEDGER": str(folder / "ledger"),
        "NEXUS_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "run", component, env=env, start_new_session=True
    )
    try:
        yield process, ports
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def connected(port: int, seconds: float = 15) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("component", ["payment-simulator", "mail-sink"])
async def test_a_simulator_ends_at_once(component: str, tmp_path: Path) -> None:
    """On SIGTERM, with code 0, although clients keep their connections open."""
    async with simulator(component, tmp_path) as (process, ports):
        opened = [await connected(port) for port in ports]
        reader, writer = opened[0]
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 5)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        # Less than it gives to requests in flight.
        assert time.monotonic() - begun < 2
        for _, each in opened:
            each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the signals that a process catches in /proc")
async def test_a_command_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """It has a handler for SIGTERM: as the first process of a container it would else ignore the signal."""
    argv = ["-m", "services.cli", "call", "ListEvents", "-"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, env=os.environ | {"NEXUS_HOME": str(tmp_path)}, stdin=asyncio.subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 15
        while not catches(process.pid, signal.SIGTERM):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 128 + signal.SIGTERM
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def catches(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)
