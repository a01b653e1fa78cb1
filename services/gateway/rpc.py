"""The gRPC door: generic handlers made from the routes, reflection and health. No generated stubs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.errors import DeadlineExceededError, InvalidRequestError, NexusError
from services.common.tracing import HEADER
from services.gateway import metrics
from services.gateway.access import Access, watched
from services.gateway.admission import IDEMPOTENCY_KEY, Admission
from services.gateway.asgi import BODY_SECONDS
from services.gateway.auth import Authenticator, Credentials
from services.gateway.calls import Call, Gateway
from services.gateway.http import FORWARDED
from services.gateway.ingress import MAX_SECONDS
from services.gateway.outbox import TAKE_SECONDS, Outbox
from services.gateway.pages import Readiness
from services.gateway.ratelimit import grpc_peer
from services.gateway.ratelimit_guard import Visit
from services.gateway.routes import Route
from services.gateway.status import FAULTS, STATUS_DETAILS, grpc_code, grpc_details, message_of, opaque
from services.gateway.validate import words_for_size

MAX_RECEIVE_BYTES: Final = 8 * 1024 * 1024 + 64 * 1024
MAX_SEND_BYTES: Final = 4 * 1024 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_STREAMS: Final = 1000
LEAST_SECONDS: Final = 0.002
"""No handler answers faster: a call with less time left is not begun. gRPC rounds 1 ns up to 1 ms."""

HEALTH_SECONDS: Final = 1.0
"""Between two looks at the readiness, which itself asks less often."""

ANSWER_SECONDS: Final = 0.1
"""Left for the answer that the deadline has passed."""


_OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.max_send_message_length", MAX_SEND_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # Otherwise a second gateway would silently share the port.
    ("grpc.so_reuseport", 0),
    # Watchers' connections are kept alive by their clients' pings.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)

if TYPE_CHECKING:
    _GenericHandler = grpc.GenericRpcHandler[bytes, Message]
else:
    # Generic for the type checker only.
    _GenericHandler = grpc.GenericRpcHandler

Context = grpc.aio.ServicerContext[bytes, Message]


class RpcDoor:
    """Serves every route over gRPC."""

    def __init__(
        self, routes: Mapping[str, Route], gateway: Gateway, admission: Admission, authenticator: Authenticator
    ) -> None:
        self._routes = routes
        self._gateway = gateway
        self._admission = admission
        self._authenticator = authenticator
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        services = sorted({name[1:].split("/")[0] for name in routes})
        self._services = ["", *services]
        self._server.add_generic_rpc_handlers((_Handlers({name: self._handler(routes[name]) for name in routes}),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        shown = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(shown, self._server, _Symbols(descriptor_pool.Default()))  # type: ignore[arg-type]

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen, NOT_SERVING until `follow` knows better. Gives the port. `credentials`: TLS, None for none.

        Raises RuntimeError where the address is taken.
        """
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._say(is_ready=False)
        await self._server.start()
        return port

    async def follow(self, readiness: Readiness) -> None:
        """Let health say what /readyz says, until cancelled."""
        while True:
            await self._say(is_ready=not await readiness.missing())
            await asyncio.sleep(HEALTH_SECONDS)

    async def _say(self, *, is_ready: bool) -> None:
        known = health_pb2.HealthCheckResponse
        for service in self._services:
            await self._health.set(service, known.SERVING if is_ready else known.NOT_SERVING)

    async def say_not_serving(self) -> None:
        """Let balancers look elsewhere; calls are still taken."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, let those in flight finish, end what is left after `grace_seconds`."""
        await self._server.stop(grace_seconds)

    def _handler(self, route: Route) -> grpc.RpcMethodHandler[bytes, Message]:
        # Bytes go in as they are, so that what cannot be parsed is refused in our own words. They are read as a
        # stream, because grpc.aio never answers a unary call whose one message does not come whole.
        if route.is_stream:

            async def stream(sent: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
                with _watched(route, context) as access, metrics.STREAMS.labels("grpc").track_inprogress():
                    try:
                        with self._entered(route, context) as visit:
                            call = await self._open(route, sent, context, access, visit)
                            async with contextlib.aclosing(self._gateway.stream(call)) as messages:
                                async for message in messages:
                                    yield message
                        access.answered()
                    except FAULTS as fault:
                        await _abort(context, opaque(fault), access)

            return grpc.stream_stream_rpc_method_handler(stream, response_serializer=_serialize)

        async def unary(sent: AsyncIterator[bytes], context: Context) -> bytes:
            with _watched(route, context) as access:
                try:
                    with self._entered(route, context) as visit:
                        call = await self._open(route, sent, context, access, visit)
                        # Bytes wait for a slow client, and not the message: that takes ten times as much.
                        content = _serialize(await self._gateway.unary(call))
                    _wait_for_taking(self._gateway.outbox, len(content), context)
                    access.answered()
                except FAULTS as fault:
                    await _abort(context, opaque(fault), access)
                    raise  # Never reached: abort raises.
                return content

        return grpc.stream_unary_rpc_method_handler(cast("Any", unary))

    def _entered(self, route: Route, context: Context) -> AbstractContextManager[Visit]:
        forwarded = _texts(context.invocation_metadata() or ()).get(FORWARDED, [])
        return self._admission.guard.enter(route, grpc_peer(context.peer()), forwarded)

    async def _open(
        self, route: Route, sent: AsyncIterator[bytes], context: Context, access: Access, visit: Visit
    ) -> Call:
        metadata = _texts(context.invocation_metadata() or ())
        # Before the message is read: what is refused is not to take memory.
        caller = await visit.caller(
            self._authenticator,
            Credentials(
                metadata.get("authorization", []),
                metadata.get("x-api-key", []),
                metadata.get("x-nexus-subject", []),
                metadata.get("x-nexus-roles", []),
            ),
        )
        data = await _only(sent)
        if len(data) > route.max_bytes:
            raise InvalidRequestError(words_for_size(route.max_bytes))
        deadline = _deadline(context)
        request = await self._gateway.heavy.run(len(data), lambda: _parse(route, data))
        call = self._admission.open(
            route,
            request,
            caller,
            idempotency_keys=metadata.get(IDEMPOTENCY_KEY, []),
            deadline=deadline,
            traceparent=_traceparent(context),
        )
        access.opened(call)
        if call.made_id:
            # Before anything is waited for: a client that loses the answer has the id.
            await context.send_initial_metadata(((route.made_id_header, call.made_id),))
        await self._gateway.heavy.run(len(data), lambda: self._admission.check(call))
        return call


class _Handlers(_GenericHandler):
    """Finds the handler of a method by its full name."""

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler[bytes, Message]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, Message] | None:
        """Give the handler, None for a method that is not ours."""
        return self._handlers.get(handler_call_details.method)


