"""TLS at both doors of a real gateway process: who gets in, renewal without a restart, a stop that lets calls end."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import Message

from services.gateway.gen.nexus.v1 import checkout_pb2, ticket_pb2
from tests.unit.certs import Authority, Pair
from tests.unit.gateway_process import SIGN_IN, Running, started

AUTHORITY, CLIENTS, OTHERS = Authority("servers"), Authority("clients"), Authority("strangers")
CLIENT, STRANGER = CLIENTS.issue("client"), OTHERS.issue("stranger")
TICKET = "/v1/events/gala/tickets/A-1-1"


@dataclass
class Secured:
    """A gateway with TLS, and where its files are."""

    running: Running
    folder: Path

    @property
    def url(self) -> str:
        """The HTTP door."""
        return f"https://127.0.0.1:{self.running.ports.http_port}"

    def trust(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Give a client's view: our authority, and a certificate of its own."""
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        if pair is not None:
            cert, key = pair.write(self.folder, "client")
            context.load_cert_chain(cert, key)
        return context

    async def http(self, pair: Pair | None = None) -> int:
        """Ask over HTTP; give the status."""
        connector = aiohttp.TCPConnector(ssl=self.trust(pair), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(self.url + TICKET) as answer:
            return answer.status

    async def grpc(self, pair: Pair | None = None) -> str:
        """Ask over gRPC; give the code."""
        async with self.channel(pair) as channel:
            try:
                await call(
                    channel, "TicketService/GetTicket", ticket_pb2.GetTicketRequest(event_id="gala", seat_id="A-1-1")
                )
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

    def channel(self, pair: Pair | None = None) -> grpc.aio.Channel:
        """Give a channel that shares no connection with another."""
        own = (pair.key, pair.cert) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(AUTHORITY.pem, *own)
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(f"localhost:{self.running.ports.grpc_port}", credentials, options)

    async def shown(self, port: int, protocols: list[str], pair: Pair | None = None) -> tuple[bytes, str | None]:
        """Connect; give the certificate that is shown, and the protocol that is agreed upon."""
        context = self.trust(pair)
        context.set_alpn_protocols(protocols)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cert, protocol = found.getpeercert(binary_form=True), found.selected_alpn_protocol()
        writer.close()
        assert cert is not None
        return cert, protocol


def call(channel: grpc.aio.Channel, name: str, request: Message, timeout: float = 15) -> Any:
    """Begin a unary RPC whose answer is not looked at."""
    method = channel.unary_unary(f"/nexus.v1.{name}", request_serializer=type(request).SerializeToString)
    return method(request, metadata=(("x-nexus-subject", "ann"),), timeout=timeout)


async def ticket(request: web.Request) -> web.StreamResponse:
    body = json.loads(await request.read())
    response = {"event_id": "gala", "seat_id": "A-1-1", "status": "SEAT_STATUS_AVAILABLE"}
    return web.json_response({"response": response, "fingerprint": body["fingerprint"]})


@asynccontextmanager
async def secured(folder: Path, **more: str) -> AsyncIterator[Secured]:
    cert, key = AUTHORITY.issue().write(folder, "server")
    settings = SIGN_IN | {"NEXUS_TLS_CERT_FILE": str(cert), "NEXUS_TLS_KEY_FILE": str(key), **more}
    async with started(settings) as running:
        running.is_away, running.handler = False, ticket
        await running.readiness(200)
        yield Secured(running, folder)


def der(pair: Pair) -> bytes:
    return x509.load_pem_x509_certificate(pair.cert).public_bytes(Encoding.DER)


async def test_both_doors_speak_tls_and_the_plain_port_stays(tmp_path: Path) -> None:
    """Both doors answer with TLS and not without, HTTP in both versions; probes and metrics need no certificate."""
    async with secured(tmp_path) as gateway:
        assert await gateway.http() == 200
        assert await gateway.grpc() == "OK"
        ports = gateway.running.ports
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
            assert (await gateway.shown(ports.http_port, offered))[1] == chosen
        async with aiohttp.ClientSession() as session:
            for page in ("livez", "readyz", "metrics"):
                async with session.get(f"{gateway.running.probes_url}/{page}") as answer:
                    assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{ports.http_port}/livez")
        async with grpc.aio.insecure_channel(gateway.running.grpc_address) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await call(channel, "TicketService/GetTicket", ticket_pb2.GetTicketRequest(), timeout=2)


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    """Both doors show new connections the new one within seconds, and go on with the old while it is half written."""
    async with secured(tmp_path) as gateway:
        ports, renewed = gateway.running.ports, AUTHORITY.issue()
        (tmp_path / "server.key").write_bytes(renewed.key)
        assert await gateway.http() == 200
        (tmp_path / "server.pem").write_bytes(renewed.cert)
        for port in (ports.http_port, ports.grpc_port):
            async with asyncio.timeout(15):
                while (await gateway.shown(port, ["h2"]))[0] != der(renewed):  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(0.1)
        assert (await gateway.http(), await gateway.grpc()) == (200, "OK")


async def test_only_clients_with_a_certificate_get_in(tmp_path: Path) -> None:
    """With an authority for clients both doors refuse who has none of its certificates, and follow its renewal."""
    authority = tmp_path / "clients.pem"
    authority.write_bytes(CLIENTS.pem)
    async with secured(tmp_path, NEXUS_TLS_CLIENT_CA_FILE=str(authority)) as gateway:
        assert (await gateway.http(CLIENT), await gateway.grpc(CLIENT)) == (200, "OK")
        await _refused(gateway, None)
        await _refused(gateway, STRANGER)
        authority.write_bytes(OTHERS.pem)
        async with asyncio.timeout(15):
            while await gateway.grpc(STRANGER) != "OK":  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.1)
        assert await gateway.http(STRANGER) == 200
        await _refused(gateway, CLIENT)


async def _refused(gateway: Secured, pair: Pair | None) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await gateway.http(pair)
    assert await gateway.grpc(pair) == "UNAVAILABLE"


async def test_a_stop_lets_calls_end_and_streams_go_elsewhere(tmp_path: Path) -> None:
    """With TLS too: what is in flight is answered, a stream ends as UNAVAILABLE, and the process ends with 0."""
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/Ticket"):
            taken.set()
            await go_on.wait()
            return await ticket(request)
        body = json.loads(await request.read())
        order = {"order_id": "o1", "state": "ORDER_STATE_PENDING"}
        return web.json_response({"response": order, "fingerprint": body["fingerprint"]})

    async with secured(tmp_path) as gateway, gateway.channel() as channel:
        gateway.running.handler = slow
        method = channel.unary_stream(
            "/nexus.v1.CheckoutService/WatchOrder",
            request_serializer=checkout_pb2.WatchOrderRequest.SerializeToString,
            response_deserializer=checkout_pb2.Order.FromString,
        )
        watch = method(
            checkout_pb2.WatchOrderRequest(order_id="o1"), metadata=(("x-nexus-subject", "ann"),), timeout=20
        )
        assert (await watch.read()).order_id == "o1"
        http = asyncio.create_task(gateway.http())
        await asyncio.wait_for(taken.wait(), 10)
        taken.clear()
        rpc = asyncio.create_task(gateway.grpc())
        await asyncio.wait_for(taken.wait(), 10)
        gateway.running.process.terminate()
        assert await watch.code() == grpc.StatusCode.UNAVAILABLE
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.running.probes_url}/readyz") as answer:
            assert answer.status == 503
        go_on.set()
        assert (await http, await rpc) == (200, "OK")
        assert await asyncio.wait_for(gateway.running.process.wait(), 25) == 0
