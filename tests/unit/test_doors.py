"""Both doors of a gateway, over real sockets, before an ingress whose answers a test decides.

The same on a real Restate is tested in tests/integration; here are the answers that it rarely gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, TrailersReceived
from hypercorn.asyncio import serve
from hypercorn.config import Config

from services.common.seal import KeyRing
from services.gateway import asgi
from services.gateway.admission import Admission
from services.gateway.auth import Authenticator
from services.gateway.calls import Gateway
from services.gateway.gen.nexus.v1 import checkout_pb2, ticket_pb2
from services.gateway.http import HttpDoor
from services.gateway.ingress import Ingress
from services.gateway.keys import RequestKeys
from services.gateway.pages import Pages, Readiness
from services.gateway.ratelimit_guard import Guard
from services.gateway.routes import CONTRACT, Route, further_files, load_routes
from services.gateway.rpc import RpcDoor
from tests.unit.scratch import HTTP, ROUTE, compile_scratch

ORDER = {"event_id": "gala", "hold_id": "h1", "payment_method": "card_success", "email": "ada@example.org"}
RING = KeyRing({"k1": b"s" * 32})
Handler = Callable[[dict[str, Any]], Awaitable[tuple[int, Any]]]


@dataclass
class Restate:
    """An ingress: answers `Service/handler` as told, and keeps what it was sent."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read() or b"{}")
        self.seen.append((request.path, {name.lower(): value for name, value in request.headers.items()}, body))
        service, *_, handler = request.path[1:].removesuffix("/send").split("/")
        if request.path.endswith("/send"):
            handler += "/send"
        found = self.handlers.get(f"{service}/{handler}")
        if found is None:
            return web.json_response({"source": "ingress", "message": "not registered"}, status=404)
        status, content = await found(body)
        return web.json_response(content, status=status)

    def ok(self, name: str, response: dict[str, Any], *, fingerprint: str | None = None, seconds: float = 0) -> None:
        async def handler(body: dict[str, Any]) -> tuple[int, Any]:
            await asyncio.sleep(seconds)
            return 200, {"response": response, "fingerprint": fingerprint or body["fingerprint"]}

        self.handlers[name] = handler

    def refuse(self, name: str, status: int, reason: str, *, fingerprint: str | None = None) -> None:
        async def handler(body: dict[str, Any]) -> tuple[int, Any]:
            metadata = {"reason": reason, "fingerprint": fingerprint or body["fingerprint"], "order_id": "o-9"}
            return status, {"source": "invocation", "message": f"refused {reason}", "metadata": metadata}

        self.handlers[name] = handler

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.seen]


@dataclass
class Doors:
    restate: Restate
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel
    routes: dict[str, Route]
    grpc_port: int

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any, Any]:
        sent = {"x-nexus-subject": "ann", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.post(path, json=body, headers=sent) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers

    def rpc(self, name: str, request: Message, timeout: float = 10) -> Any:
        route = self.routes[name]
        method = self.channel.unary_unary(
            name,
            request_serializer=type(request).SerializeToString,
            response_deserializer=route.response_class.FromString,
        )
        return method(request, metadata=(("x-nexus-subject", "ann"),), timeout=timeout)


async def raw_grpc(port: int, path: str, data: bytes) -> str:
    """Send bytes as the whole body of an RPC and give the grpc-status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    names = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "gateway", "te": "trailers"}
    headers = {**names, "content-type": "application/grpc", "x-nexus-subject": "ann"}
    connection.send_headers(1, list(headers.items()))
    connection.send_data(1, data, end_stream=True)
    try:
        while True:
            writer.write(connection.data_to_send())
            for event in connection.receive_data(await reader.read(65536)):
                if isinstance(event, ResponseReceived | TrailersReceived):
                    found = dict(event.headers)
                    if "grpc-status" in found:
                        return str(found["grpc-status"])
    finally:
        writer.close()


def reason_of(body: Any) -> str:
    return str(body["error"]["details"][0]["reason"])


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, guard: Guard | None = None) -> AsyncIterator[Doors]:
    """Open both doors before an ingress of the test's own."""
    restate = Restate()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", restate.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    restate.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    further = further_files(compile_scratch(tmp_path, f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE} }}"))
    routes = load_routes([*CONTRACT, *further])
    keys = RequestKeys(b"k" * 32)
    gateway = Gateway(Ingress(restate.url), keys, RING)
    parts = (routes, gateway, Admission(keys, guard), Authenticator(keys.subject, is_insecure=True))
    rpc = RpcDoor(*parts)
    port = await rpc.start("127.0.0.1:0")
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout = [f"fd://{listener.detach()}"], None, 1
    closing = asyncio.Event()
    served = asyncio.create_task(
        serve(HttpDoor(*parts, Pages(Readiness(gateway, routes), {})), config, shutdown_trigger=closing.wait)  # type: ignore[arg-type]
    )
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        async with aiohttp.ClientSession(address) as http:
            yield Doors(restate, http, channel, routes, port)
    finally:
        await channel.close()
        gateway.stopping.set()
        closing.set()
        await asyncio.gather(rpc.stop(1), served)
        await gateway.close()
        await runner.cleanup()


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with opened(tmp_path) as made:
        yield made


