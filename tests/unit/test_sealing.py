"""The gateway seals a buyer's address by the buyer's own key, or refuses the call: there is no third way."""

from __future__ import annotations

from typing import Any

import pytest

from services.checkout.addresses import opened
from services.common.datakeys import DataKeysAwayError, Erased
from services.common.errors import InvalidTransitionError, UnavailableError
from services.common.messages import Caller
from services.common.seal import DataKey, KeyRing, named_key
from services.gateway.calls import Call
from services.gateway.gen.nexus.v1 import checkout_pb2, ops_pb2
from services.gateway.routes import CONTRACT, load_routes
from services.gateway.sealing import NOBODY, Sealer
from services.ops.erasing import Eraser

ROUTES = load_routes(CONTRACT)
OPS = load_routes([ops_pb2.DESCRIPTOR])
RING = KeyRing({"k1": b"r" * 32})


class Memory:
    """A store in this process; with `is_away` nobody answers."""

    def __init__(self) -> None:
        self.keys: dict[str, DataKey] = {}
        self.is_away = False
        self.asked = 0

    async def use(self, buyer: str) -> DataKey:
        self._answer()
        return self.keys.setdefault(buyer, DataKey(buyer, bytes([len(self.keys) + 1]) * 32))

    async def find(self, buyer: str) -> DataKey | None:
        self._answer()
        return self.keys.get(buyer)

    async def erase(self, buyer: str) -> Erased:
        self._answer()
        return Erased(self.keys.pop(buyer, None) is not None, ("a replica",))

    async def close(self) -> None: ...

    def _answer(self) -> None:
        self.asked += 1
        if self.is_away:
            raise DataKeysAwayError("away")


def checkout(subject: str = "ada") -> Call:
    request = checkout_pb2.CheckoutRequest(order_id="o-1", event_id="gala", email="ada@example.org")
    return Call(ROUTES["/nexus.v1.CheckoutService/Checkout"], request, Caller(subject))


async def sealed_by(sealer: Sealer, call: Call) -> str:
    return str(sealer.request_json(call, await sealer.key_for(call))["email"])


async def test_each_buyer_has_a_key_of_their_own() -> None:
    """The same for each purchase; the store is asked each time, so that an erased key is never used again."""
    store = Memory()
    sealer = Sealer(RING, store)
    texts = [await sealed_by(sealer, checkout(subject)) for subject in ("ada", "ada", "bea", "")]
    named = [named_key(text) for text in texts]
    assert [key.buyer for key in named if key] == ["ada", "ada", "bea", NOBODY]
    assert named[0] == named[1] != named[2]
    assert store.asked == 4
    assert [await opened(text, "o-1", RING, store) for text in texts] == ["ada@example.org"] * 4
    await store.erase("ada")
    assert named_key(await sealed_by(sealer, checkout())) != named[0]


async def test_a_store_that_is_away_refuses_calls_that_bring_an_address() -> None:
    """UNAVAILABLE, which invites to repeat; never the ring alone. Calls without an address do not ask it."""
    store = Memory()
    store.is_away = True
    sealer = Sealer(RING, store)
    with pytest.raises(UnavailableError, match="cannot be sealed now"):
        await sealer.key_for(checkout())
    order = Call(
        ROUTES["/nexus.v1.CheckoutService/GetOrder"], checkout_pb2.GetOrderRequest(order_id="o-1"), Caller("a")
    )
    assert await sealer.key_for(order) is None
    assert store.asked == 1
    store.is_away = False
    assert await sealer.key_for(checkout()) is not None


async def test_without_a_store_the_ring_seals() -> None:
    """As it always did."""
    text = await sealed_by(Sealer(RING), checkout())
    assert text.startswith("v1.")
    assert RING.open(text, "o-1") == "ada@example.org"


async def erase(eraser: Eraser) -> Any:
    call = Call(OPS["/nexus.v1.OpsService/EraseBuyer"], ops_pb2.EraseBuyerRequest(subject="ada"), Caller("admin"))
    return await eraser.erase_buyer(None, call)  # type: ignore[arg-type]  it makes no call of its own


async def test_an_erasure_says_what_it_did() -> None:
    """Whether there was a key, the buyer's hashed name, what is left to do; a repeat is no error."""
    store = Memory()
    await store.use("ada")
    eraser = Eraser(store, lambda subject: subject)
    first, second = await erase(eraser), await erase(eraser)
    assert (first.action, first.buyer_id, list(first.remains)) == (ops_pb2.ERASE_ACTION_ERASED, "ada", ["a replica"])
    assert second.action == ops_pb2.ERASE_ACTION_NOTHING_THERE


async def test_an_erasure_that_cannot_be_is_refused() -> None:
    """Without a store in one sentence that names the setting; with one that is away as something to repeat."""
    with pytest.raises(InvalidTransitionError, match="NEXUS_DATA_KEYS_URL is not set"):
        await erase(Eraser(None, str))
    store = Memory()
    store.is_away = True
    with pytest.raises(UnavailableError, match="nothing is known to be erased"):
        await erase(Eraser(store, str))
