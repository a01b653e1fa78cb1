"""RPCs that take several calls: GetSeatMap, WatchSeatMap and ListOrders; and the one early refusal.

`COMPOSED` and `refuse_sold` are what Gateway is given. What they share lives in `SeatMaps`, one per
gateway (`gateway.part(SeatMaps)`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import cast

import msgspec

from services.common.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidRequestError,
    OrderNotFoundError,
    SeatNotFoundError,
    SeatUnavailableError,
    UnavailableError,
)
from services.common.ids import object_key
from services.common.messages import ROLE_ADMIN, ROLE_ORGANIZER, Envelope, Reply
from services.common.states import EventState
from services.gateway import metrics
from services.gateway.calls import Call, ComposedCall, Gateway
from services.gateway.convert import from_json
from services.gateway.events import EventBook, KnownEvent, KnownSection
from services.gateway.gen.nexus.v1 import checkout_pb2, seatmap_pb2
from services.gateway.livemap import LiveMap
from services.gateway.watch import UNSENT, SeatMapStream, decode_token, map_seats, sections_hash
from services.seatmap.messages import GET_EVENT, GET_SECTION, GetEvent, GetSection, SectionPage
from services.ticket.messages import OrderIds

READ_SECONDS = 10.0
"""Longest that a shared read of Restate may take, whoever waits for it, unless Restate is waited for longer."""

MAP_AGE_SECONDS = 0.25
"""How old a section may be in an answer of GetSeatMap."""

SOLD_AGE_SECONDS = 1.0
"""How old the map may be that refuses a sold seat. Source: DESIGN.md, the exception after rule 13."""

DEFAULT_PAGE_SEATS = 10_000
MAX_ORDER_READS = 8
"""Orders that one ListOrders reads at a time."""

NAMES = {"H": "HELD", "S": "SOLD", "B": "BLOCKED"}
"""Status letters as SeatUnavailableError names them."""

_section_reply = msgspec.json.Decoder(Reply[SectionPage], strict=False)
_event_reply = msgspec.json.Decoder(Reply[KnownEvent], strict=False)


class SeatMaps:
    """The live maps and the events of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.live = LiveMap(self._read_section)
        self.events = EventBook(self._read_event)

    async def close(self) -> None:
        """Stop what runs in the background."""
        await self.live.close()
        await self.events.close()

    async def event(self, call: Call, event_id: str) -> KnownEvent:
        """Give an event that the caller may see. Raises EventNotFoundError."""

        async def read_own(event_id: str) -> KnownEvent:
            response = await self._gateway.invoke("Event", event_id, GET_EVENT.handler, {"event_id": event_id}, call)
            return msgspec.convert(response, KnownEvent, strict=False)

        may_own = not {ROLE_ORGANIZER, ROLE_ADMIN}.isdisjoint(call.caller.roles)
        return await self.events.event(event_id, read_own if may_own else None)

    async def _read_section(
        self, event_id: str, section_id: str, since: int | None, position: int, limit: int
    ) -> SectionPage:
        request = Envelope(GetSection(event_id, section_id, since, position, limit))
        outcome = "failed"
        try:
            body = await self._read("SeatMap", object_key(event_id, section_id), GET_SECTION.handler, request)
            outcome = "ok"
        finally:
            metrics.MAP_READS.labels(outcome).inc()
        try:
            return _section_reply.decode(body).response
        except msgspec.MsgspecError as error:
            raise InternalError("SeatMap.get answered something else") from error

    async def _read_event(self, event_id: str) -> KnownEvent:
        body = await self._read("Event", event_id, GET_EVENT.handler, Envelope(GetEvent(event_id)))
        try:
            return _event_reply.decode(body).response
        except msgspec.MsgspecError as error:
            raise InternalError("Event.get answered something else") from error

    async def _read(self, service: str, key: str, handler: str, request: object) -> bytes:
        body = msgspec.json.encode(request)
        try:
            ingress = self._gateway.ingress
            limit = max(READ_SECONDS, ingress.wait_seconds)
            return await ingress.call(service, key, handler, body, timeout=limit, is_read=True)
        except DeadlineExceededError as error:
            # Not the client's deadline: a read has no outcome that could be in doubt.
            raise UnavailableError("the seat map cannot be read now") from error


def _chosen(event: KnownEvent, section_id: str) -> list[KnownSection]:
    """Give the sections that a request is about. Raises SeatNotFoundError."""
    found = [section for section in event.sections if section_id in ("", section.section_id)]
    if section_id and not found:
        raise SeatNotFoundError("the event has no such section", {"section_id": section_id})
    if event.state is EventState.DRAFT:
        # Publishing makes the map: until then it has fewer seats than the layout.
        return [KnownSection(section.section_id) for section in found]
    return found


