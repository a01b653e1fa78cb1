"""Buyers' keys: what they seal is readable with them and the ring together, and never again once they are erased."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from services.checkout.addresses import AddressErasedError, opened
from services.common.datakeys import DataKeysAwayError, is_store_url, open_store
from services.common.datakeys_files import BLANK, LOCK, FileDataKeys
from services.common.seal import DataKey, KeyRing, SealBrokenError, named_key

ADDRESS, ORDER, BUYER = "ada@example.org", "order-1", "c39d8e20c39d8e20c39d8e20c39d8e20"
RING = KeyRing({"k1": b"r" * 32})
KEY = DataKey(BUYER, b"d" * 32)


@pytest.fixture
def store(tmp_path: Path) -> FileDataKeys:
    return FileDataKeys(tmp_path / "keys")


def test_ring_and_data_key_are_both_needed() -> None:
    """Neither the ring alone, nor another key of the buyer, nor the same key under another ring opens it."""
    sealed = RING.seal(ADDRESS, ORDER, KEY)
    assert RING.open(sealed, ORDER, KEY) == ADDRESS
    others = [(RING, None), (RING, DataKey(BUYER, b"e" * 32)), (RING, DataKey("another", b"d" * 32))]
    for ring, key in [*others, (KeyRing({"k1": b"s" * 32}), KEY), (KeyRing({"k2": b"r" * 32}), KEY)]:
        with pytest.raises(SealBrokenError):
            ring.open(sealed, ORDER, key)
    with pytest.raises(SealBrokenError):
        RING.open(sealed, "order-2", KEY)
    with pytest.raises(SealBrokenError):
        RING.open(RING.seal(ADDRESS, ORDER), ORDER, KEY)


def test_a_sealed_text_cannot_be_turned_into_the_other_form() -> None:
    """Naming another key in it, or none, leaves it closed: the name is bound to the text."""
    sealed, other = RING.seal(ADDRESS, ORDER, KEY), DataKey(BUYER, b"e" * 32)
    tail = sealed.rpartition(".")[2]
    for head, key in ((f"v1.k1.{tail}", None), (f"v2.k1.{BUYER}.{other.key_id}.{tail}", other)):
        with pytest.raises(SealBrokenError):
            RING.open(head, ORDER, key)


def test_a_sealed_text_names_its_key() -> None:
    """So that it can be looked up; a text that the ring alone opens names none, nonsense is refused."""
    named = named_key(RING.seal(ADDRESS, ORDER, KEY))
    assert named is not None
    assert (named.buyer, named.key_id) == (BUYER, KEY.key_id)
    assert named_key(RING.seal(ADDRESS, ORDER)) is None
    for broken in ("v2", "v2.k1", "v2.k1.b.id.x.y", "v2.k1.../../etc.id.x", f"v2.k1.{'b' * 65}.id.x"):
        with pytest.raises(SealBrokenError):
            named_key(broken)
    assert "dddd" not in repr(KEY)
    with pytest.raises(ValueError, match="a data key has"):
        DataKey("../etc", b"d" * 32)


async def test_a_key_is_made_once_and_kept(store: FileDataKeys, tmp_path: Path) -> None:
    """However many ask at once, in whatever process; nobody but the owner can read it, and no draft stays behind."""
    found = await asyncio.gather(*(FileDataKeys(tmp_path / "keys").use(BUYER) for _ in range(20)))
    assert len({key.secret for key in found}) == 1
    assert await store.find(BUYER) == found[0]
    # The lock's file stays where two met.
    assert set(os.listdir(tmp_path / "keys")) - {LOCK} == {BUYER}  # noqa: PTH208
    assert stat.S_IMODE((tmp_path / "keys" / BUYER).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


async def test_an_erased_key_is_overwritten_and_gone(store: FileDataKeys, tmp_path: Path) -> None:
    """The very bytes on the disk are blank; erasing again says that nothing was there; others keep theirs."""
    key, other = await store.use(BUYER), await store.use("other")
    os.link(tmp_path / "keys" / BUYER, tmp_path / "same-bytes")
    assert (await store.erase(BUYER)).was_there
    assert (tmp_path / "same-bytes").read_bytes() == BLANK
    assert await store.find(BUYER) is None
    assert not (await store.erase(BUYER)).was_there
    assert await store.find("other") == other
    assert (await store.use(BUYER)).key_id != key.key_id


async def test_an_erasure_that_was_cut_off_is_an_erasure(store: FileDataKeys, tmp_path: Path) -> None:
    """A blank file is no key: nobody seals with it, and the next purchase makes a new one."""
    (tmp_path / "keys" / BUYER).write_bytes(BLANK)
    assert await store.find(BUYER) is None
    async with asyncio.timeout(10):
        made = await asyncio.gather(*(store.use(BUYER) for _ in range(10)))
    assert made[0].secret != BLANK
    assert len({key.secret for key in made}) == 1


async def test_a_folder_that_is_gone_is_away_and_not_erased(store: FileDataKeys, tmp_path: Path) -> None:
    """Else a disk that was not mounted would drop every mail; so is a file that holds something else."""
    (tmp_path / "keys" / "damaged").write_bytes(b"short")
    with pytest.raises(DataKeysAwayError, match="damaged"):
        await store.find("damaged")
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    for call in (store.find(BUYER), store.use(BUYER), store.erase(BUYER)):
        with pytest.raises(DataKeysAwayError):
            await call


async def test_an_address_is_open_as_long_as_its_key(store: FileDataKeys) -> None:
    """Then it is erased, also where the buyer has a new key by now; an older sealed text needs no store."""
    sealed = RING.seal(ADDRESS, ORDER, await store.use(BUYER))
    assert await opened(sealed, ORDER, RING, store) == ADDRESS
    await store.erase(BUYER)
    with pytest.raises(AddressErasedError):
        await opened(sealed, ORDER, RING, store)
    await store.use(BUYER)
    with pytest.raises(AddressErasedError):
        await opened(sealed, ORDER, RING, store)
    assert await opened(RING.seal(ADDRESS, ORDER), ORDER, RING, None) == ADDRESS
    with pytest.raises(DataKeysAwayError, match="NEXUS_DATA_KEYS_URL is not set"):
        await opened(sealed, ORDER, RING, None)


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("file:///var/lib/keys", True),
        ("redis://valkey:6379/0", True),
        ("rediss://user:hidden-word@valkey:6379/0", True),
        ("file://host/keys", False),
        ("file:///", False),
        ("valkey:6379", False),
        ("http://:hidden-word@valkey", False),
        ("redis://:hidden-word@valkey:port", False),
        ("redis://", False),
    ],
)
def test_an_address_is_judged_without_reaching_for_it(url: str, *, is_fine: bool) -> None:
    """What cannot be a store is refused in one sentence that does not quote it."""
    assert is_store_url(url) is is_fine
    if not is_fine:
        with pytest.raises(ValueError, match="expected file:///folder") as refused:
            open_store(url)
        assert "hidden-word" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_refused_at_the_start(tmp_path: Path) -> None:
    """And not at the first purchase."""
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="expected a folder that can be made"):
        open_store((tmp_path / "file" / "keys").as_uri())
