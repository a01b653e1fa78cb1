"""The numbers that ops itself makes; those of its doors are in `services.gateway.metrics`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

UNFINISHED = Gauge(
    "nexus_unfinished_invocations", "Invocations that have not ended, timers included.", ("service", "status")
)
OLDEST = Gauge(
    "nexus_oldest_unfinished_seconds",
    "How long ago the oldest of them was due; a timer is due when it is to run.",
    ("service", "status"),
)
OVERDUE = Gauge("nexus_overdue_timers", "Timers that should have run 10 s ago and have not ended.", ("service",))
DEPLOYMENTS = Gauge("nexus_deployments", "Registered versions: serving, draining, drained.", ("state",))
DRAINING_SECONDS = Gauge("nexus_draining_seconds", "For how long the oldest version drains; 0 where none does.")
UNFINISHED_ORDERS = Gauge("nexus_unfinished_orders", "Orders whose record is not final.")
OVERSOLD = Gauge("nexus_oversold_seats", "Seats in two confirmed orders, by the last audit of the event.", ("event",))
FINDINGS = Gauge("nexus_audit_findings", "Damage that the last audit of the event found, by kind.", ("event", "kind"))
AUDITED_AT = Gauge("nexus_audited_at_seconds", "Unix time of the last audit of the event.", ("event",))
QUERIES = Counter(
    "nexus_ops_queries", "Queries of Restate's tables that the numbers here are made of.", ("query", "outcome")
)
QUERIED_AT = Gauge("nexus_ops_queried_at_seconds", "Unix time of the last such query that was answered.", ("query",))


def replace(gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
    """Set a gauge to these values alone, whose keys are its labels: what is gone is not told any more."""
    known = [tuple(sample.labels.values()) for family in gauge.collect() for sample in family.samples]
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
    for labels in known:
        if labels not in values:
            gauge.remove(*labels)
