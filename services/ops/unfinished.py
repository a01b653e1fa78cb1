"""Reads what has not ended from Restate's tables, for `domain_unfinished` to judge."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from services.checkout.domain import Order
from services.ops import queries
from services.ops.domain_unfinished import OpenOrder, Running, with_holders
from services.ops.statetable import StateRow, UnreadableError, decode
from services.ops.tables import Tables
from services.ops.watch import moment


class _RunningRow(msgspec.Struct):
    id: str
    service: str
    handler: str
    status: str
    created_at: str
    key: str = ""
    scheduled_start_at: str = ""
    retry_count: int = 0
    next_retry_at: str = ""
    last_failure: str = ""
    step_name: str = ""
    step_type: str = ""


class _HolderRow(msgspec.Struct):
    service_name: str
    service_key: str
    invocation_id: str = ""


async def read_running(tables: Tables, where: str = "") -> list[Running]:
    """Read the invocations that have not ended, those that `where` picks. Raises UnavailableError."""
    rows = await tables.query(queries.running(where), _RunningRow)
    running = [
        Running(
            invocation_id=row.id,
            service=row.service,
            key=row.key,
            handler=row.handler,
            status=row.status,
            due_at=moment(row.scheduled_start_at or row.created_at),
            attempts=row.retry_count,
            next_retry_at=moment(row.next_retry_at) if row.next_retry_at else None,
            failure=_one_line(row.last_failure),
            failed_step=row.step_name or row.step_type,
        )
        for row in rows
    ]
    if not any(one.status in queries.WAITING for one in running):
        return running
    holders = await tables.query(queries.HOLDERS, _HolderRow)
    return with_holders(running, {(row.service_name, row.service_key): row.invocation_id for row in holders})


async def read_open_orders(tables: Tables) -> list[OpenOrder]:
    """Read the orders whose record is not final. Raises UnavailableError."""
    rows = await tables.query(queries.OPEN_ORDERS, StateRow)
    worked_on = {row.service_key for row in await tables.query(queries.WORKED_ON, StateRow)} if rows else set()
    found = []
    for row in rows:
        try:
            order = decode(row, Order)
        except UnreadableError:
            # Told as it is: nobody else would find it.
            found.append(OpenOrder(row.service_key, "UNREADABLE", datetime.now(UTC), row.service_key in worked_on))
            continue
        found.append(
            OpenOrder(
                order.order_id,
                order.state.value,
                order.created_at,
                has_process=order.order_id in worked_on,
                seat_count=len(order.seat_ids),
            )
        )
    return found


def _one_line(text: str) -> str:
    """Give the first line of an error, which may be a whole traceback; bounded."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first[:300]
