"""Holds at the HTTP door: all or none, limits, extensions, repeats, terms that are frozen."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.integration.booking import OpenHall, conflicts, details, moment, refusal, until
from tests.integration.client import Client

EUR = {"currency_code": "EUR"}


async def test_a_hold_names_its_seats_prices_and_times(open_hall: OpenHall) -> None:
    """A hold lists its seats sorted with their prices, adds them up and lives hold_seconds."""
    hall = await open_hall(price=1250, hold_seconds=120)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-3", "A-1-1")
    price = EUR | {"amount_minor": "1250"}
    assert hold["seats"] == [
        {"seat_id": seat_id, "category_id": "std", "price": price, "section_id": "A"} for seat_id in ("A-1-1", "A-1-3")
    ]
    assert hold["total"] == EUR | {"amount_minor": "2500"}
    assert hold["state"] == "HOLD_STATE_OPEN"
    assert hold["event_id"] == hall.event_id
    assert moment(hold["expires_at"]) - moment(hold["created_at"]) == timedelta(seconds=120)
    assert (await hall.look(buyer, hold)).json == hold
    assert await hall.statuses("A-1-1", "A-1-2", "A-1-3") == ["HELD", "AVAILABLE", "HELD"]


async def test_hold_ids_cannot_be_guessed(open_hall: OpenHall) -> None:
    """Two holds of one buyer have ids of 128 bits that have nothing in common."""
    hall = await open_hall()
    buyer = hall.buyer()
    ids = [(await hall.held(buyer, seat_id))["hold_id"].split("-")[1] for seat_id in ("A-1-1", "A-1-2")]
    assert [len(text) for text in ids] == [32, 32]
    assert sum(a == b for a, b in zip(*ids, strict=True)) < 12


async def test_several_seats_are_held_all_or_none(open_hall: OpenHall) -> None:
    """A refused hold leaves every seat as it was and names every conflict with its status."""
    hall = await open_hall()
    await hall.held(hall.buyer(), "A-1-2")
    assert (await hall.buy(hall.buyer(), "A-1-4")).status == 200
    assert (await hall.do("/seats:block", {"seat_ids": ["A-1-6"]})).status == 200
    answer = await hall.hold(hall.buyer(), *(f"A-1-{number}" for number in range(1, 8)))
    assert conflicts(answer) == {"A-1-2": "HELD", "A-1-4": "SOLD", "A-1-6": "BLOCKED"}
    await hall.become("AVAILABLE", "A-1-1", "A-1-3", "A-1-5", "A-1-7")
    assert await hall.statuses("A-1-2", "A-1-4", "A-1-6") == ["HELD", "SOLD", "BLOCKED"]


async def test_a_refused_hold_leaves_no_trace_with_its_buyer(open_hall: OpenHall) -> None:
    """Seats that were refused do not count towards the buyer's limit."""
    hall = await open_hall(max_seats_per_buyer=2)
    await hall.held(hall.buyer(), "A-1-2")
    buyer = hall.buyer()
    conflicts(await hall.hold(buyer, "A-1-1", "A-1-2"))
    await hall.become("AVAILABLE", "A-1-1")
    await hall.held(buyer, "A-1-1", "A-1-3")


async def test_a_buyer_holds_no_more_than_the_limit(open_hall: OpenHall) -> None:
    """Held and sold seats count towards max_seats_per_buyer, released ones do not."""
    hall = await open_hall(max_seats_per_buyer=3)
    buyer = hall.buyer()
    assert (await hall.buy(buyer, "A-1-1")).status == 200
    hold = await hall.held(buyer, "A-1-2")
    answer = await hall.hold(buyer, "A-1-3", "A-1-4")
    assert refusal(answer) == (429, "BUYER_LIMIT")
    assert details(answer) == {"limit": "3", "held": "1", "sold": "1", "wanted": "2"}
    assert await hall.statuses("A-1-3", "A-1-4") == ["AVAILABLE", "AVAILABLE"]
    assert (await hall.release(buyer, hold)).status == 200
    await hall.held(buyer, "A-1-3", "A-1-4")
    await hall.held(hall.buyer(), "A-1-5", "A-1-6")


async def test_the_limit_holds_for_requests_at_once(open_hall: OpenHall) -> None:
    """Ten requests of one buyer at the same time get no more seats than the limit."""
    hall = await open_hall(max_seats_per_buyer=4)
    buyer = hall.buyer()
    answers = await asyncio.gather(*(hall.hold(buyer, f"A-1-{number}") for number in range(1, 11)))
    assert sum(answer.status == 200 for answer in answers) == 4
    assert {refusal(answer) for answer in answers if answer.status != 200} == {(429, "BUYER_LIMIT")}


