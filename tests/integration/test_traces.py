"""One sale is one trace, from the client's traceparent to the payment call; and the logs name it too."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from aiohttp import web

from services.checkout.payments import HttpProvider
from services.cli.local import START_ORDER, LocalStack
from services.common import tracing
from services.gateway.gen.nexus.v1 import checkout_pb2
from tests.integration.booking import until
from tests.integration.client import Client, make_stack, new_event, register, sign
from tests.integration.otlp import Receiver, Seen

RPC = "nexus.v1.CheckoutService/Checkout"
EMAIL = "ada.lovelace@example.org"


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
async def traced(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A stack whose traces go to the receiver."""
    made = make_stack(Path(tmp_path_factory.mktemp("traced")))
    made.overrides["*"] = {**made.overrides.get("*", {}), "NEXUS_OTLP_ENDPOINT": receiver.url}
    try:
        await asyncio.to_thread(made.start_all)
        await register(made)
        await asyncio.to_thread(made.wait_ready, "gateway", ready=True)
        client = Client(made)
        yield client
        await client.session.close()
    finally:
        await asyncio.to_thread(made.stop_all)


def lines(stack: LocalStack, component: str) -> list[dict[str, object]]:
    """Read the JSON lines of a component's log."""
    text = stack.processes.log_file(component).read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_a_sale_is_one_trace(traced: Client, receiver: Receiver) -> None:
    """Gateway, Checkout, Ticket and the provider's call, under the client's id, each below what called it."""
    event_id, _ = await new_event(traced)
    buyer = sign(traced.stack, f"buyer-{uuid.uuid4().hex[:8]}")
    trace_id, client_span = secrets.token_hex(16), secrets.token_hex(8)
    body = {"event_id": event_id, "seat_ids": ["A-1-1"], "payment_method": "card_success", "email": EMAIL}
    headers = {"traceparent": f"00-{trace_id}-{client_span}-01"}
    answer = await traced.call("POST", "/v1/orders", buyer, body, headers)
    assert answer.status == 200, answer

    async def arrived() -> bool:
        names = (RPC, "Checkout/process", "Ticket/confirm", "payment authorize", "payment capture")
        mine = all(receiver.find(name, trace_id) for name in names)
        ended = [span for span in receiver.find("Checkout/process", trace_id) if outcome(span) == "answered"]
        # Restate sends its own span of the attempt when the attempt has ended.
        return mine and bool(ended) and all(ancestors(receiver, span)[-1] == client_span for span in chosen())

    def chosen() -> list[Seen]:
        spans = [*receiver.find("Checkout/process", trace_id), *receiver.find("Ticket/confirm", trace_id)]
        return spans + receiver.find("payment authorize", trace_id) + receiver.find("payment capture", trace_id)

    await until(arrived, "the trace to arrive", seconds=30)
    [door] = receiver.find(RPC, trace_id)
    assert (door.parent_id, door.service) == (client_span, "nexus-gateway")
    assert door.attributes["nexus.order_id"] == answer.json["order_id"]
    processes = {span.span_id: span for span in receiver.find("Checkout/process", trace_id)}
    assert all(door.span_id in ancestors(receiver, span) for span in processes.values())
    for name in ("payment authorize", "payment capture"):
        [payment] = receiver.find(name, trace_id)
        assert payment.parent_id in processes
        assert payment.attributes["http.response.status_code"] == 200
    for confirm in receiver.find("Ticket/confirm", trace_id):
        assert confirm.service == "nexus-ticket"
        # Between them is Restate's own span of the attempt of Checkout that called.
        restates = {span.parent_id for span in processes.values()}
        assert restates & set(ancestors(receiver, confirm)), ancestors(receiver, confirm)
    attempts = [span.attributes["nexus.replayed"] for span in processes.values()]
    assert attempts.count(False) == 1, "only the first attempt begins with nothing to replay"
    assert len(attempts) > 1 or traced.stack.overrides["restate"] == {}, "suspended, later attempts replay"

    text = "\n".join(span.raw for span in receiver.spans)
    for secret in (EMAIL, buyer, "card_success"):
        assert secret not in text


def outcome(span: Seen) -> object:
    return span.attributes.get("nexus.outcome")


