"""Data keys: one per buyer, in a store of their own from which they can be erased, and with them all that they sealed.

Outside Restate, because what Restate has written it keeps: docs/decisions/erasure.md. The stores are in
`datakeys_files` (one machine) and `datakeys_valkey` (several).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from services.common.config import ConfigError, Secret
from services.common.seal import DataKey

SETTING: Final = "NEXUS_DATA_KEYS_URL"
URL_WORDS: Final = "file:///folder, or an address as in redis://host:6379/0 or rediss://host:6379/0"
"""What the setting holds."""


class DataKeysAwayError(Exception):
    """The store cannot be asked now, or its content cannot be read: repeat later. Its text holds no secret."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did. `remains`: where the key may be on a disk still, and what to do; a sentence each."""

    was_there: bool
    remains: tuple[str, ...] = ()


class DataKeys(Protocol):
    """A store of data keys. `buyer`: the hashed subject. Each call may raise DataKeysAwayError."""

    async def use(self, buyer: str) -> DataKey:
        """Give the buyer's key; made when it is first needed, and one for all who ask at once."""

    async def find(self, buyer: str) -> DataKey | None:
        """Give the buyer's key; None where there is none."""

    async def erase(self, buyer: str) -> Erased:
        """Remove the buyer's key for good. A repeat goes on where an earlier one was cut off."""

    async def close(self) -> None:
        """Let go of connections."""


def is_store_url(url: str) -> bool:
    """Tell whether a setting names a store, without reaching for it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == "file":
        return not parts.netloc and not parts.query and len(parts.path) > 1
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname)


def open_store(url: str) -> DataKeys:
    """Open the store of a setting. Raises ValueError, whose text does not quote the address; it may hold a password."""
    if not is_store_url(url):
        raise ValueError(f"expected {URL_WORDS}")
    # Each where it is wanted: the client of valkey brings all of OpenTelemetry with it.
    if url.startswith("file:"):
        from services.common.datakeys_files import FileDataKeys

        return FileDataKeys(Path(unquote(urlsplit(url).path)))
    from services.common.datakeys_valkey import ValkeyDataKeys

    try:
        return ValkeyDataKeys(url)
    except (ValueError, TypeError):
        raise ValueError(f"expected {URL_WORDS}") from None


def of_setting(url: Secret) -> DataKeys | None:
    """Open the store that the setting names, None where it is empty. Raises ConfigError."""
    try:
        return open_store(told) if (told := url.reveal().strip()) else None
    except ValueError as error:
        raise ConfigError({SETTING: str(error)}) from None
