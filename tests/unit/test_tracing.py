"""Where traces go, and what a traceparent is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.local import LocalStack
from services.cli.ports import Ports
from services.common import tracing
from services.common.config import ConfigError, EndpointSettings, load

PORTS = {"port": 9081, "metrics_port": 0}
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("text", ["127.0.0.1:4318", "grpc://collector:4317", "http://", "http:///v1", "off"])
def test_what_is_no_receivers_address_is_refused(text: str) -> None:
    """At the start, by the variable's name."""
    with pytest.raises(ConfigError) as caught:
        load(EndpointSettings, {"NEXUS_OTLP_ENDPOINT": text}, PORTS)
    assert caught.value.problems == {"NEXUS_OTLP_ENDPOINT": "expected a text beginning with http:// or https://"}


@pytest.mark.parametrize("text", ["", "http://127.0.0.1:4318", "https://otlp.example.org/nexus"])
def test_a_receivers_address_is_taken(text: str) -> None:
    """Also none at all, which turns traces off."""
    assert load(EndpointSettings, {"NEXUS_OTLP_ENDPOINT": text}, PORTS).otlp_endpoint == text


def test_a_local_stack_tells_every_process_where_traces_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restate under its own setting and scheme; the simulators and Restate are told nothing where it is not set."""
    stack = LocalStack(tmp_path, Ports.free())
    monkeypatch.delenv("NEXUS_OTLP_ENDPOINT", raising=False)
    assert "RESTATE_TRACING_ENDPOINT" not in stack.environ("restate")
    assert "NEXUS_OTLP_ENDPOINT" not in stack.environ("gateway")
    monkeypatch.setenv("NEXUS_OTLP_ENDPOINT", "http://127.0.0.1:4318/")
    assert stack.environ("restate")["RESTATE_TRACING_ENDPOINT"] == "otlp+http://127.0.0.1:4318/v1/traces"
    assert stack.environ("gateway")["NEXUS_OTLP_ENDPOINT"] == "http://127.0.0.1:4318/"
    assert "NEXUS_OTLP_ENDPOINT" not in stack.environ("restate")


@pytest.mark.parametrize(
    "text",
    [
        "",
        GIVEN.upper(),
        f"{GIVEN}\n",
        GIVEN.replace("00-4", "ff-4"),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ],
)
def test_what_is_no_traceparent_begins_no_trace(text: str) -> None:
    """Ids of zeros, another case, another version, anything behind it."""
    assert tracing.trace_id(text) == ""
    assert tracing.trace_id(GIVEN) == "4bf92f3577b34da6a3ce929d0e0e4736"
