"""How many invocations and timers a thing costs: counted by the endpoints and in Restate's own tables."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from bench.figures import differences
from services.cli.local import LocalStack
from services.common.config import ENDPOINTS

ATTEMPTS: Final = "nexus_invocation_attempts_total"
TASKS: Final = "restate_invoker_invocation_tasks_total"
ALL: Final = "Restate.started"
"""Stands for every handler where only Restate counts."""

MAP_READS: Final = "nexus_gateway_map_reads_total"
OF_THE_GATEWAY: Final = frozenset({"SeatMap.get", "Event.get", "Catalog.list"})
"""What the gateway reads for itself (readiness, live maps): no part of a sale. Every `ping` is left out too."""

QUIET_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 60.0


def handlers(stack: LocalStack) -> dict[str, float]:
    """Count the invocation attempts of each `Service.handler` so far.

    An attempt is an invocation here: Restate sends none twice unless something fails or waits for a minute. Where the
    endpoints have no metrics (several processes of one), Restate's own count of all of them, pings included.
    """
    found: dict[str, float] = {}
    for name in ENDPOINTS:
        for labels, value in samples(metrics_of(getattr(stack.ports, f"{name}_metrics_port")), ATTEMPTS):
            handler = f"{labels['service']}.{labels['handler']}"
            if labels["service"] and labels["handler"] != "ping":
                found[handler] = found.get(handler, 0.0) + value
    return found or {ALL: started(metrics_of(stack.ports.restate_node_port))}


def started(page: str) -> float:
    """Add up the invocation attempts that a Restate node says it has started. Pure."""
    return sum(value for labels, value in samples(page, TASKS) if labels["status"] == "started")


def of_sales(counted: Mapping[str, float]) -> float:
    """Add up what is not the gateway's own reading."""
    return sum(value for handler, value in counted.items() if handler not in OF_THE_GATEWAY)


def map_reads(stack: LocalStack) -> float:
    """Count the reads of SeatMap by the gateway so far."""
    return sum(value for _, value in samples(metrics_of(stack.ports.gateway_metrics_port), MAP_READS))


def timers(stack: LocalStack) -> int:
    """Count the invocations that wait for their time."""
    return int(query(stack, "SELECT count(1) AS count FROM sys_invocation WHERE status = 'scheduled'")[0]["count"])


def until_quiet(stack: LocalStack, read: Callable[[LocalStack], Mapping[str, float]] = handlers) -> dict[str, float]:
    """Wait until no invocation begins any more but the gateway's own; give the counts. Ends after a minute at most."""
    deadline = time.monotonic() + LONGEST_SECONDS
    counted = dict(read(stack))
    while time.monotonic() < deadline:
        time.sleep(QUIET_SECONDS)
        before, counted = counted, dict(read(stack))
        if not of_sales(differences(counted, before)):
            break
    return counted


def samples(page: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Give the samples of one metric of a Prometheus page. Pure."""
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    ]


def metrics_of(port: int) -> str:
    """Read the metrics page at a port of this machine; empty where nobody listens (several processes have none)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""


def query(stack: LocalStack, sql: str) -> list[dict[str, Any]]:
    """Ask Restate's tables."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{stack.admin_url}/query",
        json.dumps({"query": sql}).encode(),
        {"accept": "application/json", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return list(json.loads(answer.read())["rows"])
