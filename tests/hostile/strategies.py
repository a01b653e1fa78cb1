"""Requests made from the proto's descriptors alone: each field good, broken or left out.

A field that is added to the proto is attacked without a change here. Broken values: BADINPUT.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from tests.integration.bad_input import STRANGE_IDS, UNKNOWN_IDS
from tests.integration.doors import ROUTES

MAX_DEPTH: Final = 4
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

TEXTS: Final = [*STRANGE_IDS.values(), *UNKNOWN_IDS.values(), "", "K" * 256, "EURO", "-1", "1e400", "*", "a\r\nb: c"]
NOT_UTF8: Final = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae", b"a\xe9"]
NUMBERS: Final = [0, 1, 2, -1, 999, 10_001, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63)]
FLOATS: Final = [0.0, -1.5, 1e6, 1e300, math.nan, math.inf, -math.inf]
JSON: Final = [None, True, False, "three", 1.5, -1, 2**31, 2**63, 10**400, [], {}, [[]], [None], {"a": 1}, "\ud800"]
TIMES: Final = ["0000-00-00", "10000-01-01T00:00:00Z", "2030-02-30T20:00:00Z", "2030-01-01T23:59:60Z", "2030-01-01"]
METADATA: Final[Sequence[tuple[tuple[str, str | bytes], ...]]] = [
    (),
    (),
    (),
    (("idempotency-key", "k" * 256),),
    (("idempotency-key", "a b"),),
    (("x-nexus-subject", "ann"), ("x-nexus-roles", "admin"), ("x-nexus-caller", "ann")),
    (("traceparent", "00-" + "0" * 32 + "-" + "f" * 16 + "-01"),),
    (("baggage", "a=" + "b" * 4000),),
    (("x-restate-id", "inv_1"), ("content-encoding", "gzip")),
    (("x-trace-bin", b"\x00\xff"),),
]

Known = Mapping[str, Sequence[str]]
"""Values by the field's name that stand for something that is there."""


class Case(NamedTuple):
    """A request as it goes out: `content` is bytes for gRPC, fields for HTTP."""

    rpc: str
    who: str
    content: Any
    metadata: tuple[tuple[str, str | bytes], ...]


def grpc_cases(known: Known, rpcs: Sequence[str] = tuple(ROUTES)) -> st.SearchStrategy[Case]:
    """Give requests as bytes, some of them no message at all."""
    return st.one_of([_case(rpc, _wire_request(ROUTES[rpc].request_class.DESCRIPTOR, known)) for rpc in rpcs])


def http_cases(known: Known, rpcs: Sequence[str] = tuple(ROUTES)) -> st.SearchStrategy[Case]:
    """Give requests as JSON fields."""
    return st.one_of([_case(rpc, _json_message(ROUTES[rpc].request_class.DESCRIPTOR, known, 0)) for rpc in rpcs])


