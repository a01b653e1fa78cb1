"""Those who go round the gateway, straight to Restate's ingress: the yardstick, and sales without the gateway."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from bench.buyers import CARD, EMAIL
from bench.readers import OK, OverHttp
from services.common.seal import KeyRing
from services.gateway.keys import RequestKeys


class Noop(OverHttp):
    """The yardstick: a handler without effect."""

    async def visit(self, number: int) -> str | None:
        """Call it."""
        del number
        async with self.session.post(f"{self.load.ingress}/Mailer/ping") as answer:
            await answer.read()
            return "" if answer.status == OK else f"HTTP {answer.status}"


class AtIngress(OverHttp):
    """Send what the gateway would have sent."""

    async def open(self) -> None:
        """Hash the buyers as the gateway does."""
        await super().open()
        keys = RequestKeys(base64.b64decode(self.load.subject_key))
        self._subjects = [keys.subject(f"bench-{number}") for number in range(self.load.buyers)]
        self._ring = KeyRing.parse(self.load.seal_keys)

    def subject(self, number: int) -> str:
        """Give the hashed subject of the buyer of this number."""
        return self._subjects[number % len(self._subjects)]

    async def post(self, number: int, path: str, request: dict[str, Any], key: str = "") -> tuple[str, dict[str, Any]]:
        """Call a handler; gives the reason of a refusal, and the response. `key`: Idempotency-Key."""
        caller = {"subject": self.subject(number), "roles": []}
        body = json.dumps({"caller": caller, "fingerprint": "bench", "request": request})
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        async with self.session.post(f"{self.load.ingress}/{path}", data=body, headers=headers) as answer:
            found = json.loads(await answer.read())
            if answer.status == OK:
                return "", found["response"]
            return str(found.get("metadata", {}).get("reason", f"HTTP {answer.status}")), {}

    async def buy(self, number: int, what: dict[str, Any]) -> str:
        """Buy, and remember the seats of an order that was confirmed."""
        order_id = f"order-{secrets.token_hex(16)}"
        wish = {
            "order_id": order_id,
            "event_id": self.load.event_id,
            "payment_method": CARD,
            "email": self._ring.seal(EMAIL, order_id),
        }
        reason, order = await self.post(number, f"Checkout/{order_id}/process", wish | what, secrets.token_hex(16))
        if not reason and order["state"] != "ORDER_STATE_CONFIRMED":
            return str(order["state"])
        if not reason:
            self.told.bought[order_id] = [seat["seat_id"] for seat in order["seats"]]
        return reason


class IngressSale(AtIngress):
    """Buy seats in one step."""

    async def visit(self, number: int) -> str | None:
        """Buy."""
        seat_ids = self.take()
        return None if seat_ids is None else await self.buy(number, {"seat_ids": seat_ids})


class IngressHoldCheckout(AtIngress):
    """Hold seats, then buy them."""

    async def visit(self, number: int) -> str | None:
        """Hold and buy."""
        seat_ids = self.take()
        if seat_ids is None:
            return None
        event_id = self.load.event_id
        wish = {"event_id": event_id, "seat_ids": seat_ids}
        reason, hold = await self.post(number, f"Buyer/{event_id}%3A{self.subject(number)}/hold", wish)
        return reason or await self.buy(number, {"hold_id": hold["hold_id"]})