async def test_new_rpc_is_called_at_both_doors(doors: Doors) -> None:
    """An RPC of a scratch proto reaches its handler over HTTP and gRPC; no code of the gateway names it."""
    doors.restate.ok("Thing/get", {"thing_id": "t1", "is_there": True})
    async with doors.http.get("/v1/scratch/t1", headers={"x-nexus-subject": "ann"}) as answer:
        assert await answer.json() == {"thing_id": "t1", "is_there": True}
    name = next(name for name in doors.routes if name.startswith("/scratch"))
    reply = await doors.rpc(name, doors.routes[name].request_class(thing_id="t1"))
    assert reply.is_there
    assert doors.restate.paths() == ["/Thing/t1/get"] * 2
    assert doors.restate.seen[0][2]["request"] == {"thing_id": "t1"}


async def test_bad_request_reaches_nobody(doors: Doors) -> None:
    """Both doors refuse with the same words, and nothing is sent to Restate."""
    status, body, _ = await doors.post("/v1/events/gala/holds", {"seat_ids": ["a", "a", "é"]})
    assert status == 400
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc(
            "/nexus.v1.TicketService/HoldSeats",
            ticket_pb2.HoldSeatsRequest(event_id="gala", seat_ids=["a", "a", "é"]),
        )
    assert refused.value.details() == body["error"]["message"]
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert doors.restate.seen == []


@pytest.mark.parametrize("sent", [b"", b"\0\0\0\0\x20\x0a\x02e1", b"\0\0\0\0\x03\x0a\x09e"])
async def test_truncated_message_is_answered(doors: Doors, sent: bytes) -> None:
    """A gRPC message that does not come whole is INVALID_ARGUMENT, not silence."""
    status = await asyncio.wait_for(raw_grpc(doors.grpc_port, "/nexus.v1.TicketService/HoldSeats", sent), 5)
    assert status == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert doors.restate.seen == []


async def test_journal_gets_no_header_of_the_client(doors: Doors) -> None:
    """Restate stores what it is sent: a fresh set of headers, the hashed subject, the sealed address."""
    doors.restate.ok("Checkout/process", {"order_id": "o1", "state": "ORDER_STATE_CONFIRMED"})
    await doors.post("/v1/orders", {**ORDER, "order_id": "o1"}, x_secret="s", cookie="c")
    ((path, headers, body),) = doors.restate.seen
    assert path == "/Checkout/o1/process"
    assert set(headers) == {"host", "content-type", "content-length", "idempotency-key"}
    assert "ann" not in json.dumps(body)
    assert "ada@" not in json.dumps(body)
    assert RING.open(body["request"]["email"], "o1") == "ada@example.org"


