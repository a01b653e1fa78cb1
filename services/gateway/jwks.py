"""Public keys of an identity provider, fetched from the one address in the settings and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import jwt
import structlog

from services.common.errors import UnauthenticatedError, UnavailableError

REFETCH_SECONDS: Final = 30.0
"""At most one fetch in so long, whatever key ids clients make up."""

KEEP_SECONDS: Final = 600.0
FETCH_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 0.5
"""Longest that a call with a known key waits for the keys to be fetched again."""

log = structlog.get_logger(__name__)


class JwksKeys:
    """The keys behind NEXUS_AUTH_JWKS_URL, by key id."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def key(self, header: Mapping[str, Any]) -> Any:
        """Give the key that the header's `kid` names; without one, the only key there is.

        A key that is old is given when the provider still has it, or does not answer soon: its outage signs
        nobody out, and holds nobody up.
        """
        kid = header.get("kid")
        if self._find(kid) is None:
            await self._fetch_once(kid)
        elif self._is_old():
            await self._refreshed()
        found = self._find(kid)
        if found is not None:
            return found
        if not self._keys:
            raise UnavailableError("sign-in is not available now")
        raise UnauthenticatedError("the token is not valid: its key is not known")

    def _is_old(self) -> bool:
        return time.monotonic() - self._fetched_at > KEEP_SECONDS

    def _find(self, kid: object) -> Any:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid) if isinstance(kid, str) else None

    async def _refreshed(self) -> None:
        """Wait for a refresh of the keys, but not long; it goes on by itself."""
        if self._refresh is None or self._refresh.done():
            if not self._may_fetch():
                return
            self._refresh = asyncio.ensure_future(self._fetch_once(None))
        await asyncio.wait({self._refresh}, timeout=PATIENCE_SECONDS)

    def _may_fetch(self) -> bool:
        return time.monotonic() - self._tried_at >= REFETCH_SECONDS

    async def _fetch_once(self, kid: object) -> None:
        """Fetch the keys unless another call did so meanwhile. `kid`: which is asked for, None for a refresh."""
        async with self._one_at_a_time:
            if self._may_fetch() and (kid is None or self._find(kid) is None):
                await self._fetch()

    async def _fetch(self) -> None:
        """Fetch the keys; the old ones stay where that fails."""
        now = self._tried_at = time.monotonic()
        try:
            limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
            async with aiohttp.ClientSession(timeout=limit) as session, session.get(self._url) as answer:
                answer.raise_for_status()
                content = await answer.read()
            keys = jwt.PyJWKSet.from_json(content.decode()).keys
            named = {key.key_id or "": key.key for key in keys if key.public_key_use in (None, "sig")}
        # A page that is JSON but no key set, and a key id that is no text, are AttributeError and TypeError.
        except (
            aiohttp.ClientError,
            OSError,
            jwt.PyJWTError,
            ValueError,
            KeyError,
            AttributeError,
            TypeError,
        ) as error:
            log.warning("sign-in keys could not be fetched", error=type(error).__name__)
            return
        self._keys = named
        self._fetched_at = now
