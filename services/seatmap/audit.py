"""The append-only audit in Event's state, and the handler that lists it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec
import restate

from services.common import paging
from services.common.handlers import load, save
from services.seatmap.domain_event import AuditPage, is_audit_page_full
from services.seatmap.messages import AuditEntries, AuditEntry, ListAudit

MAX_PAGES_READ = 40


async def record_audit(
    ctx: restate.ObjectContext,
    pages: int,
    at: datetime,
    actor: str,
    action: str,
    reason: str,
    subjects: list[str],
) -> int:
    """Append an entry; gives how many pages there are now. A page that is full is never written again."""
    number = max(pages - 1, 0)
    page = await load(ctx, f"audit:{number}", AuditPage) or AuditPage()
    if is_audit_page_full(page, len(msgspec.json.encode(page))):
        number, page = number + 1, AuditPage()
    entry = msgspec.to_builtins(AuditEntry(at, actor, action, reason, subjects))
    save(ctx, f"audit:{number}", replace(page, entries=[*page.entries, entry]))
    return number + 1


async def read_audit(ctx: restate.ObjectSharedContext, pages: int, request: ListAudit) -> AuditEntries:
    """Give a page of entries, oldest first."""
    number, offset = paging.decode(request.page_token, 2)
    size = request.page_size or 50
    entries: list[AuditEntry] = []
    for _ in range(MAX_PAGES_READ):
        if number >= pages or len(entries) == size:
            break
        page = await load(ctx, f"audit:{number}", AuditPage) or AuditPage()
        part = page.entries[offset : offset + size - len(entries)]
        entries += [msgspec.convert(entry, AuditEntry) for entry in part]
        offset += len(part)
        if offset >= len(page.entries):
            number, offset = number + 1, 0
    return AuditEntries(entries, paging.encode(number, offset) if number < pages else "")
