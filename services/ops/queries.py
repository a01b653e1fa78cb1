"""The SQL that ops asks Restate. Source: tables and columns as restate-server 1.7.12 has them, each query run there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.ops.tables import literal

LATE: Final = "interval '10 seconds'"
"""How late a timer may be before it counts as overdue: its object may be busy."""

# scheduled_start_at is null unless scheduled_at is selected too, hence the last column. Source: seen with 1.7.12.
BACKLOG: Final = f"""
SELECT target_service_name AS service, status, count(1) AS count,
       min(coalesce(scheduled_start_at, created_at)) AS due_at, now() AS asked_at,
       count(CASE WHEN scheduled_start_at < now() - {LATE} THEN 1 END) AS overdue,
       max(scheduled_at) AS scheduled_at
FROM sys_invocation WHERE status <> 'completed' GROUP BY target_service_name, status
"""  # noqa: S608 - nothing comes from outside

VERSIONS: Final = "SELECT id AS deployment_id, services, created_at, now() AS asked_at FROM sys_deployment"
LATEST: Final = "SELECT name AS service, deployment_id FROM sys_service"
PINNED: Final = (
    "SELECT DISTINCT pinned_deployment_id AS deployment_id FROM sys_invocation_status "
    "WHERE status <> 'completed' AND pinned_deployment_id IS NOT NULL"
)

WORKED_ON: Final = (
    "SELECT DISTINCT target_service_key AS service_key FROM sys_invocation_status WHERE status <> 'completed' "
    "AND target_service_name = 'Checkout' AND target_handler_name = 'process'"
)
"""Orders of which an invocation has not ended."""

_OPEN: Final = (
    """(strpos(value_utf8, '"ORDER_STATE_PENDING"') > 0 OR strpos(value_utf8, '"ORDER_STATE_AUTHORIZING"') > 0)"""
)
"""In the text of a record, whatever its spaces: no other field of one holds these."""

UNFINISHED_ORDERS: Final = (
    f"SELECT count(1) AS count FROM state WHERE service_name = 'Checkout' AND key = 'order' AND {_OPEN}"  # noqa: S608
)

MOST: Final = 20_000
"""Rows that a list of what is unfinished reads at most: a spike makes more, and nobody reads them."""

OPEN_ORDERS: Final = (
    "SELECT service_key, key, value_utf8 FROM state WHERE service_name = 'Checkout' AND key = 'order' "  # noqa: S608
    f"AND {_OPEN} LIMIT {MOST}"
)

DUE: Final = "NOT (status = 'scheduled' AND scheduled_start_at > now())"
"""Leaves out timers that are yet to come: there are as many as holds, and one per forgotten order for 30 days."""

WAITING: Final = ("pending", "ready", "inboxed")
"""Statuses in which an invocation waits for its turn."""

HOLDERS: Final = (
    "SELECT service_name, service_key, invocation_id FROM sys_keyed_service_status WHERE invocation_id IS NOT NULL"
)


def running(where: str = "") -> str:
    """Give the invocations that have not ended, those that `where` picks; the failing ones first, then the oldest."""
    return (
        "SELECT id, target_service_name AS service, target_service_key AS key, target_handler_name AS handler, status, "  # noqa: S608
        "created_at, scheduled_at, scheduled_start_at, retry_count, next_retry_at, last_failure, "
        "last_failure_related_command_name AS step_name, last_failure_related_command_type AS step_type "
        f"FROM sys_invocation WHERE status <> 'completed'{' AND ' + where if where else ''} "
        f"ORDER BY (status IN ('paused', 'backing-off')) DESC, created_at LIMIT {MOST}"
    )


EVENTS_ON_SALE: Final = (
    "SELECT service_key FROM state WHERE service_name = 'Event' AND key = 'terms' "
    """AND (strpos(value_utf8, '"EVENT_STATE_ON_SALE"') > 0 OR strpos(value_utf8, '"EVENT_STATE_PAUSED"') > 0) """
    "ORDER BY service_key"
)

_INVOCATION: Final = (
    "SELECT id, target, status, created_at, scheduled_at, scheduled_start_at, completed_at, completion_result, "
    "completion_failure, invoked_by, retry_count, next_retry_at, last_failure FROM sys_invocation WHERE "
)


def of_order(order_id: str) -> str:
    """Give what ran, or is to run, at the order's object; looks at it are left out."""
    return (
        f"{_INVOCATION}target_service_name = 'Checkout' AND target_service_key = {literal(order_id)} "
        "AND target_handler_name IN ('process', 'cancel', 'forget') ORDER BY created_at"
    )


def with_ids(invocation_ids: Iterable[str]) -> str:
    """Give these invocations."""
    return f"{_INVOCATION}id IN ({', '.join(map(literal, invocation_ids))})"


def journal(ids: str) -> str:
    """Give the entries of the journals of these invocations (an SQL list); what they hold only of steps' results."""
    return (
        "SELECT id, index, entry_type, name, appended_at, CASE WHEN entry_type = 'Notification: Run' THEN entry_json "  # noqa: S608
        f"ELSE entry_lite_json END AS content FROM sys_journal WHERE id IN ({ids}) "
        f"ORDER BY id, index LIMIT {MOST}"
    )


def failures(ids: str) -> str:
    """Give what Restate noted beside the journals of these invocations: attempts that failed, pauses."""
    return (
        f"SELECT id, appended_at, event_type, event_json FROM sys_journal_events WHERE id IN ({ids}) "  # noqa: S608
        f"ORDER BY appended_at LIMIT {MOST}"
    )
