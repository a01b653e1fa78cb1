"""Connections to the mail server that are kept for the next mail: a greeting costs as much as a mail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiosmtplib

IDLE_SECONDS: Final = 10.0
"""How long a connection waits for a mail: a server grants five minutes. Source: RFC 5321, 4.5.3.2.7."""

MOST: Final = 10
"""Connections at a time, as many as common servers allow one client; further mails wait for one."""


@dataclass
class Connections:
    """The connections of a process, each used by one mail at a time. `make` gives one that is not connected yet."""

    make: Callable[[], aiosmtplib.SMTP]
    clock: Callable[[], float] = time.monotonic
    _idle: list[tuple[aiosmtplib.SMTP, float]] = field(default_factory=list)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST))

    @asynccontextmanager
    async def one(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Lend a connection. It is kept only where nothing went wrong. Raises aiosmtplib.SMTPException and OSError."""
        async with self._free:
            client = self._take()
            if client is None:
                client = self.make()
                await client.connect()
            is_fine = False
            try:
                yield client
                is_fine = True
            finally:
                if is_fine:
                    self._idle.append((client, self.clock()))
                else:
                    client.close()

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop()[0].close()

    def _take(self) -> aiosmtplib.SMTP | None:
        """Take the connection that was used last; close those that the server has closed or that waited long."""
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and self.clock() - since < IDLE_SECONDS:
                return client
            client.close()
        return None
