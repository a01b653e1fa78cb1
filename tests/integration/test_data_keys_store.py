"""Buyers' keys in a real valkey or redis: kept over its restarts, gone from its files once erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.common.datakeys import DataKeysAwayError
from services.common.datakeys_valkey import ValkeyDataKeys
from tests.integration.booking import until
from tests.integration.modes import normal_mode_only
from tests.integration.ratelimit_server import NEEDS_STORE, Store

pytestmark = [NEEDS_STORE, normal_mode_only("a store")]

KEPT = ("--appendonly", "yes", "--appendfsync", "always", "--save", "3600 1")
"""As docs/operations.md asks for, with snapshots beside it."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path, KEPT)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def keys(server: Store) -> AsyncIterator[ValkeyDataKeys]:
    made = ValkeyDataKeys(server.url)
    yield made
    await made.close()


def files_with(folder: Path, secret: bytes) -> list[str]:
    """Give the server's files that hold a key."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


async def gone(folder: Path, secret: bytes) -> None:
    """Wait until no file holds a key: the server removes the files that it has replaced in a thread."""

    async def is_gone() -> bool:
        return not files_with(folder, secret)

    await until(is_gone, "the replaced files to be removed", 10)


async def test_a_key_is_made_once_and_kept(server: Store, keys: ValkeyDataKeys) -> None:
    """However many ask at once over however many connections; a server that was killed still has it."""
    others = [ValkeyDataKeys(server.url) for _ in range(5)]
    found = await asyncio.gather(*(one.use("ada") for one in (keys, *others) for _ in range(4)))
    await asyncio.gather(*(one.close() for one in others))
    assert len({key.secret for key in found}) == 1
    await server.stop()
    await server.start()
    assert await keys.find("ada") == found[0]
    assert await keys.find("bea") is None


async def test_an_erased_key_is_in_no_file(server: Store, keys: ValkeyDataKeys) -> None:
    """The append-only file and the snapshot are written anew before the erasure is answered; others keep theirs."""
    ada, bea = await keys.use("ada"), await keys.use("bea")
    async with Redis.from_url(server.url) as client:
        await client.save()
    assert len(files_with(server.folder, ada.secret)) >= 2, "the control: both kinds of files held it"
    erased = await keys.erase("ada")
    assert (erased.was_there, erased.remains) == (True, ())
    assert await keys.find("ada") is None
    await gone(server.folder, ada.secret)
    assert await keys.find("bea") == bea
    assert files_with(server.folder, bea.secret)
    again = await keys.erase("ada")
    assert (again.was_there, again.remains) == (False, ())


async def test_erasures_side_by_side_all_end_clean(server: Store, keys: ValkeyDataKeys) -> None:
    """Each has a rewriting that began after its own removal, though the server does one at a time."""
    made = [await keys.use(f"buyer-{number}") for number in range(5)]
    erased = await asyncio.gather(*(keys.erase(key.buyer) for key in made))
    assert [(one.was_there, one.remains) for one in erased] == [(True, ())] * 5
    await asyncio.gather(*(gone(server.folder, key.secret) for key in made))


RIGHTS = ["+@read", "+@write", "+@transaction"]
FILE_RIGHTS = ["+info", "+config|get", "+bgrewriteaof", "+bgsave"]
"""The rights that docs/operations.md names."""

BY_HAND = "the store does not tell which files it keeps: BGREWRITEAOF and BGSAVE there, by hand"


@pytest.mark.parametrize(("rights", "remains"), [(RIGHTS, (BY_HAND,)), ([*RIGHTS, *FILE_RIGHTS], ())])
async def test_what_a_user_may_not_order_is_told(
    server: Store, keys: ValkeyDataKeys, rights: list[str], remains: tuple[str, ...]
) -> None:
    """The key is removed all the same, and the answer says what is left to do by hand."""
    async with Redis.from_url(server.url) as client:
        await client.execute_command("ACL", "SETUSER", "nexus", "on", ">word", "~nexus:*", *rights)  # type: ignore[no-untyped-call]
    limited = ValkeyDataKeys(server.url.replace("://", "://nexus:word@"))
    await limited.use("ada")
    erased = await limited.erase("ada")
    await limited.close()
    assert (erased.was_there, erased.remains) == (True, remains)
    assert await keys.find("ada") is None


async def test_a_store_that_is_away_is_no_erasure(server: Store, keys: ValkeyDataKeys) -> None:
    """Nobody is told that a key is gone because the server is; when it is back, all goes on by itself."""
    key = await keys.use("ada")
    await server.stop()
    for call in (keys.find("ada"), keys.use("ada"), keys.erase("ada")):
        with pytest.raises(DataKeysAwayError, match="does not answer"):
            await call
    await server.start()
    assert await keys.find("ada") == key


async def test_something_else_under_the_name_is_told(server: Store, keys: ValkeyDataKeys) -> None:
    """Neither a key nor an erasure: somebody has to look."""
    async with Redis.from_url(server.url) as client:
        await client.set("nexus:datakey:ada", b"short")
        await client.lpush("nexus:datakey:bea", b"of another kind")
    for buyer in ("ada", "bea"):
        with pytest.raises(DataKeysAwayError):
            await keys.find(buyer)
