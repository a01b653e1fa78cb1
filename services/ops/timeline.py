"""Reads all that is known of one order: its record, Restate's invocations and journals, the provider's payment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.checkout.domain import Order
from services.checkout.provider import PaymentProvider
from services.common.states import PaymentState
from services.ops import domain_timeline as domain
from services.ops import queries
from services.ops.domain_timeline import Entry, Invocation, JournalEntry, Timeline
from services.ops.statetable import listed
from services.ops.tables import Tables
from services.ops.watch import moment


class _InvocationRow(msgspec.Struct):
    id: str
    target: str
    status: str
    created_at: str
    scheduled_start_at: str = ""
    completed_at: str = ""
    completion_result: str = ""
    completion_failure: str = ""
    invoked_by: str = ""
    retry_count: int = 0
    next_retry_at: str = ""
    last_failure: str = ""


class _JournalRow(msgspec.Struct):
    id: str
    index: int
    entry_type: str
    name: str = ""
    appended_at: str = ""
    content: str = "{}"


class _EventRow(msgspec.Struct):
    id: str
    appended_at: str
    event_type: str
    event_json: str = "{}"


async def read_timeline(tables: Tables, provider: PaymentProvider, order: Order) -> Timeline:
    """Read an order's timeline. Raises UnavailableError."""
    own = await _invocations(tables, queries.of_order(order.order_id))
    journal = await _journal(tables, [one.invocation_id for one in own])
    # The calls that it made, each with how it ended by itself.
    called = sorted({entry.invoked_id for entry in journal if entry.invoked_id})
    others = await _invocations(tables, queries.with_ids(called)) if called else []
    failures = await _failures(tables, [one.invocation_id for one in (*own, *others)])
    entries: list[Entry] = [
        *domain.history((step.step, step.at) for step in order.history),
        *domain.invocations(own),
        *domain.steps(journal, {one.invocation_id: one for one in others}),
        *failures,
    ]
    gaps = [] if own else ["Restate keeps no invocation of it any more: its journal is kept for 24 hours"]
    payment = await provider.lookup(order.order_id)
    if payment is not None and payment.state is PaymentState.UNKNOWN:
        gaps.append("the payment provider does not answer")
    elif payment is not None:
        amount = f"{payment.amount.amount_minor} {payment.amount.currency_code}" if payment.amount else ""
        entries.append(domain.payment(payment.state.name, amount, payment.updated_at or datetime.now(UTC)))
    return Timeline(domain.sorted_entries(entries), gaps)


async def _invocations(tables: Tables, sql: str) -> list[Invocation]:
    return [
        Invocation(
            row.id,
            row.target,
            row.status,
            moment(row.scheduled_start_at or row.created_at),
            moment(row.completed_at) if row.completed_at else None,
            row.completion_failure if row.completion_result == "failure" else "",
            row.retry_count,
            moment(row.next_retry_at) if row.next_retry_at else None,
            domain.first_line(row.last_failure),
        )
        for row in await tables.query(sql, _InvocationRow)
    ]


async def _journal(tables: Tables, ids: Sequence[str]) -> list[JournalEntry]:
    if not ids:
        return []
    rows = await tables.query(queries.journal(listed(ids)), _JournalRow)
    return [
        JournalEntry(
            row.id,
            row.index,
            row.entry_type,
            row.name,
            moment(row.appended_at) if row.appended_at else None,
            msgspec.json.decode(row.content, type=dict[str, Any]),
        )
        for row in rows
    ]


async def _failures(tables: Tables, ids: Sequence[str]) -> list[Entry]:
    if not ids:
        return []
    rows = await tables.query(queries.failures(listed(ids)), _EventRow)
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return [domain.failure(row.id, moment(row.appended_at), row.event_type, decode(row.event_json)) for row in rows]