class _Symbols:
    """A descriptor pool that also finds methods and fields, as `grpcurl describe` asks for them."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - protobuf's own name
        """Give the file of a symbol, or of the service or message that it is part of."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0])


def _texts(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, list[str]]:
    """Give every value of each key; what is no UTF-8 is kept as it came, so that it is refused and not overlooked."""
    texts: dict[str, list[str]] = {}
    for name, value in metadata:
        texts.setdefault(name, []).append(value if isinstance(value, str) else value.decode("latin-1"))
    return texts


def _watched(route: Route, context: Context) -> AbstractContextManager[Access]:
    return watched(route, "grpc", _traceparent(context))


def _traceparent(context: Context) -> str:
    found = next((value for name, value in context.invocation_metadata() or () if name == HEADER), "")
    return found if isinstance(found, str) else ""


def _is_our_concern(record: logging.LogRecord) -> bool:
    # A client's metadata that is no UTF-8 is refused like any other; grpc writes a traceback of it, value included.
    # And one that hangs up before it has taken its answer is no error of anybody's: grpc writes a traceback too.
    return not str(record.msg).startswith(("Invalid encoding on", "ExecuteBatchError raised in core"))


logging.getLogger("grpc._cython.cygrpc").addFilter(_is_our_concern)


async def _only(sent: AsyncIterator[bytes]) -> bytes:
    """Read the one message of a call whose requests are no stream."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for data in sent:
                return data
    except TimeoutError as error:
        raise InvalidRequestError({"request": f"must arrive within {BODY_SECONDS:.0f} s"}) from error
    raise InvalidRequestError({"request": "must be one whole message"})


def _parse(route: Route, data: bytes) -> Message:
    try:
        return route.request_class.FromString(data)
    except DecodeError as error:
        raise InvalidRequestError({"request": "must be a message of its type, with texts in UTF-8"}) from error


def _deadline(context: Context) -> float | None:
    left = context.time_remaining()
    if left is None or left > MAX_SECONDS:
        return None
    if left <= LEAST_SECONDS:
        raise DeadlineExceededError("the deadline has passed")
    # A little earlier than the client's own, so that our answer with the order's id still reaches it.
    return asyncio.get_running_loop().time() + left - min(ANSWER_SECONDS, left / 10)


def _wait_for_taking(outbox: Outbox, size: int, context: Context) -> None:
    """Count a large answer until the call is over; end the call of a client that does not take it."""
    counted = outbox.put(size)
    if counted:
        # The task that serves the call sends the answer as well; grpc has no time-out for that.
        serving = cast("asyncio.Task[None]", asyncio.current_task())
        ending = asyncio.get_running_loop().call_later(TAKE_SECONDS, serving.cancel)

        def over(_context: object) -> None:
            ending.cancel()
            outbox.taken(counted)

        context.add_done_callback(cast("Any", over))


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def _abort(context: Context, error: NexusError, access: Access) -> None:
    access.refused(error)
    trailers = ((STATUS_DETAILS, grpc_details(error)),)
    await context.abort(grpc_code(error), message_of(error), trailers)