async def test_same_request_has_the_same_key(doors: Doors) -> None:
    """The ingress gets one key for a repeated request, another for another caller, none without a request_id."""
    doors.restate.ok("Buyer/hold", {"hold_id": "h1"})
    hold = {"seat_ids": ["A-1-1"]}
    await doors.post("/v1/events/gala/holds", hold, idempotency_key="r")
    await doors.post("/v1/events/gala/holds", {**hold, "request_id": "r"})
    await doors.post("/v1/events/gala/holds", hold, idempotency_key="r", x_nexus_subject="bob")
    await doors.post("/v1/events/gala/holds", hold)
    first, second, bob, none = (headers.get("idempotency-key") for _, headers, _ in doors.restate.seen)
    assert first == second
    assert bob not in (first, None)
    assert none is None
    assert first != "r"


async def test_same_order_id_of_another_caller_has_another_key(doors: Doors) -> None:
    """The ingress never gives one caller's stored answer to another who knows the order's id."""
    doors.restate.ok("Checkout/process", {"order_id": "o1"})
    for subject in ("ann", "ann", "bob"):
        await doors.post("/v1/orders", {**ORDER, "order_id": "o1"}, x_nexus_subject=subject)
    ann, again, bob = (headers["idempotency-key"] for _, headers, _ in doors.restate.seen)
    assert ann == again != bob


async def test_order_id_is_told_on_every_answer(doors: Doors) -> None:
    """The made id is in the header of a refusal as well as of a success."""
    doors.restate.refuse("Checkout/process", 402, "PAYMENT_DECLINED")
    status, body, headers = await doors.post("/v1/orders", ORDER)
    assert (status, reason_of(body)) == (402, "PAYMENT_DECLINED")
    (path, _, _) = doors.restate.seen[0]
    assert path == f"/Checkout/{headers['nexus-order-id']}/process"


