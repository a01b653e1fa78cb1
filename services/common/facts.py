"""Facts counted for Prometheus: once each, not once per replay.

A handler is run again from its journal after every suspension, so counting is silent while it replays.
What counts comes after the journal entry that made the fact. A process that dies between that entry and
its acknowledgement may count a fact again; the judge of money is the provider's ledger, not a counter.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram
from restate.server_context import restate_context_is_replaying

HOLDS = Counter("nexus_holds", "Holds by what became of them: made, sold, released, expired.", ["outcome"])
ORDERS = Counter("nexus_orders", "Orders that have ended, by final state and reason.", ["state", "reason"])
PAYMENTS = Counter("nexus_payments", "Where the money of ended orders is.", ["state"])
PAYMENT_CALLS = Counter("nexus_payment_calls", "Calls of the payment provider by what came back.", ["call", "outcome"])
HOLD_TO_SALE_SECONDS = Histogram(
    "nexus_hold_to_sale_seconds",
    "From the making of a hold to the end of its sale.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)


def count(counter: Counter, **labels: str) -> None:
    """Count a fact, unless the handler is only replaying it."""
    if not restate_context_is_replaying.get():
        counter.labels(**labels).inc()


def observe(histogram: Histogram, seconds: float) -> None:
    """Observe a duration, unless the handler is only replaying it."""
    if not restate_context_is_replaying.get():
        histogram.observe(seconds)
