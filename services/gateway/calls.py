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

from services.common.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    InternalError,
    NexusError,
    NotFoundError,
    RequestReusedError,
    UnavailableError,
)
from services.common.messages import Caller
from services.common.seal import KeyRing
from services.gateway.convert import first_answer, from_json, to_json
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.heavy import HeavyWork
from services.gateway.ingress import FINGERPRINT, MAX_SECONDS, Ingress, decode
from services.gateway.keys import RequestKeys
from services.gateway.routes import Route

PEEK_AFTER_SECONDS = 0.25
"""How long a repeated call may go unanswered before it is looked whether its id stands for another."""

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
    ) -> None:
        self.ingress = ingress
        self.keys = keys
        self.stopping = asyncio.Event()
        self.heavy = HeavyWork()
        self._ring = ring
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
                return await self._submit(call)
            if route.peek_handler and call.is_repeatable:
                return await self._call_and_peek(call)
            return self._response(route, await self._process(call))
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
        fingerprint = call.fingerprint if call else ""
        body = msgspec.json.encode(
            {
                "caller": call.caller if call else Caller(),
                "fingerprint": fingerprint,
                "request": to_json(request) if isinstance(request, Message) else request,
            }
        )
        try:
            content = await self.ingress.call(
                service,
                key,
                handler,
                body,
                idempotency_key=idempotency_key,
                timeout=call.seconds_left() if call else None,
                traceparent=call.traceparent if call else "",
            )
        except NexusError as error:
            _check_same(fingerprint, error.details.pop(FINGERPRINT, ""))
            raise
        answer = decode(content)
        _check_same(fingerprint, answer.get(FINGERPRINT, ""))
        response = answer.get("response")
        if not isinstance(response, dict):
            raise InternalError(f"{service}.{handler} answered no object")
        return response

    def request_json(self, call: Call) -> dict[str, Any]:
        """Give the request as handlers read it, with personal data sealed to the object's key."""
        request = to_json(call.request)
        for path in call.route.sealed:
            owner = request
            for parent in path.parents:
                owner = owner.get(parent, {})
            if path.name in owner:
                owner[path.name] = self._ring.seal(owner[path.name], call.key)
        return request

    async def _process(self, call: Call) -> dict[str, Any]:
        route = call.route
        request = await self.heavy.run(call.request.ByteSize(), lambda: self.request_json(call))
        return await self.invoke(route.service, call.key, route.handler, request, call, self._idempotency_key(call))

    def _idempotency_key(self, call: Call) -> str | None:
        if call.route.idempotency == options_pb2.IDEMPOTENCY_KEY:
            return self.keys.idempotency_key(call.route, call.caller, call.key, "")
        if call.route.idempotency == options_pb2.IDEMPOTENCY_REQUEST_ID and call.request_id:
            return self.keys.idempotency_key(call.route, call.caller, call.key, call.request_id)
        return None

    async def _peek(self, call: Call) -> dict[str, Any]:
        sealed = {path.text.partition(".")[0] for path in call.route.sealed}
        request = {name: value for name, value in to_json(call.request).items() if name not in sealed}
        return await self.invoke(call.route.service, call.key, call.route.peek_handler, request, call)

    async def _call_and_peek(self, call: Call) -> Message:
        """Call, and where that takes long look whether the id stands for another request or caller."""
        process = asyncio.ensure_future(self._process(call))
        try:
            done, _ = await asyncio.wait({process}, timeout=PEEK_AFTER_SECONDS)
            if not done:
                try:
                    await self._peek(call)
                except (RequestReusedError, AlreadyExistsError):
                    raise
                except NexusError:
                    pass  # The call itself will tell.
            return self._response(call.route, await process)
        finally:
            # Where the peek's refusal wins, nobody takes the call's own answer.
            process.cancel()
            await asyncio.gather(process, return_exceptions=True)

    async def _submit(self, call: Call) -> Message:
        """Hand the call over without waiting for it, and show what there is of it."""
        route = call.route
        body = {"caller": call.caller, "fingerprint": call.fingerprint, "request": self.request_json(call)}
        accepted = await self.ingress.call(
            route.service,
            call.key,
            route.handler,
            msgspec.json.encode(body),
            idempotency_key=self._idempotency_key(call),
            timeout=call.seconds_left(),
            send=True,
            traceparent=call.traceparent,
        )
        is_repeat = decode(accepted).get("status") == "PreviouslyAccepted"
        try:
            shown = await self._shown(call)
            if shown is None and is_repeat:
                # Not begun yet, so it cannot be told whether it is the same request: look once more.
                await asyncio.sleep(PEEK_AFTER_SECONDS)
                shown = await self._shown(call)
        except (UnavailableError, DeadlineExceededError):
            if is_repeat:
                raise
            shown = None
        return shown or first_answer(call.request, route.response_class)

    async def _shown(self, call: Call) -> Message | None:
        try:
            return self._response(call.route, await self._peek(call))
        except NotFoundError:
            return None

    async def _poll(self, call: Call) -> AsyncIterator[Message]:
        route, last, pause = call.route, None, POLL_SECONDS[0]
        request = self.request_json(call)
        while True:
            response = await self.invoke(route.service, call.key, route.handler, request, call)
            if response != last:
                last, pause = response, POLL_SECONDS[0]
                message = self._response(route, response)
                yield message
                if route.final_field and getattr(message, route.final_field) in route.final_values:
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])

    @staticmethod
    def _response(route: Route, response: Mapping[str, Any]) -> Message:
        return from_json(response, route.response_class)


async def _next(source: AsyncIterator[Message]) -> Message | None:
    return await anext(source, None)


def _check_same(fingerprint: str, answered: str) -> None:
    """Refuse an answer that was given to another request, without a word of it."""
    if answered and answered != fingerprint:
        raise RequestReusedError("this id or request_id stands for another request") from None
