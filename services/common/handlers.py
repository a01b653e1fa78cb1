"""How a function becomes a Restate handler, and how handlers call one another.

Refusals: the domain raises a NexusError, callers get one. In between it is a TerminalError whose
metadata carries `reason` and the details. A TerminalError without a reason is no refusal: the call
was given up or killed, and its effect is in doubt.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import restate
from restate.context import RestateDurableCallFuture

from services.common import attempt
from services.common.errors import NexusError, by_reason
from services.common.messages import Envelope, Reply, Target
from services.common.serde import serde

Request = TypeVar("Request")
Response = TypeVar("Response")
State = TypeVar("State")
Handler = Callable[..., Awaitable[Any]]

UNLIMITED = 2_000_000_000
"""As many attempts as a policy can name: at 5 s apart, three hundred years."""

NEVER_GIVES_UP = restate.InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=5),
    max_attempts=UNLIMITED,
    on_max_attempts="pause",
)
"""For handlers whose work nobody else would do."""

GIVES_UP = restate.InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=5),
    max_attempts=10,
    on_max_attempts="kill",
)
"""For reads and for steps whose caller compensates."""

PATIENT = restate.InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=15),
    max_attempts=UNLIMITED,
    on_max_attempts="pause",
)
"""For Checkout and Mailer, which speak to the world outside."""

KEPT_FOR_CLIENTS = timedelta(hours=24)
"""How long a client's repeated request gets the first answer."""

KEPT_FOR_OPERATORS = timedelta(hours=1)
"""How long the journal of an inner call can be looked at."""

STEP_SECONDS = 15
"""Longest that one step may wait for the world outside. Source: FACTS.md, restate#5196."""


def terminal(error: NexusError, fingerprint: str = "") -> restate.TerminalError:
    """Turn a refusal into what Restate stores and sends to the caller."""
    metadata = {"reason": error.reason, **error.details}
    if fingerprint:
        metadata["fingerprint"] = fingerprint
    return restate.TerminalError(error.message, status_code=error.http_status, metadata=metadata)


def refusal(error: restate.TerminalError) -> NexusError | None:
    """Give the refusal that a call ended with, or None where its effect is in doubt."""
    metadata = dict(error.metadata or {})
    kind = by_reason().get(metadata.pop("reason", ""))
    if kind is None:
        return None
    metadata.pop("fingerprint", None)
    return kind.rebuild(error.message, metadata)


def public(
    definition: restate.VirtualObject | restate.Service,
    target: Target[Any, Any],
    *,
    shared: bool = False,
    takes_envelope: bool = False,
    retry: restate.InvocationRetryPolicy = NEVER_GIVES_UP,
) -> Callable[[Handler], Handler]:
    """Make a handler that clients reach through the gateway: fn(ctx, request, caller) -> response.

    With `takes_envelope`: fn(ctx, envelope), for what has to look at the fingerprint itself. The answer
    and every refusal carry the fingerprint of the request. On a virtual object a handler is exclusive
    unless `shared`.
    """

    def decorate(fn: Handler) -> Handler:
        async def handle(ctx: Any, envelope: Any) -> Any:
            try:
                arguments = (envelope,) if takes_envelope else (envelope.request, envelope.caller)
                response = await fn(ctx, *arguments)
            except NexusError as error:
                raise terminal(error, envelope.fingerprint) from error
            return Reply(response, envelope.fingerprint)

        _register(definition, target, handle, fn, shared=shared, private=False, retry=retry)
        return fn

    return decorate


def private(
    definition: restate.VirtualObject | restate.Service,
    target: Target[Any, Any],
    *,
    shared: bool = False,
    retry: restate.InvocationRetryPolicy = NEVER_GIVES_UP,
) -> Callable[[Handler], Handler]:
    """Make a handler that only other handlers reach: fn(ctx, request) -> response."""

    def decorate(fn: Handler) -> Handler:
        async def handle(ctx: Any, request: Any) -> Any:
            try:
                return await fn(ctx, request)
            except NexusError as error:
                raise terminal(error) from error

        _register(definition, target, handle, fn, shared=shared, private=True, retry=retry)
        return fn

    return decorate


