"""What is known of the handler attempt that runs now: for its logs, its span, and the trace it belongs to.

A handler is attempted again after every suspension and every failure; each attempt is a span of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

import restate
import structlog
from restate.exceptions import SdkInternalBaseException
from restate.extensions import current_context
from restate.server_context import restate_context_is_replaying
from structlog.typing import EventDict, WrappedLogger

from services.common import tracing
from services.common.tracing import HEADER, Value

ORDERS = "Checkout"
"""The service whose object keys are order ids."""


def drop_replayed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Stay silent while an invocation repeats what it has logged already."""
    if restate_context_is_replaying.get():
        raise structlog.DropEvent
    return event


def add_invocation(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add invocation id, service, handler, object key (of an order: order_id) and trace id."""
    context = _running()
    if context is None:
        return event
    request = context.request()
    event["invocation_id"] = request.id
    handler = context.handler
    event["service"], event["handler"] = handler.service_tag.name, handler.name
    if handler.service_tag.kind == "object":
        event.setdefault("order_id" if handler.service_tag.name == ORDERS else "key", context.key())
    trace_id = tracing.trace_id(request.headers.get(HEADER) or request.attempt_headers.get(HEADER, ""))
    if trace_id:
        event["trace_id"] = trace_id
    return event


def forwarded(ctx: Any) -> dict[str, str] | None:
    """Give the headers of a call to another handler: the client's traceparent, None where it sent none.

    From the invocation's own headers, which are journaled: the same in every replay. Restate passes the
    trace on by itself only where its own tracing is on. Source: run on 2026-11-21, Restate 1.7.12.
    """
    given = ctx.request().headers.get(HEADER)
    return {HEADER: given} if given else None


def managers() -> list[Callable[[], AbstractAsyncContextManager[None]]] | None:
    """Give what the SDK runs round every attempt of a handler that is made now; None while traces are off."""
    return None if tracing.tracer() is None else [_traced]


@asynccontextmanager
async def _traced() -> AsyncIterator[None]:
    """Make a span of an attempt."""
    tracer, context = tracing.tracer(), _running()
    if tracer is None or context is None:
        yield
        return
    span = _begin(tracer, context)
    token = tracing.CURRENT.set(span)
    outcome = "failed"
    try:
        yield
        outcome = "answered"
    except restate.TerminalError as error:
        outcome = "refused"
        span.set("nexus.reason", (error.metadata or {}).get("reason", "TERMINAL"))
        if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.fail("TERMINAL")
        raise
    except (SdkInternalBaseException, asyncio.CancelledError):
        # Waiting for what takes long: the next attempt goes on from the journal.
        outcome = "suspended"
        raise
    except BaseException as error:
        span.fail(type(error).__name__)
        raise
    finally:
        span.set("nexus.outcome", outcome)
        tracing.CURRENT.reset(token)
        span.end()


def _begin(tracer: tracing.Tracer, context: Any) -> tracing.Span:
    request, handler = context.request(), context.handler
    service = handler.service_tag.name
    attributes: dict[str, Value] = {
        "rpc.system": "restate",
        "rpc.service": service,
        "rpc.method": handler.name,
        "restate.invocation.id": request.id,
        # Of an attempt that begins by replaying what earlier ones did.
        "nexus.replayed": bool(restate_context_is_replaying.get()),
    }
    if service == ORDERS:
        attributes["nexus.order_id"] = context.key()
    given = request.headers.get(HEADER, "")
    # Restate's own span of the attempt is nearer than the span of the client's call. Restate begins a trace of
    # its own for what is sent one way: the link leads from there to the client's.
    parent = request.attempt_headers.get(HEADER) or given
    is_apart = tracing.trace_id(parent) != tracing.trace_id(given)
    return tracer.begin(f"{service}/{handler.name}", "server", parent, attributes, link=given if is_apart else "")


def _running() -> Any:
    """Give the context of the attempt that runs, None outside of one."""
    try:
        return current_context()
    except LookupError:
        return None
