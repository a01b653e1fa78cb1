"""docs/metrics.md tells of every metric, and of none that is not there."""

from __future__ import annotations

import importlib
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from services.gateway.metrics import _camel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
PROCESSES = {
    "services.ops.metrics": {"ops"},
    "services.common.endpoint": {"endpoints"},
    "services.common.facts": {"ticket", "checkout"},
    "services.gateway.metrics": {"gateway"},
}


def in_code() -> dict[str, tuple[str, str, str]]:
    """Give name -> (type, labels, meaning) of every metric that a module of ours makes."""
    found = {}
    for module in PROCESSES:
        for metric in vars(importlib.import_module(module)).values():
            if isinstance(metric, MetricWrapperBase):
                name = metric._name + ("_total" if metric._type == "counter" else "")
                found[name] = (metric._type, ", ".join(metric._labelnames), metric._documentation)
    return found


def on_page() -> dict[str, list[str]]:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {
        cells[0].strip("`"): cells[1:] for cells in ([c.strip() for c in row.strip("|").split("|")] for row in rows)
    }


def test_the_page_and_the_code_name_the_same_metrics() -> None:
    """With the same type, labels and words."""
    assert {name: (kind, labels, text) for name, (_, kind, labels, text) in on_page().items()} == in_code()


def test_the_page_names_the_right_process() -> None:
    """Where to look for a number."""
    processes = {name: row[0] for name, row in on_page().items()}
    for module, allowed in PROCESSES.items():
        for metric in vars(importlib.import_module(module)).values():
            if isinstance(metric, MetricWrapperBase):
                name = metric._name + ("_total" if metric._type == "counter" else "")
                assert processes[name] in allowed, name


def test_no_module_beside_these_makes_metrics() -> None:
    """Else the page would miss them."""
    services = PAGE.parents[1] / "services"
    for path in services.rglob("*.py"):
        if "prometheus_client import" in path.read_text() or "prometheus_client.Counter(" in path.read_text():
            module = path.relative_to(services.parent).with_suffix("").as_posix().replace("/", ".")
            assert module in PROCESSES, module


def test_codes_are_spelled_as_go_spells_them() -> None:
    """As in go-grpc-middleware's label grpc_code."""
    assert [_camel(code) for code in ("OK", "CANCELLED", "NOT_FOUND", "DEADLINE_EXCEEDED", "UNAUTHENTICATED")] == [
        "OK", "Canceled", "NotFound", "DeadlineExceeded", "Unauthenticated",
    ]  # fmt: skip
