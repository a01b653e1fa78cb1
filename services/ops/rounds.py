"""Audits every event on sale, one after another, again and again: damage is known before anybody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from services.common.errors import NexusError
from services.ops import metrics, queries
from services.ops.audit import Audit
from services.ops.statetable import StateRow
from services.ops.tables import AdminRefusedError, Tables

FIRST_SECONDS: Final = 60.0
"""Longest from the start of the process to the first round."""

MOST_LOGGED: Final = 20
"""Findings of one audit that are logged, a line each."""

log = structlog.get_logger(__name__)


class Rounds:
    """Goes round every `seconds`. `audit`: audits one event and counts what it finds."""

    def __init__(self, tables: Tables, audit: Callable[[str], Awaitable[Audit]], seconds: float) -> None:
        self._tables = tables
        self._audit = audit
        self._seconds = seconds

    async def run(self) -> None:
        """Go round until cancelled."""
        metrics.QUERIES.labels("audit", "failed")
        await asyncio.sleep(min(self._seconds, FIRST_SECONDS))
        while True:
            await self.round()
            await asyncio.sleep(self._seconds)

    async def round(self) -> None:
        """Audit every event on sale or paused; one that cannot be audited is a number, and the next is."""
        try:
            event_ids = [row.service_key for row in await self._tables.query(queries.EVENTS_ON_SALE, StateRow)]
        except (NexusError, AdminRefusedError) as error:
            _failed("", error)
            return
        for event_id in event_ids:
            try:
                found = await self._audit(event_id)
            except (NexusError, AdminRefusedError, ValueError) as error:
                _failed(event_id, error)
                continue
            metrics.QUERIES.labels("audit", "failed" if found.gaps else "answered").inc()
            for finding in found.findings[:MOST_LOGGED]:
                log.error("damage found", event_id=event_id, kind=finding.kind.name, text=finding.text)
        metrics.QUERIED_AT.labels("audit").set_to_current_time()


def _failed(event_id: str, error: Exception) -> None:
    metrics.QUERIES.labels("audit", "failed").inc()
    log.warning("an audit failed", event_id=event_id, error=str(error))
