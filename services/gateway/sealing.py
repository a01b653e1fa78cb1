"""Seals the personal fields of a request before it leaves the gateway; the proto says which they are.

With a store of data keys each buyer has a key of their own, asked for anew each time: a buyer buys once or twice, so
that a cache would spare nothing, and a key in a cache is one that an erasure does not reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from services.common.datakeys import DataKeys, DataKeysAwayError
from services.common.errors import UnavailableError
from services.common.seal import DataKey, KeyRing
from services.gateway.convert import to_json

if TYPE_CHECKING:
    from services.gateway.calls import Call

NOBODY: Final = "nobody"
"""Whose key seals what a caller without a sign-in sends."""

log = structlog.get_logger(__name__)


class Sealer:
    """Seals by the ring, and by the buyer's own key where there is a store of such."""

    def __init__(self, ring: KeyRing, data_keys: DataKeys | None = None) -> None:
        self._ring = ring
        self._data_keys = data_keys
        self._is_away = False

    async def key_for(self, call: Call) -> DataKey | None:
        """Give the key of the caller, None where the ring alone seals. Raises UnavailableError, never gives another."""
        if self._data_keys is None or not call.route.sealed:
            return None
        try:
            key = await self._data_keys.use(call.caller.subject or NOBODY)
        except DataKeysAwayError as error:
            if not self._is_away:
                log.warning("the store of data keys is away: nobody can check out", why=str(error))
            self._is_away = True
            raise UnavailableError("personal data cannot be sealed now: repeat later") from error
        if self._is_away:
            log.info("the store of data keys is back")
        self._is_away = False
        return key

    def request_json(self, call: Call, data_key: DataKey | None) -> dict[str, Any]:
        """Give the request as handlers read it, with personal data sealed to the object's key."""
        request = to_json(call.request)
        for path in call.route.sealed:
            owner = request
            for parent in path.parents:
                owner = owner.get(parent, {})
            if path.name in owner:
                owner[path.name] = self._ring.seal(owner[path.name], call.key, data_key)
        return request

    async def close(self) -> None:
        """Let go of the store's connections."""
        if self._data_keys is not None:
            await self._data_keys.close()
