"""Where Buyer keeps its holds: `holds` (HoldList), each as `hold:{hold_id}` (Hold); `orders` (OrderList)."""

from __future__ import annotations

import restate

from services.common.handlers import load, save, send
from services.common.ids import object_key, split_key
from services.ticket import domain_buyer as domain
from services.ticket.domain_buyer import Hold, HoldList
from services.ticket.messages import RELEASE_SEAT, ReleaseRequest

HOLDS = "holds"
ORDERS = "orders"


async def keep(ctx: restate.ObjectContext, hold_: Hold) -> None:
    """Store a hold and its line in the list."""
    store(ctx, await load(ctx, HOLDS, HoldList) or HoldList(), hold_)


def store(ctx: restate.ObjectContext, holds: HoldList, hold_: Hold) -> None:
    """Store a hold and its line in the list that was read; holds that fall off the list are forgotten."""
    listed, dropped = domain.listed(holds, hold_)
    save(ctx, HOLDS, listed)
    save(ctx, name(hold_.hold_id), hold_)
    for hold_id in dropped:
        ctx.clear(name(hold_id))


def send_releases(ctx: restate.ObjectContext, hold_id: str, seat_ids: list[str]) -> None:
    """Release seats by sends: nobody else would do it, so nobody may give up waiting for it."""
    event_id = split_key(ctx.key())[0]
    for seat_id in seat_ids:
        send(ctx, RELEASE_SEAT, object_key(event_id, seat_id), ReleaseRequest(hold_id))


def name(hold_id: str) -> str:
    """Give the name of the value that a hold is kept in."""
    return f"hold:{hold_id}"
