"""The table of bad input that both doors refuse alike. Source: BADINPUT.md, whose headings are the lists here.

What only one door can be sent at all is in the tests of that door.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.integration.world import event_body

Json = dict[str, Any]
BUYING = {"event_id": "$event", "payment_method": "card_success", "email": "a@example.org"}
STD = {"category_id": "std", "title": "Standard", "amount_minor": 4500}

STRANGE_IDS = {
    "one space": " ",
    "dot": ".",
    "two dots": "..",
    "path": "../SeatMap",
    "slash": "a/b",
    "encoded slash": "a%2Fb",
    "encoded NUL": "%00",
    "NUL inside": "a\0b",
    "10 kB": "a" * 10_240,
    "65 characters": "a" * 65,
    "right-to-left override": "a\u202eb",
    "zero-width joiner": "a\u200db",
    "NFC": "\u00e9",
    "NFD": "e\u0301",
    "full-width digits": "\uff11\uff12\uff13",
    "emoji": "\U0001f39f",
    "__proto__": "__proto__",
    "trailing newline": "A-1-1\n",
    "colon": "A-1-1:x",
}
"""Texts that are no ids."""

UNKNOWN_IDS = {
    "null": "null",
    "undefined": "undefined",
    "NaN": "NaN",
    "upper-case twin": "$EVENT",
}
"""Texts that are ids, but of nothing that is there."""


class Place(NamedTuple):
    """Where an id stands. `request`: with "$id" in its place; `field`: the violation's path."""

    rpc: str
    request: Json
    field: str
    who: str = "buyer"


PLACES = [
    Place("EventService/GetEvent", {"event_id": "$id"}, "event_id", "nobody"),
    Place("SeatMapService/GetSeatMap", {"event_id": "$id"}, "event_id", "nobody"),
    Place("SeatMapService/GetSeatMap", {"event_id": "$event", "section_id": "$id"}, "section_id", "nobody"),
    Place("SeatMapService/WatchSeatMap", {"event_id": "$id"}, "event_id", "nobody"),
    Place("TicketService/GetTicket", {"event_id": "$event", "seat_id": "$id"}, "seat_id", "nobody"),
    Place("TicketService/HoldSeats", {"event_id": "$id", "seat_ids": ["A-2-1"]}, "event_id"),
    Place("TicketService/HoldSeats", {"event_id": "$event", "seat_ids": ["A-2-1", "$id"]}, "seat_ids[1]"),
    Place("TicketService/GetHold", {"event_id": "$event", "hold_id": "$id"}, "hold_id"),
    Place("TicketService/ReleaseHold", {"event_id": "$event", "hold_id": "$id"}, "hold_id"),
    Place("CheckoutService/GetOrder", {"order_id": "$id"}, "order_id"),
    Place("CheckoutService/CancelOrder", {"order_id": "$id"}, "order_id"),
    Place("CheckoutService/ListOrders", {"event_id": "$id"}, "event_id"),
    Place("CheckoutService/Checkout", BUYING | {"hold_id": "$id"}, "hold_id"),
    Place("EventService/PublishEvent", {"event_id": "$id"}, "event_id", "organizer"),
    Place("EventService/BlockSeats", {"event_id": "$event", "seat_ids": ["$id"]}, "seat_ids[0]", "organizer"),
]
MADE_PLACES = [
    Place("CheckoutService/Checkout", BUYING | {"hold_id": "$hold", "order_id": "$id"}, "order_id"),
    Place("EventService/CreateEvent", {"event": event_body(event_id="$id")}, "event.event_id", "organizer"),
    Place(
        "EventService/CreateEvent",
        {"event": event_body(price_categories=[STD | {"category_id": "$id"}])},
        "event.price_categories[0].category_id",
        "organizer",
    ),
]
"""Where an id is made and not looked for: a well-formed one is always good there."""


class Case(NamedTuple):
    """A bad request. `field`: the violation's path; empty where another `reason` than INVALID_REQUEST is given."""

    name: str
    rpc: str
    request: Json
    field: str = ""
    who: str = "buyer"
    reason: str = "INVALID_REQUEST"
    reaches_handler: bool = False


def _hold(name: str, seat_ids: list[str], field: str = "", **more: Any) -> Case:
    return Case(name, "TicketService/HoldSeats", {"event_id": "$event", "seat_ids": seat_ids}, field, **more)


def _buy(name: str, fields: Json, field: str = "", **more: Any) -> Case:
    return Case(name, "CheckoutService/Checkout", BUYING | fields, field, **more)


