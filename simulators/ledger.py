"""The append-only ledger of the payment simulator: the only judge of money.

JSON lines on disk. An entry counts once it is on the disk: `append` returns then, and requests that
wait at the same time share one fsync. What an entry means is in `simulators.bank`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec


class Call(StrEnum):
    """What may be asked of the provider with a change in mind."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class Effect(StrEnum):
    """What a request did, at the instant of its entry.

    The first five are written once for what they name, however often the request is repeated.
    REFUSED: turned down for the state of the payment or for the request itself. NONE: a repeat, or
    an answer (5xx) that decided nothing. Neither moves money.
    """

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"
    DECLINED = "declined"
    REFUSED = "refused"
    NONE = "none"


class Entry(msgspec.Struct, frozen=True):
    """One request as the simulator saw it.

    `status`: HTTP status of the answer, 0 where it got none; `error`: its code, if refused.
    """

    seq: int
    at: datetime
    payment_key: str
    idempotency_key: str
    call: Call
    effect: Effect
    status: int
    amount_minor: int
    currency_code: str
    payment_method: str
    error: str = ""


class LedgerDamagedError(Exception):
    """A line that was acknowledged cannot be read: no state can be trusted."""


class LedgerInUseError(Exception):
    """Another process writes this ledger."""


class Ledger:
    """An open ledger file. One per process and event loop."""

    def __init__(self, path: Path) -> None:
        """Open the file, cut off a torn last line, and read the rest.

        Raises LedgerDamagedError, or LedgerInUseError where another process has it open.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise LedgerInUseError(f"{path} is written by another process") from None
        self._encoder = msgspec.json.Encoder()
        self._entries: list[Entry] = self._read(path)
        self._pending: list[Entry] = []
        self._on_disk: asyncio.Future[None] | None = None
        self._committer: asyncio.Task[None] | None = None
        self._broken: OSError | None = None

    @property
    def entries(self) -> list[Entry]:
        """The entries that are on the disk, oldest first."""
        return self._entries

    @property
    def next_seq(self) -> int:
        """The number of the next entry; the first one is 1."""
        return len(self._entries) + len(self._pending) + 1

    async def append(self, entry: Entry) -> None:
        """Write an entry; returns when it is on the disk. Entries keep the order of the calls.

        Raises OSError when the disk refuses, now and at every later call: after a failed fsync
        nothing is known of what was written. Source: fsync(2); LWN, "PostgreSQL's fsync() surprise".
        """
        if self._broken is not None:
            raise self._broken
        if entry.seq != self.next_seq:
            raise ValueError(f"entry {entry.seq} does not follow {self.next_seq - 1}")
        self._pending.append(entry)
        await self.flushed()

    async def flushed(self) -> None:
        """Wait until everything appended so far is on the disk."""
        if self._broken is not None:
            raise self._broken
        if not self._pending:
            return
        if self._on_disk is None:
            self._on_disk = asyncio.get_running_loop().create_future()
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())
        # Shielded: a request that goes away must not take the others' fsync with it.
        await asyncio.shield(self._on_disk)

    async def close(self) -> None:
        """Finish writing and close the file."""
        if self._committer is not None:
            await asyncio.wait([self._committer])
        self._file.close()

    async def _commit(self) -> None:
        while self._on_disk is not None:
            batch, waiters = list(self._pending), self._on_disk
            # Whoever comes while this batch is being written waits for the next one.
            self._on_disk = None
            try:
                if batch:
                    await asyncio.to_thread(self._write, batch)
            except OSError as error:
                self._broken = error
                self._fail(waiters, error)
                break
            self._entries += batch
            del self._pending[: len(batch)]
            waiters.set_result(None)
        self._committer = None

    def _fail(self, waiters: asyncio.Future[None], error: OSError) -> None:
        for future in (waiters, self._on_disk):
            if future is not None:
                future.set_exception(error)
        self._on_disk = None

    def _write(self, batch: list[Entry]) -> None:
        rest = memoryview(self._encoder.encode_lines(batch))
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())

    def _read(self, path: Path) -> list[Entry]:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            # A crash tore the last line: nobody was answered on its strength.
            self._file.truncate(len(whole))
            os.fsync(self._file.fileno())
        decoder = msgspec.json.Decoder(Entry)
        entries: list[Entry] = []
        for line in whole.splitlines():
            try:
                entry = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise LedgerDamagedError(f"{path}, line {len(entries) + 1}: {error}") from error
            if entry.seq != len(entries) + 1:
                raise LedgerDamagedError(f"{path}, line {len(entries) + 1}: has seq {entry.seq}")
            entries.append(entry)
        return entries
