"""What the gateway puts together itself, over an ingress that lives in memory: events, pages, early refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from services.common.errors import (
    EventNotFoundError,
    InvalidRequestError,
    OrderNotFoundError,
    SeatNotFoundError,
    SeatUnavailableError,
)
from services.common.messages import ROLE_ORGANIZER, Caller
from services.common.seal import KeyRing
from services.gateway.calls import Call, Gateway
from services.gateway.composed import SeatMaps, get_seat_map, list_orders, refuse_sold
from services.gateway.gen.nexus.v1 import checkout_pb2, seatmap_pb2, ticket_pb2
from services.gateway.ingress import Ingress
from services.gateway.keys import RequestKeys
from services.gateway.routes import load_routes

ROUTES = load_routes()
OWNER = Caller("owner", [ROLE_ORGANIZER])
OTHER = Caller("other", [ROLE_ORGANIZER])
BUYER = Caller("buyer")
ON_SALE = {"event_id": "gala", "state": "EVENT_STATE_ON_SALE"}
SECTIONS = [{"section_id": "A", "seat_count": 3}, {"section_id": "B", "seat_count": 2}]


class MemoryIngress(Ingress):
    """Answers Event.get, SeatMap.get, Buyer.list_orders and Checkout.get of one event from memory."""

    def __init__(self) -> None:
        super().__init__("http://nowhere.invalid")
        self.event: dict[str, Any] = {**ON_SALE, "sections": SECTIONS}
        self.letters = {"A": "AAA", "B": "AA"}
        self.orders: list[str] = []
        self.forgotten: set[str] = set()
        self.calls: list[tuple[str, str]] = []

    async def call(self, service: str, key: str | None, handler: str, body: bytes, **_: Any) -> bytes:
        """Answer as the handlers do."""
        envelope = msgspec.json.decode(body)
        self.calls.append((service, envelope["caller"]["subject"]))
        await asyncio.sleep(0)
        response = self._answer(service, key or "", handler, envelope)
        return msgspec.json.encode({"response": response, "fingerprint": envelope["fingerprint"]})

    def _answer(self, service: str, key: str, handler: str, envelope: dict[str, Any]) -> object:
        if (service, handler) == ("Event", "get"):
            is_hidden = self.event["state"] == "EVENT_STATE_DRAFT" and envelope["caller"]["subject"] != "owner"
            if key != "gala" or is_hidden:
                raise EventNotFoundError("no such event")
            return self.event
        if (service, handler) == ("SeatMap", "get"):
            section = key.partition(":")[2]
            letters = self.letters[section]
            if envelope["request"]["since"] is not None:
                return {"revision": 0}
            seats = [[f"{section}-{number}", "std", 1.5, None] for number in range(len(letters))]
            return {"revision": 0, "seats": seats, "statuses": letters}
        if (service, handler) == ("Buyer", "list_orders"):
            return {"order_ids": self.orders, "next_page_token": "more"}
        if key in self.forgotten:
            raise OrderNotFoundError("no such order")
        return {"order_id": key, "state": "ORDER_STATE_CONFIRMED"}


@pytest.fixture
def ingress() -> MemoryIngress:
    return MemoryIngress()


@pytest.fixture
async def gateway(ingress: MemoryIngress) -> AsyncIterator[Gateway]:
    ring = KeyRing.parse("k1:" + "A" * 43 + "=")
    made = Gateway(ingress, RequestKeys(b"k" * 32), ring)
    yield made
    await made.close()


def map_call(caller: Caller = BUYER, **fields: Any) -> Call:
    request = seatmap_pb2.GetSeatMapRequest(event_id="gala", **fields)
    return Call(ROUTES["/nexus.v1.SeatMapService/GetSeatMap"], request, caller)


def hold_call(*seat_ids: str, is_repeatable: bool = False) -> Call:
    request = ticket_pb2.HoldSeatsRequest(event_id="gala", seat_ids=seat_ids)
    return Call(ROUTES["/nexus.v1.TicketService/HoldSeats"], request, BUYER, is_repeatable=is_repeatable)


async def test_pages_cover_every_seat_once(gateway: Gateway) -> None:
    """Pages of any size, put together, are the whole map in the order of the layout."""
    for page_size in (1, 2, 3, 4, 5, 0):
        seats, token = [], ""
        while True:
            page = await get_seat_map(gateway, map_call(page_size=page_size, page_token=token))
            seats += [seat.seat_id for section in page.sections for seat in section.seats]
            assert page_size == 0 or sum(len(section.seats) for section in page.sections) <= page_size
            token = page.next_page_token
            if not token:
                break
        assert seats == ["A-0", "A-1", "A-2", "B-0", "B-1"]


async def test_position_is_unset_where_the_layout_has_none(gateway: Gateway) -> None:
    """A coordinate that the layout lacks is absent, not zero."""
    page = await get_seat_map(gateway, map_call())
    seat = page.sections[0].seats[0]
    assert seat.x == 1.5
    assert not seat.HasField("y")


@pytest.mark.parametrize("token", ["!", "AAAA", "W10", "WzEsMSwwLDBd", "x" * 200, "é"])
async def test_bad_page_token_is_refused(gateway: Gateway, token: str) -> None:
    """A page token that is none of this request's is INVALID_ARGUMENT."""
    with pytest.raises(InvalidRequestError) as refused:
        await get_seat_map(gateway, map_call(page_token=token))
    assert list(refused.value.violations) == ["page_token"]


