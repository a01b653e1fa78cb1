"""Wait until a stack is quiet after a crowd, and write down what is there then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from services.cli.local import LocalStack
from tests.faults.history.operations import AtEnd, Moved, OrderAtEnd, SeatAtEnd
from tests.faults.workload import Workload, short
from tests.integration.client import sign

Found = TypeVar("Found")
AT_ONCE = 16
MOVES = ("authorized", "captured", "voided", "refunded", "declined")


async def settle(work: Workload, seconds: float = 30) -> tuple[AtEnd, float]:
    """Wait until nothing of the event is unfinished, at most `seconds`; give what is there, and how long it took."""
    begun = time.monotonic()
    while True:
        left = await unfinished(work)
        if not left or time.monotonic() > begun + seconds:
            break
        await asyncio.sleep(0.25)
    took = time.monotonic() - begun
    while True:
        end = await look(work, tuple(left))
        behind = [seat for seat, last in end.seats.items() if last.status != last.shown]
        # The map is a view some tenths of a second behind; once quiet it has to catch up.
        if not behind or time.monotonic() > begun + seconds:
            return end, took
        await asyncio.sleep(0.25)


async def unfinished(work: Workload) -> list[str]:
    """List what Restate has not finished of this event and its orders; timers of ended holds do not count."""
    rows = await query(
        work.client.stack,
        "SELECT target, status, retry_count FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled') "
        "AND target_handler_name <> 'ping' "
        "AND target_service_name IN ('Ticket', 'Buyer', 'Checkout', 'SeatMap', 'Mailer', 'Event', 'Catalog')",
    )
    own = {operation.order_id for operation in work.history if operation.order_id}
    names = [f"{row['target']} {row['status']}" for row in rows if _concerns(row["target"], work.event_id, own)]
    # Open holds end by timers, which are scheduled and not unfinished.
    holds = await query(
        work.client.stack,
        f"SELECT key FROM state WHERE service_name = 'Buyer' AND service_key LIKE '{work.event_id}:%' "
        "AND key LIKE 'hold:%' AND (value_utf8 LIKE '%HOLD_STATE_OPEN%' OR value_utf8 LIKE '%HOLD_STATE_PAYING%')",
    )
    return [*names, *(str(row["key"]) for row in holds)]


def _concerns(target: str, event_id: str, orders: set[str]) -> bool:
    # What tours began beside the crowd has to end as well.
    is_beside = target.startswith(("Mailer", "Catalog")) or "tour-" in target
    return is_beside or event_id in target or target.split("/")[1] in orders


async def query(stack: LocalStack, sql: str) -> list[dict[str, Any]]:
    """Ask Restate about itself."""
    url, headers = f"{stack.admin_url}/query", {"accept": "application/json"}
    async with aiohttp.request("POST", url, json={"query": sql}, headers=headers) as answer:
        answer.raise_for_status()
        return list((await answer.json())["rows"])


async def look(work: Workload, left: tuple[str, ...]) -> AtEnd:
    """Read every seat, hold and order of the crowd, and the provider's ledger."""
    at = time.monotonic()
    admin = sign(work.client.stack, "auditor", "admin")
    order_ids = sorted({operation.order_id for operation in work.history if operation.order_id})
    holders = {o.hold_id: o.buyer for o in work.history if o.kind == "hold" and o.hold_id}
    shown = await _map(work)

    async def seat(seat_id: str) -> tuple[str, SeatAtEnd]:
        read = (await work.client.call("GET", f"/v1/events/{work.event_id}/tickets/{seat_id}", work.organizer)).json
        return seat_id, SeatAtEnd(short(read["status"]), read.get("order_id", ""), shown.get(seat_id, "missing"))

    async def order(order_id: str) -> tuple[str, OrderAtEnd]:
        answer = await work.client.call("GET", f"/v1/orders/{order_id}", admin)
        if answer.status == 404:
            return order_id, OrderAtEnd("")
        read = answer.json
        seats = tuple(seat["seat_id"] for seat in read.get("seats", []))
        amount = int((read.get("total") or {}).get("amount_minor", 0))
        return order_id, OrderAtEnd(short(read["state"]), seats, amount, read.get("hold_id", ""))

    async def hold(hold_id: str) -> tuple[str, str]:
        path = f"/v1/events/{work.event_id}/holds/{hold_id}"
        answer = await work.client.call("GET", path, work.tokens[holders[hold_id]])
        # The buyer's object keeps the last 20 that have ended; older ones are forgotten, and have ended.
        return hold_id, "FORGOTTEN" if answer.status == 404 else short(answer.json["state"])

    seats = dict(await _each(work.seats, seat))
    orders = {order_id: last for order_id, last in await _each(order_ids, order) if last.state}
    holds = dict(await _each(sorted(holders), hold))
    return AtEnd(at, seats, orders, holds, await _ledger(work), left)


async def _map(work: Workload) -> dict[str, str]:
    """Read the map, page by page."""
    shown: dict[str, str] = {}
    path, token = f"/v1/events/{work.event_id}/seatmap?section_id=A&page_size=1000", ""
    while True:
        read = (await work.client.call("GET", f"{path}&page_token={token}")).json
        shown |= {seat["seat_id"]: short(seat["status"]) for part in read["sections"] for seat in part["seats"]}
        if not (token := read.get("next_page_token", "")):
            return shown


async def _ledger(work: Workload) -> tuple[Moved, ...]:
    """Read what moved for the crowd, also under keys that are no order's."""
    async with aiohttp.request("GET", f"{work.client.stack.payments_url}/ledger") as answer:
        entries = (await answer.json())["entries"]
    return tuple(
        Moved(entry["payment_key"], entry["effect"], entry["amount_minor"])
        for entry in entries
        if entry["payment_key"].startswith(work.order_prefix) and entry["effect"] in MOVES
    )


async def _each(names: list[str], ask: Callable[[str], Awaitable[Found]]) -> list[Found]:
    """Ask for each name, some at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Found:
        async with gate:
            return await ask(name)

    return list(await asyncio.gather(*(one(name) for name in names)))
