"""Services of the tests' own, on an endpoint of their own: `python -m tests.integration.scratch_services`.

`Envoy` carries a message to a handler that no client reaches. `NaiveBuyer` and `NaiveSeat` sell seats
by reading, then writing: the negative control of the race.
"""

from __future__ import annotations

import json
import os
from typing import TypedDict

import restate

from services.common import endpoint


class Letter(TypedDict):
    """What to send to whom; `body` is JSON."""

    service: str
    key: str
    handler: str
    body: object


ENVOY = restate.Service("Envoy")
NAIVE_BUYER = restate.Service("NaiveBuyer")
NAIVE_SEAT = restate.VirtualObject("NaiveSeat")
SERVICES = [ENVOY, NAIVE_BUYER, NAIVE_SEAT]


@ENVOY.handler()
async def carry(ctx: restate.Context, letter: Letter) -> object:
    """Call the handler and give its answer."""
    body = json.dumps(letter["body"]).encode()
    return json.loads(await ctx.generic_call(letter["service"], letter["handler"], body, key=letter["key"]) or b"null")


@NAIVE_BUYER.handler()
async def hold(ctx: restate.Context, wish: dict[str, str]) -> bool:
    """Look at the seat, and take it where it was free."""
    if await ctx.object_call(look, key=wish["seat"], arg=None):
        return False
    await ctx.object_call(take, key=wish["seat"], arg=wish["buyer"])
    return True


@NAIVE_SEAT.handler(kind="shared")
async def look(ctx: restate.ObjectSharedContext, _nothing: None) -> str:
    """Tell who has the seat."""
    return await ctx.get("buyer", type_hint=str) or ""


@NAIVE_SEAT.handler()
async def take(ctx: restate.ObjectContext, buyer: str) -> None:
    """Give the seat to whoever asks."""
    ctx.set("buyer", buyer)


if __name__ == "__main__":
    endpoint.run("scratch", "tests.integration.scratch_services", os.environ)
