"""A full disk under Restate: its data lies on a small file system in memory, which is filled while seats are sold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from random import Random
from typing import Final

import aiohttp

from tests.faults.faults import Damage
from tests.faults.more_processes import wholly
from tests.faults.stack import Victim
from tests.integration.client import new_event

SIZE: Final = "64m"
"""Less than RocksDB takes in advance for each of its logs (72 MB): so it takes nothing in advance, and a full disk is
one at once. Restate alone needs 13 MB."""

FULL_SECONDS: Final = 8.0
COMES_BACK_SECONDS: Final = 3.0
"""How long Restate has to write again by itself once there is space; then it is started again."""

CHUNK: Final = 64 * 1024


def why_not() -> str:
    """Tell why a small file system cannot be mounted; empty where it can."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "mounting a small file system needs root and the command mount"
    with tempfile.TemporaryDirectory() as folder:
        done = _mount(Path(folder), "1m")
        if done.returncode == 0:
            _unmount(Path(folder))
    return "" if done.returncode == 0 else f"no file system can be mounted: {done.stderr.strip()}"


class SmallDiskVictim(Victim):
    """A stack whose Restate has a disk of its own."""

    @property
    def disk(self) -> Path:
        """The mount point: Restate's folder."""
        return self.stack.home / "data" / "restate"

    @property
    def filler(self) -> Path:
        """The file that takes all the space that is left."""
        return self.disk / "filler"

    async def start(self) -> None:
        """Mount the disk, then start everything."""
        self.disk.mkdir(parents=True, exist_ok=True)
        done = _mount(self.disk, SIZE)
        if done.returncode != 0:
            raise OSError(f"no file system can be mounted: {done.stderr.strip()}")
        await super().start()

    async def stop(self) -> None:
        """Stop everything, and give the disk back."""
        try:
            await super().stop()
        finally:
            await asyncio.to_thread(_unmount, self.disk)

    async def mend(self) -> None:
        """Give the space back, start Restate again if it must, and bring everything back."""
        self.filler.unlink(missing_ok=True)
        await self.come_back()
        await super().mend()

    def fill(self) -> None:
        """Take all the space that is left."""
        with self.filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(CHUNK)):
                pass

    async def come_back(self) -> bool:
        """Wait until Restate writes again; start it again where it does not. Tell whether that was needed."""
        deadline = time.monotonic() + COMES_BACK_SECONDS
        while time.monotonic() < deadline:
            if await self.writes():
                return False
            await asyncio.sleep(0.2)
        await self.kill("restate")
        return True

    async def writes(self, seconds: float = 2.0) -> bool:
        """Tell whether a change is taken: an event of one seat."""
        try:
            async with asyncio.timeout(seconds):
                await new_event(self.client, rows=1, seats_per_row=1, title=f"disk {uuid.uuid4().hex[:6]}")
        except (AssertionError, TimeoutError, aiohttp.ClientError, OSError):
            return False
        return True


class FullDisk:
    """Twice: no space for a while, then space again."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    async def breaks(self, victim: Victim, chance: Random, damage: Damage) -> None:
        """Fill the disk, see that changes are refused, give the space back."""
        assert isinstance(victim, SmallDiskVictim)
        self.wrong, restarts = [], 0
        for _ in range(2):
            await asyncio.sleep(chance.uniform(3, 5))
            took = await self._fill(victim)
            damage.count += 1
            if took:
                self.wrong.append("I9: changes were taken as long as the disk was full")
            victim.filler.unlink()
            restarts += await wholly(victim.come_back())
        damage.notes.append(f"Restate had to be started again {restarts} times")

    async def _fill(self, victim: SmallDiskVictim) -> bool:
        """Keep the disk full for a while; tell whether changes were taken at the end."""
        until = time.monotonic() + FULL_SECONDS
        while time.monotonic() < until:
            # Again and again: what Restate removes would else be free.
            await asyncio.to_thread(victim.fill)
            await asyncio.sleep(0.1)
        took = await victim.writes()
        await asyncio.to_thread(victim.fill)
        return took

    async def also(self, _victim: Victim, _damage: Damage) -> list[str]:
        """Judge that the disk was really full."""
        return self.wrong


def _mount(folder: Path, size: str) -> subprocess.CompletedProcess[str]:
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)


def _unmount(folder: Path) -> None:
    # Lazily: a process that is dying may still have it open for a moment.
    subprocess.run(["umount", "--lazy", str(folder)], check=False, timeout=10)
