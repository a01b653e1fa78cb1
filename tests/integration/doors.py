"""Both doors under one form: a request by its proto fields goes in, an outcome in the contract's words comes out."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
import msgspec
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from yarl import URL

from services.cli.local import LocalStack
from services.gateway.routes import CONTRACT, Route, load_routes

DEADLINE_SECONDS = 5.0
"""A refusal that takes longer has hung. What a warm machine does within a second takes longer on a busy one."""

ROUTES: dict[str, Route] = {name.removeprefix("/nexus.v1."): route for name, route in load_routes(CONTRACT).items()}
"""Routes by `TicketService/HoldSeats` and the like."""

LARGE_BYTES = 1_000_000
"""From here on aiohttp wants to be given a file."""

Json = dict[str, Any]
Headers = Sequence[tuple[str, str]]


class Outcome(NamedTuple):
    """What a call came to. `code`: as gRPC names it; `text`: all that a client can read of a refusal."""

    code: str
    reason: str = ""
    message: str = ""
    violations: Mapping[str, str] = {}
    answer: Any = None
    http_status: int = 0
    text: str = ""
    seconds: float = 0

    @property
    def words(self) -> tuple[str, str, str, Mapping[str, str]]:
        """What both doors must say alike."""
        return self.code, self.reason, self.message, self.violations


class HttpDoor:
    """The HTTP door."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self.url = stack.gateway_url
        self._session = session

    async def call(self, rpc: str, request: Json, token: str | None = None, headers: Headers = ()) -> Outcome:
        """Call an RPC by its HTTP form."""
        method, path, body = http_form(ROUTES[rpc], request)
        content = None if body is None else msgspec.json.encode(body)
        return await self.send(method, path, token, content, headers)

    async def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        content: bytes | None = None,
        headers: Headers = (),
        content_type: str | None = "application/json",
    ) -> Outcome:
        """Send what is no RPC's form. `path`: goes out as it is."""
        sent = list(headers) + ([("authorization", f"Bearer {token}")] if token else [])
        if content is not None and content_type:
            sent.append(("content-type", content_type))
        skipped = ["content-type"] if content_type is None else []
        limit, begun = aiohttp.ClientTimeout(total=DEADLINE_SECONDS), time.monotonic()
        async with self._session.request(
            method,
            URL(self.url + path, encoded=True),
            data=content if content is None or len(content) < LARGE_BYTES else io.BytesIO(content),
            headers=sent,
            timeout=limit,
            skip_auto_headers=skipped,
        ) as answer:
            if answer.content_type == "text/event-stream":
                # A stream that was opened is an answer; it has no end.
                return Outcome("OK", http_status=answer.status, text=(await answer.content.readline()).decode())
            text = await answer.text()
            return http_outcome(answer.status, text, time.monotonic() - begun)


class GrpcDoor:
    """The gRPC door."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def call(
        self,
        rpc: str,
        request: Json | bytes,
        token: str | None = None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        seconds: float = DEADLINE_SECONDS,
    ) -> Outcome:
        """Call an RPC with a request by its fields, or with bytes as they are; of a stream take the first message."""
        route = ROUTES[rpc]
        data = request if isinstance(request, bytes) else wire(rpc, request)
        sent = [*metadata, *([("authorization", f"Bearer {token}")] if token else [])]
        open_call: Any = self._channel.unary_stream if route.is_stream else self._channel.unary_unary
        method = open_call(route.name, request_serializer=None, response_deserializer=route.response_class.FromString)
        begun = time.monotonic()
        call = method(data, metadata=sent, timeout=seconds)
        try:
            message = await (call.read() if route.is_stream else call)
            answer = json_format.MessageToDict(message, preserving_proto_field_name=True)
            return Outcome("OK", answer=answer, seconds=time.monotonic() - begun)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return _refusal(error, trailers.get("grpc-status-details-bin", b""), time.monotonic() - begun)
        finally:
            call.cancel()


async def raw_grpc(address: str, path: str, headers: Sequence[tuple[bytes, bytes]], data: bytes) -> dict[str, str]:
    """Send one HTTP/2 request that no gRPC client would send; give all headers and trailers of the answer.

    `data`: the stream's bytes, with the length prefix. A reset stream is `{"reset": code}`, a closed
    connection `{"closed": code}`.
    """
    host, port = address.split(":")
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        connection.initiate_connection()
        head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()), (b":authority", b"x")]
        more = [(b"content-type", b"application/grpc"), (b"te", b"trailers"), *headers]
        connection.send_headers(1, head + more)
        connection.send_data(1, data, end_stream=True)
        writer.write(connection.data_to_send())
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await _answer_of(connection, reader, writer)
    finally:
        writer.close()


async def _answer_of(
    connection: h2.connection.H2Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> dict[str, str]:
    found: dict[str, str] = {}
    while received := await reader.read(65536):
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                found |= {_text(name): _text(value) for name, value in event.headers}
            elif isinstance(event, h2.events.StreamEnded):
                return found
            elif isinstance(event, h2.events.StreamReset):
                return found | {"reset": str(event.error_code)}
            elif isinstance(event, h2.events.ConnectionTerminated):
                return found | {"closed": str(event.error_code)}
        writer.write(connection.data_to_send())
    return found | {"closed": "without a word"}


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def framed(message: bytes) -> bytes:
    """Put gRPC's prefix before a message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def wire(rpc: str, request: Json) -> bytes:
    """Give a request's bytes as a gRPC client sends them."""
    return json_format.ParseDict(request, ROUTES[rpc].request_class()).SerializeToString()


def http_form(route: Route, request: Json) -> tuple[str, str, Json | None]:
    """Give method, path with query, and body of a request. Source: google/api/http.proto."""
    left = msgspec.json.decode(msgspec.json.encode(request))
    path = route.path.text
    for field in route.path_fields:
        owner = left
        for parent in field.parents:
            owner = owner.get(parent, {})
        path = path.replace(f"{{{field.text}}}", quote(str(owner.pop(field.name, "")), safe=""))
    if route.body == "*":
        return route.http_method, path, left
    body = left.pop(route.body, {}) if route.body else None
    return route.http_method, path + (f"?{urlencode(left, doseq=True)}" if left else ""), body


def http_outcome(status: int, text: str, seconds: float = 0) -> Outcome:
    """Read an answer of the HTTP door."""
    try:
        content = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        content = {}
    if status < 400:
        return Outcome("OK", answer=content, http_status=status, text=text, seconds=seconds)
    error = content.get("error", {})
    details = error.get("details", [])
    found = {
        violation["field"]: violation["description"]
        for detail in details
        for violation in detail.get("field_violations", [])
    }
    reason = next((detail["reason"] for detail in details if "reason" in detail), "")
    return Outcome(error.get("status", ""), reason, error.get("message", ""), found, content, status, text, seconds)


def _refusal(error: grpc.aio.AioRpcError, packed: str | bytes, seconds: float) -> Outcome:
    reason, found = "", {}
    for detail in status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode()).details:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(request):
            found = {violation.field: violation.description for violation in request.field_violations}
    message = error.details() or ""
    return Outcome(error.code().name, reason, message, found, text=f"{message} {packed!r}", seconds=seconds)
