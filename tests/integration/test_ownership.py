"""What is somebody else's is not there; what needs a role needs it; what is public needs nobody."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from services.gateway.gen.nexus.v1 import options_pb2
from tests.integration.bad_input import BUYING
from tests.integration.client import sign
from tests.integration.doors import ROUTES, Outcome
from tests.integration.good_requests import BUYERS, ORGANIZERS, PUBLIC
from tests.integration.world import World, event_body, judge

DRAFT_READS: dict[str, dict[str, Any]] = {
    "EventService/GetEvent": {"event_id": "$draft"},
    "SeatMapService/GetSeatMap": {"event_id": "$draft"},
    "SeatMapService/WatchSeatMap": {"event_id": "$draft"},
    "TicketService/GetTicket": {"event_id": "$draft", "seat_id": "A-1-1"},
}


def told_alike(http: Outcome, rpc: Outcome, code: str, reason: str = "") -> None:
    judge(http)
    judge(rpc)
    assert http.words == rpc.words
    assert (http.code, http.reason) == (code, reason or code)


def renamed(request: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Ask the same of another event."""
    return {
        name: renamed(value, event_id) if isinstance(value, dict) else event_id if name == "event_id" else value
        for name, value in request.items()
    }


def organizer(world: World) -> str:
    """Give the token of an organizer who has nothing to do with the world."""
    return sign(world.behind.stack, f"organizer-{uuid.uuid4().hex}", "organizer")


@pytest.mark.parametrize("rpc", BUYERS)
async def test_another_buyers_things_are_not_found(world: World, rpc: str) -> None:
    """Holds and orders of another buyer are not there: neither to be seen nor touched, not even by the organizer."""
    async with world.untouched(reaches_handler=True):
        for who in ("stranger", "organizer"):
            kind = "HOLD_NOT_FOUND" if "hold_id" in BUYERS[rpc] else "ORDER_NOT_FOUND"
            told_alike(*await world.both(rpc, BUYERS[rpc], who), "NOT_FOUND", kind)
    assert await world.hall.statuses("A-1-1", "A-1-2") == ["HELD", "SOLD"]


async def test_another_buyers_order_id_is_taken_and_nothing_more(world: World) -> None:
    """Checkout under an order_id of another buyer is refused without a word of that order."""
    request = BUYING | {"order_id": "$order", "seat_ids": ["A-3-5"]}
    async with world.untouched(reaches_handler=True):
        http, rpc = await world.both("CheckoutService/Checkout", request, "stranger")
    told_alike(http, rpc, "ALREADY_EXISTS")
    for secret in (world.names["hold"], "A-1-2", "CONFIRMED", "4500"):
        assert secret not in http.text + rpc.text


async def test_lists_hold_the_callers_own(world: World) -> None:
    """ListOrders shows a buyer their own orders of the event, and a stranger none."""
    for who, orders in (("buyer", [world.names["order"]]), ("stranger", []), ("organizer", [])):
        http, rpc = await world.both("CheckoutService/ListOrders", {"event_id": "$event"}, who)
        for outcome in (http, rpc):
            assert outcome.code == "OK"
            listed = [order["order_id"] for order in outcome.answer.get("orders", [])]
            assert (listed == orders) if who != "buyer" else set(orders) <= set(listed), who


async def test_a_ticket_names_its_order_to_those_concerned(world: World) -> None:
    """The order of a sold seat is shown to its buyer, its organizer and an admin, and to nobody else."""
    for who, is_shown in (
        ("nobody", False),
        ("stranger", False),
        ("buyer", True),
        ("organizer", True),
        ("admin", True),
    ):
        http, rpc = await world.both("TicketService/GetTicket", {"event_id": "$event", "seat_id": "A-1-2"}, who)
        for outcome in (http, rpc):
            assert outcome.answer["status"] == "SEAT_STATUS_SOLD"
            assert outcome.answer.get("order_id", "") == (world.names["order"] if is_shown else ""), who
    other = await world.http.call(
        "TicketService/GetTicket", world.fill({"event_id": "$event", "seat_id": "A-1-2"}), organizer(world)
    )
    assert other.answer["order_id"] == ""


