"""Bad input of the gRPC door's own: bytes that are no message, metadata, deadlines, and HTTP/2 that is hardly gRPC."""

from __future__ import annotations

import math
import struct

import pytest

from services.gateway.gen.nexus.v1 import event_pb2, ticket_pb2
from tests.integration.bad_input import BUYING
from tests.integration.doors import framed, raw_grpc, wire
from tests.integration.modes import normal_mode_only
from tests.integration.world import World, event_body, judge

pytestmark = normal_mode_only("the gRPC door")

HOLD, TICKET = "TicketService/HoldSeats", "TicketService/GetTicket"
CREATE = "EventService/CreateEvent"


def hold(world: World, *seat_ids: str) -> bytes:
    return wire(HOLD, {"event_id": world.names["event"], "seat_ids": list(seat_ids or ("A-2-1",))})


def field(number: int, content: bytes) -> bytes:
    """Write a field with a length."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


NO_MESSAGES = {
    "truncated": b"\x0a\x10demo",
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x07demo",
    "a length of 2^64-1": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a varint without end": b"\x08" + b"\xff" * 20,
    "field number zero": b"\x00\x01",
    "wire type 7": b"\x0f\x01",
    "an open group": b"\x0b" * 1000,
    "invalid UTF-8": field(1, b"\xff\xfe") + field(2, b"A-2-1"),
    "half a surrogate pair": field(1, b"\xed\xa0\x80") + field(2, b"A-2-1"),
    "overlong dots": field(1, b"\xc0\xae\xc0\xae") + field(2, b"A-2-1"),
    "JSON": b'{"event_id": "demo"}',
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("name", NO_MESSAGES)
async def test_what_is_no_message_is_refused(world: World, name: str) -> None:
    """Bytes that are no message of the request's type are refused in our own words, not the library's."""
    async with world.untouched():
        outcome = await world.grpc.call(HOLD, NO_MESSAGES[name], world.buyer)
    judge(outcome)
    assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["request"]), outcome


async def test_a_field_of_another_wire_type_is_as_if_it_were_not_there(world: World) -> None:
    """A number where a text belongs is an unknown field to protobuf, and the text is missing."""
    async with world.untouched():
        outcome = await world.grpc.call(HOLD, b"\x08\x05" + field(2, b"A-2-1"), world.buyer)
    judge(outcome)
    assert outcome.violations == {"event_id": "must be set"}


async def test_unknown_fields_are_accepted_and_go_nowhere(world: World) -> None:
    """A newer client's fields, and somebody's own price, buyer or caller, change nothing of what is done."""
    more = field(99, b"price=1") + field(536_870_911, b"buyer=mallory") + b"\xc8\x06\x01"
    plain = await world.grpc.call(HOLD, hold(world, "A-2-9") + field(3, b"unknown-fields"), world.buyer)
    outcome = await world.grpc.call(HOLD, hold(world, "A-2-9") + field(3, b"unknown-fields") + more, world.buyer)
    assert plain.code == "OK"
    assert outcome.answer == plain.answer, "unknown fields made it another request"
    assert outcome.answer["total"]["amount_minor"] == "4500"


@pytest.mark.parametrize("value", [999, -1, 2**31 - 1])
async def test_an_unknown_enum_value_is_refused(world: World, value: int) -> None:
    """proto3 lets a client send any number where an enum stands."""
    data = event_pb2.GetEventRequest(event_id=world.names["event"])
    raw = data.SerializeToString() + b"\x10" + _varint(value % 2**64)
    async with world.untouched():
        outcome = await world.grpc.call("EventService/GetEvent", raw)
    judge(outcome)
    assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["view"])


async def test_both_sides_of_the_choice_are_refused(world: World) -> None:
    """A hold and seats, given in one message or as two halves that protobuf merges, are refused."""
    one = wire("CheckoutService/Checkout", world.fill(BUYING | {"hold_id": "$hold"}))
    other = wire("CheckoutService/Checkout", {"seat_ids": ["A-2-1"]})
    async with world.untouched():
        for raw in (one + other, other + one):
            outcome = await world.grpc.call("CheckoutService/Checkout", raw, world.buyer)
            judge(outcome)
            assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["hold_id"])


@pytest.mark.parametrize("value", [2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1])
async def test_numbers_beyond_their_type_are_refused(world: World, value: int) -> None:
    """A number that does not fit is cut by protobuf; what is left of these is out of bounds."""
    raw = field(1, world.names["event"].encode()) + b"\x18" + _varint(value)
    async with world.untouched():
        outcome = await world.grpc.call("SeatMapService/GetSeatMap", raw)
    judge(outcome)
    assert list(outcome.violations) == ["page_size"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
async def test_places_are_finite(world: World, value: float) -> None:
    """NaN and the infinities, which JSON cannot send, are no places on a plan."""
    seat = field(1, b"s-1") + field(2, b"std") + b"\x19" + struct.pack("<d", value)
    section = field(1, b"S") + field(3, field(1, b"1") + field(2, seat))
    plain = wire(CREATE, {"event": world.fill(event_body(sections=[]))})
    async with world.untouched():
        outcome = await world.grpc.call(CREATE, plain + field(1, field(11, section)), world.organizer)
    judge(outcome)
    assert list(outcome.violations) == ["event.sections[0].rows[0].seats[0].x"]


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(-62_135_596_801, 0), (253_402_300_800, 0), (253_402_300_799, 999_999_500), (2**63 - 1, 0), (0, -1), (0, 10**9)],
)
async def test_times_out_of_bounds_are_refused(world: World, seconds: int, nanos: int) -> None:
    """Year 0, year 10000 and nanoseconds of more than a second are no times."""
    request = event_pb2.CreateEventRequest.FromString(wire(CREATE, {"event": world.fill(event_body())}))
    request.event.starts_at.seconds, request.event.starts_at.nanos = seconds, nanos
    async with world.untouched():
        outcome = await world.grpc.call(CREATE, request.SerializeToString(), world.organizer)
    judge(outcome)
    assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["event.starts_at"])


@pytest.mark.parametrize(
    ("rpc", "size", "code"),
    [
        (HOLD, 65_537, "INVALID_ARGUMENT"),
        (HOLD, 5_000_000, "INVALID_ARGUMENT"),
        (CREATE, 9_000_000, "RESOURCE_EXHAUSTED"),
    ],
)
async def test_large_messages_are_refused(world: World, rpc: str, size: int, code: str) -> None:
    """64 kB a message, 8 MB where events are made: more is refused, by the transport itself where it can be."""
    async with world.untouched():
        outcome = await world.grpc.call(rpc, field(1, b"a" * size), world.organizer)
    judge(outcome)
    assert outcome.code == code


async def test_an_event_must_be_there(world: World) -> None:
    """CreateEvent without its event names it."""
    async with world.untouched():
        outcome = await world.grpc.call(CREATE, b"", world.organizer)
    judge(outcome)
    assert dict(outcome.violations) == {"event": "must be set"}


async def test_too_much_metadata_is_refused(world: World) -> None:
    """A thousand entries, or one of 20 kB, are refused by the transport."""
    async with world.untouched():
        for metadata in ([(f"x-{number}", "v") for number in range(1000)], [("x-long", "v" * 20_000)]):
            outcome = await world.grpc.call(HOLD, hold(world), world.buyer, metadata)
            judge(outcome)
            assert outcome.code == "RESOURCE_EXHAUSTED"


async def test_an_idempotency_key_out_of_bounds_is_refused(world: World) -> None:
    """An empty key is no key, and one of 256 characters is too long."""
    async with world.untouched():
        for key in ("", "k" * 256, "a b"):
            outcome = await world.grpc.call(HOLD, hold(world), world.buyer, [("idempotency-key", key)])
            judge(outcome)
            assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["request_id"]), key


async def test_a_far_deadline_is_accepted(world: World) -> None:
    """Ten years are a deadline like any other."""
    request = {"event_id": world.names["event"], "seat_id": "A-3-9"}
    outcome = await world.grpc.call(TICKET, request, seconds=315_360_000)
    assert (outcome.code, outcome.answer["status"]) == ("OK", "SEAT_STATUS_AVAILABLE")


async def test_a_deadline_that_has_passed_does_nothing(world: World) -> None:
    """A good request with a nanosecond left is DEADLINE_EXCEEDED, and no seat is held by it."""
    headers = [(b"authorization", f"Bearer {world.buyer}".encode()), (b"grpc-timeout", b"1n")]
    async with world.untouched():
        found = await raw_grpc(world.behind.stack.grpc_address, f"/nexus.v1.{HOLD}", headers, framed(hold(world)))
    assert found.get("grpc-status") == "4", found


RAW = {
    "deadline of ten years": ([(b"grpc-timeout", b"87600H")], {"3"}),
    "no deadline": ([(b"grpc-timeout", b"soon")], {"13"}),
    "key not ASCII": ([(b"idempotency-key", b"schl\xc3\xbcssel")], {"3"}),
    "key with CR/LF": ([(b"idempotency-key", b"a\r\nb: c")], {"3"}),
    "key with NUL": ([(b"idempotency-key", b"a\0b")], {"3"}),
    # grpc's own core refuses these as INTERNAL before any code of ours is asked; there is no option for it.
    "-bin with bad base64": ([(b"x-trace-bin", b"!!! no base64 !!!")], {"3", "13"}),
    "unknown compression": ([(b"grpc-encoding", b"zstd")], {"12", "13"}),
    "authorization not ASCII": ([(b"authorization", b"Bearer \xff\xfe")], {"16"}),
    "authorization twice": ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], {"16"}),
    "authorization of 10 kB": ([(b"authorization", b"Bearer " + b"a" * 10_000)], {"16", "8"}),
}
"""Headers, and the gRPC status that a request that lacks its seats is then refused with."""


@pytest.mark.parametrize("name", RAW)
async def test_headers_that_no_client_library_sends(world: World, name: str) -> None:
    """Metadata out of bounds is refused, or ignored where nobody reads it; the door answers in any case."""
    headers, statuses = RAW[name]
    token = [] if "authorization" in name else [(b"authorization", f"Bearer {world.buyer}".encode())]
    data = ticket_pb2.HoldSeatsRequest(event_id=world.names["event"]).SerializeToString()
    async with world.untouched():
        address = world.behind.stack.grpc_address
        found = await raw_grpc(address, f"/nexus.v1.{HOLD}", [*token, *headers], framed(data))
    assert found.get("grpc-status") in statuses, found


FRAMES = {
    "a length of 2 GiB": b"\0\x80\0\0\0abc",
    "a length of 4 GiB": b"\0\xff\xff\xff\xffabc",
    "a length and nothing else": b"\0\0\0\0\x05",
    "half a prefix": b"\0\0",
    "nothing": b"",
    "compressed with nothing": b"\x01\0\0\0\x03abc",
    "a flag of 255": b"\xff\0\0\0\x03abc",
    "two messages": framed(b"\x0a\x01e") * 2,
}


@pytest.mark.parametrize("name", FRAMES)
async def test_frames_that_are_no_message_are_refused(world: World, name: str) -> None:
    """A length prefix that lies is refused without waiting for what it promises, and without taking room for it."""
    headers = [(b"authorization", f"Bearer {world.buyer}".encode())]
    async with world.untouched():
        found = await raw_grpc(world.behind.stack.grpc_address, f"/nexus.v1.{HOLD}", headers, FRAMES[name])
    assert found.get("grpc-status") in ("3", "8", "13"), found


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nexus.v1.TicketService/",
        "/nexus.v1.TicketService/Reserve",
        "//nexus.v1.TicketService//HoldSeats",
        "/x" * 2000,
    ],
)
async def test_there_is_no_other_method(world: World, path: str) -> None:
    """Handlers of Restate are no methods of the door."""
    headers = [(b"authorization", f"Bearer {world.buyer}".encode())]
    async with world.untouched():
        found = await raw_grpc(world.behind.stack.grpc_address, path, headers, framed(hold(world)))
    assert found.get("grpc-status") == "12", found
