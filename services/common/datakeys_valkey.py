"""Data keys in valkey (or redis), for gateways and endpoints on several machines.

What is removed there is still in the server's files until these are written anew, which an erasure orders and waits
for. How such a server must be kept: docs/operations.md, "Erasing a buyer".
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from services.common.datakeys import DataKeysAwayError, Erased
from services.common.seal import KEY_BYTES, DataKey

PREFIX: Final = "nexus:datakey:"
STORE_SECONDS: Final = 2.0
"""How long one answer is waited for."""

REWRITE_SECONDS: Final = 60.0
"""How long the server may take to write its files anew."""

POLL_SECONDS: Final = 0.1
BUSY: Final = ("in progress", "right now")
"""How the server says that it writes one kind of file at a time. Source: src/rdb.c and src/aof.c of redis 7.0.15."""

Answer = TypeVar("Answer")


class _Files(NamedTuple):
    """A kind of the server's files: how they are named here, and in INFO."""

    name: str
    command: str
    running: tuple[str, ...]
    status: str


_LOG = _Files(
    "append-only file",
    "BGREWRITEAOF",
    ("aof_rewrite_in_progress", "aof_rewrite_scheduled"),
    "aof_last_bgrewrite_status",
)
_SNAPSHOT = _Files("snapshot", "BGSAVE", ("rdb_bgsave_in_progress",), "rdb_last_bgsave_status")


class ValkeyDataKeys:
    """A server at an address as in `rediss://user:password@host:6379/0`."""

    def __init__(self, url: str) -> None:
        """Take the address; connect when it is first used. Raises ValueError or TypeError where it cannot be read."""
        self._store: Redis = Redis.from_url(
            url,
            socket_timeout=STORE_SECONDS,
            socket_connect_timeout=STORE_SECONDS,
            # Once more over a new connection: the old one may be of a server that was restarted.
            retry=Retry(NoBackoff(), 1),
        )

    async def use(self, buyer: str) -> DataKey:
        """See DataKeys."""
        fresh = secrets.token_bytes(KEY_BYTES)

        async def take() -> bytes | None:
            async with self._store.pipeline(transaction=True) as pipe:
                # Both or neither: whoever comes second gets the key of the first.
                pipe.set(PREFIX + buyer, fresh, nx=True)
                pipe.get(PREFIX + buyer)
                answers: list[Any] = await pipe.execute()
                return answers[1]  # type: ignore[no-any-return]

        found = _key(buyer, await self._ask(take))
        if found is None:
            raise DataKeysAwayError("the store of data keys does not keep what it is given")
        return found

    async def find(self, buyer: str) -> DataKey | None:
        """See DataKeys."""

        async def read() -> bytes | None:
            found: Any = await self._store.get(PREFIX + buyer)
            return found  # type: ignore[no-any-return]

        return _key(buyer, await self._ask(read))

    async def erase(self, buyer: str) -> Erased:
        """See DataKeys. Files are written anew also where the key was gone: an erasure may have been cut off."""
        was_there = bool(await self._ask(lambda: self._store.delete(PREFIX + buyer)))
        return Erased(was_there, tuple(await self._clean_files()))

    async def close(self) -> None:
        """See DataKeys."""
        await self._store.aclose()

    async def _ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await call()
        except (RedisError, OSError, TimeoutError) as error:
            # Its name only: a text of the library may hold the address.
            raise DataKeysAwayError(f"the store of data keys does not answer: {type(error).__name__}") from None

    async def _clean_files(self) -> list[str]:
        """Have all files written anew that may hold a removed key; gives what could not be done."""
        try:
            persistence, replication = await self._info("persistence"), await self._info("replication")
            saves = (await self._store.config_get("save")).get("save", "")
        except (RedisError, OSError, TimeoutError):
            return ["the store does not tell which files it keeps: BGREWRITEAOF and BGSAVE there, by hand"]
        wanted = ([_LOG] if persistence.get("aof_enabled") else []) + ([_SNAPSHOT] if saves else [])
        remains = [
            f"the store's {files.name} was not written anew: {files.command} there, by hand"
            for files in wanted
            if not await self._write_anew(files)
        ]
        if int(replication.get("connected_slaves", 0)):
            remains.append("replicas keep files of their own: BGREWRITEAOF and BGSAVE at each, by hand")
        return remains

    async def _write_anew(self, files: _Files) -> bool:
        """Order one writing that begins after the removal, and wait for its end."""
        try:
            async with asyncio.timeout(REWRITE_SECONDS):
                while True:
                    # One that runs already may have begun before the removal.
                    await self._idle(files)
                    try:
                        await self._store.execute_command(files.command)  # type: ignore[no-untyped-call]
                        break
                    except ResponseError as error:
                        if not any(words in str(error) for words in BUSY):
                            return False
                    await asyncio.sleep(POLL_SECONDS)
                return bool((await self._idle(files)).get(files.status) == "ok")
        except (RedisError, OSError, TimeoutError):
            return False

    async def _idle(self, files: _Files) -> dict[str, Any]:
        while True:
            told = await self._info("persistence")
            if not any(int(told.get(name, 0)) for name in files.running):
                return told
            await asyncio.sleep(POLL_SECONDS)

    async def _info(self, section: str) -> dict[str, Any]:
        return dict(await self._store.info(section))


def _key(buyer: str, secret: bytes | None) -> DataKey | None:
    if secret is None:
        return None
    try:
        return DataKey(buyer, secret)
    except ValueError:
        raise DataKeysAwayError("the store of data keys holds something else under a buyer's name") from None