def _create(name: str, field: str, *, reaches_handler: bool = False, **fields: Any) -> Case:
    body = {"event": event_body(**fields)}
    return Case(name, "EventService/CreateEvent", body, f"event.{field}", "organizer", reaches_handler=reaches_handler)


def _section(name: str, field: str, **fields: Any) -> Case:
    section = {"section_id": "A", "row_count": 2, "seats_per_row": 10, "category_id": "std"} | fields
    return _create(name, f"sections[0].{field}", sections=[section])


def _page(rpc: str, name: str, field: str, value: object, **more: Any) -> Case:
    return Case(f"{rpc} {name}", rpc, {"event_id": "$event", field: value}, field, **more)


MANY_SEATS = [f"A-{number}" for number in range(10_001)]
SEATS = [
    _hold("empty list", [], "seat_ids"),
    _hold("same seat twice", ["A-2-1", "A-2-1"], "seat_ids"),
    _hold("51 seats", MANY_SEATS[:51], "seat_ids"),
    _hold("10,001 seats", MANY_SEATS, "request"),
    _buy("buy 51 seats", {"seat_ids": MANY_SEATS[:51]}, "seat_ids"),
    _buy("buy 10,001 seats", {"seat_ids": MANY_SEATS}, "request"),
    _buy("buy the same seat twice", {"seat_ids": ["A-2-1", "A-2-1"]}, "seat_ids"),
    Case("block nothing", "EventService/BlockSeats", {"event_id": "$event"}, "seat_ids", "organizer"),
    _hold("another event's seat mixed in", ["A-2-1", "Z-1-1"], reason="SEAT_NOT_FOUND", reaches_handler=True),
    _hold("outside the map", ["A-4-1"], reason="SEAT_NOT_FOUND", reaches_handler=True),
    _hold("lower-case twin", ["a-2-1"], reason="SEAT_NOT_FOUND", reaches_handler=True),
    _hold("blocked seat mixed in", ["A-2-1", "A-1-3"], reason="SEAT_UNAVAILABLE", reaches_handler=True),
    _buy("buy outside the map", {"seat_ids": ["A-4-1"]}, reason="SEAT_NOT_FOUND", reaches_handler=True),
    _buy("buy a blocked seat", {"seat_ids": ["A-1-3"]}, reason="SEAT_UNAVAILABLE", reaches_handler=True),
    _section("rows below zero", "row_count", row_count=-1),
    _section("too many rows", "row_count", row_count=2**31 - 1),
    _section("seats below zero", "seats_per_row", seats_per_row=-1),
    _section(
        "a place beyond the plan",
        "rows[0].seats[0].x",
        rows=[{"row_id": "1", "seats": [{"seat_id": "s", "category_id": "std", "x": 1e300}]}],
    ),
    _page("SeatMapService/GetSeatMap", "page below zero", "page_size", -1, who="nobody"),
    _page("SeatMapService/GetSeatMap", "page too large", "page_size", 10_001, who="nobody"),
    _page("SeatMapService/GetSeatMap", "no page token", "page_token", "AAAA", who="nobody", reaches_handler=True),
    _page("SeatMapService/GetSeatMap", "long page token", "page_token", "A" * 201, who="nobody"),
    _page("SeatMapService/WatchSeatMap", "no resume token", "resume_token", "eJw", who="nobody", reaches_handler=True),
    _page("CheckoutService/ListOrders", "no page token", "page_token", "-1", reaches_handler=True),
    _page("CheckoutService/ListOrders", "page too large", "page_size", 2**31 - 1),
    Case(
        "EventService/GetEvent no page token",
        "EventService/GetEvent",
        {"event_id": "$event", "view": "EVENT_VIEW_FULL", "page_token": "MTIz"},
        "page_token",
        "nobody",
        reaches_handler=True,
    ),
    Case(
        "another event's hold",
        "TicketService/ExtendHold",
        {"event_id": "$other", "hold_id": "$hold"},
        reason="HOLD_NOT_FOUND",
        reaches_handler=True,
    ),
    _buy(
        "buy with another event's hold",
        {"event_id": "$other", "hold_id": "$hold"},
        reason="HOLD_NOT_FOUND",
        reaches_handler=True,
    ),
    Case(
        "another event's section",
        "SeatMapService/GetSeatMap",
        {"event_id": "$event", "section_id": "Z"},
        who="nobody",
        reason="SEAT_NOT_FOUND",
        reaches_handler=True,
    ),
]
MONEY = [
    _create("price below zero", "price_categories[0].amount_minor", price_categories=[STD | {"amount_minor": -1}]),
    _create(
        "price of 2^63-1", "price_categories[0].amount_minor", price_categories=[STD | {"amount_minor": 2**63 - 1}]
    ),
    _create(
        "sum that may overflow",
        "price_categories[0].amount_minor",
        price_categories=[STD | {"amount_minor": 10**12 + 1}],
    ),
    _create("no price", "price_categories[0].amount_minor", price_categories=[{"category_id": "std"}]),
    _create("currency eur", "currency_code", currency_code="eur"),
    _create("currency EURO", "currency_code", currency_code="EURO"),
    _create("empty currency", "currency_code", currency_code="", reaches_handler=True),
    _create("owner set by the client", "owner", owner="me"),
    _create("state set by the client", "state", state="EVENT_STATE_ON_SALE"),
    _create("seats counted by the client", "seat_count", seat_count=1),
    Case(
        "another currency than the event's",
        "EventService/UpdateEvent",
        {"event": {"event_id": "$event", "currency_code": "USD"}},
        who="organizer",
        reason="INVALID_TRANSITION",
        reaches_handler=True,
    ),
    _buy("a hold and seats", {"hold_id": "$hold", "seat_ids": ["A-2-1"]}, "hold_id"),
    _buy("neither hold nor seats", {}, "hold_id"),
    _buy("no payment method", {"hold_id": "$hold", "payment_method": ""}, "payment_method"),
    _buy("payment method with a space", {"hold_id": "$hold", "payment_method": "card success"}, "payment_method"),
    _buy(
        "a card number as payment method", {"hold_id": "$hold", "payment_method": "4111111111111111"}, "payment_method"
    ),
    _buy("a written card number", {"hold_id": "$hold", "payment_method": "4111-1111-1111-1111"}, "payment_method"),
    _buy("no address", {"hold_id": "$hold", "email": "nobody"}, "email"),
    _buy("address with CR/LF", {"hold_id": "$hold", "email": "a@example.org\r\nbcc: b@example.org"}, "email"),
    _buy("long address", {"hold_id": "$hold", "email": f"a@{'b' * 253}"}, "email"),
]
TIMES = [
    # Unset, and therefore the default, unless it is said to be zero.
    _create("no time to hold", "hold_seconds", hold_seconds=0),
    _create("hold below zero", "hold_seconds", hold_seconds=-1),
    _create("hold of ten years", "hold_seconds", hold_seconds=315_360_000),
    _create("no limit per buyer", "max_seats_per_buyer", max_seats_per_buyer=-1),
    _create(
        "sale window inverted",
        "sale_ends_at",
        sale_starts_at="2029-12-31T00:00:00Z",
        sale_ends_at="2029-12-30T00:00:00Z",
        reaches_handler=True,
    ),
    _create("no start", "starts_at", starts_at=None, reaches_handler=True),
]
LAYOUT = [
    _create("title with a control character", "title", title="Ga\x07la"),
    _create("title that turns around", "title", title="Ga\u202ela"),
    _create("long title", "title", title="G" * 201),
    _create("no title", "title", title=None, reaches_handler=True),
    _create("no sections", "sections", sections=[], reaches_handler=True),
    _create("no prices", "price_categories", price_categories=[], reaches_handler=True),
    Case("long reason", "EventService/PauseSales", {"event_id": "$event", "reason": "r" * 201}, "reason", "organizer"),
    Case("view 999", "EventService/GetEvent", {"event_id": "$event", "view": 999}, "view", "nobody"),
    Case(
        "mask of nonsense",
        "EventService/UpdateEvent",
        {"event": {"event_id": "$event", "title": "x"}, "update_mask": "nonsense"},
        "update_mask",
        "organizer",
        reaches_handler=True,
    ),
]
IDEMPOTENCY = [
    Case(f"{name} at {rpc}", rpc, request | {"request_id": text}, "request_id")
    for rpc, request in (
        ("TicketService/HoldSeats", {"event_id": "$event", "seat_ids": ["A-2-1"]}),
        ("CheckoutService/Checkout", BUYING | {"seat_ids": ["A-2-1"]}),
    )
    for name, text in (
        ("256 characters", "k" * 256),
        ("not ASCII", "schl\u00fcssel"),
        ("CR/LF", "a\r\nb"),
        ("a space", "a b"),
        ("NUL", "a\0b"),
    )
]
CASES = [*SEATS, *MONEY, *TIMES, *LAYOUT, *IDEMPOTENCY]