async def test_a_released_hold_frees_its_seats_once(open_hall: OpenHall) -> None:
    """Release frees the seats; repeating it changes nothing, not even for the seat's next hold."""
    hall = await open_hall()
    buyer, next_buyer = hall.buyer(), hall.buyer()
    hold = await hall.held(buyer, "A-1-1", "A-1-2")
    released = await hall.release(buyer, hold)
    assert (released.status, released.json["state"]) == (200, "HOLD_STATE_RELEASED")
    await hall.become("AVAILABLE", "A-1-1", "A-1-2")
    newer = await hall.held(next_buyer, "A-1-1")
    assert (await hall.release(buyer, hold)).json == released.json
    assert refusal(await hall.extend(buyer, hold)) == (409, "INVALID_TRANSITION")
    assert await hall.state(next_buyer, newer) == "OPEN"
    assert await hall.status("A-1-1") == "HELD"


async def test_an_expired_hold_is_neither_extended_nor_released(open_hall: OpenHall) -> None:
    """After expires_at a hold shows EXPIRED and refuses with HOLD_EXPIRED."""
    hall = await open_hall(hold_seconds=1)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    await hall.become("AVAILABLE", "A-1-1")
    assert await hall.state(buyer, hold) == "EXPIRED"
    assert refusal(await hall.extend(buyer, hold)) == (410, "HOLD_EXPIRED")
    assert refusal(await hall.release(buyer, hold)) == (410, "HOLD_EXPIRED")
    assert (await hall.buy(buyer, hold_id=hold["hold_id"])).reason == "HOLD_EXPIRED"


async def test_extend_never_passes_three_times_hold_seconds(open_hall: OpenHall) -> None:
    """Extend moves expires_at to now + hold_seconds, at most to created_at + 3 x hold_seconds."""
    hall = await open_hall(hold_seconds=2)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    latest = moment(hold["created_at"]) + timedelta(seconds=6)
    seen = [moment(hold["expires_at"])]

    async def extended_to_the_end() -> bool:
        answer = await hall.extend(buyer, hold)
        assert answer.status == 200, answer
        seen.append(moment(answer.json["expires_at"]))
        return seen[-1] == latest

    await until(extended_to_the_end, "expires_at to reach its maximum", 8)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "each extension moves expires_at a little"
    again = await hall.extend(buyer, hold)
    assert (again.status, moment(again.json["expires_at"])) == (200, latest)
    await hall.become("AVAILABLE", "A-1-1", seconds=8)
    assert await hall.state(buyer, hold) == "EXPIRED"


async def test_the_first_extension_gives_hold_seconds_from_now(open_hall: OpenHall) -> None:
    """An extension moves expires_at by the time that has passed, far from the maximum."""
    hall = await open_hall(hold_seconds=600)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    extended = (await hall.extend(buyer, hold)).json
    gained = moment(extended["expires_at"]) - moment(hold["expires_at"])
    assert timedelta(0) < gained < timedelta(seconds=30)
    assert extended["created_at"] == hold["created_at"]


async def test_a_repeated_request_id_gives_the_same_hold(open_hall: OpenHall) -> None:
    """The same request_id and body is one hold, also as the header; another body is REQUEST_REUSED."""
    hall = await open_hall()
    buyer, other = hall.buyer(), hall.buyer()
    hold = await hall.held(buyer, "A-1-1", request_id="r-1")
    assert await hall.held(buyer, "A-1-1", request_id="r-1") == hold
    assert await hall.held(buyer, "A-1-1", headers={"idempotency-key": "r-1"}) == hold
    reused = await hall.hold(buyer, "A-1-2", request_id="r-1")
    assert refusal(reused) == (409, "REQUEST_REUSED")
    assert hold["hold_id"] not in str(reused.json)
    assert await hall.status("A-1-2") == "AVAILABLE"
    independent = await hall.held(other, "A-1-2", request_id="r-1")
    assert independent["hold_id"] != hold["hold_id"]


async def test_a_repeated_request_id_repeats_the_refusal(open_hall: OpenHall) -> None:
    """A refused request that is repeated gets the same refusal, though the seat is free by then."""
    hall = await open_hall()
    holder, buyer = hall.buyer(), hall.buyer()
    hold = await hall.held(holder, "A-1-1")
    refused = await hall.hold(buyer, "A-1-1", request_id="r-1")
    await hall.release(holder, hold)
    await hall.become("AVAILABLE", "A-1-1")
    assert conflicts(await hall.hold(buyer, "A-1-1", request_id="r-1")) == conflicts(refused)
    assert refusal(await hall.hold(buyer, "A-1-2", request_id="r-1")) == (409, "REQUEST_REUSED")
    await hall.held(buyer, "A-1-1", request_id="r-2")


async def test_parallel_repeats_of_a_request_are_one_hold(open_hall: OpenHall) -> None:
    """Ten times the same request at once is one hold."""
    hall = await open_hall()
    buyer = hall.buyer()
    holds = await asyncio.gather(*(hall.held(buyer, "A-1-1", "A-1-2", request_id="same") for _ in range(10)))
    assert len({hold["hold_id"] for hold in holds}) == 1


