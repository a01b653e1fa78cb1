"""What the gateway refuses by the rules in the proto, before anything reaches Restate."""

from __future__ import annotations

import math

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidRequestError, PermissionDeniedError, UnauthenticatedError
from services.common.ids import is_id
from services.common.messages import Caller
from services.gateway.admission import Admission
from services.gateway.calls import Call
from services.gateway.gen.nexus.v1 import checkout_pb2, event_pb2, ticket_pb2
from services.gateway.keys import RequestKeys
from services.gateway.routes import load_routes
from services.gateway.validate import MAX_VIOLATIONS, violations_of

ROUTES = load_routes()
KEYS = RequestKeys(b"k" * 32)
ADMISSION = Admission(KEYS)
ANN = Caller("0" * 32)
HOLD = "/nexus.v1.TicketService/HoldSeats"
CHECKOUT = "/nexus.v1.CheckoutService/Checkout"


def hold(**fields: object) -> ticket_pb2.HoldSeatsRequest:
    return ticket_pb2.HoldSeatsRequest(**{"event_id": "gala", "seat_ids": ["A-1-1"], **fields})  # type: ignore[arg-type]


def checkout(**fields: object) -> checkout_pb2.CheckoutRequest:
    known = {"event_id": "gala", "hold_id": "h1", "payment_method": "card_success", "email": "ada@example.org"}
    return checkout_pb2.CheckoutRequest(**{**known, **fields})  # type: ignore[arg-type]


def event(**fields: object) -> event_pb2.CreateEventRequest:
    return event_pb2.CreateEventRequest(event=event_pb2.Event(event_id="gala", **fields))  # type: ignore[arg-type]


def opened(request: Message, name: str, headers: list[str] | None = None, caller: Caller = ANN) -> Call:
    return ADMISSION.open(ROUTES[name], request, caller, idempotency_keys=headers or [], deadline=None, traceparent="")


BAD_IDS = [" ", ".", "..", "../SeatMap", "a/b", "a%2Fb", "\0", "a\0b", "x" * 65, "a\u202eb", "a\u200db", "é", "e\u0301"]
BAD_IDS += ["\uff11\uff12", "😀", "A\n", "-a", "_a", "a:b", "__proto__"]


@pytest.mark.parametrize("text", BAD_IDS)
def test_bad_id_is_refused(text: str) -> None:
    """What is no id is refused wherever an id is meant, and is named by its path."""
    assert list(violations_of(hold(event_id=text))) == ["event_id"]
    assert list(violations_of(hold(seat_ids=["A-1-1", text]))) == ["seat_ids[1]"]


@given(st.text(max_size=70))
def test_only_ids_pass_as_ids(text: str) -> None:
    """A text passes exactly where it is an id."""
    assert (not violations_of(hold(event_id=text))) == is_id(text)


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (hold(event_id=""), "event_id"),
        (hold(seat_ids=[]), "seat_ids"),
        (hold(seat_ids=["a", "a"]), "seat_ids"),
        (hold(seat_ids=[f"s{n}" for n in range(51)]), "seat_ids"),
        (hold(request_id="x" * 256), "request_id"),
        (hold(request_id="a b"), "request_id"),
        (hold(request_id="a\r\nb"), "request_id"),
        (checkout(seat_ids=["A-1-1"]), "hold_id"),
        (checkout(hold_id=""), "hold_id"),
        (checkout(email="ada"), "email"),
        (checkout(email="a@b\r\nbcc: x@y.z"), "email"),
        (checkout(email="a" * 64 + "@" + "b" * 250), "email"),
        (checkout(payment_method="4111 1111"), "payment_method"),
        (event(currency_code="eur"), "event.currency_code"),
        (event(title="a\0b"), "event.title"),
        (event(title="a\u202eb"), "event.title"),
        (event(title="x" * 201), "event.title"),
        (event(hold_seconds=0), "event.hold_seconds"),
        (event(hold_seconds=86_401), "event.hold_seconds"),
        (event(owner="me"), "event.owner"),
        (event(state=event_pb2.EVENT_STATE_ON_SALE), "event.state"),
        (event(sections=[event_pb2.Section(section_id="A", seats_per_row=-1)]), "event.sections[0].seats_per_row"),
        (event(price_categories=[event_pb2.PriceCategory(category_id="c")]), "event.price_categories[0].amount_minor"),
        (event(starts_at=Timestamp(seconds=253402300800)), "event.starts_at"),
        (event(starts_at=Timestamp(nanos=-1)), "event.starts_at"),
        (event_pb2.CreateEventRequest(), "event"),
        (event_pb2.GetEventRequest(event_id="gala", view=999), "view"),  # type: ignore[arg-type]
        (event_pb2.ListEventsRequest(page_size=101), "page_size"),
    ],
)
def test_field_out_of_bounds_is_named(request_: Message, path: str) -> None:
    """Each bound of the proto is kept, and the violation names the field by its path."""
    assert list(violations_of(request_)) == [path]


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1_000_001.0])
def test_no_strange_number_passes(x: float) -> None:
    """A position is a finite number within its range."""
    seat = event_pb2.Seat(seat_id="s", category_id="c", x=x)
    section = event_pb2.Section(section_id="A", rows=[event_pb2.Row(row_id="1", seats=[seat])])
    assert list(violations_of(event(sections=[section]))) == ["event.sections[0].rows[0].seats[0].x"]


