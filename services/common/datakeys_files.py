"""Data keys in a folder, one file per buyer: for processes of one machine, as `nexus up` starts them.

A file is whole or not there, so readers need no lock. It is erased in place before its name goes. What a disk keeps
of overwritten blocks (copy-on-write, wear levelling, snapshots) is out of our hands.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from services.common.datakeys import DataKeysAwayError, Erased
from services.common.seal import BUYER, KEY_BYTES, DataKey

LOCK: Final = ".lock"
DRAFT: Final = ".new-"
BLANK: Final = bytes(KEY_BYTES)
"""What stands in a file whose key has been erased but whose name is still there."""

Answer = TypeVar("Answer")


class FileDataKeys:
    """A folder that only its owner can read. It is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises ValueError where that cannot be."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ValueError(f"expected a folder that can be made: {error.strerror}") from None

    async def use(self, buyer: str) -> DataKey:
        """See DataKeys."""
        return await self._in_thread(lambda: self._use(self._path(buyer)))

    async def find(self, buyer: str) -> DataKey | None:
        """See DataKeys."""
        return await self._in_thread(lambda: self._find(self._path(buyer)))

    async def erase(self, buyer: str) -> Erased:
        """See DataKeys."""
        return Erased(await self._in_thread(lambda: self._erase(self._path(buyer))))

    async def close(self) -> None:
        """See DataKeys; there is nothing to let go of."""

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise DataKeysAwayError(f"the folder of data keys cannot be used: {error.strerror}") from None

    def _path(self, buyer: str) -> Path:
        if BUYER.fullmatch(buyer) is None:
            raise ValueError("a buyer is named by a hashed subject")
        return self._folder / buyer

    def _use(self, path: Path) -> DataKey:
        while True:
            found = self._find(path)
            if found is not None:
                return found
            # Not synced: after a power cut a key of the last seconds is gone, and with it a mail, no ticket.
            draft = self._folder / f"{DRAFT}{secrets.token_hex(8)}"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            try:
                # Refused where another was quicker: then its key is the buyer's.
                os.link(draft, path)
            except FileExistsError:
                self._clear_erased(path)
            finally:
                draft.unlink()

    def _find(self, path: Path) -> DataKey | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if not self._folder.is_dir():
                # Not mounted, or removed: that is no erasure.
                raise
            return None
        if content == BLANK:
            return None
        if len(content) != KEY_BYTES:
            raise OSError(errno.EINVAL, f"{path.name} is damaged")
        return DataKey(path.name, content)

    def _erase(self, path: Path) -> bool:
        with self._locked():
            try:
                file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
            except FileNotFoundError:
                return False
            try:
                os.pwrite(file, BLANK, 0)
                os.fsync(file)
            finally:
                os.close(file)
            path.unlink()
            self._sync_folder()
            return True

    def _clear_erased(self, path: Path) -> None:
        """Take away the name that an erasure left when it was cut off."""
        with self._locked():
            if path.exists() and path.read_bytes() == BLANK:
                path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from taking a name away: what they would remove might be a new key by then."""
        file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _sync_folder(self) -> None:
        file = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
