"""Turns Restate's tables into numbers, again and again. A query that fails is a number too, never the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from services.common.errors import UnavailableError
from services.ops import domain_backlog as domain
from services.ops import metrics, queries
from services.ops.tables import AdminRefusedError, Tables

SHARE: Final = 20
"""A query that took t seconds is not asked again for so many times t: large tables are read less often."""

log = structlog.get_logger(__name__)


class _BacklogRow(msgspec.Struct):
    service: str
    status: str
    count: int
    due_at: str
    asked_at: str
    overdue: int = 0


class _VersionRow(msgspec.Struct):
    deployment_id: str
    created_at: str
    asked_at: str
    services: list[str] = []


class _LatestRow(msgspec.Struct):
    service: str
    deployment_id: str


class _PinnedRow(msgspec.Struct):
    deployment_id: str


class _CountRow(msgspec.Struct):
    count: int


class Watch:
    """Asks every `poll_seconds`, each kind of number by itself."""

    def __init__(self, tables: Tables, poll_seconds: float) -> None:
        self._tables = tables
        self._poll_seconds = poll_seconds

    async def run(self) -> None:
        """Ask until cancelled."""
        looks = {"invocations": self.invocations, "deployments": self.deployments, "orders": self.orders}
        for name in looks:
            # There from the start, so that an alert can see the first failure.
            metrics.QUERIES.labels(name, "failed")
        await asyncio.gather(*(self._repeat(name, look) for name, look in looks.items()))

    async def invocations(self) -> None:
        """Count what has not ended, by service and status."""
        rows = await self._tables.query(queries.BACKLOG, _BacklogRow)
        backlog = [
            domain.Backlog(row.service, row.status, row.count, moment(row.due_at), moment(row.asked_at), row.overdue)
            for row in rows
        ]
        metrics.replace(metrics.UNFINISHED, {(entry.service, entry.status): entry.count for entry in backlog})
        metrics.replace(metrics.OLDEST, {(entry.service, entry.status): entry.oldest_seconds for entry in backlog})
        overdue = domain.overdue_timers(backlog)
        metrics.replace(metrics.OVERDUE, {(service,): count for service, count in overdue.items()})

    async def deployments(self) -> None:
        """Count the registered versions, and how long the oldest has been draining."""
        latest = {row.service: row.deployment_id for row in await self._tables.query(queries.LATEST, _LatestRow)}
        pinned = {row.deployment_id for row in await self._tables.query(queries.PINNED, _PinnedRow)}
        rows = await self._tables.query(queries.VERSIONS, _VersionRow)
        known = [domain.Version(row.deployment_id, tuple(row.services), moment(row.created_at)) for row in rows]
        at = moment(rows[0].asked_at) if rows else datetime.now(UTC)
        found = domain.versions(known, latest, pinned, at)
        states = {"serving": found.serving, "draining": found.draining, "drained": found.drained}
        metrics.replace(metrics.DEPLOYMENTS, {(state,): count for state, count in states.items()})
        metrics.DRAINING_SECONDS.set(found.draining_seconds)

    async def orders(self) -> None:
        """Count the orders whose record is not final, whether or not anybody works on them."""
        (row,) = await self._tables.query(queries.UNFINISHED_ORDERS, _CountRow)
        metrics.UNFINISHED_ORDERS.set(row.count)

    async def _repeat(self, name: str, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            begun = time.monotonic()
            await self.look(name, look)
            took = time.monotonic() - begun
            await asyncio.sleep(max(self._poll_seconds - took, took * SHARE))

    async def look(self, name: str, look: Callable[[], Awaitable[None]]) -> None:
        """Ask once, and count how that went."""
        try:
            await look()
        except (UnavailableError, AdminRefusedError, msgspec.MsgspecError, ValueError) as error:
            metrics.QUERIES.labels(name, "failed").inc()
            log.warning("a query failed", query=name, error=str(error))
            return
        metrics.QUERIES.labels(name, "answered").inc()
        metrics.QUERIED_AT.labels(name).set_to_current_time()


def moment(text: str) -> datetime:
    """Read a time of Restate's tables, which is UTC whether or not it says so. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