def _case(rpc: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    # Mostly by whoever may: those who may not are refused before a field is looked at.
    mine = "organizer" if rpc.startswith("EventService") else "buyer"
    who = st.sampled_from([mine, mine, mine, mine, "stranger", "nobody", "admin"])
    return st.builds(Case, st.just(rpc), who, content, st.sampled_from(METADATA))


@st.composite
def _wire_request(draw: st.DrawFn, kind: Descriptor, known: Known) -> bytes:
    """Write a message; one in eight is then broken as bytes."""
    data = draw(_wire_message(kind, known, 0))
    if draw(st.integers(0, 7)):
        return data
    place = draw(st.integers(0, len(data)))
    return draw(
        st.sampled_from(
            [data[:place], data[:place] + draw(st.binary(max_size=6)) + data[place:], data + data, b"\x0b" * 50]
        )
    )


@st.composite
def _wire_message(draw: st.DrawFn, kind: Descriptor, known: Known, depth: int) -> bytes:
    parts = []
    for field in kind.fields:
        is_list = field.is_repeated
        times = draw(st.sampled_from([1, 1, 1, 1, 2, 0, 60] if is_list else [1, 1, 1, 1, 1, 0, 2]))
        once = _wire_field(field, known, depth)
        # Sixty of one kind: a long list costs no more choices than a short one.
        parts += [draw(once)] * times if times > 2 else [draw(once) for _ in range(times)]
    if not draw(st.integers(0, 7)):
        parts.append(tag(draw(st.sampled_from([99, 19_000, 536_870_911])), BYTES) + sized(b"price=1"))
    if not draw(st.integers(0, 7)):
        parts.reverse()
    return b"".join(parts)


@st.composite
def _wire_field(draw: st.DrawFn, field: FieldDescriptor, known: Known, depth: int) -> bytes:
    if not draw(st.integers(0, 19)):
        kind, value = draw(st.sampled_from([(VARINT, varint(5)), (FIXED32, b"abcd"), (FIXED64, b"abcdefgh"), (7, b"")]))
        return tag(field.number, kind) + value
    if field.message_type is not None:
        inner = b"" if depth >= MAX_DEPTH else draw(_wire_message(field.message_type, known, depth + 1))
        return tag(field.number, BYTES) + sized(inner)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        text = draw(
            st.one_of(*[_good(field, known).map(str.encode)] * 3, st.sampled_from(TEXTS).map(_encoded), _wild())
        )
        return tag(field.number, BYTES) + sized(text)
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return tag(field.number, FIXED64) + struct.pack("<d", draw(st.sampled_from(FLOATS)))
    return tag(field.number, VARINT) + varint(
        draw(st.one_of(st.just(1), st.sampled_from(NUMBERS), st.integers(0, 300)))
    )


def _wild() -> st.SearchStrategy[bytes]:
    return st.one_of(st.sampled_from(NOT_UTF8), st.text(max_size=20).map(_encoded), st.binary(max_size=20))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _good(field: FieldDescriptor, known: Known) -> st.SearchStrategy[str]:
    return st.sampled_from(list(known.get(field.name, ("x",))))


@st.composite
def _json_message(draw: st.DrawFn, kind: Descriptor, known: Known, depth: int) -> dict[str, Any]:
    fields = {}
    for field in kind.fields:
        if draw(st.integers(0, 6)):
            value = _json_value(field, known, depth)
            fields[field.name] = (
                [draw(value) for _ in range(draw(st.integers(0, 2)))] if field.is_repeated else draw(value)
            )
    if not draw(st.integers(0, 7)):
        fields[draw(st.sampled_from(["price", "caller", "", "__proto__", "seatIds", "a" * 300]))] = 1
    return fields


def _json_value(field: FieldDescriptor, known: Known, depth: int) -> st.SearchStrategy[Any]:
    strange = st.sampled_from([*JSON, *TIMES])
    kind = field.message_type
    if kind is not None and kind.full_name == "google.protobuf.Timestamp":
        return st.one_of(st.just("2030-01-01T20:00:00Z"), strange)
    if kind is not None and kind.full_name == "google.protobuf.FieldMask":
        return st.one_of(st.just("title"), st.sampled_from(TEXTS), strange)
    if kind is not None:
        # The message that a path needs a field of stays an object: else there is no path to send it to.
        inner = st.just({}) if depth >= MAX_DEPTH else _json_message(kind, known, depth + 1)
        return inner if field.name == "event" else st.one_of(inner, inner, inner, strange)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.one_of(*[_good(field, known)] * 4, st.sampled_from(TEXTS), strange, st.text(max_size=20))
    return st.one_of(st.just(1), st.sampled_from(NUMBERS), strange)


def tag(number: int, kind: int) -> bytes:
    """Write a field's tag."""
    return varint(number << 3 | kind)


def sized(content: bytes) -> bytes:
    """Put its length before some content."""
    return varint(len(content)) + content


def varint(value: int) -> bytes:
    """Write a number as protobuf does; one below zero as 64 bits."""
    value %= 2**64
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
