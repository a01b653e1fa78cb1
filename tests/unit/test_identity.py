"""Which keys an endpoint accepts: none is never taken for all."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.keys import public_identity
from services.common import identity
from services.common.config import ConfigError, EndpointSettings

OLD, NEW = (public_identity(Ed25519PrivateKey.generate().public_key()) for _ in range(2))


def settings(keys: tuple[str, ...] = (), file: Path | str = "") -> EndpointSettings:
    return EndpointSettings(port=1, metrics_port=0, identity_keys=keys, identity_keys_file=str(file))


@pytest.mark.parametrize("text", [f"{OLD},{NEW}", f"{OLD}\n{NEW}\n", f" {OLD} ,\r\n\n{NEW},{OLD}"])
def test_keys_are_separated_by_commas_or_lines(text: str) -> None:
    """In their order, each once."""
    assert identity.parse(text) == (OLD, NEW)


@pytest.mark.parametrize("text", ["", " ,\n", "hunter2", f"{OLD},hunter2", "publickeyv1_0OIl", OLD[:-3], f"#x\n{OLD}"])
def test_what_is_no_list_of_keys_is_refused_unseen(text: str) -> None:
    """An empty list above all, which the SDK would take for "everybody"; no value is repeated."""
    with pytest.raises(identity.IdentityKeysError) as caught:
        identity.parse(text)
    assert "hunter2" not in str(caught.value)


def test_the_keys_come_from_one_place(tmp_path: Path) -> None:
    """From the setting or from the file: neither, both, or one that cannot be used is refused by name."""
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n{OLD}\n")
    assert identity.configured(settings((OLD,))) == (OLD,)
    assert identity.configured(settings(file=file)) == (NEW, OLD)
    for wrong, named in [
        (settings(), identity.SETTING),
        (settings((OLD,), file), identity.SETTING),
        (settings(("abc",)), identity.SETTING),
        (settings(file=tmp_path / "none"), identity.FILE_SETTING),
        (settings(file=tmp_path), identity.FILE_SETTING),
    ]:
        with pytest.raises(ConfigError) as caught:
            identity.configured(wrong)
        assert list(caught.value.problems) == [named]
    for content in (b"", b"\xff\xfe", b"x" * 100_000, b"-----BEGIN PRIVATE KEY-----"):
        file.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            identity.configured(settings(file=file))
        assert list(caught.value.problems) == [identity.FILE_SETTING]


async def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a whole new list is handed on; empty, broken and missing files keep what was there."""
    monkeypatch.setattr(identity, "POLL_SECONDS", 0.001)
    file, used = tmp_path / "keys", []
    read, looks = identity.read, threading.Semaphore(0)

    def counted(path: Path) -> tuple[str, ...]:
        looks.release()
        return read(path)

    monkeypatch.setattr(identity, "read", counted)
    file.write_text(OLD)
    following = asyncio.create_task(identity.follow(file, (OLD,), used.append))

    async def seen() -> None:
        while looks.acquire(blocking=False):
            pass
        for _ in range(2):
            # The second look began after the change.
            assert await asyncio.to_thread(looks.acquire, timeout=5)

    try:
        for content in ("", "abc", f"{NEW},abc"):
            file.write_text(content)
            await seen()
        file.unlink()
        await seen()
        file.mkdir()
        await seen()
        assert used == []
        file.rmdir()
        file.write_text(f"{NEW},{OLD}")
        await seen()
        await seen()
        assert used == [(NEW, OLD)]
    finally:
        following.cancel()
