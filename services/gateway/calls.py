"""A client's call, whichever door it came through, and what the gateway does with it.

Doors parse and print; this decides where a call goes, from its Route alone. No business rule is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
from google.protobuf.message import Message

from services.common.datakeys import DataKeys
from services.common.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    InternalError,
    NexusError,
    RequestReusedError,
    UnavailableError,
)
from services.common.messages import Caller
from services.common.seal import KeyRing
from services.gateway import repeats
from services.gateway.convert import from_json, to_json
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.heavy import HeavyWork
from services.gateway.ingress import FINGERPRINT, MAX_SECONDS, Ingress, decode
from services.gateway.keys import RequestKeys
from services.gateway.outbox import Outbox
from services.gateway.routes import Route
from services.gateway.sealing import Sealer

POLL_SECONDS = (0.2, 1.0)
"""Pause between two looks of a POLL stream: just after a change, and the longest."""

Part = TypeVar("Part")


@dataclass(slots=True)
class Call:
    """One call of a client.

    `deadline`: moment of the loop's clock, None where the client gave none. `is_repeatable`: the client
    gave the made id or a request_id. `violations`: what the door found wrong with its headers.
    """

    route: Route
    request: Message
    caller: Caller
    fingerprint: str = ""
    request_id: str = ""
    deadline: float | None = None
    traceparent: str = ""
    made_id: str = ""
    is_repeatable: bool = False
    violations: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of the object that the route names."""
        return self.route.key.key(self.request, self.caller.subject)

    def seconds_left(self) -> float:
        """Time until the deadline, at most as long as anybody waits; not above zero once it has passed."""
        if self.deadline is None:
            return MAX_SECONDS
        return min(self.deadline - asyncio.get_running_loop().time(), MAX_SECONDS)


ComposedCall = Callable[["Gateway", Call], Awaitable[Message] | AsyncIterator[Message]]
"""Code of an RPC that takes several calls: async def for a unary RPC, an async generator for a stream."""

Refuse = Callable[["Gateway", Call], None]
"""Looks at a call that is not repeatable before it is made, and may raise SeatUnavailableError (not async)."""