async def test_order_id_is_told_before_the_answer(doors: Doors) -> None:
    """Over gRPC the made id arrives while the order is still running, and again with DEADLINE_EXCEEDED."""
    doors.restate.ok("Checkout/process", {}, seconds=30)
    method = doors.channel.unary_stream(
        "/nexus.v1.CheckoutService/Checkout",
        request_serializer=checkout_pb2.CheckoutRequest.SerializeToString,
        response_deserializer=checkout_pb2.Order.FromString,
    )
    call = method(checkout_pb2.CheckoutRequest(**ORDER), metadata=(("x-nexus-subject", "ann"),), timeout=2)  # type: ignore[arg-type]
    told = dict(await asyncio.wait_for(call.initial_metadata(), 1))
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await call.read()
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    trailers = dict(late.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo.FromString(status.details[0].value)
    assert info.metadata["order_id"] == told["nexus-order-id"]


@pytest.mark.parametrize("is_refusal", [False, True])
async def test_answer_to_another_request_is_refused(doors: Doors, is_refusal: bool) -> None:
    """An answer with another fingerprint is REQUEST_REUSED, with nothing of the other order."""
    if is_refusal:
        doors.restate.refuse("Checkout/process", 402, "PAYMENT_DECLINED", fingerprint="other")
    else:
        doors.restate.ok("Checkout/process", {"order_id": "o-9"}, fingerprint="other")
    status, body, _ = await doors.post("/v1/orders", {**ORDER, "order_id": "o1"})
    assert (status, reason_of(body)) == (409, "REQUEST_REUSED")
    assert "o-9" not in json.dumps(body)
    assert "PAYMENT" not in json.dumps(body)


@pytest.mark.parametrize("reason", ["REQUEST_REUSED", "ALREADY_EXISTS"])
async def test_reused_id_is_refused_while_the_first_runs(doors: Doors, reason: str) -> None:
    """A repeat under a foreign id does not wait for the running order."""
    doors.restate.ok("Checkout/process", {}, seconds=30)
    doors.restate.refuse("Checkout/peek", 409, reason)
    status, body, _ = await asyncio.wait_for(doors.post("/v1/orders", {**ORDER, "order_id": "o1"}), 5)
    assert (status, reason_of(body)) == (409, reason)
    assert "email" not in doors.restate.seen[1][2]["request"]


async def test_own_running_order_is_waited_for(doors: Doors) -> None:
    """The peek does not end a call whose id is its own."""
    doors.restate.ok("Checkout/process", {"order_id": "o1", "state": "ORDER_STATE_CONFIRMED"}, seconds=0.6)
    doors.restate.refuse("Checkout/peek", 404, "ORDER_NOT_FOUND")
    status, body, _ = await doors.post("/v1/orders", {**ORDER, "order_id": "o1"})
    assert (status, body["state"]) == (200, "ORDER_STATE_CONFIRMED")
    assert doors.restate.paths() == ["/Checkout/o1/process", "/Checkout/o1/peek"]


async def test_async_answers_at_once(doors: Doors) -> None:
    """With `async` the order is submitted and shown as PENDING before it has begun."""

    async def accepted(_body: dict[str, Any]) -> tuple[int, Any]:
        return 202, {"invocationId": "inv_1", "status": "Accepted"}

    doors.restate.handlers["Checkout/process/send"] = accepted
    doors.restate.refuse("Checkout/peek", 404, "ORDER_NOT_FOUND")
    status, body, headers = await doors.post("/v1/orders", {**ORDER, "async": True})
    assert status == 200
    assert (body["order_id"], body["event_id"]) == (headers["nexus-order-id"], "gala")
    assert (body["state"], body["payment"]["state"]) == ("ORDER_STATE_PENDING", "PAYMENT_STATE_NONE")


async def test_fault_of_ours_tells_nothing(doors: Doors) -> None:
    """The text of a failed handler stays inside; what is not registered is UNAVAILABLE."""

    async def broken(_body: dict[str, Any]) -> tuple[int, Any]:
        return 500, {"source": "invocation", "message": "secret text"}

    doors.restate.handlers["Checkout/cancel"] = broken
    status, body, _ = await doors.post("/v1/orders/o1:cancel", {})
    assert (status, reason_of(body)) == (500, "INTERNAL")
    assert "secret" not in json.dumps(body)
    status, body, headers = await doors.post("/v1/events/gala/holds", {"seat_ids": ["a"]})
    assert (status, reason_of(body), headers["retry-after"]) == (503, "UNAVAILABLE", "1")


async def test_stream_ends_with_a_final_answer(doors: Doors) -> None:
    """A polled stream sends each change once, as server-sent events, and ends when the state is final."""
    states = iter(["PENDING", "PENDING", "AUTHORIZING", "CONFIRMED"])

    async def get(body: dict[str, Any]) -> tuple[int, Any]:
        response = {"order_id": "o1", "state": f"ORDER_STATE_{next(states)}"}
        return 200, {"response": response, "fingerprint": body["fingerprint"]}

    doors.restate.handlers["Checkout/get"] = get
    async with doors.http.get("/v1/orders/o1:watch", headers={"x-nexus-subject": "ann"}) as answer:
        assert answer.content_type == "text/event-stream"
        lines = (await answer.text()).splitlines()
    events = [json.loads(line.removeprefix("data: "))["state"] for line in lines if line.startswith("data: ")]
    assert events == ["ORDER_STATE_PENDING", "ORDER_STATE_AUTHORIZING", "ORDER_STATE_CONFIRMED"]


async def test_refused_stream_has_a_status(doors: Doors) -> None:
    """A stream that cannot begin is a refusal like any other."""
    doors.restate.refuse("Checkout/get", 404, "ORDER_NOT_FOUND")
    async with doors.http.get("/v1/orders/o1:watch", headers={"x-nexus-subject": "ann"}) as answer:
        assert answer.status == 404
        assert reason_of(await answer.json()) == "ORDER_NOT_FOUND"


async def test_public_reads_can_be_revalidated(doors: Doors) -> None:
    """A public read has an ETag; the same content is 304, and HEAD has no body."""
    doors.restate.ok("Event/get", {"event_id": "gala", "title": "Gala"})
    async with doors.http.get("/v1/events/gala") as answer:
        etag = answer.headers["etag"]
    async with doors.http.get("/v1/events/gala", headers={"if-none-match": etag}) as answer:
        assert answer.status == 304
    async with doors.http.head("/v1/events/gala") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    doors.restate.ok("Event/get", {"event_id": "gala", "title": "Ball"})
    async with doors.http.get("/v1/events/gala", headers={"if-none-match": etag}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("method", ["PUT", "TRACE", "DELETE", "HEAD", "GET"])
async def test_other_methods_are_refused(doors: Doors, method: str) -> None:
    """A path that takes POST refuses other methods and says so."""
    async with doors.http.request(method, "/v1/orders") as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b" " * 70_000, {}, 413),
        (b" " * 5_000_000, {}, 413),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 415),
        (b"{}", {"content-type": "application/json; charset=utf-16"}, 415),
        (b"{", {}, 400),
    ],
)
async def test_strange_bodies_are_refused(doors: Doors, body: bytes, headers: dict[str, str], status: int) -> None:
    """Bodies too large, coded, or of another type are refused in our format, and reach nobody."""
    sent = {"content-type": "application/json", "x-nexus-subject": "ann", **headers}
    async with doors.http.post("/v1/orders", data=io.BytesIO(body), headers=sent) as answer:
        assert answer.status == status
        assert reason_of(await answer.json()) == "INVALID_REQUEST"
    assert doors.restate.seen == []