def test_good_requests_pass() -> None:
    """What is within bounds is not refused."""
    seats = [event_pb2.Seat(seat_id="s", category_id="c", x=0.0, y=-5.5)]
    good = event(
        title="Gala: été 🎭",
        currency_code="EUR",
        hold_seconds=1,
        starts_at=Timestamp(seconds=1_900_000_000),
        price_categories=[event_pb2.PriceCategory(category_id="c", amount_minor=0)],
        sections=[event_pb2.Section(section_id="A", rows=[event_pb2.Row(row_id="1", seats=seats)])],
    )
    assert not violations_of(good)
    assert not violations_of(hold(request_id="x" * 255))
    assert not violations_of(checkout())


def test_violations_are_bounded() -> None:
    """A thousand bad fields make an answer of bounded size."""
    bad = [event_pb2.PriceCategory(category_id="!") for _ in range(100)]
    assert len(violations_of(event(price_categories=bad))) == MAX_VIOLATIONS


def test_caller_is_looked_at_before_the_fields() -> None:
    """Who may not call learns nothing about the request."""
    with pytest.raises(UnauthenticatedError):
        ADMISSION.check(opened(hold(event_id=""), HOLD, caller=Caller()))
    with pytest.raises(PermissionDeniedError):
        ADMISSION.check(opened(event(owner="me"), "/nexus.v1.EventService/CreateEvent"))


def test_empty_id_in_a_key_is_refused() -> None:
    """An id that the rules leave open may still not be empty in an object key."""
    request = event_pb2.UpdateEventRequest(event=event_pb2.Event(title="New"))
    with pytest.raises(InvalidRequestError) as refused:
        ADMISSION.check(opened(request, "/nexus.v1.EventService/UpdateEvent", caller=Caller("0" * 32, ["organizer"])))
    assert list(refused.value.violations) == ["event.event_id"]


@pytest.mark.parametrize(
    ("field", "headers", "is_good"),
    [
        ("", ["k1"], True),
        ("k1", ["k1"], True),
        ("k1", [], True),
        ("k1", ["k2"], False),
        ("", [""], False),
        ("", ["a", "b"], False),
        ("", ["é"], False),
        ("", ["x" * 256], False),
    ],
)
def test_idempotency_key_fills_request_id(field: str, headers: list[str], is_good: bool) -> None:
    """The header stands for request_id, and may not say another one."""
    call = opened(hold(request_id=field), HOLD, headers)
    if is_good:
        ADMISSION.check(call)
        assert call.request_id == "k1"
    else:
        with pytest.raises(InvalidRequestError) as refused:
            ADMISSION.check(call)
        assert list(refused.value.violations) == ["request_id"]


def test_made_id_is_the_same_for_the_same_request_id() -> None:
    """(caller, RPC, request_id) make one order id; without request_id it is a new one each time."""
    first, second = (opened(checkout(request_id="r"), CHECKOUT) for _ in range(2))
    other = opened(checkout(request_id="r"), CHECKOUT, caller=Caller("1" * 32))
    assert first.made_id == second.made_id == first.key
    assert other.made_id != first.made_id
    assert first.is_repeatable
    random, another = (opened(checkout(), CHECKOUT) for _ in range(2))
    assert random.made_id != another.made_id
    assert is_id(random.made_id)
    assert not random.is_repeatable
    assert opened(checkout(order_id="mine"), CHECKOUT).made_id == "mine"


def test_fingerprint_knows_the_request() -> None:
    """What a repeat may change does not count; anything else does, personal data included."""
    prints = {name: KEYS.fingerprint(ROUTES[CHECKOUT], request) for name, request in {
        "first": checkout(order_id="o1", request_id="a"),
        "repeat": checkout(order_id="o2", request_id="b", **{"async": True}),
        "other seat": checkout(hold_id="h2"),
        "other address": checkout(email="bob@example.org"),
    }.items()}  # fmt: skip
    assert prints["first"] == prints["repeat"]
    assert len(set(prints.values())) == 3
    assert RequestKeys(b"x" * 32).fingerprint(ROUTES[CHECKOUT], checkout()) not in prints.values()
