"""Mail over real SMTP: what Mailer sends, the mail sink lists."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from io import StringIO
from typing import Any, Literal, TextIO

import aiohttp
import msgspec
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.checkout import mail
from services.checkout.messages import MailRequest
from services.common.config import Secret
from services.common.money import Money
from services.common.seats import HeldSeat
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the mail sink")

AT = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
SENDER = "Nexus <tickets@nexus.invalid>"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(msgspec.Struct, frozen=True):
    """Where mail goes, as the settings of the process tell it."""

    mail_port: int
    mail_host: str = "127.0.0.1"
    mail_tls: Literal["none", "starttls", "tls"] = "none"
    mail_ca_file: str = ""
    mail_username: str = ""
    mail_password: Secret | None = None


@dataclass
class Sink:
    """The running process and a client of its HTTP side."""

    client: aiohttp.ClientSession
    port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)
    log: TextIO = field(default_factory=StringIO)

    @property
    def server(self) -> Server:
        return Server(self.smtp_port)

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.client.request(method, url, json=body, params=query) as response:
            return response.status, await response.json()

    async def messages(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("GET", "/messages", **query))[1]["messages"]
        return found


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sink]:
    async with aiohttp.ClientSession() as client:
        sink = Sink(client)
        env = os.environ | {
            "NEXUS_PORT": str(sink.port),
            "NEXUS_SMTP_PORT": str(sink.smtp_port),
        }
        log = (tmp_path_factory.mktemp("sink") / "log").open("w+")
        sink.log = log
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators.mailsink", env=env, start_new_session=True, stderr=log
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                if (await sink.ask("GET", "/health"))[0] == 200:
                    break
            except aiohttp.ClientError:
                assert process.returncode is None
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        yield sink
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        log.close()


@pytest.fixture
async def sink(running: Sink) -> AsyncIterator[Sink]:
    yield running
    await running.ask("PUT", "/switches", {"refuse": False})


@pytest.fixture
def order() -> str:
    return f"order-{uuid.uuid4().hex}"


def ticket(order: str, address: str) -> EmailMessage:
    request = MailRequest(
        order_id=order,
        sealed_address="",
        event_title="Tosca\r\nBcc: spy@example.org é",
        event_venue="Opéra",
        event_starts_at=datetime(2030, 1, 1, 20, 0, tzinfo=UTC),
        seats=[HeldSeat("A-1-1", "std", "A", Money("EUR", 4500))],
        total=Money("EUR", 4500),
    )
    return mail.render(request, address, SENDER, AT)


async def deliver(message: EmailMessage, server: Server) -> None:
    """Send a mail over a connection of its own."""
    connections = mail.connections(server, SENDER)
    try:
        await mail.send(message, connections)
    finally:
        connections.close()


async def test_a_mail_arrives_whole(sink: Sink, order: str) -> None:
    """A mail that was sent is listed with its id, sender, recipient, subject and both of its forms."""
    await deliver(ticket(order, f"{order}@example.org"), sink.server)
    (message,) = await sink.messages(to=f"{order}@example.org")
    assert message["message_id"] == f"<{order}@nexus.invalid>"
    assert message["from"] == "tickets@nexus.invalid"
    assert message["subject"] == "Your tickets: Tosca Bcc: spy@example.org é"
    assert "Seat A-1-1, section A: 45.00 EUR" in message["text"]
    assert "<td>A-1-1</td>" in message["html"]
    assert "Opéra" in message["text"]
    assert datetime.fromisoformat(message["received_at"]).tzinfo is not None


async def test_the_log_names_the_order_only(sink: Sink, order: str) -> None:
    """A mail is found by its order, and the address is not in the log."""
    await deliver(ticket(order, f"ada-{order}@example.org"), sink.server)
    sink.log.seek(0)
    lines = [json.loads(line) for line in sink.log]
    assert [line["event"] for line in lines if line.get("order_id") == order] == ["mail received"]
    assert f"ada-{order}" not in json.dumps(lines)


async def test_the_longest_order_is_found(sink: Sink) -> None:
    """Its Message-ID is folded on the way, and listed whole and without blanks."""
    order = f"o{uuid.uuid4().hex}".ljust(64, "x")
    await deliver(ticket(order, "ada@example.org"), sink.server)
    (message,) = await sink.messages(message_id=f"{order}@nexus.invalid")
    assert message["message_id"] == f"<{order}@nexus.invalid>"


async def test_a_repeat_is_recognizable(sink: Sink, order: str) -> None:
    """Sent twice, a mail is listed twice under one Message-ID, and another order's is not among them."""
    for _ in range(2):
        await deliver(ticket(order, "twice@example.org"), sink.server)
    await deliver(ticket(order + "-other", "twice@example.org"), sink.server)
    assert len(await sink.messages(message_id=f"<{order}@nexus.invalid>")) == 2
    assert len(await sink.messages(message_id=f"{order}@nexus.invalid")) == 2
    assert len(await sink.messages(message_id=f"{order}@nexus.invalid", to="nobody@example.org")) == 0


