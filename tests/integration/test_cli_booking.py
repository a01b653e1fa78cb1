"""The booking commands of `nexus`, run as a person or a script runs them: what they print and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.cli.local import LocalStack
from services.cli.ports import Ports
from tests.integration.client import PROJECT, Client, NewEvent, Token
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")

REFUSED, USED_WRONGLY, UNREACHABLE, NOT_SIGNED_IN, UNKNOWN_OUTCOME = 1, 2, 3, 4, 5
SECONDS = 60.0


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read stdout as one JSON value; fails where anything else stands there."""
        return json.loads(self.out)


Nexus = Callable[..., Awaitable[Done]]


def environ(stack: LocalStack, home: Path | None = None) -> dict[str, str]:
    """Give the environment in which `nexus` finds the test's stack; with a home without keys nobody is signed in."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return own | {"NEXUS_HOME": str(home or stack.home), "NEXUS_GRPC_PORT": str(stack.ports.grpc_port)}


async def started(env: dict[str, str], *args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *args,
        env=env,
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(env: dict[str, str], *args: str) -> Done:
    child = await started(env, *args)
    out, err = await asyncio.wait_for(child.communicate(), SECONDS)
    return Done(child.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def running(env: dict[str, str], *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await started(env, *args)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
        await child.communicate()


async def line_with(child: asyncio.subprocess.Process, word: str) -> str:
    """Read stdout up to the first line with a word."""
    assert child.stdout is not None
    while True:
        line = (await asyncio.wait_for(child.stdout.readline(), SECONDS)).decode()
        assert line, f"the command ended before it printed {word}"
        if word in line:
            return line


@pytest.fixture
def nexus(stack: LocalStack) -> Nexus:
    """`await nexus("hold", event, seat)`: runs the command against the test's stack."""

    async def run_here(*args: str) -> Done:
        return await run(environ(stack), *args)

    return run_here


@pytest.fixture
def buyer() -> tuple[str, str]:
    """Options that sign in as somebody whom no other test knows."""
    return "--as", f"buyer-{uuid.uuid4().hex[:8]}"


def event_file(folder: Path, **changes: Any) -> tuple[str, str]:
    """Write an event file of 2 x 3 seats; give its path and event id."""
    event_id = f"cli-{uuid.uuid4().hex[:10]}"
    seats = [{"seat_id": f"A-1-{number}", "category_id": "std", "x": number * 0.5, "y": 4} for number in (1, 2, 3)]
    event: dict[str, Any] = {
        "event_id": event_id,
        "title": "A Night at the [Opera]",
        "venue": "Hall",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4550}],
        "sections": [
            {"section_id": "A", "title": "Stalls", "rows": [{"row_id": "1", "seats": seats}]},
            {"section_id": "B", "row_count": 1, "seats_per_row": 3, "category_id": "std"},
        ],
    }
    file = folder / "event.json"
    file.write_text(json.dumps(event | changes))
    return str(file), event_id


async def test_from_a_file_to_a_ticket(nexus: Nexus, tmp_path: Path, buyer: tuple[str, str]) -> None:
    """Create, publish, map, hold, release, buy a hold, look at the order: what a newcomer does and reads."""
    file, event = event_file(tmp_path)
    made = await nexus("events", "create", file, "--publish")
    assert made.code == 0, made
    assert f"{event} is on sale: 6 seats" in made.out
    assert event in (await nexus("events")).out
    shown = await nexus("events", "show", event)
    assert "A Night at the [Opera]" in shown.out
    assert "45.50 EUR" in shown.out

    held = await nexus("hold", event, "A-1-2", "A-1-1", *buyer)
    assert held.code == 0, held
    assert "held A-1-1, A-1-2 for 91.00 EUR" in held.out
    hold_id = held.out.split("--hold ")[1].split()[0]
    released = await nexus("release", event, hold_id, *buyer)
    assert (released.code, released.out.strip()) == (0, "released A-1-1, A-1-2")

    hold_id = (await nexus("hold", event, "A-1-1", "--json", *buyer)).json["hold_id"]
    bought = await nexus("buy", event, "--hold", hold_id, "--email", "ada@example.org", *buyer)
    assert bought.code == 0, bought
    assert "CONFIRMED" in bought.out
    assert "45.50 EUR, payment CAPTURED" in bought.out
    listed = (await nexus("orders", event, "--json", *buyer)).json["orders"]
    assert [(it["state"], it["hold_id"]) for it in listed] == [("ORDER_STATE_CONFIRMED", hold_id)]
    order = await nexus("order", listed[0]["order_id"], *buyer)
    assert "captured" in order.out
    assert listed[0]["order_id"] in (await nexus("orders", event, *buyer)).out