class _PageToken(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page of seats begins: section by its place among the sections asked for."""

    version: int
    asked: int
    place: int
    position: int


_page_tokens = msgspec.json.Decoder(_PageToken)


def _read_page_token(token: str, asked: int, sections: int) -> tuple[int, int]:
    """Read a page token. Raises InvalidRequestError for one that is not of these sections."""
    if not token:
        return 0, 0
    try:
        found = _page_tokens.decode(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        found = _PageToken(0, 0, 0, 0)
    if found.version != 1 or found.asked != asked or not 0 <= found.place < sections or found.position < 0:
        raise InvalidRequestError({"page_token": "the next_page_token of an answer to the same request"})
    return found.place, found.position


def _write_page_token(asked: int, place: int, position: int) -> str:
    text = msgspec.json.encode(_PageToken(1, asked, place, position))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


async def get_seat_map(gateway: Gateway, call: Call) -> seatmap_pb2.SeatMap:
    """Answer GetSeatMap: one section or all, in pages of seats, at most a quarter of a second old."""
    try:
        async with asyncio.timeout(max(0.0, call.seconds_left())):
            return await _seat_map(gateway.part(SeatMaps), call)
    except TimeoutError as error:
        raise DeadlineExceededError("the deadline has passed") from error


async def _seat_map(maps: SeatMaps, call: Call) -> seatmap_pb2.SeatMap:
    request = cast("seatmap_pb2.GetSeatMapRequest", call.request)
    event = await maps.event(call, request.event_id)
    sections = _chosen(event, request.section_id)
    asked = sections_hash([event.event_id, *(section.section_id for section in sections)])
    place, position = _read_page_token(request.page_token, asked, len(sections))
    answer = seatmap_pb2.SeatMap(event_id=event.event_id)
    room = request.page_size or DEFAULT_PAGE_SEATS
    while place < len(sections) and room > 0:
        section = sections[place]
        view = await maps.live.view(
            event.event_id, section.section_id, max_age_seconds=MAP_AGE_SECONDS, seat_count=section.seat_count
        )
        end = position + room
        seats = view.seats[position:end]
        answer.sections.add(
            section_id=section.section_id,
            revision=max(0, view.revision),
            seats=map_seats(seats, view.letters[position:end]),
        )
        room -= len(seats)
        place, position = (place, end) if end < len(view.seats) else (place + 1, 0)
    if place < len(sections):
        answer.next_page_token = _write_page_token(asked, place, position)
    return answer


async def watch_seat_map(gateway: Gateway, call: Call) -> AsyncGenerator[seatmap_pb2.WatchSeatMapResponse, None]:
    """Answer WatchSeatMap: a snapshot or the changes after resume_token, then changes as they come."""
    request = cast("seatmap_pb2.WatchSeatMapRequest", call.request)
    maps = gateway.part(SeatMaps)
    event = await maps.event(call, request.event_id)
    sections = _chosen(event, request.section_id)
    revisions = [UNSENT] * len(sections)
    if request.resume_token:
        ids = [section.section_id for section in sections]
        revisions = decode_token(request.resume_token, event.event_id, ids)
    stream = SeatMapStream(maps.live, event.event_id, sections, revisions)
    async with aclosing(stream.messages()) as messages:  # at once, not when the collector finds it
        async for message in messages:
            yield message


async def list_orders(gateway: Gateway, call: Call) -> checkout_pb2.ListOrdersResponse:
    """Answer ListOrders: the buyer's own list of ids, then each order from Checkout, in the same order."""
    route = call.route
    response = await gateway.invoke(route.service, call.key, route.handler, call.request, call)
    page = msgspec.convert(response, OrderIds)
    turn = asyncio.Semaphore(MAX_ORDER_READS)

    async def read(order_id: str) -> checkout_pb2.Order | None:
        async with turn:
            try:
                found = await gateway.invoke("Checkout", order_id, "get", {"order_id": order_id}, call)
            except OrderNotFoundError:
                return None  # forgotten meanwhile
        return cast("checkout_pb2.Order", from_json(found, checkout_pb2.Order))

    found = await asyncio.gather(*(read(order_id) for order_id in page.order_ids))
    orders = [order for order in found if order is not None]
    return checkout_pb2.ListOrdersResponse(orders=orders, next_page_token=page.next_page_token)


def refuse_sold(gateway: Gateway, call: Call) -> None:
    """Refuse a call for seats of which one is SOLD on a map that is live already and at most 1 s old.

    Only for calls that carry neither order_id nor request_id. Everything in doubt goes to its
    object: seats that no live map holds, a map or an event that is not fresh, a sale that is not
    open (the refusal would be another one). Raises SeatUnavailableError with every conflict.
    """
    fields = call.request.DESCRIPTOR.fields_by_name
    if call.is_repeatable or "seat_ids" not in fields or "event_id" not in fields:
        return
    seat_ids: list[str] = list(getattr(call.request, "seat_ids"))  # noqa: B009 - the message's class is not known here
    if not seat_ids:
        return
    event_id: str = getattr(call.request, "event_id")  # noqa: B009
    maps = gateway.part(SeatMaps)
    letters = maps.live.statuses(event_id, seat_ids, SOLD_AGE_SECONDS)
    if letters is None or "S" not in letters.values():
        return
    event = maps.events.fresh(event_id)
    if event is None:
        maps.events.refresh(event_id)
    elif event.is_selling(datetime.now(UTC)):
        error = SeatUnavailableError({seat_id: NAMES[letter] for seat_id, letter in letters.items() if letter in NAMES})
        if call.route.made_id is not None:
            # As the object's own refusal has it; here nothing was made under this id.
            error.details[call.route.made_id.name] = call.made_id
        raise error


COMPOSED: dict[str, ComposedCall] = {
    "/nexus.v1.SeatMapService/GetSeatMap": get_seat_map,
    "/nexus.v1.SeatMapService/WatchSeatMap": watch_seat_map,
    "/nexus.v1.CheckoutService/ListOrders": list_orders,
}
"""The composed RPCs by name."""
