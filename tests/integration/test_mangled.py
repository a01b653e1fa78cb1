"""Good requests with something broken at random: whatever comes of it, it is an answer of the contract."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.bad_input import BUYING
from tests.integration.booking import OpenHall
from tests.integration.doors import ROUTES, Outcome, http_form, wire
from tests.integration.good_requests import BUYERS, ORGANIZERS, PUBLIC
from tests.integration.modes import normal_mode_only
from tests.integration.world import World, event_body, judge

pytestmark = normal_mode_only("both doors")

ROUNDS = 1_000
STRANGE: list[Any] = [
    *(None, "", " ", "\0", "\u00e9", "x", "9" * 40, "*", "title,title", "A-1-1", "EVENT_STATE_DRAFT"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", 0, -1, 1.5, 2**31, 2**63, float("inf"), True),
    *([], {}, [[]], [None], {"a": 1}, ["A-1-1"] * 60),
]
REQUESTS: dict[str, dict[str, Any]] = {
    **PUBLIC,
    **BUYERS,
    **ORGANIZERS,
    "EventService/CreateEvent": {"event": event_body(), "request_id": "k"},
    "EventService/GetEvent": {"event_id": "$event", "view": 2, "section_id": "A", "page_size": 3, "page_token": "MDow"},
    "TicketService/HoldSeats": {"event_id": "$event", "seat_ids": ["A-1-1"], "request_id": "k"},
    "CheckoutService/Checkout": BUYING | {"seat_ids": ["A-1-2"], "order_id": "$order", "async": True},
    "CheckoutService/ListOrders": {"event_id": "$event", "page_size": 3, "page_token": "MQ"},
}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place of a request: what holds it, and under which name or number."""
    if isinstance(value, dict | list):
        for place in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, place
            yield from places(value[place])


def mangled_fields(chance: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(request) or {"x": ""}
    for _ in range(chance.choice((1, 1, 2, 3))):
        owner, place = chance.choice(list(places(changed)) or [(changed, "x")])
        if chance.random() < 0.7:
            owner[place] = copy.deepcopy(chance.choice(STRANGE))
        elif isinstance(owner, dict):
            owner.pop(place, None)
        else:
            owner.append(copy.deepcopy(owner[place]))
    return changed


def mangled_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place, kind = chance.randrange(len(changed) + 1), chance.random()
        end = place if kind < 0.3 else place + chance.randrange(1, 5)
        changed[place:end] = chance.randbytes(chance.randrange(6)) if kind < 0.9 else changed[place:]
    return bytes(changed)


async def at_http(world: World, chance: random.Random, rpc: str, token: str | None) -> Outcome:
    method, path, body = http_form(ROUTES[rpc], world.fill(REQUESTS[rpc]))
    if not body or chance.random() < 0.2:
        path = "/v1/" + path.removeprefix("/v1/").replace(*mangled_word(chance, path))
    content = None if body is None else json.dumps(mangled_fields(chance, body)).replace("Infinity", "1e400").encode()
    return await world.http.send(method, path, token, content)


def mangled_word(chance: random.Random, path: str) -> tuple[str, str]:
    """Choose a word of a path or query, and what is to stand in its place."""
    return chance.choice(re.findall(r"\w+", path)[1:]), quote(
        str(chance.choice(STRANGE)), safe=chance.choice(("", "/&=?"))
    )


async def at_grpc(world: World, chance: random.Random, rpc: str, token: str | None) -> Outcome:
    return await world.grpc.call(rpc, mangled_bytes(chance, wire(rpc, world.fill(REQUESTS[rpc]))), token)


@pytest.mark.parametrize("door", [at_http, at_grpc])
async def test_no_mangled_request_is_a_fault_of_ours(world: World, open_hall: OpenHall, door: Any) -> None:
    """A thousand broken requests at each door are refused in the contract's words, or turn out to be good ones."""
    hall, chance = await open_hall(), random.Random(7)
    names = world.names | {"event": hall.event_id, "order": f"o-{hall.event_id}"}
    own = dataclasses.replace(world, hall=hall, names=names, buyer=hall.buyer())
    log, seen = world.behind.stack.processes.log_file("gateway"), Counter[str]()
    begin = log.stat().st_size
    for _ in range(ROUNDS):
        rpc = chance.choice(sorted(REQUESTS))
        outcome = await door(own, chance, rpc, hall.organizer if rpc.startswith("EventService") else own.buyer)
        seen[outcome.code] += 1
        if outcome.code != "OK":
            judge(outcome, rpc)
    assert seen["INVALID_ARGUMENT"] > ROUNDS / 4, seen
    with log.open("rb") as lines:
        lines.seek(begin)
        assert b"Traceback" not in lines.read()
