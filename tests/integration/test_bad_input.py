"""Bad input that both doors can be sent: refused with the same words, and nothing is changed by it."""

from __future__ import annotations

import uuid

import pytest

from tests.integration.bad_input import BUYING, CASES, MADE_PLACES, PLACES, STRANGE_IDS, UNKNOWN_IDS, Case, Place
from tests.integration.doors import Outcome
from tests.integration.world import World, judge


def same(case: str, http: Outcome, rpc: Outcome) -> None:
    judge(http, case)
    judge(rpc, case)
    assert http.words == rpc.words, case


def with_id(place: Place, text: str) -> dict[str, object]:
    def put(value: object) -> object:
        if isinstance(value, dict):
            return {name: put(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [put(inner) for inner in value]
        return text if value == "$id" else value

    return {name: put(value) for name, value in place.request.items()}


@pytest.mark.parametrize("name", STRANGE_IDS)
async def test_what_is_no_id_is_refused_wherever_an_id_stands(world: World, name: str) -> None:
    """A text that is no id is named by its field, in the same words at both doors, and goes nowhere."""
    async with world.untouched():
        for place in [*PLACES, *MADE_PLACES]:
            http, rpc = await world.both(place.rpc, with_id(place, STRANGE_IDS[name]), place.who)
            same(place.rpc, http, rpc)
            assert (http.code, http.reason, list(http.violations)) == (
                "INVALID_ARGUMENT",
                "INVALID_REQUEST",
                [place.field],
            ), place


async def test_an_empty_id_is_refused_wherever_it_is_needed(world: World) -> None:
    """Over gRPC an id that is missing is named; over HTTP there is no such path, or the field is named as well."""
    async with world.untouched():
        for place in PLACES:
            if place.field in ("section_id", "order_id") and "$event" in place.request.values():
                continue  # May be left out.
            http, rpc = await world.both(place.rpc, with_id(place, ""), place.who)
            judge(http, place.rpc)
            judge(rpc, place.rpc)
            assert (rpc.code, list(rpc.violations)) == ("INVALID_ARGUMENT", [place.field])
            assert http.code == "NOT_FOUND" or http.words == rpc.words, place


@pytest.mark.parametrize("name", UNKNOWN_IDS)
async def test_an_id_of_nothing_is_not_found(world: World, name: str) -> None:
    """An id that is well formed and stands for nothing is not found, in the same words at both doors."""
    text = str(world.fill(UNKNOWN_IDS[name])).replace("$EVENT", world.names["event"].upper())
    async with world.untouched(reaches_handler=True):
        for place in PLACES:
            http, rpc = await world.both(place.rpc, with_id(place, text), place.who)
            if place.rpc == "CheckoutService/ListOrders":
                # A buyer has no orders there, whatever there is.
                assert (http.code, rpc.code, http.answer["orders"]) == ("OK", "OK", [])
            else:
                same(place.rpc, http, rpc)
                assert http.code == "NOT_FOUND", (place, http)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_requests_are_refused_alike(world: World, case: Case) -> None:
    """A request out of bounds is refused with its reason, naming its field, and changes nothing."""
    async with world.untouched(reaches_handler=case.reaches_handler):
        http, rpc = await world.both(case.rpc, case.request, case.who)
    same(case.name, http, rpc)
    assert http.reason == case.reason, http
    if case.field:
        assert http.code == "INVALID_ARGUMENT"
        assert case.field in http.violations, http


async def test_a_request_id_stands_for_one_request(world: World) -> None:
    """A request_id used again is the same hold at either door; with another body it is refused at both."""
    buyer, event_id, key = world.hall.buyer(), world.names["event"], uuid.uuid4().hex
    request = {"event_id": event_id, "seat_ids": ["A-3-1"]}
    rpc = "TicketService/HoldSeats"
    first = await world.http.call(rpc, request, buyer, [("idempotency-key", key)])
    again = await world.grpc.call(rpc, request | {"request_id": key}, buyer)
    assert (first.code, again.answer) == ("OK", first.answer)
    async with world.untouched(reaches_handler=True):
        other = request | {"seat_ids": ["A-3-2"]}
        refused = [
            await world.http.call(rpc, other, buyer, [("idempotency-key", key)]),
            await world.grpc.call(rpc, other, buyer, [("idempotency-key", key)]),
        ]
    for outcome in refused:
        judge(outcome)
        assert (outcome.code, outcome.reason) == ("ALREADY_EXISTS", "REQUEST_REUSED")
        assert first.answer["hold_id"] not in outcome.text


async def test_a_request_id_is_its_callers_and_its_rpcs_own(world: World) -> None:
    """The same key by another caller, or at another RPC, is another request: nobody gets another's answer."""
    event_id, key = world.names["event"], uuid.uuid4().hex
    ann, bob = world.hall.buyer(), world.hall.buyer()
    request = {"event_id": event_id, "seat_ids": ["A-3-3"], "request_id": key}
    first = await world.http.call("TicketService/HoldSeats", request, ann)
    assert first.code == "OK"
    refused = await world.grpc.call("TicketService/HoldSeats", request, bob)
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "SEAT_UNAVAILABLE")
    order = BUYING | {"event_id": event_id, "hold_id": first.answer["hold_id"], "request_id": key}
    bought = await world.grpc.call("CheckoutService/Checkout", order, ann)
    assert (bought.code, bought.answer["state"]) == ("OK", "ORDER_STATE_CONFIRMED")
    stolen = await world.http.call("CheckoutService/Checkout", order, bob)
    assert (stolen.code, stolen.reason) == ("NOT_FOUND", "HOLD_NOT_FOUND")


async def test_a_request_id_is_said_once(world: World) -> None:
    """Field and header that differ, and the header twice, are refused in the same words at both doors."""
    request = {"event_id": "$event", "seat_ids": ["A-2-1"], "request_id": "one"}
    async with world.untouched():
        for headers in ([("idempotency-key", "two")], [("idempotency-key", "one"), ("idempotency-key", "one")]):
            http, rpc = await world.both("TicketService/HoldSeats", request, headers=headers)
            same(str(headers), http, rpc)
            assert (http.code, list(http.violations)) == ("INVALID_ARGUMENT", ["request_id"])