async def test_page_token_of_another_section_is_refused(gateway: Gateway) -> None:
    """A token goes on with the request that it came from, and with no other."""
    page = await get_seat_map(gateway, map_call(page_size=1))
    with pytest.raises(InvalidRequestError):
        await get_seat_map(gateway, map_call(section_id="B", page_token=page.next_page_token))


async def test_unknown_section(gateway: Gateway) -> None:
    """A section that the layout lacks is SEAT_NOT_FOUND."""
    with pytest.raises(SeatNotFoundError):
        await get_seat_map(gateway, map_call(section_id="Z"))


async def test_draft_is_its_organizers_alone(gateway: Gateway, ingress: MemoryIngress) -> None:
    """A draft is shown to its organizer and, right after that, still to nobody else."""
    ingress.event["state"] = "EVENT_STATE_DRAFT"
    assert len((await get_seat_map(gateway, map_call(OWNER))).sections) == 2
    for stranger in (BUYER, OTHER, Caller()):
        with pytest.raises(EventNotFoundError):
            await get_seat_map(gateway, map_call(stranger))


async def test_published_event_is_read_once_for_all(gateway: Gateway, ingress: MemoryIngress) -> None:
    """Fifty readers at once are one anonymous read of the event and one of each section."""
    await asyncio.gather(*(get_seat_map(gateway, map_call()) for _ in range(50)))
    assert sorted(ingress.calls) == [("Event", ""), ("SeatMap", ""), ("SeatMap", "")]


async def test_sold_seat_is_refused_with_every_conflict(gateway: Gateway, ingress: MemoryIngress) -> None:
    """A fresh map that shows a seat SOLD refuses a call without a request_id, naming all conflicts."""
    ingress.letters["A"] = "SHA"
    await get_seat_map(gateway, map_call())
    with pytest.raises(SeatUnavailableError) as refused:
        refuse_sold(gateway, hold_call("A-0", "A-1", "A-2"))
    assert refused.value.details == {"conflicts": "A-0=SOLD,A-1=HELD"}


async def test_only_what_is_certain_is_refused(gateway: Gateway, ingress: MemoryIngress) -> None:
    """Held seats, unknown seats, repeatable calls and sales that are not open always reach their object."""
    ingress.letters["A"] = "SHA"
    refuse_sold(gateway, hold_call("A-0"))  # no map is live yet
    await get_seat_map(gateway, map_call())
    refuse_sold(gateway, hold_call("A-1", "A-2"))
    refuse_sold(gateway, hold_call("A-0", "elsewhere"))
    refuse_sold(gateway, hold_call("A-0", is_repeatable=True))
    with pytest.raises(SeatUnavailableError):
        refuse_sold(gateway, hold_call("A-0"))


@pytest.mark.parametrize(
    "change",
    [
        {"state": "EVENT_STATE_PAUSED"},
        {"state": "EVENT_STATE_CLOSED"},
        {"sale_starts_at": "2999-01-01T00:00:00Z"},
        {"sale_ends_at": "2001-01-01T00:00:00Z"},
    ],
    ids=["paused", "closed", "not yet", "over"],
)
async def test_closed_sale_is_for_the_buyer_object(
    gateway: Gateway, ingress: MemoryIngress, change: dict[str, str]
) -> None:
    """Where the sale is not open the refusal is another one, so the call goes through."""
    ingress.letters["A"] = "SSS"
    ingress.event.update(change)
    await get_seat_map(gateway, map_call())
    refuse_sold(gateway, hold_call("A-0"))


async def test_refused_checkout_names_its_id(gateway: Gateway, ingress: MemoryIngress) -> None:
    """A one-step sale refused by the map has the details of one that Ticket refuses."""
    ingress.letters["A"] = "SAA"
    await get_seat_map(gateway, map_call())
    request = checkout_pb2.CheckoutRequest(order_id="order-1", event_id="gala", seat_ids=["A-0"])
    call = Call(ROUTES["/nexus.v1.CheckoutService/Checkout"], request, BUYER, made_id="order-1")
    with pytest.raises(SeatUnavailableError) as refused:
        refuse_sold(gateway, call)
    assert refused.value.details == {"conflicts": "A-0=SOLD", "order_id": "order-1"}


async def test_orders_keep_their_order(gateway: Gateway, ingress: MemoryIngress) -> None:
    """Orders come as the buyer's list has them; one that was forgotten meanwhile is left out."""
    ingress.orders = [f"order-{number}" for number in range(30)]
    ingress.forgotten = {"order-7"}
    request = checkout_pb2.ListOrdersRequest(event_id="gala")
    answer = await list_orders(gateway, Call(ROUTES["/nexus.v1.CheckoutService/ListOrders"], request, BUYER))
    assert [order.order_id for order in answer.orders] == [name for name in ingress.orders if name != "order-7"]
    assert answer.next_page_token == "more"
    assert set(ingress.calls) == {("Buyer", "buyer"), ("Checkout", "buyer")}


async def test_parts_end_with_the_gateway(ingress: MemoryIngress) -> None:
    """Closing the gateway leaves no task of the live maps behind."""
    made = Gateway(ingress, RequestKeys(b"k" * 32), KeyRing.parse("k1:" + "A" * 43 + "="))
    await get_seat_map(made, map_call())
    made.part(SeatMaps).events.refresh("gala")
    await made.close()
    names = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [name for name in names if name.startswith(("poll ", "read ", "event "))] == []
