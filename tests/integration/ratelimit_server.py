"""A real store, of rate limits or of data keys: whichever of valkey-server and redis-server this machine has."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.integration.behind import free_port

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
NEEDS_STORE = pytest.mark.skipif(
    SERVER is None, reason="neither valkey-server nor redis-server is on PATH (Debian: apt-get install redis-server)"
)


@dataclass
class Store:
    """A store's process, which a test may take away. `options`: what it is told beside where it is."""

    folder: Path
    options: tuple[str, ...] = ("--save", "")
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.process = await asyncio.create_subprocess_exec(
            str(SERVER), *options, *self.options, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        async with asyncio.timeout(20), Redis.from_url(self.url) as client:
            while True:
                try:
                    await client.ping()
                except (OSError, RedisError):
                    await asyncio.sleep(0.02)
                else:
                    return

    async def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None