def ancestors(receiver: Receiver, span: Seen) -> list[str]:
    """Give the ids above a span, nearest first, as far as they have arrived and one further."""
    known = {(other.trace_id, other.span_id): other for other in receiver.spans}
    above: list[str] = []
    found: Seen | None = span
    while found is not None and found.parent_id:
        above.append(found.parent_id)
        found = known.get((span.trace_id, found.parent_id))
    return above


async def test_a_call_without_a_trace_begins_one(traced: Client, receiver: Receiver) -> None:
    """Which Restate and the handlers go on with."""
    event_id, _ = await new_event(traced)
    name = "nexus.v1.EventService/CreateEvent"

    async def arrived() -> Seen | None:
        doors = [span for span in receiver.spans if span.attributes.get("nexus.event_id") == event_id]
        return next((door for door in doors if door.name == name and ends(door)), None)

    def ends(door: Seen) -> bool:
        """Tell whether the attempt that answered has arrived, and Restate's own span of that attempt."""
        attempts = receiver.find("invocation-attempt Event/{key}/create", door.trace_id, "Restate")
        answered = [span for span in receiver.find("Event/create", door.trace_id) if outcome(span) == "answered"]
        return bool({span.parent_id for span in answered} & {span.span_id for span in attempts})

    door = await until(arrived, "the handler's span in the gateway's trace", seconds=30)
    assert door.parent_id == ""


async def test_both_doors_go_on_with_a_trace(traced: Client, receiver: Receiver) -> None:
    """Also a refusal over gRPC, whose span has the code and the reason."""
    trace_id, client_span = secrets.token_hex(16), secrets.token_hex(8)
    metadata = (
        ("authorization", f"Bearer {sign(traced.stack, 'somebody')}"),
        ("traceparent", f"00-{trace_id}-{client_span}-01"),
    )
    async with grpc.aio.insecure_channel(traced.stack.grpc_address) as channel:
        call = channel.unary_unary("/nexus.v1.CheckoutService/GetOrder", checkout_pb2.GetOrderRequest.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError):
            await call(checkout_pb2.GetOrderRequest(order_id=f"o-{uuid.uuid4().hex}"), metadata=metadata)

    async def arrived() -> bool:
        name = "nexus.v1.CheckoutService/GetOrder"
        return bool(receiver.find(name, trace_id) and receiver.find("Checkout/get", trace_id))

    await until(arrived, "the trace to arrive", seconds=30)
    [door] = receiver.find("nexus.v1.CheckoutService/GetOrder", trace_id)
    assert door.parent_id == client_span
    assert (door.attributes["nexus.reason"], door.attributes["rpc.grpc.status_code"]) == ("ORDER_NOT_FOUND", 5)
    assert receiver.find("Checkout/get", trace_id)[0].attributes["nexus.reason"] == "ORDER_NOT_FOUND"