async def test_the_map_shows_who_has_what(
    nexus: Nexus, stack: LocalStack, new_event: NewEvent, buyer: tuple[str, str]
) -> None:
    """Letters stand for statuses: a figure for a free seat of that price, H, S; counts per section."""
    event, _ = await new_event(rows=1, seats_per_row=5)
    async with running(environ(stack), "map", event, "--watch", "--json") as watching:
        assert "sections" in json.loads(await line_with(watching, "A-1-1"))
        assert (await nexus("hold", event, "A-1-2", *buyer)).code == 0
        assert (await nexus("buy", event, "A-1-4", "--email", "a@example.org", *buyer)).code == 0
        # The map is a view: it has seen what the watcher was told.
        await line_with(watching, "SEAT_STATUS_SOLD")
    drawn = await nexus("map", event)
    assert drawn.code == 0
    (row,) = [line for line in drawn.out.splitlines() if line.startswith("1  ")]
    assert row.split() == ["1", "1", "H", "1", "S", "1"]
    assert "3 free, 1 held, 1 sold" in drawn.out
    (section,) = (await nexus("map", event, "--section", "A", "--json")).json["sections"]
    assert [seat["status"].removeprefix("SEAT_STATUS_") for seat in section["seats"]] == [
        "AVAILABLE", "HELD", "AVAILABLE", "SOLD", "AVAILABLE",
    ]  # fmt: skip


async def test_watching_in_a_pipe_prints_each_change(
    nexus: Nexus, stack: LocalStack, new_event: NewEvent, buyer: tuple[str, str]
) -> None:
    """The map once, then a line a change: what a log or a test wants."""
    event, _ = await new_event(rows=1, seats_per_row=3)
    async with running(environ(stack), "map", event, "--watch") as watching:
        await line_with(watching, "3 free")
        hold_id = (await nexus("hold", event, "A-1-3", "--json", *buyer)).json["hold_id"]
        assert (await line_with(watching, "A-1-3 ")).split()[1:] == ["A-1-3", "HELD"]
        await nexus("release", event, hold_id, *buyer)
        assert (await line_with(watching, "A-1-3 ")).split()[1:] == ["A-1-3", "AVAILABLE"]


async def test_every_command_prints_json_and_nothing_else(nexus: Nexus, tmp_path: Path, buyer: tuple[str, str]) -> None:
    """With --json a program can read stdout whole, under the contract's names."""
    file, event = event_file(tmp_path)
    assert (await nexus("events", "create", file, "--json")).json["state"] == "EVENT_STATE_DRAFT"
    again = await nexus("events", "create", file, "--publish", "--json")
    assert (again.json["event_id"], again.json["state"]) == (event, "EVENT_STATE_ON_SALE")
    assert event in [it["event_id"] for it in (await nexus("events", "--json")).json["events"]]
    assert (await nexus("events", "show", event, "--json")).json["seat_count"] == 6
    hold = (await nexus("hold", event, "B-1-1", "--request-id", "once", "--json", *buyer)).json
    assert (await nexus("hold", event, "B-1-1", "--request-id", "once", "--json", *buyer)).json == hold
    assert (await nexus("release", event, hold["hold_id"], "--json", *buyer)).json["state"] == "HOLD_STATE_RELEASED"
    order_id = f"cli-{uuid.uuid4().hex}"
    buy = ("buy", event, "B-1-2", "--email", "a@example.org", "--order", order_id, "--json", *buyer)
    bought = (await nexus(*buy)).json
    assert (bought["order_id"], bought["total"]["amount_minor"]) == (order_id, "4550")
    assert (await nexus(*buy)).json == bought
    assert (await nexus("order", order_id, "--json", *buyer)).json == bought
    assert len((await nexus("map", event, "--json")).json["sections"]) == 2


async def test_a_refusal_is_one_line_and_code_1(nexus: Nexus, new_event: NewEvent, buyer: tuple[str, str]) -> None:
    """The reason comes first, so that a person and a script find it; stdout stays empty, with --json too."""
    event, _ = await new_event()
    assert (await nexus("hold", event, "A-1-1", *buyer)).code == 0
    email = ("--email", "a@example.org")
    refusals = {
        "SEAT_UNAVAILABLE": ("hold", event, "A-1-1"),
        "SEAT_NOT_FOUND": ("map", event, "--section", "Z"),
        "EVENT_NOT_FOUND": ("map", "no-such-event", "--watch"),
        "HOLD_NOT_FOUND": ("release", event, "h-none"),
        "ORDER_NOT_FOUND": ("order", "none", "--json"),
        "INVALID_REQUEST": ("hold", event, "A 1", "--json"),
        "PAYMENT_DECLINED": ("buy", event, "A-1-2", "--card", "card_decline", *email),
    }
    done = await asyncio.gather(*(nexus(*args) for args in refusals.values()))
    for reason, ended in zip(refusals, done, strict=True):
        assert (ended.code, ended.out) == (REFUSED, ""), (reason, ended)
        assert ended.err.startswith(f"nexus: {reason}: "), ended
        assert ended.err.count("\n") == 1, ended
    # Which order it was is worth knowing also where it came to nothing.
    assert "order_id order-" in done[-1].err


