"""Strict JSON and query parameters: what two parsers could read differently is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidRequestError
from services.gateway.body import print_json, read_json, read_query, to_message
from services.gateway.gen.nexus.v1 import checkout_pb2, common_pb2, event_pb2
from services.gateway.routes import load_routes

ROUTES = load_routes()
HOLD = ROUTES["/nexus.v1.TicketService/HoldSeats"]
CREATE = ROUTES["/nexus.v1.EventService/CreateEvent"]
UPDATE = ROUTES["/nexus.v1.EventService/UpdateEvent"]
GET = ROUTES["/nexus.v1.EventService/GetEvent"]
LIST = ROUTES["/nexus.v1.EventService/ListEvents"]


def refused(content: bytes) -> list[str]:
    with pytest.raises(InvalidRequestError) as error:
        to_message(CREATE, {}, read_json(content), [])
    return list(error.value.violations)


@pytest.mark.parametrize(
    "content",
    [
        b'{"title":',
        b'{"title":"a",}',
        b'{"title":"a","title":"b"}',
        b'{"hold_seconds":1,"holdSeconds":2}',
        b'{"sections":[{"title":"a","title":"b"}]}',
        b'\xef\xbb\xbf{"title":"a"}',
        '{"title":"a"}'.encode("utf-16"),
        b'{"title":"\xff"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"title":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"hold_seconds":NaN}',
        b'{"hold_seconds":-Infinity}',
        b'{"hold_seconds":' + b"9" * 5_000 + b"}",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"{} {}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_strange_json_is_refused(content: bytes) -> None:
    """Anything but one JSON object in UTF-8, each name once, is refused as the body."""
    assert refused(content) == ["body"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hold_seconds", "three"),
        ("hold_seconds", True),
        ("hold_seconds", 1.5),
        ("hold_seconds", 2**31),
        ("hold_seconds", [1]),
        ("title", 5),
        ("title", {"a": 1}),
        ("sections", {"a": 1}),
        ("starts_at", "0000-00-00"),
        ("starts_at", "10000-01-01T00:00:00Z"),
        ("starts_at", "2030-01-01T23:59:60Z"),
        ("starts_at", "2030-02-30T00:00:00Z"),
        ("starts_at", "2030-01-01T20:00:00"),
        ("starts_at", "2030-01-01T20:00:00+99:99"),
        ("starts_at", "2030-01-01T20:00:00+1:00"),
        ("starts_at", "2030-1-1T2:0:0Z"),
        ("starts_at", "2030-01-01T20:00:00.\u0663Z"),
        ("starts_at", ""),
        ("starts_at", 5),
        ("paid", True),
    ],
)
def test_wrong_value_names_its_field(field: str, value: object) -> None:
    """A value of the wrong type or form, and a field that there is not, are named by path."""
    assert refused(json.dumps({field: value}).encode()) == [f"event.{field}"]


@pytest.mark.parametrize("name", ["starts_at", "startsAt"])
@pytest.mark.parametrize(
    "text", ["2030-01-01T20:00:00Z", "2030-01-01T20:00:00.123456789+14:00", "0001-01-01T00:00:00Z"]
)
def test_times_of_rfc_3339_are_read(name: str, text: str) -> None:
    """A time has a date, a time and a zone, in both spellings of its field."""
    read: Any = to_message(CREATE, {}, {name: text}, [])
    assert read.event.HasField("starts_at")


def test_number_beyond_a_double_is_refused() -> None:
    """1e400 is no number of ours."""
    assert refused(b'{"hold_seconds":1e400}') == ["event.hold_seconds"]


def test_deep_field_is_named_by_its_path() -> None:
    """The path of a field inside lists says where it is."""
    body = b'{"sections":[{},{"rows":[{"seats":[{"price":1}]}]}]}'
    assert refused(body) == ["event.sections[1].rows[0].seats[0].price"]


def test_words_never_hold_the_value() -> None:
    """What the client wrote, which may be personal, is not repeated."""
    with pytest.raises(InvalidRequestError) as error:
        to_message(CREATE, {}, read_json(b'{"state":"ada@example.org"}'), [])
    assert "ada" not in error.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["title", "sections", "rows", "starts_at", "hold_seconds", "x"]), inner)
        ),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Whatever JSON comes, the answer is a message or a refusal in our words."""
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(
            to_message(CREATE, {}, read_json(json.dumps(value).encode()), []), event_pb2.CreateEventRequest
        )


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Whatever bytes come, the answer is an object or a refusal."""
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(read_json(content), dict)


def test_path_query_and_body_make_one_request() -> None:
    """The path's fields, the query's and the body's end in one message."""
    request: Any = to_message(
        UPDATE, read_query(b"reason=why&update_mask=title,holdSeconds", UPDATE), {"title": "New"}, ["gala"]
    )
    assert (request.event.event_id, request.event.title, request.reason) == ("gala", "New", "why")
    assert list(request.update_mask.paths) == ["title", "hold_seconds"]
    held: Any = to_message(HOLD, {}, {"seat_ids": ["a"], "event_id": "gala"}, ["gala"])
    assert list(held.seat_ids) == ["a"]


