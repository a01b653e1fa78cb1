"""One node cut off from the others, as by a broken switch: packets between them are dropped, connections stay open.

The rules belong to an `nft` process that reads from a pipe of ours. The kernel removes them when that process ends, and
it ends when the pipe does: so they outlive neither a test that is killed nor its fault.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

PEERS_KNOWN_SECONDS: Final = 1.0
"""Nodes gossip ten times a second: by then each connection between them is marked."""

IN_PLACE_SECONDS: Final = 5.0


def marking(table: str, group: int) -> list[str]:
    """Give the commands that mark each connection which a node opens. `group`: the group id that it runs under.

    The answers on such a connection are sent by other processes, and only the mark tells them from others.
    """
    return [
        # Removed by the kernel when the process that made it ends. Source: nft(8), TABLES, flags owner.
        f"add table inet {table} {{ flags owner; }}",
        f"add chain inet {table} out {{ type filter hook output priority 0; policy accept; }}",
        f"add rule inet {table} out meta skgid {group} ct mark set {group}",
    ]


def cutting(table: str, group: int, node: str, ports: Mapping[str, int]) -> list[str]:
    """Give the commands that drop all between a node and the others. `ports`: where each node listens for others."""
    peers = ", ".join(str(port) for name, port in ports.items() if name != node)
    told = (
        f"tcp dport {ports[node]}",
        f"tcp sport {ports[node]}",
        f"ct mark {group} tcp dport {{ {peers} }}",
        f"ct mark {group} tcp sport {{ {peers} }}",
    )
    return [f"add rule inet {table} out {which} drop" for which in told]


def why_not() -> str:
    """Tell why this machine cannot cut a node off; empty where it can."""
    if os.geteuid() != 0:
        return "rules in the kernel's firewall need root"
    for tool in ("nft", "setpriv"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    table = _table()
    rules = [*marking(table, 1), *cutting(table, 1, "a", {"a": 1, "b": 2, "c": 3})]
    tried = subprocess.run(
        ["nft", "--check", "--file", "-"], input="\n".join(rules), text=True, capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else f"nft refuses: {tried.stderr.strip().splitlines()[0]}"


@asynccontextmanager
async def cut_off(node: str, group: int, ports: Mapping[str, int]) -> AsyncIterator[None]:
    """Keep a node from the others for as long as the block lasts."""
    table = _table()
    nft = await asyncio.create_subprocess_exec(
        "nft",
        "--interactive",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        # A signal to the test's group must not end it before the test has tidied up.
        start_new_session=True,
    )
    assert nft.stdin is not None
    try:
        await _told(nft.stdin, table, marking(table, group))
        await asyncio.sleep(PEERS_KNOWN_SECONDS)
        await _told(nft.stdin, table, cutting(table, group, node, ports))
        yield
    finally:
        nft.stdin.close()
        await nft.wait()


async def _told(nft: asyncio.StreamWriter, table: str, commands: list[str]) -> None:
    """Give commands, and wait until the kernel has as many rules more."""
    wanted = await _rules(table) + sum(command.startswith("add rule") for command in commands)
    nft.write("".join(f"{command}\n" for command in commands).encode())
    deadline = time.monotonic() + IN_PLACE_SECONDS
    while await _rules(table) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nft did not put its rules in place within {IN_PLACE_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


async def _rules(table: str) -> int:
    """Count a table's rules."""
    listing = await asyncio.create_subprocess_exec(
        "nft", "list", "table", "inet", table, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    text = (await listing.communicate())[0].decode()
    return sum(line.rstrip().endswith("drop") or "mark set" in line for line in text.splitlines())


def _table() -> str:
    return f"nexus_faults_{os.getpid()}"