def _register(
    definition: restate.VirtualObject | restate.Service,
    target: Target[Any, Any],
    handle: Handler,
    fn: Handler,
    *,
    shared: bool,
    private: bool,
    retry: restate.InvocationRetryPolicy,
) -> None:
    if definition.name != target.service:
        raise ValueError(f"{target.service}.{target.handler} does not belong to {definition.name}")
    kept = KEPT_FOR_OPERATORS if private else KEPT_FOR_CLIENTS
    handle.__doc__ = fn.__doc__
    options: dict[str, Any] = {
        "name": target.handler,
        "input_serde": serde(target.request if private else Envelope[target.request]),  # type: ignore[name-defined]
        "output_serde": serde(target.response if private else Reply[target.response]),  # type: ignore[name-defined]
        "ingress_private": private,
        "invocation_retry_policy": retry,
        "journal_retention": kept,
        "idempotency_retention": kept,
        "invocation_context_managers": attempt.managers(),
    }
    if isinstance(definition, restate.VirtualObject):
        definition.handler(kind="shared" if shared else "exclusive", **options)(handle)
    else:
        definition.handler(**options)(handle)


def add_ping(definition: restate.VirtualObject | restate.Service) -> None:
    """Add the handler `ping`, by which the gateway learns that a service is registered and answers."""

    async def ping(_ctx: Any) -> str:
        """Answer `ok`, without any effect."""
        return "ok"

    options: dict[str, Any] = {
        "name": "ping",
        "invocation_retry_policy": GIVES_UP,
        "journal_retention": timedelta(0),
        "idempotency_retention": timedelta(0),
    }
    if isinstance(definition, restate.VirtualObject):
        # Shared, so that it answers while the object is busy.
        definition.handler(kind="shared", enable_lazy_state=True, **options)(ping)
    else:
        definition.handler(**options)(ping)


async def _read_clock() -> datetime:
    return datetime.now(UTC)


async def now(ctx: restate.Context) -> datetime:
    """Read the clock once and for all replays; UTC."""
    # Not `ctx.time()`: the SDK runs a step that is no coroutine in a thread, which costs more than the step.
    options: restate.RunOptions[datetime] = restate.RunOptions(serde=serde(datetime))
    return await ctx.run_typed("now", _read_clock, options)


class Moment(msgspec.Struct, frozen=True):
    """A reading of the clock, UTC, and 128 bits of chance as hex digits."""

    at: datetime
    token: str


async def _read_moment() -> Moment:
    return Moment(datetime.now(UTC), secrets.token_hex(16))


async def moment(ctx: restate.Context) -> Moment:
    """Read clock and chance in one journaled step.

    Not `ctx.random()`: its seed follows from the invocation id, which can be computed from keys.
    """
    options: restate.RunOptions[Moment] = restate.RunOptions(serde=serde(Moment))
    return await ctx.run_typed("moment", _read_moment, options)


def start(
    ctx: restate.Context, target: Target[Request, Response], key: str | None, request: Request
) -> RestateDurableCallFuture[bytes]:
    """Begin a call without waiting for it; `finish` takes its answer."""
    return ctx.generic_call(
        target.service,
        target.handler,
        serde(target.request).serialize(request),
        key=key,
        headers=attempt.forwarded(ctx),
    )


async def finish(target: Target[Request, Response], future: RestateDurableCallFuture[bytes]) -> Response:
    """Wait for a call that `start` began. Raises the callee's NexusError, or TerminalError in doubt."""
    try:
        body = await future
    except restate.TerminalError as error:
        refused = refusal(error)
        if refused is None:
            raise
        raise refused from error
    answer: Response = serde(target.response).deserialize(body)
    return answer


async def call(ctx: restate.Context, target: Target[Request, Response], key: str | None, request: Request) -> Response:
    """Call a handler and wait. Raises the callee's NexusError, or TerminalError in doubt."""
    return await finish(target, start(ctx, target, key, request))


def send(
    ctx: restate.Context,
    target: Target[Request, Any],
    key: str | None,
    request: Request,
    delay: timedelta | None = None,
) -> None:
    """Send a message that Restate delivers once, after `delay`; nobody waits for an answer."""
    body = serde(target.request).serialize(request)
    ctx.generic_send(target.service, target.handler, body, key=key, send_delay=delay, headers=attempt.forwarded(ctx))


async def load(ctx: restate.ObjectContext | restate.ObjectSharedContext, name: str, type_: type[State]) -> State | None:
    """Read a value of the object's state; None where there is none."""
    return await loading(ctx, name, type_)


def loading(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, name: str, type_: type[State]
) -> Awaitable[State | None]:
    """Begin to read a value of the object's state, so that another can be read meanwhile."""
    return ctx.get(name, serde=serde(type_))


def save(ctx: restate.ObjectContext, name: str, value: object) -> None:
    """Write a value of the object's state."""
    ctx.set(name, value, serde=serde(type(value)))