class Gateway:
    """Carries calls to Restate. One per process, used by both doors."""

    def __init__(
        self,
        ingress: Ingress,
        keys: RequestKeys,
        ring: KeyRing,
        composed: Mapping[str, ComposedCall] | None = None,
        refuse_sold: Refuse | None = None,
        data_keys: DataKeys | None = None,
    ) -> None:
        self.ingress = ingress
        self.keys = keys
        self.stopping = asyncio.Event()
        self.heavy = HeavyWork()
        self.outbox = Outbox()
        self._sealer = Sealer(ring, data_keys)
        self._composed = dict(composed or {})
        self._refuse_sold = refuse_sold
        self._parts: dict[type[Any], Any] = {}

    def part(self, kind: Callable[[Gateway], Part]) -> Part:
        """Give the gateway's only instance of a class, made as `kind(gateway)` on first use.

        For what composed RPCs share, such as the live maps. A part's `async def close()` is awaited at the end.
        """
        if kind not in self._parts:
            self._parts[cast("type[Any]", kind)] = kind(self)
        return cast("Part", self._parts[cast("type[Any]", kind)])

    async def close(self) -> None:
        """Close the parts and the connections."""
        for part in self._parts.values():
            if hasattr(part, "close"):
                await part.close()
        await self._sealer.close()
        await self.ingress.close()
        self.heavy.close()

    async def unary(self, call: Call) -> Message:
        """Make a call that has one answer. Raises NexusError."""
        route = call.route
        try:
            if route.kind == options_pb2.ROUTE_KIND_COMPOSED:
                return await cast("Awaitable[Message]", self._composed[route.name](self, call))
            if self._refuse_sold is not None and route.idempotency and not call.is_repeatable:
                self._refuse_sold(self, call)
            if route.async_field and getattr(call.request, route.async_field):
                return await repeats.submit(self, call)
            if route.peek_handler and call.is_repeatable:
                return await repeats.call_and_peek(self, call)
            return await self.process(call)
        except DeadlineExceededError as error:
            if route.made_id is not None:
                error.details[route.made_id.name] = call.made_id
            raise

    async def stream(self, call: Call) -> AsyncGenerator[Message, None]:
        """Make a call that has many answers. Raises NexusError; UnavailableError when the gateway stops."""
        if call.route.kind == options_pb2.ROUTE_KIND_COMPOSED:
            source = cast("AsyncIterator[Message]", self._composed[call.route.name](self, call))
        else:
            source = self._poll(call)
        stopped = asyncio.ensure_future(self.stopping.wait())
        following: asyncio.Task[Message | None] | None = None
        try:
            while True:
                following = asyncio.ensure_future(_next(source))
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    raise UnavailableError("the gateway is stopping: resume with another")
                message = following.result()
                if message is None:
                    return
                yield message
        finally:
            stopped.cancel()
            if following is not None and not following.done():
                following.cancel()
                await asyncio.wait({following})
            if hasattr(source, "aclose"):
                await source.aclose()

    async def invoke(
        self,
        service: str,
        key: str | None,
        handler: str,
        request: Mapping[str, Any] | Message,
        call: Call | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Call a handler for a client's call and give its response, a JSON object.

        Without `call` it is made for an anonymous caller. Raises NexusError; RequestReusedError where the
        answer, or the refusal, is that of another request.
        """
        content = await self._exchange(service, key, handler, request, call, idempotency_key=idempotency_key)
        return _response(content, call.fingerprint if call else "")

    async def answer(self, call: Call, handler: str, request: Mapping[str, Any], key: str | None = None) -> Message:
        """Call a handler of the call's object and give its response as the RPC's. `key`: Idempotency-Key."""
        content = await self._exchange(call.route.service, call.key, handler, request, call, idempotency_key=key)
        kind, fingerprint = call.route.response_class, call.fingerprint
        return await self.heavy.run(len(content), lambda: from_json(_response(content, fingerprint), kind))

    async def process(self, call: Call) -> Message:
        """Call the handler that the route names."""
        request = await self._request_json(call)
        return await self.answer(call, call.route.handler, request, self.idempotency_key(call))

    async def submit(self, call: Call) -> bool:
        """Hand the call over without waiting for it; tell whether it had been handed over before."""
        route = call.route
        content = await self._exchange(
            route.service,
            call.key,
            route.handler,
            await self._request_json(call),
            call,
            idempotency_key=self.idempotency_key(call),
            send=True,
        )
        return decode(content).get("status") == "PreviouslyAccepted"

    async def _exchange(
        self,
        service: str,
        key: str | None,
        handler: str,
        request: Mapping[str, Any] | Message,
        call: Call | None,
        *,
        idempotency_key: str | None,
        send: bool = False,
    ) -> bytes:
        fingerprint = call.fingerprint if call else ""
        body = {
            "caller": call.caller if call else Caller(),
            "fingerprint": fingerprint,
            "request": to_json(request) if isinstance(request, Message) else request,
        }
        try:
            return await self.ingress.call(
                service,
                key,
                handler,
                msgspec.json.encode(body),
                idempotency_key=idempotency_key,
                timeout=call.seconds_left() if call else None,
                send=send,
                traceparent=call.traceparent if call else "",
                is_read=call is not None and _is_read(call.route, handler),
            )
        except NexusError as error:
            answered = error.details.pop(FINGERPRINT, "")
            if not isinstance(error, AlreadyExistsError):
                # Whoever uses another's id learns that it is taken, whatever they asked for before.
                _check_same(fingerprint, answered)
            raise

    async def _request_json(self, call: Call) -> dict[str, Any]:
        """Give the request as handlers read it, sealed where the proto says so. Raises UnavailableError."""
        data_key = await self._sealer.key_for(call)
        return await self.heavy.run(call.request.ByteSize(), lambda: self._sealer.request_json(call, data_key))

    def idempotency_key(self, call: Call) -> str | None:
        """Give the Idempotency-Key that the route asks for, None where it asks for none."""
        if call.route.idempotency == options_pb2.IDEMPOTENCY_KEY:
            return self.keys.idempotency_key(call.route, call.caller, call.key, "")
        if call.route.idempotency == options_pb2.IDEMPOTENCY_REQUEST_ID and call.request_id:
            return self.keys.idempotency_key(call.route, call.caller, call.key, call.request_id)
        return None

    async def _poll(self, call: Call) -> AsyncIterator[Message]:
        route, last, pause = call.route, None, POLL_SECONDS[0]
        request = await self._request_json(call)
        while True:
            message = await self.answer(call, route.handler, request)
            if message != last:
                last, pause = message, POLL_SECONDS[0]
                yield message
                if route.final_field and getattr(message, route.final_field) in route.final_values:
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])


def _is_read(route: Route, handler: str) -> bool:
    """Tell whether a call of this handler for this RPC changes nothing: the proto says GET, or peek."""
    return route.http_method == "GET" or (bool(route.peek_handler) and handler == route.peek_handler)


async def _next(source: AsyncIterator[Message]) -> Message | None:
    return await anext(source, None)


def _check_same(fingerprint: str, answered: str) -> None:
    """Refuse an answer that was given to another request, without a word of it."""
    if answered and answered != fingerprint:
        raise RequestReusedError("this id or request_id stands for another request") from None


def _response(content: bytes, fingerprint: str) -> dict[str, Any]:
    """Take the response out of a handler's reply, if it is the reply to this request."""
    reply = decode(content)
    _check_same(fingerprint, reply.get(FINGERPRINT, ""))
    response = reply.get("response")
    if not isinstance(response, dict):
        raise InternalError("a handler answered no object")
    return response