async def test_a_hold_keeps_the_price_of_its_time(open_hall: OpenHall) -> None:
    """A price that changes after the hold changes neither the hold nor what is captured for it."""
    hall = await open_hall(price=4500)
    early, late = hall.buyer(), hall.buyer()
    hold = await hall.held(early, "A-1-1")
    changed = await hall.update({"price_categories": [{"category_id": "std", "title": "Dear", "amount_minor": 9900}]})
    assert changed.status == 200, changed
    await hall.in_force()
    assert (await hall.look(early, hold)).json["total"]["amount_minor"] == "4500"
    assert (await hall.held(late, "A-1-2"))["total"]["amount_minor"] == "9900"
    order = await hall.buy(early, hold_id=hold["hold_id"])
    assert order.json["state"] == "ORDER_STATE_CONFIRMED", order
    assert order.json["total"]["amount_minor"] == "4500"
    url = f"{hall.client.stack.payments_url}/ledger"
    async with hall.client.session.get(url, params={"payment_key": order.json["order_id"]}) as ledger:
        entries = (await ledger.json())["entries"]
    assert [entry["amount_minor"] for entry in entries if entry["effect"] == "captured"] == [4500]


async def test_a_hold_keeps_the_hold_seconds_of_its_time(open_hall: OpenHall) -> None:
    """Extending uses the hold_seconds that the hold was made with."""
    hall = await open_hall(hold_seconds=600)
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    assert (await hall.update({"hold_seconds": 5})).status == 200
    await hall.in_force()
    extended = await hall.extend(buyer, hold)
    assert moment(extended.json["expires_at"]) >= moment(hold["expires_at"])
    newer = await hall.held(hall.buyer(), "A-1-2")
    assert moment(newer["expires_at"]) - moment(newer["created_at"]) == timedelta(seconds=5)


async def test_a_buyer_sees_and_touches_only_own_holds(open_hall: OpenHall) -> None:
    """Another buyer's hold is HOLD_NOT_FOUND, whatever one wants with it."""
    hall = await open_hall()
    owner, other = hall.buyer(), hall.buyer()
    hold = await hall.held(owner, "A-1-1")
    for answer in (
        await hall.look(other, hold),
        await hall.extend(other, hold),
        await hall.release(other, hold),
        await hall.buy(other, hold_id=hold["hold_id"]),
        await hall.look(hall.organizer, hold),
    ):
        assert refusal(answer) == (404, "HOLD_NOT_FOUND")
    assert (await hall.look(owner, hold)).json == hold
    assert await hall.status("A-1-1") == "HELD"


async def test_a_hold_is_one_events_own(open_hall: OpenHall) -> None:
    """A hold is not found under another event of the same buyer."""
    hall, other = await open_hall(), await open_hall()
    buyer = hall.buyer()
    hold = await hall.held(buyer, "A-1-1")
    assert refusal(await other.look(buyer, hold)) == (404, "HOLD_NOT_FOUND")
    assert refusal(await other.release(buyer, hold)) == (404, "HOLD_NOT_FOUND")


async def test_what_does_not_exist_is_not_found(open_hall: OpenHall, client: Client) -> None:
    """Unknown event, seats and hold are told apart; unknown seats are named and nothing is held."""
    hall = await open_hall()
    buyer = hall.buyer()
    strange = await client.call("POST", "/v1/events/no-such-event/holds", buyer, {"seat_ids": ["A-1-1"]})
    assert refusal(strange) == (404, "EVENT_NOT_FOUND")
    unknown = await hall.hold(buyer, "A-1-1", "B-1-1", "a-1-1")
    assert refusal(unknown) == (404, "SEAT_NOT_FOUND")
    assert sorted(details(unknown)["seat_ids"].split(",")) == ["B-1-1", "a-1-1"]
    assert await hall.status("A-1-1") == "AVAILABLE"
    for answer in (
        await hall.look(buyer, {"hold_id": "h-0"}),
        await hall.extend(buyer, {"hold_id": "h-0"}),
        await hall.release(buyer, {"hold_id": "h-0"}),
    ):
        assert refusal(answer) == (404, "HOLD_NOT_FOUND")


async def test_holding_needs_a_caller(open_hall: OpenHall) -> None:
    """Nobody holds seats without signing in."""
    hall = await open_hall()
    assert refusal(await hall.hold("", "A-1-1")) == (401, "UNAUTHENTICATED")
    assert await hall.status("A-1-1") == "AVAILABLE"


async def test_fifty_seats_are_one_hold(open_hall: OpenHall) -> None:
    """The largest request holds 50 seats, and gives 50 back."""
    hall = await open_hall(rows=5, seats_per_row=10, max_seats_per_buyer=50)
    buyer = hall.buyer()
    seat_ids = [f"A-{row}-{number}" for row in range(1, 6) for number in range(1, 11)]
    hold = await hall.held(buyer, *seat_ids)
    assert [seat["seat_id"] for seat in hold["seats"]] == sorted(seat_ids)
    assert hold["total"]["amount_minor"] == str(50 * 4500)
    await hall.release(buyer, hold)
    await hall.become("AVAILABLE", *seat_ids)
