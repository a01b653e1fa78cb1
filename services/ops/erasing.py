"""EraseBuyer: takes away the key by which a buyer's mail addresses are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from google.protobuf.message import Message

from services.common.datakeys import SETTING, DataKeys, DataKeysAwayError
from services.common.errors import InvalidTransitionError, UnavailableError
from services.gateway.calls import Call, ComposedCall, Gateway
from services.gateway.convert import from_json

log = structlog.get_logger(__name__)


class Eraser:
    """Erases buyers. `hash_subject`: how a subject is named behind the gateway. No subject is logged or answered."""

    def __init__(self, data_keys: DataKeys | None, hash_subject: Callable[[str], str]) -> None:
        self._data_keys = data_keys
        self._hash_subject = hash_subject

    def composed(self) -> Mapping[str, ComposedCall]:
        """Give the RPC by the name of its route."""
        return {"/nexus.v1.OpsService/EraseBuyer": self.erase_buyer}

    async def erase_buyer(self, _gateway: Gateway, call: Call) -> Message:
        """Erase a buyer's key, and say what became of it."""
        if self._data_keys is None:
            raise InvalidTransitionError(
                f"{SETTING} is not set: buyers have no keys of their own, so none can be erased alone"
            )
        request: Any = call.request
        buyer = self._hash_subject(request.subject)
        try:
            erased = await self._data_keys.erase(buyer)
        except DataKeysAwayError as error:
            log.warning("buyer not erased", buyer=buyer, by=call.caller.subject, why=str(error))
            raise UnavailableError("the store of data keys does not answer: nothing is known to be erased") from error
        log.info(
            "buyer erased", buyer=buyer, by=call.caller.subject, was_there=erased.was_there, remains=len(erased.remains)
        )
        action = "ERASE_ACTION_ERASED" if erased.was_there else "ERASE_ACTION_NOTHING_THERE"
        told = {"action": action, "buyer_id": buyer, "remains": erased.remains}
        return from_json(told, call.route.response_class)