@pytest.mark.parametrize("rpc", ORGANIZERS)
async def test_another_organizers_event_is_not_found(world: World, rpc: str) -> None:
    """No organizer changes or audits another's event; they are told that there is none."""
    token = organizer(world)
    async with world.untouched(reaches_handler=True):
        request = world.fill(ORGANIZERS[rpc])
        http, grpc = await world.http.call(rpc, request, token), await world.grpc.call(rpc, request, token)
        told_alike(http, grpc, "NOT_FOUND", "EVENT_NOT_FOUND")
        nothing = await world.http.call(rpc, renamed(request, f"no-{uuid.uuid4().hex}"), token)
        assert nothing.words == http.words
        draft = await world.http.call(rpc, renamed(request, world.names["draft"]), token)
        assert draft.words == http.words


@pytest.mark.parametrize("rpc", [*ORGANIZERS, "EventService/CreateEvent"])
async def test_a_buyer_is_no_organizer(world: World, rpc: str) -> None:
    """Without the role nothing of an organizer's reaches Restate, whoever's the event is."""
    request = ORGANIZERS.get(rpc, {"event": event_body()})
    async with world.untouched():
        told_alike(*await world.both(rpc, request, "buyer"), "PERMISSION_DENIED")


@pytest.mark.parametrize("rpc", ROUTES)
async def test_nobody_may_call_what_is_public_and_nothing_else(world: World, rpc: str) -> None:
    """Every RPC of the contract: answered to an anonymous caller where it is public, else UNAUTHENTICATED."""
    request = {**BUYERS, **ORGANIZERS, **PUBLIC}.get(rpc, {})
    if rpc in PUBLIC:
        http, grpc = await world.both(rpc, request, "nobody")
        assert (http.code, grpc.code) == ("OK", "OK"), (http, grpc)
        assert ROUTES[rpc].access == options_pb2.ACCESS_PUBLIC
        return
    request = request or {"event_id": "$event", "event": event_body()}
    names = ROUTES[rpc].request_class.DESCRIPTOR.fields_by_name
    async with world.untouched():
        http, grpc = await world.both(rpc, {name: value for name, value in request.items() if name in names}, "nobody")
    told_alike(http, grpc, "UNAUTHENTICATED")


@pytest.mark.parametrize("rpc", DRAFT_READS)
async def test_a_draft_is_its_organizers_own(world: World, rpc: str) -> None:
    """A draft is not found by anybody but its organizer and admins, in the words for an event that is not there."""
    request = world.fill(DRAFT_READS[rpc])
    nothing = await world.http.call(rpc, renamed(request, f"no-{uuid.uuid4().hex}"))
    async with world.untouched(reaches_handler=True):
        for token in (None, world.buyer, organizer(world), world.organizer):
            http, grpc = await world.http.call(rpc, request, token), await world.grpc.call(rpc, request, token)
            told_alike(http, grpc, "NOT_FOUND", "EVENT_NOT_FOUND")
            assert http.words == nothing.words
    for token in (world.drafter, world.admin):
        http, grpc = await world.http.call(rpc, request, token), await world.grpc.call(rpc, request, token)
        assert (http.code, grpc.code) == ("OK", "OK"), (http, grpc)


async def test_a_draft_is_not_sold(world: World) -> None:
    """Nobody but its organizer learns from a hold or an order that there is a draft."""
    async with world.untouched(reaches_handler=True):
        hold = {"event_id": "$draft", "seat_ids": ["A-1-1"]}
        told_alike(*await world.both("TicketService/HoldSeats", hold), "NOT_FOUND", "EVENT_NOT_FOUND")
        order = BUYING | hold
        told_alike(*await world.both("CheckoutService/Checkout", order), "NOT_FOUND", "EVENT_NOT_FOUND")


async def test_a_draft_is_on_nobodys_list(world: World) -> None:
    """ListEvents shows a draft to its organizer alone."""

    async def listed(token: str | None) -> bool:
        page_token = ""
        while True:
            page = await world.http.call("EventService/ListEvents", {"page_size": 100, "page_token": page_token}, token)
            if any(event["event_id"] == world.names["draft"] for event in page.answer["events"]):
                return True
            page_token = page.answer["next_page_token"]
            if not page_token:
                return False

    assert await listed(world.drafter)
    for token in (None, world.buyer, organizer(world)):
        assert not await listed(token)