async def test_trickling_body_is_given_up(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive in time is 408."""
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.2)

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    sent = {"content-type": "application/json", "x-nexus-subject": "ann"}
    async with doors.http.post("/v1/orders", data=trickle(), headers=sent) as answer:
        assert answer.status == 408


async def test_cancelled_call_is_dropped(doors: Doors) -> None:
    """A client that gives its call up does not leave a request waiting in the gateway."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_body: dict[str, Any]) -> tuple[int, Any]:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return 200, {}

    doors.restate.handlers["Checkout/process"] = slow
    call = doors.rpc("/nexus.v1.CheckoutService/Checkout", checkout_pb2.CheckoutRequest(**ORDER))  # type: ignore[arg-type]
    await asyncio.wait_for(begun.wait(), 5)
    call.cancel()
    await asyncio.wait_for(ended.wait(), 5)


async def test_not_ready_names_what_is_missing(doors: Doors) -> None:
    """Readiness names the services that do not answer; liveness does not depend on them."""

    async def healthy(_body: dict[str, Any]) -> tuple[int, Any]:
        return 200, "ok"

    doors.restate.handlers |= {"restate/health": healthy, "Ticket/ping": healthy, "Mailer/ping": healthy}
    async with doors.http.get("/readyz") as answer:
        assert answer.status == 503
        missing = set((await answer.json())["missing"])
    assert {"Buyer", "Checkout", "Event"} <= missing
    assert missing.isdisjoint({"Ticket", "Mailer"})
    async with doors.http.get("/livez") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("symbol", ["nexus.v1.TicketService", "nexus.v1.TicketService.HoldSeats", "nexus.v1.Hold"])
async def test_reflection_describes_services_methods_and_messages(doors: Doors, symbol: str) -> None:
    """Clients without proto files are given the file of what they ask for."""
    stub = reflection_pb2_grpc.ServerReflectionStub(doors.channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    async for answer in stub.ServerReflectionInfo(iter([asked])):
        assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_root_leads_to_the_docs(doors: Doors, method: str) -> None:
    """Whoever opens the bare address in a browser gets the page about it."""
    async with doors.http.request(method, "/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (307, "/docs")
    async with doors.http.get("/") as answer:
        assert (answer.status, answer.url.path) == (200, "/docs")
