"""How Event takes seats out of the sale and puts them back: all or none, through their Tickets."""

from __future__ import annotations

from collections.abc import Mapping

import restate

from services.common.errors import SeatUnavailableError
from services.common.handlers import call, finish, start
from services.common.ids import object_key
from services.common.messages import Nothing
from services.common.states import SeatStatus
from services.seatmap.domain_layout import Place
from services.ticket.messages import BLOCK, LOOK, UNBLOCK, BlockRequest, UnblockRequest


async def others(ctx: restate.ObjectContext, seat_ids: list[str], wanted: SeatStatus) -> dict[str, str]:
    """Look at seats; gives those that are not as wanted, with their status."""
    # All at once: a look takes part in nobody's sale.
    asked = [(seat_id, start(ctx, LOOK, object_key(ctx.key(), seat_id), Nothing())) for seat_id in seat_ids]
    looks = [(seat_id, await finish(LOOK, future)) for seat_id, future in asked]
    return {seat_id: look.status.name for seat_id, look in looks if look.status is not wanted}


async def block_all(
    ctx: restate.ObjectContext, seat_ids: list[str], places: Mapping[str, Place], block_id: str
) -> dict[str, str]:
    """Block seats one after another; gives the conflicts, and nothing is blocked where there are any."""
    conflicts = await others(ctx, seat_ids, SeatStatus.AVAILABLE)
    tried: list[str] = []
    for seat_id in [] if conflicts else seat_ids:
        place = places[seat_id]
        tried.append(seat_id)
        try:
            # Ticket alone decides who has the seat: it may have been taken since the look.
            await call(
                ctx, BLOCK, object_key(ctx.key(), seat_id), BlockRequest(block_id, place.section_id, place.position)
            )
        except SeatUnavailableError:
            conflicts = await others(ctx, seat_ids[len(tried) - 1 :], SeatStatus.AVAILABLE)
            # At least this one, also where it has become free again meanwhile.
            conflicts.setdefault(seat_id, SeatStatus.HELD.name)
            break
        except restate.TerminalError:
            conflicts = {seat_id: "UNKNOWN"}
            break
    if conflicts:
        await unblock_all(ctx, tried, block_id)
    return conflicts


async def unblock_all(ctx: restate.ObjectContext, seat_ids: list[str], block_id: str = "") -> None:
    """Put seats back; with a block_id only what that request blocked. They are free when this returns."""
    for seat_id in seat_ids:
        # Never gives up: nobody else would undo it.
        await call(ctx, UNBLOCK, object_key(ctx.key(), seat_id), UnblockRequest(block_id))