@pytest.mark.parametrize("name", ["a,spy", "a>spy", "a b", '"a', "A.B+c"])
async def test_only_the_buyer_gets_it(sink: Sink, order: str, name: str) -> None:
    """Whatever the name in the address, the envelope has that one recipient or the mail is refused."""
    address = f"{name}@{order}.example"
    try:
        message = ticket(order, address)
    except mail.MailAddressError:
        assert " " in name
        return
    await deliver(message, sink.server)
    (listed,) = await sink.messages(message_id=f"<{order}@nexus.invalid>")
    assert listed["to"] == message["To"].addresses[0].addr_spec


async def test_delete_empties_the_list(sink: Sink, order: str) -> None:
    """After DELETE nothing is listed."""
    await deliver(ticket(order, "ada@example.org"), sink.server)
    assert (await sink.ask("DELETE", "/messages"))[0] == 200
    assert await sink.messages() == []


async def test_refused_for_now(sink: Sink, order: str) -> None:
    """While the sink refuses with 450 the mail is worth another attempt, and that one brings it."""
    await sink.ask("PUT", "/switches", {"refuse": True})
    with pytest.raises(mail.MailUnavailableError):
        await deliver(ticket(order, "ada@example.org"), sink.server)
    assert await sink.messages(message_id=f"{order}@nexus.invalid") == []
    await sink.ask("PUT", "/switches", {"refuse": False})
    await deliver(ticket(order, "ada@example.org"), sink.server)
    assert len(await sink.messages(message_id=f"{order}@nexus.invalid")) == 1


async def test_nobody_listens(order: str) -> None:
    """A server that is not there is worth another attempt, and the error does not show the address."""
    with pytest.raises(mail.MailUnavailableError) as caught:
        await deliver(ticket(order, "ada@example.org"), Server(free_port()))
    assert "ada" not in str(caught.value)


async def test_bad_switch_is_refused(sink: Sink) -> None:
    """A switch that does not exist is refused."""
    assert (await sink.ask("PUT", "/switches", {"refuses": True}))[0] == 400


class Rejecting:
    """A server that rejects where and with what it is told, quoting the recipient as real ones do."""

    def __init__(self, stage: str, code: int) -> None:
        self.stage, self.code = stage, code

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.stage == "RCPT":
            return f"{self.code} no such user {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        return f"{self.code} not for {envelope.rcpt_tos[0]}"


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
@pytest.mark.parametrize(("code", "error"), [(550, mail.MailRefusedError), (451, mail.MailUnavailableError)])
async def test_how_replies_are_read(order: str, stage: str, code: int, error: type[Exception]) -> None:
    """5xx for the recipient or the mail is for good, 4xx is not, and neither error quotes the address."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Rejecting(stage, code)), "127.0.0.1", 0)
    try:
        with pytest.raises(error) as caught:
            await deliver(ticket(order, "ada@example.org"), Server(server.sockets[0].getsockname()[1]))
    finally:
        server.close()
    assert "ada" not in str(caught.value)
    assert caught.value.__cause__ is None
