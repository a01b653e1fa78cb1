"""Ids and object keys. Pure.

Ids never hold a colon, so keys made of several ids cannot be mistaken for one another.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What an id from a client must match as a whole."""


def is_id(text: str) -> bool:
    """Tell whether `text` may be an id."""
    return ID_PATTERN.fullmatch(text) is not None


def object_key(*ids: str) -> str:
    """Join ids to the key of a virtual object, for example `event:seat`."""
    return ":".join(ids)


def split_key(key: str) -> list[str]:
    """Take the key of a virtual object apart."""
    return key.split(":")


def keyed_hash(key: bytes, parts: Sequence[str]) -> str:
    """Hash texts with a secret key to 32 hex digits; no two lists of parts give the same input.

    Source: RFC 2104 (HMAC), here with SHA-256 cut to 128 bits.
    """
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]
