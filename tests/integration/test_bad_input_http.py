"""Bad input of the HTTP door's own: bodies, numbers, times, query and methods."""

from __future__ import annotations

import codecs
import gzip
import json

import pytest

from tests.integration.bad_input import BUYING
from tests.integration.doors import Outcome
from tests.integration.modes import normal_mode_only
from tests.integration.world import World, event_body, judge

pytestmark = normal_mode_only("the HTTP door")

HOLDS = "/v1/events/$event/holds"
GOOD = b'{"seat_ids": ["A-2-1"]}'


async def post(world: World, path: str, content: bytes, who: str = "buyer", **more: str | None) -> Outcome:
    headers = [(name.replace("_", "-"), value) for name, value in more.items() if value and name != "content_type"]
    path = path.replace("$event", world.names["event"])
    kind = more.get("content_type", "application/json")
    return await world.http.send("POST", path, world.token(who), content, headers, kind)


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing at all": (b"", 400),
    "broken": (b'{"seat_ids": [', 400),
    "trailing comma": (b'{"seat_ids": ["A-2-1"],}', 400),
    "text after it": (GOOD + b"x", 400),
    "the same name twice": (b'{"seat_ids": ["A-2-1"], "seat_ids": ["A-2-2"]}', 400),
    "a field under both its names": (b'{"seat_ids": ["A-2-1"], "seatIds": ["A-2-2"]}', 400),
    "a list": (b'["A-2-1"]', 400),
    "a number": (b"1", 400),
    "null": (b"null", 400),
    "NaN": (b'{"seat_ids": NaN}', 400),
    "BOM": (codecs.BOM_UTF8 + GOOD, 400),
    "UTF-16": (GOOD.decode().encode("utf-16"), 400),
    "UTF-16 without BOM": (GOOD.decode().encode("utf-16-le"), 400),
    "invalid UTF-8": (b'{"seat_ids": ["\xff\xfe"]}', 400),
    "half a surrogate pair": (b'{"seat_ids": ["\\ud800"]}', 400),
    "escaped NUL": (b'{"seat_ids": ["A-2-1\\u0000"]}', 400),
    "nested 30,000 deep": (b"[" * 30_000 + b"]" * 30_000, 400),
    "objects nested 10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "a number of 60,000 digits": (b'{"seat_ids": ' + b"9" * 60_000 + b"}", 400),
    "100,000 deep, and too large": (b"[" * 100_000, 413),
    "5 MB": (b'{"seat_ids": ["' + b"a" * 5_000_000 + b'"]}', 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_strange_bodies_are_refused(world: World, name: str) -> None:
    """A body that is not one plain JSON object of bounded size is refused before anything is looked up."""
    content, status = BODIES[name]
    async with world.untouched():
        outcome = await post(world, HOLDS, content)
    judge(outcome)
    assert (outcome.code, outcome.http_status, outcome.reason) == ("INVALID_ARGUMENT", status, "INVALID_REQUEST")
    assert outcome.violations


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"title": "' + b"a" * 9_000_000 + b'"}', 413),
        (b'{"a":' * 100_000, 400),
    ],
    ids=["100,000 deep", "9 MB", "broken objects 100,000 deep"],
)
async def test_large_bodies_are_refused_also_where_events_are_made(world: World, content: bytes, status: int) -> None:
    """CreateEvent, which takes 8 MB, refuses more, and what is nested without end."""
    async with world.untouched():
        outcome = await post(world, "/v1/events", content, "organizer")
    judge(outcome)
    assert (outcome.code, outcome.http_status) == ("INVALID_ARGUMENT", status)


@pytest.mark.parametrize(
    ("more", "content"),
    [
        ({"content_type": None}, GOOD),
        ({"content_type": "text/plain"}, GOOD),
        ({"content_type": "application/x-www-form-urlencoded"}, b"seat_ids=A-2-1"),
        ({"content_type": "multipart/form-data; boundary=x"}, b"--x--"),
        ({"content_type": "application/json; charset=utf-16"}, GOOD.decode().encode("utf-16")),
        ({"content_encoding": "gzip"}, gzip.compress(b" " * 20_000_000)),
        ({"content_encoding": "br"}, GOOD),
    ],
    ids=["no type", "text", "form", "multipart", "charset", "gzip bomb", "brotli"],
)
async def test_other_kinds_of_bodies_are_refused(world: World, more: dict[str, str | None], content: bytes) -> None:
    """Only plain application/json is read; a form, which any web page could send, is not."""
    async with world.untouched():
        outcome = await post(world, HOLDS, content, **more)
    judge(outcome)
    assert (outcome.code, outcome.http_status) == ("INVALID_ARGUMENT", 415)


NUMBERS = ['"three"', "true", "1.5", '"1.5"', "2147483648", "9223372036854775807", "1e400", "-1e400", "[1]", "{}", '""']
NUMBER_FIELDS = ["hold_seconds", "max_seats_per_buyer", "row_count", "seats_per_row", "amount_minor"]


