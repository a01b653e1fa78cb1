"""Tickets: the only authority on who has a seat, and what it tells to whom."""

from __future__ import annotations

from tests.integration.behind import Behind
from tests.integration.booking import OpenHall, refusal
from tests.integration.client import Client, sign


async def test_a_ticket_counts_its_changes(open_hall: OpenHall) -> None:
    """The revision grows by one with each change of the seat and by none with a refusal."""
    hall = await open_hall()
    buyer = hall.buyer()
    seen = [(await hall.ticket("A-1-1")).json]
    hold = await hall.held(buyer, "A-1-1")
    seen.append((await hall.ticket("A-1-1")).json)
    assert (await hall.hold(hall.buyer(), "A-1-1")).status == 409
    await hall.release(buyer, hold)
    await hall.become("AVAILABLE", "A-1-1")
    seen.append((await hall.ticket("A-1-1")).json)
    assert (await hall.buy(buyer, "A-1-1")).status == 200
    seen.append((await hall.ticket("A-1-1")).json)
    assert [(ticket["status"].removeprefix("SEAT_STATUS_"), ticket["revision"]) for ticket in seen] == [
        ("AVAILABLE", "0"),
        ("HELD", "1"),
        ("AVAILABLE", "2"),
        ("SOLD", "4"),
    ]
    assert {(ticket["event_id"], ticket["seat_id"]) for ticket in seen} == {(hall.event_id, "A-1-1")}


async def test_a_tickets_order_is_shown_to_its_buyer_and_organizer_only(open_hall: OpenHall) -> None:
    """Who has no part in the sale sees that the seat is SOLD and nothing more."""
    hall = await open_hall()
    buyer = hall.buyer()
    order = await hall.buy(buyer, "A-1-1")
    assert order.json["state"] == "ORDER_STATE_CONFIRMED", order
    admin, other_organizer = (sign(hall.client.stack, f"x-{role}", role) for role in ("admin", "organizer"))
    for token in (buyer, hall.organizer, admin):
        assert (await hall.ticket("A-1-1", token)).json["order_id"] == order.json["order_id"]
    for stranger in (None, hall.buyer(), other_organizer):
        ticket = (await hall.ticket("A-1-1", stranger)).json
        assert (ticket["status"], ticket["order_id"]) == ("SEAT_STATUS_SOLD", "")


async def test_unknown_seats_and_events_have_no_tickets(open_hall: OpenHall, client: Client) -> None:
    """A seat that the layout does not have is SEAT_NOT_FOUND, and asking for it leaves no state."""
    hall = await open_hall()
    for seat_id in ("A-1-99", "B-1-1", "a-1-1", "A-1"):
        assert refusal(await hall.ticket(seat_id)) == (404, "SEAT_NOT_FOUND"), seat_id
    unknown = await client.call("GET", "/v1/events/no-such-event/tickets/A-1-1")
    assert refusal(unknown) == (404, "EVENT_NOT_FOUND")


async def test_publishing_touches_no_ticket(open_hall: OpenHall, behind: Behind) -> None:
    """A Ticket that nobody has touched has no state, and what is stored names its schema."""
    hall = await open_hall()
    assert await behind.states("Ticket", hall.event_id, "") == []
    await hall.held(hall.buyer(), "A-1-1")
    (ticket,) = await behind.states("Ticket", hall.event_id, "")
    assert (ticket["schema_version"], ticket["status"]) == (1, "SEAT_STATUS_HELD")


async def test_no_subject_and_no_address_is_stored_in_the_open(open_hall: OpenHall, behind: Behind) -> None:
    """State and keys hold a buyer's hash, never the name or the mail address."""
    hall = await open_hall()
    buyer = hall.buyer("very-private-name")
    assert (await hall.buy(buyer, "A-1-1")).status == 200
    await hall.held(buyer, "A-1-2")
    rows = await behind.query(
        "SELECT service_key, value_utf8 FROM state "
        f"WHERE value_utf8 LIKE '%{hall.event_id}%' OR service_key LIKE '{hall.event_id}%'"
    )
    assert len(rows) > 5
    assert not [row for row in rows if "very-private-name" in str(row) or "@example" in str(row)]
