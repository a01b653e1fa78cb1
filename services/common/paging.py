"""Page tokens: opaque to clients, positions to us. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from services.common.errors import InvalidRequestError

Item = TypeVar("Item")


def encode(*positions: int) -> str:
    """Make a token of positions."""
    return base64.urlsafe_b64encode(":".join(map(str, positions)).encode()).decode().rstrip("=")


def decode(token: str, count: int) -> tuple[int, ...]:
    """Read `count` positions from a token; an empty token is all zeros.

    Raises InvalidRequestError for what `encode` did not make.
    """
    if not token:
        return (0,) * count
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
        positions = tuple(int(part) for part in text.split(":"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        positions = ()
    if len(positions) != count or min(positions) < 0 or encode(*positions) != token:
        raise InvalidRequestError({"page_token": "a next_page_token of an earlier answer"})
    return positions


def page(items: Sequence[Item], size: int, token: str) -> tuple[list[Item], str]:
    """Cut a page out of a short list; gives it with the token of the next one."""
    (begin,) = decode(token, 1)
    end = begin + size
    return list(items[begin:end]), encode(end) if end < len(items) else ""