async def test_who_is_not_signed_in_is_told_so(
    nexus: Nexus, stack: LocalStack, new_event: NewEvent, token: Token, tmp_path: Path
) -> None:
    """No key and no token, an expired one, one that is none: one line and code 4; what is public needs none."""
    event, _ = await new_event()
    without = await run(environ(stack, tmp_path), "hold", event, "A-1-1")
    expired = await nexus("hold", event, "A-1-1", "--token", token("ada", hours=-1))
    broken = await nexus("hold", event, "A-1-1", "--token", "abc")
    for done, words in ((without, "give --token"), (expired, "expired"), (broken, "token")):
        assert (done.code, done.out, done.err.count("\n")) == (NOT_SIGNED_IN, "", 1), done
        assert done.err.startswith("nexus: not signed in: "), done
        assert words in done.err
    assert (await run(environ(stack, tmp_path), "map", event)).code == 0
    held = await run(environ(stack, tmp_path), "hold", event, "A-1-1", "--token", token("ada"))
    assert held.code == 0, held


async def test_a_gateway_that_is_away_is_named(nexus: Nexus) -> None:
    """One line with its address and code 3, for calls, streams and `nexus call`."""
    away = f"127.0.0.1:{Ports.free().grpc_port}"
    commands = (
        ("hold", "demo", "A-1-1", "--gateway", away),
        ("map", "demo", "--watch", "--gateway", away),
        ("events", "--json", "--gateway", away),
        ("call", "ListEvents", "--address", away),
    )
    for done in await asyncio.gather(*(nexus(*args) for args in commands)):
        assert (done.code, done.out, done.err.count("\n")) == (UNREACHABLE, "", 1), done
        assert away in done.err


async def test_no_answer_in_time_names_the_order(nexus: Nexus, new_event: NewEvent, buyer: tuple[str, str]) -> None:
    """The outcome is unknown and code 5; the order goes on and can be asked for."""
    event, _ = await new_event()
    late = await nexus("buy", event, "A-1-1", "--card", "card_slow", "--email", "a@b.cd", "--timeout", "0.8", *buyer)
    assert (late.code, late.out) == (UNKNOWN_OUTCOME, ""), late
    order_id = late.err.split("nexus order ")[1].strip()
    found = await nexus("order", order_id, "--json", *buyer)
    assert found.json["order_id"] == order_id


@pytest.mark.parametrize(
    "args",
    [
        ("buy", "demo", "A-1-1"),
        ("buy", "demo", "--email", "a@b.cd"),
        ("buy", "demo", "A-1-1", "--hold", "h", "--email", "a@b.cd"),
        ("hold", "demo"),
        ("events", "create"),
        ("events", "--as", "ada", "show", "demo"),
        ("map", "demo", "--no-such-option"),
    ],
)
async def test_a_command_used_wrongly_ends_with_code_2(nexus: Nexus, args: tuple[str, ...]) -> None:
    """Before anything is asked of the gateway."""
    done = await nexus(*args)
    assert (done.code, done.out) == (USED_WRONGLY, ""), done
    assert "Usage:" in done.err


async def test_of_a_file_with_mistakes_nothing_is_created(
    nexus: Nexus, client: Client, tmp_path: Path, token: Token
) -> None:
    """Each mistake has its line on stderr, code 1, and the event does not exist, for its organizer either."""
    section = {"section_id": "A", "row_count": 1, "seats_per_row": 2, "category_id": "sdt"}
    file, event = event_file(tmp_path, sections=[section, section], venu="Hall")
    done = await nexus("events", "create", file, "--publish", "--as", "olga")
    assert (done.code, done.out) == (REFUSED, ""), done
    assert done.err == f"nexus: {file}: venu: unknown field; expected venue\n"
    file, event = event_file(tmp_path, sections=[section, section])
    done = await nexus("events", "create", file, "--publish", "--as", "olga")
    assert (done.code, done.out) == (REFUSED, ""), done
    assert done.err.startswith(f"nexus: {file}: "), done
    assert "\n  sections[1].section_id: expected an id of its own; A is there twice\n" in done.err
    answer = await client.call("GET", f"/v1/events/{event}", token("olga", "organizer"))
    assert (answer.status, answer.reason) == (404, "EVENT_NOT_FOUND")


async def test_a_plan_of_pretix_goes_on_sale(nexus: Nexus, tmp_path: Path) -> None:
    """With the price list beside it."""
    event = f"plan-{uuid.uuid4().hex[:10]}"
    seats = [
        {"seat_number": str(it), "seat_guid": f"Row 1/{it}", "position": {"x": it * 20, "y": 0}, "category": "Stalls"}
        for it in (1, 2)
    ]
    zone = {"name": "Hall", "position": {"x": 0, "y": 0}, "rows": [{"row_number": "1", "seats": seats}]}
    (tmp_path / "plan.json").write_text(json.dumps({"name": "P", "categories": [{"name": "Stalls"}], "zones": [zone]}))
    (tmp_path / "plan.prices.yaml").write_text(
        f"event_id: {event}\nvenue: V\nstarts_at: 2030-01-01T20:00:00Z\ncurrency_code: EUR\nprices: {{Stalls: 1500}}\n"
    )
    made = await nexus("events", "create", str(tmp_path / "plan.json"), "--publish")
    assert made.code == 0, made
    (section,) = (await nexus("map", event, "--json")).json["sections"]
    assert [(seat["x"], seat["category_id"]) for seat in section["seats"]] == [(20.0, "Stalls"), (40.0, "Stalls")]
