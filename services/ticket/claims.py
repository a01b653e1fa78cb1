"""How Buyer makes a hold: the terms, the limits, the hold and its timer, then seat after seat."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import restate

from services.common import facts
from services.common.errors import SeatUnavailableError, UnavailableError
from services.common.handlers import call, finish, load, save, send, start
from services.common.ids import object_key, split_key
from services.common.messages import Caller, Nothing
from services.common.money import Money, total
from services.common.seats import HeldSeat
from services.common.serde import serde
from services.common.states import SeatStatus
from services.seatmap.messages_quote import QUOTE, Quote, QuoteRequest
from services.ticket import domain_buyer as domain
from services.ticket import domain_cooldown as cooldown
from services.ticket.domain_buyer import Hold, HoldList, OrderList
from services.ticket.holdstore import HOLDS, ORDERS, name, send_releases, store
from services.ticket.messages import ARM, LOOK, RESERVE, ExpireRequest, ReserveRequest
from services.ticket.sheets import SHEETS


class Begun(msgspec.Struct, frozen=True):
    """How a hold begins: its clock, UTC, 128 bits of chance as hex digits, and what is remembered of the event."""

    at: datetime
    token: str
    quote: Quote | None = None


async def begin(ctx: restate.ObjectContext, seat_ids: list[str]) -> Begun:
    """Begin a hold: its clock, an id that cannot be guessed, and a quote where this process remembers the event."""
    event_id = split_key(ctx.key())[0]

    async def read() -> Begun:
        at = datetime.now(UTC)
        return Begun(at, secrets.token_hex(16), SHEETS.quote(event_id, sorted(seat_ids), at))

    # One step for all three, and once for all replays.
    options: restate.RunOptions[Begun] = restate.RunOptions(serde=serde(Begun))
    return await ctx.run_typed("moment", read, options)


async def _quote(ctx: restate.ObjectContext, begun: Begun, seat_ids: list[str], caller: Caller) -> Quote:
    """Ask Event, who alone knows terms and prices, where this process does not remember what it said."""
    if begun.quote is not None:
        return begun.quote
    event_id = split_key(ctx.key())[0]
    request = QuoteRequest(sorted(seat_ids), Caller(caller.subject), for_sale_at=begun.at, wants_sheet=True)
    # It never waits, so neither do we for long.
    quote = await call(ctx, QUOTE, event_id, request)
    SHEETS.learn(event_id, quote, datetime.now(UTC))
    return quote


async def claim(
    ctx: restate.ObjectContext, begun: Begun, seat_ids: list[str], hold_id: str, caller: Caller, order_id: str = ""
) -> Hold:
    """Write the hold, set its timer, then reserve its seats one after another.

    `order_id`: the order that makes the hold and pays it at once.
    """
    quote, at = await _quote(ctx, begun, seat_ids, caller), begun.at
    holds = await load(ctx, HOLDS, HoldList) or HoldList()
    orders = await load(ctx, ORDERS, OrderList) or OrderList()
    domain.require_within_limit(holds, orders, wanted=len(seat_ids), limit=quote.max_seats_per_buyer, now=at)
    cooldown.require_rested(holds, hold_seconds=quote.hold_seconds, now=at)
    made = _hold_of(ctx, quote, at, hold_id)
    if order_id:
        made = domain.begin_checkout(replace(made, made_by=order_id), order_id=order_id, now=at)
    # Before the first reserve: whatever happens to this invocation, the timer frees the seats.
    store(ctx, holds, made)
    send(ctx, ARM, ctx.key(), ExpireRequest(hold_id, made.expires_at, made.seat_ids))
    await _reserve_all(ctx, made, quote, at)
    facts.count(facts.HOLDS, outcome="made")
    return made


async def _reserve_all(ctx: restate.ObjectContext, made: Hold, quote: Quote, at: datetime) -> None:
    """Reserve in sorted order, so that of two overlapping requests one always wins."""
    event_id, buyer = split_key(ctx.key())
    for index, seat in enumerate(quote.seats):
        request = ReserveRequest(made.hold_id, buyer, seat.section_id, seat.position, made.hard_deadline, at)
        try:
            # Ticket alone decides who has the seat.
            await call(ctx, RESERVE, object_key(event_id, seat.seat_id), request)
        except SeatUnavailableError as refused:
            rest = [later.seat_id for later in quote.seats[index + 1 :]]
            await _give_up(ctx, made, index + 1)
            raise SeatUnavailableError(refused_seat(refused) | await _conflicts(ctx, event_id, rest)) from refused
        except restate.TerminalError as doubt:
            await _give_up(ctx, made, index + 1)
            raise UnavailableError("a seat did not answer; nothing is held") from doubt


def refused_seat(refused: SeatUnavailableError) -> dict[str, str]:
    """Read the conflicts back from an error that has crossed a call."""
    return dict(pair.split("=", 1) for pair in refused.details["conflicts"].split(","))


async def _give_up(ctx: restate.ObjectContext, made: Hold, tried: int) -> None:
    """Undo a hold that did not come to be: the seat in doubt is released as well."""
    send_releases(ctx, made.hold_id, made.seat_ids[:tried])
    holds = await load(ctx, HOLDS, HoldList) or HoldList()
    save(ctx, HOLDS, domain.unlisted(holds, made.hold_id))
    ctx.clear(name(made.hold_id))


async def _conflicts(ctx: restate.ObjectContext, event_id: str, seat_ids: list[str]) -> dict[str, str]:
    """Look at the seats that were not tried, so that the answer names every conflict."""
    asked = [(seat_id, start(ctx, LOOK, object_key(event_id, seat_id), Nothing())) for seat_id in seat_ids]
    looks = [(seat_id, await finish(LOOK, future)) for seat_id, future in asked]
    return {seat_id: look.status.name for seat_id, look in looks if look.status is not SeatStatus.AVAILABLE}


def _hold_of(ctx: restate.ObjectContext, quote: Quote, at: datetime, hold_id: str) -> Hold:
    seats = [
        HeldSeat(seat.seat_id, seat.category_id, seat.section_id, Money(quote.currency_code, seat.amount_minor))
        for seat in quote.seats
    ]
    return domain.new_hold(
        hold_id=hold_id,
        event_id=split_key(ctx.key())[0],
        seats=seats,
        total=total((seat.price for seat in seats), quote.currency_code),
        hold_seconds=quote.hold_seconds,
        event=(quote.title, quote.venue, quote.starts_at),
        now=at,
    )
