"""Whose calls an endpoint obeys: the identity keys, from a setting or from a file that may change.

Keys in a file are replaced while the process serves, so a key of Restate can be rotated without restarting an
endpoint: the file names the old and the new key, Restate is restarted with the new one, the file drops the old.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import restate
import structlog
from restate._internal import IdentityKeyException  # type: ignore[import-not-found]

from services.common.config import ConfigError, EndpointSettings

HEADER: Final = "x-nexus-identity"
"""Header of an endpoint's `/health` answer: the public keys that it accepts, comma-separated."""

SETTING: Final = "NEXUS_IDENTITY_KEYS"
FILE_SETTING: Final = "NEXUS_IDENTITY_KEYS_FILE"
PUBLIC_KEY_PREFIX: Final = "publickeyv1_"

POLL_SECONDS: Final = 1.0
"""How often the file is read; asking the kernel for changes would miss the symlinks that Kubernetes swaps."""

MOST_BYTES: Final = 64 * 1024

logger = structlog.get_logger()


class IdentityKeysError(ValueError):
    """A text is no list of identity keys. Says what was expected, and nothing of what was there."""


def parse(text: str) -> tuple[str, ...]:
    """Read public keys of Restate, separated by commas or white space; a repeated one counts once.

    Raises IdentityKeysError, above all for an empty list: the SDK takes that for "accept everything".
    Source: FACTS.md, Identity keys.
    """
    found = tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", text) if part))
    if not found:
        raise IdentityKeysError(f"expected {PUBLIC_KEY_PREFIX}... keys, found none")
    if not all(key.startswith(PUBLIC_KEY_PREFIX) for key in found):
        raise IdentityKeysError(f"expected keys that begin with {PUBLIC_KEY_PREFIX}")
    try:
        restate.app(services=[], identity_keys=list(found))
    except IdentityKeyException:
        raise IdentityKeysError("a key is not the base58 form of an Ed25519 public key") from None
    return found


def read(path: Path) -> tuple[str, ...]:
    """Read a file of public keys. Raises IdentityKeysError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("ascii")
    except OSError as error:
        raise IdentityKeysError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise IdentityKeysError("the file is not a text of public keys") from None
    if len(content) > MOST_BYTES:
        raise IdentityKeysError(f"the file has more than {MOST_BYTES} bytes")
    return parse(text)


def configured(settings: EndpointSettings) -> tuple[str, ...]:
    """Give the keys to begin with. Raises ConfigError: without a key an endpoint would obey anybody."""
    if settings.identity_keys and settings.identity_keys_file:
        raise ConfigError({SETTING: f"set either it or {FILE_SETTING}, not both"})
    if not settings.identity_keys and not settings.identity_keys_file:
        why = "without one the endpoint would obey anybody"
        raise ConfigError({SETTING: f"it or {FILE_SETTING} is required: {PUBLIC_KEY_PREFIX}... keys of Restate; {why}"})
    variable = FILE_SETTING if settings.identity_keys_file else SETTING
    try:
        if settings.identity_keys_file:
            return read(Path(settings.identity_keys_file))
        return parse(",".join(settings.identity_keys))
    except IdentityKeysError as error:
        raise ConfigError({variable: str(error)}) from None


async def follow(path: Path, keys: tuple[str, ...], use: Callable[[tuple[str, ...]], None]) -> None:
    """Call `use` with the file's keys whenever they are no longer `keys`; ends when it is cancelled.

    A file that cannot be used changes nothing and is logged as an error, once for each thing wrong with it.
    """
    trouble = ""
    while True:
        try:
            found = await asyncio.to_thread(read, path)
        except IdentityKeysError as error:
            if str(error) != trouble:
                trouble = str(error)
                # No traceback: it would tell nothing more.
                logger.error("identity keys file is unusable, the old keys stay", why=trouble)  # noqa: TRY400
        else:
            trouble = ""
            if found != keys:
                logger.info("identity keys replaced", before=len(keys), now=len(found))
                keys = found
                use(found)
        await asyncio.sleep(POLL_SECONDS)