OFF = """
import importlib, sys
from services.common import tracing
tracing.start("checkout", "")
for module in ("ticket", "seatmap", "checkout", "gateway"):
    importlib.import_module(f"services.{module}.app")
importlib.import_module("services.common.endpoint")
from services.checkout.handlers import CHECKOUT
assert all(not handler.context_managers for handler in CHECKOUT.handlers.values())
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    """Nor does any handler have a span made round it."""
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout


@pytest.mark.parametrize("door", ["http", "grpc"])
async def test_the_lines_of_a_sale_name_its_trace_and_its_order(client: Client, door: str) -> None:
    """With or without traces being collected: whoever has the client's id finds every line of its sale."""
    event_id, _ = await new_event(client)
    trace_id, order_id = secrets.token_hex(16), f"o-{uuid.uuid4().hex}"
    traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    buyer = sign(client.stack, f"buyer-{uuid.uuid4().hex[:8]}")
    fields = {"event_id": event_id, "seat_ids": ["A-1-1"], "payment_method": "card_decline", "email": EMAIL}
    if door == "http":
        body = {**fields, "order_id": order_id}
        assert (await client.call("POST", "/v1/orders", buyer, body, {"traceparent": traceparent})).status == 402
    else:
        metadata = (("authorization", f"Bearer {buyer}"), ("traceparent", traceparent))
        async with grpc.aio.insecure_channel(client.stack.grpc_address) as channel:
            call = channel.unary_unary(f"/{RPC}", checkout_pb2.CheckoutRequest.SerializeToString)
            with pytest.raises(grpc.aio.AioRpcError):
                await call(checkout_pb2.CheckoutRequest(**fields, order_id=order_id), metadata=metadata)

    def of_trace(component: str) -> list[dict[str, object]]:
        return [line for line in lines(client.stack, component) if line.get("trace_id") == trace_id]

    async def written() -> bool:
        return bool(of_trace("gateway"))

    await until(written, "the access line")
    [access] = of_trace("gateway")
    assert {name: access[name] for name in ("event", "rpc", "door", "code", "reason", "order_id")} == {
        "event": "call",
        "rpc": RPC,
        "door": door,
        "code": "FAILED_PRECONDITION",
        "reason": "PAYMENT_DECLINED",
        "order_id": order_id,
    }
    assert isinstance(access["ms"], float)
    [ended] = [line for line in of_trace("checkout") if line["event"] == "order ended"]
    assert (ended["service"], ended["handler"], ended["order_id"]) == ("Checkout", "process", order_id)
    assert str(ended["invocation_id"]).startswith("inv_")
    assert (ended["state"], ended["reason"]) == ("DECLINED", "PAYMENT_DECLINED")


async def test_no_log_holds_what_is_secret_or_personal(client: Client) -> None:
    """Sales, declines, refusals and a bad token, then every log of every process is searched."""
    event_id, organizer = await new_event(client)
    marker = uuid.uuid4().hex
    email = f"ada.{marker}@example.org"
    buyer = sign(client.stack, f"buyer-{marker}")
    for seat, card in (("A-1-1", "card_success"), ("A-1-2", "card_decline"), ("A-1-1", "card_capture_decline")):
        body = {"event_id": event_id, "seat_ids": [seat], "payment_method": card, "email": email}
        assert (await client.call("POST", "/v1/orders", buyer, body)).status in (200, 402, 409)
    unknown = f"card_{marker}"
    body = {"event_id": event_id, "seat_ids": ["A-1-3"], "payment_method": unknown, "email": email}
    assert (await client.call("POST", "/v1/orders", buyer, body)).status == 402
    assert (await client.call("POST", "/v1/orders", f"{buyer}x", {**body, "email": f"{email} "})).status == 401
    assert (await client.call("POST", "/v1/orders", buyer, {**body, "email": f"not {email}"})).status == 400

    async def mailed() -> bool:
        async with client.session.get(f"{client.stack.mail_url}/messages?to={email}") as answer:
            return bool((await answer.json())["messages"])

    await until(mailed, "the mail")
    keys = client.stack.keys
    secret = {
        "mail address": email,
        "part of the address": marker + "@",
        "bearer token": buyer,
        "organizer's token": organizer,
        "card token": unknown,
        "seal key": keys.seal_keys.partition(":")[2],
        "subject key": keys.subject_key,
        "signature of the token": buyer.rpartition(".")[2],
        "private key": keys.auth_private_pem.read_text().splitlines()[1],
    }
    searched = 0
    for component in START_ORDER:
        text = client.stack.processes.log_file(component).read_text(errors="replace")
        searched += len(text)
        for name, value in secret.items():
            assert value not in text, f"{component} logs the {name}"
    assert searched > 10_000


async def test_the_provider_is_told_the_trace(receiver: Receiver) -> None:
    """Each call carries a traceparent, that of its own span; with traces off it carries none."""
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(request.headers.get("traceparent", ""))
        return web.json_response({"error": "unavailable"}, status=503)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider = HttpProvider(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        await provider.void("o-1", "o-1:void")
        tracing.start("test", receiver.url)
        await provider.void("o-1", "o-1:void")
    finally:
        await asyncio.to_thread(tracing.stop)
        await provider.close()
        await runner.cleanup()
    assert told[0] == ""
    trace_id = tracing.trace_id(told[1])
    [span] = receiver.find("payment void", trace_id)
    assert told[1] == f"00-{trace_id}-{span.span_id}-01"
    assert span.attributes["http.response.status_code"] == 503