@pytest.mark.parametrize("number", NUMBERS)
async def test_what_is_no_number_is_refused_where_a_number_is_meant(world: World, number: str) -> None:
    """Texts, truth values, fractions and numbers out of bounds are refused, and their field is named."""
    async with world.untouched():
        for name in NUMBER_FIELDS:
            if (name, number) == ("amount_minor", "2147483648"):
                continue  # A price that is high, and good.
            event = event_body(
                hold_seconds="@hold_seconds",
                max_seats_per_buyer="@max_seats_per_buyer",
                price_categories=[{"category_id": "std", "title": "x", "amount_minor": "@amount_minor"}],
                sections=[
                    {
                        "section_id": "A",
                        "row_count": "@row_count",
                        "seats_per_row": "@seats_per_row",
                        "category_id": "std",
                    }
                ],
            )
            text = json.dumps(world.fill(event)).replace(f'"@{name}"', number)
            for other in NUMBER_FIELDS:
                text = text.replace(f'"@{other}"', "1")
            outcome = await post(world, "/v1/events", text.encode(), "organizer")
            judge(outcome, name)
            assert outcome.code == "INVALID_ARGUMENT", (name, outcome)
            (field,) = outcome.violations
            # A number that no double holds is refused before the fields are looked at.
            assert field.endswith(name) or field in ("body", "event"), (name, outcome)


@pytest.mark.parametrize(
    "number", ["three", "true", "1.5", "2147483648", "9223372036854775807", "1e400", "", "-1", "0x10"]
)
async def test_what_is_no_number_is_refused_in_the_query(world: World, number: str) -> None:
    """The same in a query parameter."""
    async with world.untouched():
        for path in ("/v1/events/$event/seatmap", "/v1/events"):
            outcome = await world.http.send(
                "GET", f"{world.names['event'].join(path.split('$event'))}?page_size={number}"
            )
            judge(outcome)
            assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["page_size"]), outcome


@pytest.mark.parametrize(
    "field", ["price", "status", "buyer", "paid", "state", "total", "caller", "fingerprint", "made_id"]
)
async def test_a_client_sets_nothing_that_is_ours(world: World, field: str) -> None:
    """Price, status, buyer, paid and the envelope's own fields are no fields of a request."""
    async with world.untouched():
        for path, body in (
            (HOLDS, {"seat_ids": ["A-2-1"]}),
            ("/v1/orders", world.fill(BUYING | {"seat_ids": ["A-2-1"]})),
        ):
            outcome = await post(world, path, json.dumps(body | {field: 1}).encode())
            judge(outcome)
            assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize("amount", ["45.5", '"45.50"', "4.5e-1", "0.1"])
async def test_money_has_no_fractions(world: World, amount: str) -> None:
    """An amount is a whole number of minor units."""
    body = json.dumps(world.fill(event_body())).replace("4500", amount)
    async with world.untouched():
        outcome = await post(world, "/v1/events", body.encode(), "organizer")
    judge(outcome)
    assert list(outcome.violations) == ["event.price_categories[0].amount_minor"]


@pytest.mark.parametrize(
    "text",
    ["0000-00-00", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
     "2030-01-01T23:59:60Z", "2030-02-30T20:00:00Z",
     "2030-01-01T20:00:00", "2030-01-01", "tomorrow", "", "1893528000", "2030-01-01T20:00:00+99:99"],
)  # fmt: skip
async def test_what_is_no_time_is_refused(world: World, text: str) -> None:
    """A time is RFC 3339 with a zone, of the years 1 to 9999, on a day that is there."""
    body = world.fill(event_body(starts_at=text))
    async with world.untouched():
        outcome = await post(world, "/v1/events", json.dumps(body).encode(), "organizer")
    judge(outcome)
    assert (outcome.code, list(outcome.violations)) == ("INVALID_ARGUMENT", ["event.starts_at"])


async def test_a_time_of_another_zone_is_stored_in_utc(world: World) -> None:
    """+14:00 is where it is 2030 first: RFC 3339 and proto3 JSON know it, so it is read as the moment that it is."""
    body = world.fill(event_body(starts_at="2030-01-01T20:00:00+14:00"))
    outcome = await post(world, "/v1/events", json.dumps(body).encode(), "organizer")
    assert (outcome.code, outcome.answer["starts_at"]) == ("OK", "2030-01-01T06:00:00Z")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", HOLDS, 405),
        ("PUT", HOLDS, 405),
        ("TRACE", HOLDS, 405),
        ("DELETE", "/v1/events/$event", 405),
        ("POST", "//v1//orders", 404),
        ("POST", "/v1/orders/", 404),
        ("POST", "/v1/orders%2F", 404),
        ("POST", "/v1/events/../orders", 405),
        ("GET", "/v1/events/../orders", 400),
        ("POST", "/v1/events/$event/holds/../../orders", 404),
        ("GET", "/v1/events/$event:publish", 405),
        ("GET", "/v1/events/$event?a=1&a=2", 400),
        ("GET", "/v1/events/$event?view=1&view=2", 400),
        ("GET", "/v1/events/$event?view=%ff", 400),
        ("GET", "/v1/events/$event?view", 400),
        ("GET", "/v1/events/$event?event_id=other", 400),
        ("GET", "/v1/events/$event?&&&", 400),
        ("GET", "/v1/events/$event?" + "&".join(f"a{number}=1" for number in range(1000)), 400),
        ("GET", "/v1/events/%ff%fe", 400),
        ("GET", "/v1/events/%C0%AE%C0%AE", 400),
        ("GET", "/v1/events/%2e%2e%2fSeatMap", 400),
        ("POST", HOLDS + "?seat_ids=A-2-2", 400),
        ("POST", "/v1/orders?email=b@example.org", 400),
    ],
)
async def test_strange_requests_are_refused(world: World, method: str, path: str, status: int) -> None:
    """Another method, a path with empty or climbing segments, a parameter twice: refused, never guessed at."""
    path = path.replace("$event", world.names["event"])
    async with world.untouched():
        outcome = await world.http.send(method, path, world.buyer, None if method == "GET" else GOOD)
    assert outcome.http_status == status, outcome
    if method != "HEAD":
        judge(outcome)
        assert outcome.code == ("NOT_FOUND" if status == 404 else "INVALID_ARGUMENT")
