"""A gateway in a process of its own, before a Restate that a test takes away: health, metrics, refusals to start."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.unit.certs import Authority
from tests.unit.gateway_process import SIGN_IN, Running, refused, started

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", "nexus.v1.EventService", "nexus.v1.CheckoutService")


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """Readiness follows Restate at once: nothing waits for it."""
    async with started(SIGN_IN | {"NEXUS_INGRESS_WAIT_SECONDS": "0"}) as made:
        yield made


async def says(running: Running, service: str, wanted: int) -> None:
    """Wait until health says `wanted`."""
    async with grpc.aio.insecure_channel(running.grpc_address) as channel, asyncio.timeout(20):
        request = health_pb2.HealthCheckRequest(service=service)
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
        async for told in watch:
            if told.status == wanted:
                break
        watch.cancel()


async def says_ready(http: aiohttp.ClientSession, running: Running) -> str:
    """Read the gauge that an alert reads."""
    async with http.get(f"{running.probes_url}/metrics") as answer:
        (line,) = (one for one in (await answer.text()).splitlines() if one.startswith("nexus_gateway_ready "))
    return line.split()[1]


async def test_health_says_what_readiness_says(running: Running) -> None:
    """NOT_SERVING while Restate is away, SERVING when it is there, and NOT_SERVING again at the end."""
    for service in SERVICES:
        await says(running, service, NOT_SERVING)
    running.is_away = False
    for service in SERVICES:
        await says(running, service, SERVING)
    url = f"http://127.0.0.1:{running.ports.http_port}"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 200
        assert await says_ready(http, running) == "1.0"
        running.is_away = True
        for service in SERVICES:
            await says(running, service, NOT_SERVING)
        for base in (url, running.probes_url):
            async with http.get(f"{base}/livez") as answer:
                assert answer.status == 200
        async with http.get(f"{running.probes_url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "not ready", "missing": ["restate"]})
        assert await says_ready(http, running) == "0.0"
    running.process.terminate()
    assert await asyncio.wait_for(running.process.wait(), 25) == 0


async def test_a_short_outage_is_waited_for_and_a_long_one_is_not() -> None:
    """A gateway that was ready stays so as long as its calls wait for Restate, and no longer."""
    async with started(SIGN_IN | {"NEXUS_INGRESS_WAIT_SECONDS": "4"}) as running:
        await running.readiness(503)
        running.is_away = False
        await running.readiness(200)
        running.is_away = True
        begun = time.monotonic()
        await running.readiness(503)
        assert time.monotonic() - begun >= 4
        running.is_away = False
        await running.readiness(200)


async def test_metrics_tell_no_times_of_creation(running: Running) -> None:
    """A gauge `..._created` is when a process began, and looks like something that happened."""
    running.is_away = False
    await running.readiness(200)
    async with aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{running.ports.http_port}/v1/events/gala"):
            pass
        async with http.get(f"{running.probes_url}/metrics") as answer:
            text = await answer.text()
            assert answer.content_type == "text/plain"
        async with http.get(f"{running.probes_url}/v1/events/gala") as answer:
            assert answer.status == 404
    assert "grpc_server" in text or "http_" in text
    assert "_created" not in text


async def test_the_ingress_is_shown_the_token() -> None:
    """Every request to Restate carries it, and none of the client's own credentials."""
    settings = SIGN_IN | {"NEXUS_INGRESS_TOKEN": " t0ken\n", "NEXUS_INGRESS_WAIT_SECONDS": "0"}
    async with started(settings) as running, aiohttp.ClientSession() as http:
        running.is_away = False
        await running.readiness(200)
        url = f"http://127.0.0.1:{running.ports.http_port}/v1/events/gala/tickets/A-1-1"
        async with http.get(url, headers={"x-secret": "s"}):
            pass
    assert {headers.get("authorization") for headers in running.seen} == {"Bearer t0ken"}
    assert not any("x-secret" in headers for headers in running.seen)


async def test_pages_of_other_origins_read_answers_refusals_and_streams() -> None:
    """With CORS on a page reads what the gateway says, a refusal and the headers with made ids included."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        order = {"order_id": "o1", "state": "ORDER_STATE_CONFIRMED"}
        return web.json_response({"response": order, "fingerprint": body["fingerprint"]})

    shop = "https://shop.example.org"
    sent = {"origin": shop, "x-nexus-subject": "ann"}
    async with started(SIGN_IN | {"NEXUS_CORS_ORIGINS": f"{shop}, http://localhost:3000"}) as running:
        running.is_away, running.handler = False, answer
        await running.readiness(200)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{running.ports.http_port}", headers=sent) as http:
            async with http.get("/v1/orders/o1:watch") as stream:
                assert stream.content_type == "text/event-stream"
                assert stream.headers["access-control-allow-origin"] == shop
                assert b"ORDER_STATE_CONFIRMED" in await stream.read()
            async with http.post("/v1/orders", json={"event_id": "gala"}) as refusal:
                assert refusal.status == 400
                assert refusal.headers["access-control-allow-origin"] == shop
                assert "nexus-order-id" in refusal.headers["access-control-expose-headers"].split(", ")
                assert "nexus-order-id" in refusal.headers
            async with http.get("/v1/orders/o1", headers={"origin": "https://evil.example.org"}) as other:
                assert "access-control-allow-origin" not in other.headers


async def test_files_that_are_no_pair_are_one_sentence(tmp_path: Path) -> None:
    """A key that is another certificate's stops the start."""
    authority = Authority()
    cert, _ = authority.issue().write(tmp_path, "one")
    _, key = authority.issue().write(tmp_path, "other")
    said = await refused(SIGN_IN | {"NEXUS_TLS_CERT_FILE": str(cert), "NEXUS_TLS_KEY_FILE": str(key)})
    assert said == [
        "nexus: cannot start: NEXUS_TLS_KEY_FILE: is not the key of the first certificate in NEXUS_TLS_CERT_FILE"
    ]
