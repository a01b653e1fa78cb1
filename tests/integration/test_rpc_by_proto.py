"""The proto is the routing table: an RPC that maps to one handler is served by its options alone.

The RPCs are those of SCRATCH_PROTO, which the gateway's code knows nothing of.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.gateway.gen.nexus.v1 import common_pb2, ticket_pb2
from services.gateway.routes import further_files
from tests.integration.booking import Hall, OpenHall, refusal
from tests.integration.modes import normal_mode_only
from tests.integration.second_gateway import SecondGateway

pytestmark = normal_mode_only("the gateway's routes")

SERVICE = "/scratch.v1.SeatService"


def message(second_gateway: SecondGateway, name: str, **fields: Any) -> Message:
    """Make a request of the scratch proto."""
    files = further_files(second_gateway.descriptors.read_bytes())
    found = files[0] if files else _known[0]
    _known[:] = [found]
    return GetMessageClass(found.message_types_by_name[name])(**fields)


_known: list[Any] = []


async def rpc(address: str, method: str, request: Message, answer: type[Message], token: str = "") -> Any:
    """Call a unary RPC."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return await call(request, metadata=metadata, timeout=60)


async def test_an_added_read_is_served_at_both_doors(open_hall: OpenHall, second_gateway: SecondGateway) -> None:
    """An RPC that the proto routes to Ticket.get shows the ticket over gRPC and HTTP, to anyone."""
    hall = await open_hall()
    await hall.held(hall.buyer(), "A-1-1")
    request = message(second_gateway, "LookAtSeatRequest", event_id=hall.event_id, seat_id="A-1-1")
    ticket = await rpc(second_gateway.grpc_address, "LookAtSeat", request, ticket_pb2.Ticket)
    assert (ticket.seat_id, ticket.status, ticket.revision) == ("A-1-1", common_pb2.SEAT_STATUS_HELD, 1)
    answer = await second_gateway.call("GET", f"/v1/scratch/{hall.event_id}/seats/A-1-1")
    assert answer.json == (await hall.ticket("A-1-1")).json
    unknown = await second_gateway.call("GET", f"/v1/scratch/{hall.event_id}/seats/A-9-9")
    assert refusal(unknown) == (404, "SEAT_NOT_FOUND")


async def test_an_added_change_keeps_every_rule_of_its_options(
    open_hall: OpenHall, second_gateway: SecondGateway
) -> None:
    """Access, bounds of fields, the caller in the key and idempotency come from the options."""
    hall = await open_hall()
    buyer = hall.buyer()
    request = message(second_gateway, "TakeSeatsRequest", event_id=hall.event_id, seat_ids=["A-1-1"], request_id="one")
    hold = await rpc(second_gateway.grpc_address, "TakeSeats", request, ticket_pb2.Hold, buyer)
    assert await hall.state(buyer, {"hold_id": hold.hold_id}) == "OPEN"
    path = f"/v1/scratch/{hall.event_id}:take"
    again = await second_gateway.call("POST", path, buyer, {"seat_ids": ["A-1-1"], "request_id": "one"})
    assert (again.status, again.json["hold_id"]) == (200, hold.hold_id)
    reused = await second_gateway.call("POST", path, buyer, {"seat_ids": ["A-1-2"], "request_id": "one"})
    assert refusal(reused) == (409, "REQUEST_REUSED")
    for body in ({"seat_ids": []}, {"seat_ids": ["A-1-2", "A-1-2"]}, {"seat_ids": ["A-1-2", "A-1-3", "A-1-4"]}):
        assert refusal(await second_gateway.call("POST", path, buyer, body)) == (400, "INVALID_REQUEST")
    assert refusal(await second_gateway.call("POST", path, None, {"seat_ids": ["A-1-2"]})) == (401, "UNAUTHENTICATED")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rpc(second_gateway.grpc_address, "TakeSeats", request, ticket_pb2.Hold)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_added_rpc_is_described(second_gateway: SecondGateway) -> None:
    """The OpenAPI document of the gateway has the new paths."""
    document = (await second_gateway.call("GET", "/openapi.json")).json
    assert "get" in document["paths"]["/v1/scratch/{event_id}/seats/{seat_id}"]
    assert "post" in document["paths"]["/v1/scratch/{event_id}:take"]


async def test_an_rpc_that_was_not_added_is_unknown(open_hall: OpenHall, second_gateway: SecondGateway) -> None:
    """A gateway that was not told of the proto serves none of it."""
    hall: Hall = await open_hall()
    answer = await hall.client.call("GET", f"/v1/scratch/{hall.event_id}/seats/A-1-1")
    assert answer.status == 404
    request = message(second_gateway, "LookAtSeatRequest", event_id=hall.event_id, seat_id="A-1-1")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rpc(hall.client.stack.grpc_address, "LookAtSeat", request, ticket_pb2.Ticket)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
