"""A gateway in a process of its own, before a Restate that a test takes away: what health and metrics say."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import grpc.aio
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.ports import Ports

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", "nexus.v1.EventService", "nexus.v1.CheckoutService")


@dataclass
class Running:
    """The process, and the Restate that it asks."""

    process: Process
    health: health_pb2_grpc.HealthStub
    http: aiohttp.ClientSession
    metrics_url: str
    is_away: bool = True

    async def answer(self, _request: web.Request) -> web.Response:
        """Answer as a Restate does whose services all answer."""
        return web.json_response("ok", status=503 if self.is_away else 200)

    async def says(self, service: str, wanted: int) -> None:
        """Wait until health says `wanted`."""
        watch = self.health.Watch(health_pb2.HealthCheckRequest(service=service), wait_for_ready=True)
        async with asyncio.timeout(20):
            async for told in watch:
                if told.status == wanted:
                    break
        watch.cancel()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    ports = Ports.free()
    made: list[Running] = []

    async def answer(request: web.Request) -> web.Response:
        return await made[0].answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")} | {
        "NEXUS_INGRESS_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "NEXUS_HTTP_PORT": str(ports.http_port),
        "NEXUS_GRPC_PORT": str(ports.grpc_port),
        "NEXUS_METRICS_PORT": str(ports.gateway_metrics_port),
        "NEXUS_SEAL_KEYS": "k1:" + base64.b64encode(b"s" * 32).decode(),
        "NEXUS_SUBJECT_KEY": base64.b64encode(b"k" * 32).decode(),
        "NEXUS_INSECURE_DEV": "true",
    }
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{ports.http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc_port}") as channel,
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "run", "gateway", env=environ, start_new_session=True
        )
        metrics_url = f"http://127.0.0.1:{ports.gateway_metrics_port}/metrics"
        made.append(Running(process, health_pb2_grpc.HealthStub(channel), http, metrics_url))
        try:
            yield made[0]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    await runner.cleanup()


async def test_health_says_what_readiness_says(running: Running) -> None:
    """NOT_SERVING while Restate is away, SERVING when it is there, and NOT_SERVING again at the end."""
    for service in SERVICES:
        await running.says(service, NOT_SERVING)
    running.is_away = False
    for service in SERVICES:
        await running.says(service, SERVING)
    async with running.http.get("/readyz") as answer:
        assert answer.status == 200
    running.is_away = True
    for service in SERVICES:
        await running.says(service, NOT_SERVING)
    async with running.http.get("/livez") as answer:
        assert answer.status == 200
    running.process.terminate()
    assert await asyncio.wait_for(running.process.wait(), 25) == 0


async def test_metrics_tell_no_times_of_creation(running: Running) -> None:
    """A gauge `..._created` is when a process began, and looks like something that happened."""
    running.is_away = False
    await running.says("", SERVING)
    async with running.http.get("/v1/events/gala"), running.http.get(running.metrics_url) as answer:
        text = await answer.text()
    assert "grpc_server" in text or "http_" in text
    assert "_created" not in text