def test_path_and_body_must_agree() -> None:
    """An id in the body that is another than the path's is refused."""
    with pytest.raises(InvalidRequestError) as error:
        to_message(HOLD, {}, {"event_id": "other"}, ["gala"])
    assert list(error.value.violations) == ["event_id"]


@pytest.mark.parametrize(("encoded", "value"), [("a%2Fb", "a/b"), ("%20", " "), ("a+b", "a+b"), ("..", "..")])
def test_path_values_are_decoded_once(encoded: str, value: str) -> None:
    """A path's value is percent-decoded after it was found, and a plus is a plus."""
    request: Any = to_message(GET, {}, {}, [encoded])
    assert request.event_id == value


def test_path_value_that_is_no_text_is_refused() -> None:
    """Percent-encoded bytes must be UTF-8."""
    with pytest.raises(InvalidRequestError):
        to_message(GET, {}, {}, ["%ff"])


@pytest.mark.parametrize(
    "query",
    [
        b"nope=1",
        b"page_size=1&page_size=2",
        b"page_size",
        b"page_token=%ff",
        b"page_size=1&&page_token=",
        b"page_token.x=1",
        b"&".join([b"page_token=1"] * 60),
        b"request=1",
        b"\xff=1",
    ],
)
def test_strange_query_is_refused(query: bytes) -> None:
    """Parameters that there are not, and one given twice, are refused."""
    with pytest.raises(InvalidRequestError):
        read_query(query, LIST)


def test_body_and_path_fields_are_no_parameters() -> None:
    """What stands in the body or the path cannot come by the query as well."""
    for query, route in ((b"seat_ids=a", HOLD), (b"event.title=a", CREATE), (b"event_id=a", GET)):
        with pytest.raises(InvalidRequestError):
            read_query(query, route)


@pytest.mark.parametrize("view", ["2", "EVENT_VIEW_FULL", "FULL"])
def test_enum_parameter_by_name_or_number(view: str) -> None:
    """An enum is read by its name and by its number, as proto3 JSON has it."""
    request: Any = to_message(GET, read_query(f"view={view}&page_size=7".encode(), GET), {}, ["gala"])
    assert (request.view, request.page_size) == (event_pb2.EVENT_VIEW_FULL, 7)


@pytest.mark.parametrize("view", ["full", "NOPE", "", "EVENT_VIEW_", "EVENT_VIEW_EVENT_VIEW_FULL"])
def test_refused_enum_parameter_names_the_allowed(view: str) -> None:
    """Whoever wrote a value that there is not is told those that there are, and not what was written."""
    with pytest.raises(InvalidRequestError) as error:
        read_query(f"view={view}".encode(), GET)
    allowed = "UNSPECIFIED, BASIC, FULL, with or without EVENT_VIEW_ before it"
    assert error.value.violations == {"view": f"must be one of {allowed}"}


def test_short_enum_names_are_for_parameters_only() -> None:
    """A JSON body has proto3 JSON's names and no others."""
    with pytest.raises(InvalidRequestError):
        to_message(GET, {}, read_json(b'{"view":"FULL"}'), ["gala"])


def test_answers_are_proto3_json_with_proto_names() -> None:
    """An answer has proto field names, int64 as text, enum values with their prefix, and no gap for a default."""
    order: Message = checkout_pb2.Order(
        order_id="o1",
        state=checkout_pb2.ORDER_STATE_CONFIRMED,
        total=common_pb2.Money(currency_code="EUR", amount_minor=2**53 + 1),
    )
    printed = json.loads(print_json(order))
    assert printed["state"] == "ORDER_STATE_CONFIRMED"
    assert printed["total"] == {"currency_code": "EUR", "amount_minor": str(2**53 + 1)}
    assert printed["seats"] == []
    assert printed["reason"] == ""
    assert "payment" not in printed
