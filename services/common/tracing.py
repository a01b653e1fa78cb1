"""OpenTelemetry traces where an OTLP endpoint is set; without one nothing of OpenTelemetry is imported.

`tracer()` is None while traces are off: whoever makes spans asks for that first, and does nothing else.
Spans carry ids, names and outcomes, never a body, an address or a token. What makes spans of handler
attempts is in `attempt.py`; Restate makes its own in between (RESTATE_TRACING_ENDPOINT).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal

HEADER: Final = "traceparent"

TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""Source: W3C Trace Context, "traceparent Header Field Values"."""

PATH: Final = "/v1/traces"
"""What an OTLP/HTTP receiver's address is followed by. Source: OpenTelemetry, "OTLP/HTTP Request"."""

SEND_SECONDS: Final = 3
"""Longest that one delivery may take, also the last one at the end of the process."""

DELAY_MILLIS: Final = 1000
"""How long spans are gathered before they are sent."""

Value = str | bool | int
Kind = Literal["server", "client"]


class Span:
    """A span that has begun. `traceparent`: what its children are told."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        # Only whether it is sampled: Restate takes a traceparent with the newer flag "random" for none.
        sampled = int(context.trace_flags) & 1
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{sampled:02x}"

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def fail(self, words: str) -> None:
        """Mark it as failed. `words`: a code or the name of an error, never its text."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, words))

    def end(self) -> None:
        """End it; after that nothing can be set."""
        self._span.end()


class Tracer:
    """Makes spans and sends them in the background to an OTLP/HTTP receiver."""

    def __init__(self, component: str, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": f"nexus-{component}", "service.namespace": "nexus"})
        # Ended by `stop`, not at exit, where a receiver that is away would hold the process up.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH, timeout=SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=DELAY_MILLIS))
        self._tracer = self._provider.get_tracer("nexus")

    def begin(
        self, name: str, kind: Kind, parent: str, attributes: Mapping[str, Value] | None = None, link: str = ""
    ) -> Span:
        """Begin a span. `parent`, `link`: traceparents; without a parent it begins a trace of its own."""
        from opentelemetry import trace
        from opentelemetry.context import Context

        above = _context(parent)
        context = Context() if above is None else trace.set_span_in_context(trace.NonRecordingSpan(above), Context())
        linked = _context(link)
        return Span(
            self._tracer.start_span(
                name,
                context=context,
                kind=trace.SpanKind.SERVER if kind == "server" else trace.SpanKind.CLIENT,
                attributes=dict(attributes or {}),
                links=[] if linked is None else [trace.Link(linked)],
            )
        )

    def stop(self) -> None:
        """Send what has ended, for at most a few seconds. Blocks."""
        # Each batch in the queue may take SEND_SECONDS where the receiver is away: not waited for longer than one.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(SEND_SECONDS)


CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)
"""The span of the handler attempt that runs now."""

_tracers: list[Tracer] = []


def start(component: str, endpoint: str) -> None:
    """Turn traces on for this process; with an empty endpoint nothing happens.

    Before handlers are imported: only those made later are traced.
    """
    if endpoint:
        _tracers[:] = [Tracer(component, endpoint)]


def tracer() -> Tracer | None:
    """Give what makes spans, None while traces are off."""
    return _tracers[0] if _tracers else None


def stop() -> None:
    """Send what is left and turn traces off. Blocks for at most a few seconds."""
    while _tracers:
        _tracers.pop().stop()


def trace_id(traceparent: str) -> str:
    """Give the trace id of a traceparent; empty where it is none."""
    found = TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def _context(traceparent: str) -> Any:
    """Give the OpenTelemetry context of a traceparent, None where it is none."""
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16)))
