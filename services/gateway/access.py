"""A call as an operator sees it, at either door: its numbers, its line in the log, its span.

The line and the span name the RPC, how it ended and the ids by which it is found again; no body, no
address, no token.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

import grpc
import structlog
from structlog.typing import EventDict, WrappedLogger

from services.common import tracing
from services.common.errors import NexusError
from services.gateway import metrics
from services.gateway.calls import Call
from services.gateway.routes import Route
from services.gateway.status import grpc_code

log = structlog.get_logger(__name__)

Door = Literal["grpc", "http"]

FAILED: Final = {
    code.name
    for code in (
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
}
"""Codes that are the server's failure. Source: OpenTelemetry, "Semantic conventions for gRPC", server spans."""


class Access:
    """How a call goes; cancelled by its client unless told otherwise."""

    __slots__ = ("code", "is_over", "made_id", "reason", "rpc", "span", "trace_id")

    def __init__(self, route: Route, door: Door, traceparent: str) -> None:
        self.rpc = route.name[1:]
        self.code = grpc.StatusCode.CANCELLED.name
        self.reason = ""
        self.made_id: tuple[str, str] | None = None
        self.is_over = False
        tracer = tracing.tracer()
        self.span = None
        if tracer is not None:
            service, _, method = self.rpc.partition("/")
            attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "nexus.door": door}
            self.span = tracer.begin(self.rpc, "server", traceparent, {**attributes})
        self.trace_id = tracing.trace_id(traceparent if self.span is None else self.span.traceparent)

    def opened(self, call: Call) -> None:
        """Note the made id of a call, and let its trace go on from here."""
        if call.made_id and call.route.made_id is not None:
            self.made_id = (call.route.made_id.name, call.made_id)
        if self.span is not None:
            call.traceparent = self.span.traceparent

    def answered(self) -> None:
        """Note that it was answered."""
        self.code = grpc.StatusCode.OK.name

    def refused(self, error: NexusError) -> None:
        """Note the code and the reason of a refusal."""
        self.code, self.reason = grpc_code(error).name, error.reason


_current: ContextVar[Access | None] = ContextVar("access", default=None)


@contextmanager
def watched(route: Route, door: Door, traceparent: str) -> Iterator[Access]:
    """Count a call, and write its line and its span when it has ended."""
    access, begun = Access(route, door, traceparent), time.perf_counter()
    # Never reset: a stream may be closed from another context than it was begun in.
    _current.set(access)
    if door == "grpc":
        metrics.rpc_started(route)
    try:
        yield access
    finally:
        seconds = time.perf_counter() - begun
        if door == "grpc":
            metrics.rpc_handled(route, access.code, seconds)
        refusal = {"reason": access.reason} if access.reason else {}
        known = about(access)
        log.info("call", **known, door=door, code=access.code, **refusal, ms=round(seconds * 1000, 1))
        if access.span is not None:
            _end(access, access.span)
        access.is_over = True


def add_call(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the RPC, its trace id and its made id to what is logged while a call is being answered."""
    access = _current.get()
    # What a call has started may go on after it, and is then nobody's.
    if access is not None and not access.is_over and "rpc" not in event:
        event.update(about(access))
    return event


def about(access: Access) -> dict[str, str]:
    """Name a call by its RPC, its made id and its trace id, as far as there are any."""
    named = {"rpc": access.rpc}
    if access.made_id is not None:
        named[access.made_id[0]] = access.made_id[1]
    if access.trace_id:
        named["trace_id"] = access.trace_id
    return named


def _end(access: Access, span: tracing.Span) -> None:
    span.set("rpc.grpc.status_code", grpc.StatusCode[access.code].value[0])
    if access.reason:
        span.set("nexus.reason", access.reason)
    if access.made_id is not None:
        span.set(f"nexus.{access.made_id[0]}", access.made_id[1])
    if access.code in FAILED:
        span.fail(access.code)
    span.end()
