"""Reads an event's facts for an audit: the whole of them page by page, then again those that are suspected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from services.checkout.domain import Order
from services.common.errors import EventNotFoundError, InvalidTransitionError, UnavailableError
from services.common.ids import split_key
from services.ops.domain import (
    EventFacts,
    Finding,
    FindingKind,
    HoldFacts,
    OrderFacts,
    Section,
    Snapshot,
    TicketFacts,
)
from services.ops.mapreading import read_maps
from services.ops.payments import Payments
from services.ops.queries import WORKED_ON
from services.ops.statetable import PAGE_WIDE_ROWS, StateRow, StateTable, UnreadableError, decode, listed
from services.ops.tables import Tables, literal
from services.seatmap.domain_event import AuditPage, Terms
from services.seatmap.domain_layout import LayoutPage, SectionPiece
from services.ticket.domain import Ticket
from services.ticket.domain_buyer import Hold

LAYOUT_ROWS: Final = 500
"""Pages of the layout, of 200 seats each, that one query reads."""

LAYOUT_KINDS: Final = frozenset(
    {FindingKind.COUNT_DIFFERS, FindingKind.SEAT_NOT_IN_LAYOUT, FindingKind.STATE_UNREADABLE}
)

MONEY_KINDS: Final = frozenset(
    {
        FindingKind.CAPTURE_WITHOUT_ORDER,
        FindingKind.ORDER_WITHOUT_CAPTURE,
        FindingKind.AMOUNT_DIFFERS,
        FindingKind.AUTHORIZATION_LEFT_OPEN,
    }
)


@dataclass(slots=True)
class Wanted:
    """The seats, orders, holds and sections that a further look is about."""

    seat_ids: set[str] = field(default_factory=set)
    order_ids: set[str] = field(default_factory=set)
    hold_ids: set[str] = field(default_factory=set)
    section_ids: set[str] = field(default_factory=set)
    payment_keys: set[str] = field(default_factory=set)
    must_read_layout: bool = False

    @classmethod
    def of(cls, findings: Collection[Finding]) -> Wanted:
        """Collect what findings are about."""
        wanted = cls()
        for finding in findings:
            wanted.seat_ids.update(finding.seat_ids)
            wanted.order_ids.update(finding.order_ids)
            wanted.hold_ids.update(filter(None, [finding.hold_id]))
            wanted.section_ids.update(filter(None, [finding.section_id]))
            if finding.kind in MONEY_KINDS:
                wanted.payment_keys.update(finding.order_ids)
            wanted.must_read_layout |= finding.kind in LAYOUT_KINDS
        return wanted


class Reader:
    """Reads one event."""

    def __init__(self, tables: Tables, payments: Payments, event_id: str) -> None:
        self._tables = tables
        self._state = StateTable(tables)
        self._payments = payments
        self._event_id = event_id

    async def whole(self) -> Snapshot:
        """Read everything. Raises EventNotFoundError, UnavailableError, InvalidTransitionError (unreadable)."""
        unreadable: list[Finding] = []
        snapshot = Snapshot(await self._event(unreadable), datetime.now(UTC), unreadable=unreadable)
        await self._tickets(snapshot, self._state.under("Ticket", self._event_id, "key = 'ticket'"))
        # Whatever the spaces in the JSON; an order that has the id somewhere else is left out once it is read.
        named = literal(f'"{self._event_id}"')
        of_event = f"key = 'order' AND strpos(value_utf8, {named}) > 0"
        await self._orders(snapshot, self._state.all_of("Checkout", of_event, page_rows=PAGE_WIDE_ROWS))
        # After the records: of an order that is found to be in progress, its invocation is there or it has ended.
        await self._holds(snapshot, self._state.under("Buyer", self._event_id, "key LIKE 'hold:%'"))
        await read_maps(self._state, snapshot, None)
        try:
            await self._payments.read_all(self._state, snapshot)
        except UnavailableError as error:
            snapshot.gaps.append(f"the event's money: {error.message}")
        snapshot.at = datetime.now(UTC)
        return snapshot

    async def again(self, event: EventFacts, wanted: Wanted) -> Snapshot:
        """Read what findings are about, and what that leads to. Raises UnavailableError."""
        unreadable: list[Finding] = []
        if wanted.must_read_layout:
            event = await self._event(unreadable)
        snapshot = Snapshot(event, datetime.now(UTC), unreadable=unreadable)
        await self._named_orders(snapshot, wanted.order_ids)
        await self._named_holds(snapshot, wanted.hold_ids)
        seat_ids = set(wanted.seat_ids)
        seat_ids.update(seat_id for order in snapshot.orders.values() for seat_id in order.seat_ids)
        seat_ids.update(seat_id for hold in snapshot.holds.values() for seat_id in hold.seat_ids)
        keys = {f"{self._event_id}:{seat_id}" for seat_id in seat_ids}
        await self._tickets(snapshot, self._state.named("Ticket", keys, "key = 'ticket'"))
        # What the seats say now may be another order or hold than before.
        tickets = list(snapshot.tickets.values())
        await self._named_orders(snapshot, {ticket.order_id for ticket in tickets} - snapshot.orders.keys())
        named = {ticket.hold_id for ticket in tickets} | {order.hold_id for order in snapshot.orders.values()}
        await self._named_holds(snapshot, named - snapshot.holds.keys())
        paying = {hold.order_id for hold in snapshot.holds.values()}
        await self._named_orders(snapshot, paying - snapshot.orders.keys())
        await read_maps(self._state, snapshot, wanted.section_ids)
        await self._payments.read_again(self._state, snapshot, wanted.payment_keys)
        snapshot.at = datetime.now(UTC)
        return snapshot

    async def _event(self, unreadable: list[Finding]) -> EventFacts:
        rows = {row.key: row for row in await self._state.of("Event", self._event_id, "key IN ('terms', 'audit:0')")}
        if "terms" not in rows:
            raise EventNotFoundError("no such event", {"event_id": self._event_id})
        pieces = await self._state.of("Event", self._event_id, "key LIKE 'sections:%'")
        pieces.sort(key=lambda row: int(row.key.partition(":")[2]))
        try:
            terms = decode(rows["terms"], Terms)
            summaries = [summary for row in pieces for summary in decode(row, SectionPiece).sections]
        except UnreadableError as error:
            raise InvalidTransitionError(f"the event itself cannot be read: {error}") from error
        seats: dict[int, dict[int, list[str]]] = {}
        own = f"service_key = {literal(self._event_id)} AND key LIKE 'layout:%'"
        async for row in self._state.all_of("Event", own, page_rows=LAYOUT_ROWS):
            _, section, page = row.key.split(":")
            try:
                found = [seat.seat_id for seat in decode(row, LayoutPage).seats]
            except UnreadableError:
                text = f"page {page} of the layout of section {summaries[int(section)].section_id} cannot be read"
                unreadable.append(Finding(FindingKind.STATE_UNREADABLE, text))
                continue
            seats.setdefault(int(section), {})[int(page)] = found
        sections = []
        for index, summary in enumerate(summaries):
            # Pages of an older layout of a draft may be left behind what the summary says.
            pages = seats.get(index, {})
            placed = [seat_id for page in sorted(pages) for seat_id in pages[page]][: summary.seat_count]
            sections.append(Section(summary.section_id, summary.seat_count, placed))
        return EventFacts(self._event_id, terms.state, terms.currency_code, _created_at(rows.get("audit:0")), sections)

    async def _tickets(self, snapshot: Snapshot, rows: AsyncIterator[StateRow]) -> None:
        async for row in rows:
            seat_id = split_key(row.service_key)[1]
            try:
                ticket = decode(row, Ticket)
            except UnreadableError:
                text = f"the state of seat {seat_id} cannot be read"
                snapshot.unreadable.append(Finding(FindingKind.STATE_UNREADABLE, text, (seat_id,)))
                continue
            snapshot.tickets[seat_id] = TicketFacts(
                ticket.status, ticket.revision, ticket.hold_id, ticket.order_id, ticket.hard_deadline
            )

    async def _named_orders(self, snapshot: Snapshot, order_ids: Collection[str]) -> None:
        wanted = set(order_ids) - {""}
        if wanted:
            await self._orders(snapshot, self._state.named("Checkout", wanted, "key = 'order'"))

    async def _orders(self, snapshot: Snapshot, rows: AsyncIterator[StateRow]) -> None:
        read: list[Order] = []
        async for row in rows:
            try:
                order = decode(row, Order)
            except UnreadableError:
                text = f"the record of order {row.service_key} cannot be read"
                finding = Finding(FindingKind.STATE_UNREADABLE, text, order_ids=(row.service_key,))
                snapshot.unreadable.append(finding)
                continue
            if order.event_id == self._event_id:
                read.append(order)
        is_any_open = any(not order.state.is_final for order in read)
        # Asked after the records were read: whoever works on one that was not final then has begun before.
        worked_on = {row.service_key for row in await self._tables.query(WORKED_ON, StateRow)} if is_any_open else set()
        for order in read:
            snapshot.orders[order.order_id] = OrderFacts(
                order.order_id,
                order.state,
                tuple(order.seat_ids),
                order.hold_id,
                order.total.currency_code if order.total else "",
                order.total.amount_minor if order.total else 0,
                is_worked_on=order.order_id in worked_on,
            )

    async def _named_holds(self, snapshot: Snapshot, hold_ids: Collection[str]) -> None:
        names = sorted(f"hold:{hold_id}" for hold_id in set(hold_ids) - {""})
        for begin in range(0, len(names), 1000):
            where = f"key IN ({listed(names[begin : begin + 1000])})"
            await self._holds(snapshot, self._state.under("Buyer", self._event_id, where))

    async def _holds(self, snapshot: Snapshot, rows: AsyncIterator[StateRow]) -> None:
        async for row in rows:
            try:
                hold = decode(row, Hold)
            except UnreadableError:
                hold_id = row.key.partition(":")[2]
                text = f"the record of hold {hold_id} cannot be read"
                snapshot.unreadable.append(Finding(FindingKind.STATE_UNREADABLE, text, hold_id=hold_id))
                continue
            snapshot.holds[hold.hold_id] = HoldFacts(
                hold.hold_id,
                hold.state,
                tuple(hold.seat_ids),
                hold.expires_at,
                hold.hard_deadline,
                hold.order_id or hold.made_by,
            )


def _created_at(row: StateRow | None) -> datetime | None:
    """Tell when the event was created: nobody can have paid for it before."""
    if row is None:
        return None
    entries = decode(row, AuditPage).entries
    return datetime.fromisoformat(entries[0]["at"]) if entries else None
