"""How Mailer learns an address that the gateway sealed, for as long as its buyer's key exists."""

from __future__ import annotations

from services.common.datakeys import SETTING, DataKeys, DataKeysAwayError
from services.common.seal import KeyRing, named_key


class AddressErasedError(Exception):
    """The key that sealed the address was erased: nobody can open it any more."""


async def opened(sealed: str, order_id: str, ring: KeyRing, data_keys: DataKeys | None) -> str:
    """Open the address of an order.

    Raises AddressErasedError, which is final; DataKeysAwayError and SealBrokenError, which a repeat may heal.
    """
    named = named_key(sealed)
    if named is None:
        return ring.open(sealed, order_id)
    if data_keys is None:
        raise DataKeysAwayError(f"{SETTING} is not set, but the address was sealed by a buyer's key")
    key = await data_keys.find(named.buyer)
    # Another key: the buyer was erased and has bought again since.
    if key is None or key.key_id != named.key_id:
        raise AddressErasedError
    return ring.open(sealed, order_id, key)
