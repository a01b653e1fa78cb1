"""Mail over TLS and with a password, to a server that demands both: nothing goes over the network in the open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
import msgspec
import pytest

from services.checkout import mail
from services.common.config import Secret
from tests.integration.certificates import Authority
from tests.integration.modes import normal_mode_only
from tests.integration.test_mail_sink import Server, deliver, free_port, ticket

pytestmark = normal_mode_only("the mail client")

PASSWORD = f"pass-{uuid.uuid4().hex}"


class Demanding(msgspec.Struct, frozen=True):
    """A sink that demands TLS and a password: how mail gets in, and where it is listed."""

    server: Server
    url: str
    log: Path

    async def subjects(self, order: str) -> int:
        """Count the mails of an order."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/messages", params={"message_id": f"{order}@nexus.invalid"}) as answer,
        ):
            return len((await answer.json())["messages"])


@asynccontextmanager
async def demanding(folder: Path, tls: Literal["starttls", "tls"]) -> AsyncIterator[Demanding]:
    authority = Authority(folder / tls)
    pair = authority.sign("sink", "127.0.0.1")
    port, smtp_port, log = free_port(), free_port(), folder / f"{tls}.log"
    env = os.environ | {
        "NEXUS_PORT": str(port),
        "NEXUS_SMTP_PORT": str(smtp_port),
        "NEXUS_MAIL_TLS": tls,
        "NEXUS_TLS_CERT_FILE": str(pair.cert),
        "NEXUS_TLS_KEY_FILE": str(pair.key),
        "NEXUS_MAIL_USERNAME": "nexus",
        "NEXUS_MAIL_PASSWORD": PASSWORD,
    }
    with log.open("w") as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators.mailsink", env=env, start_new_session=True, stderr=written
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 10
    async with aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"{url}/health"):
                    break
            except aiohttp.ClientError:
                assert process.returncode is None, log.read_text()
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
    server = Server(
        smtp_port, mail_tls=tls, mail_ca_file=str(authority.ca), mail_username="nexus", mail_password=Secret(PASSWORD)
    )
    try:
        yield Demanding(server, url, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.fixture(scope="module", params=["starttls", "tls"])
async def sink(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demanding]:
    async with demanding(tmp_path_factory.mktemp("sink"), request.param) as running:
        yield running


@pytest.fixture
def order() -> str:
    return f"order-{uuid.uuid4().hex}"


async def test_a_mail_goes_over_tls_with_a_password(sink: Demanding, order: str) -> None:
    """With the right user, password and authority it is accepted, and the password is in no log."""
    await deliver(ticket(order, "ada@example.org"), sink.server)
    assert await sink.subjects(order) == 1
    assert PASSWORD not in sink.log.read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"mail_password": Secret("wrong-password")},
        {"mail_username": "other"},
        {"mail_username": "", "mail_password": None},
        {"mail_ca_file": ""},
        {"mail_host": "localhost"},
        {"mail_tls": "none"},
    ],
    ids=["password", "user", "nobody", "authority", "host", "no TLS"],
)
async def test_whoever_is_not_let_in_tries_again_later(
    sink: Demanding, order: str, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password, no TLS, a certificate of a stranger or for another host: no mail, no secret in the error."""
    # Who speaks in the clear to a server that waits for TLS gets no answer.
    monkeypatch.setattr(mail, "SEND_SECONDS", 2)
    with pytest.raises((mail.MailUnavailableError, mail.MailRefusedError)) as caught:
        await deliver(ticket(order, "ada@example.org"), msgspec.structs.replace(sink.server, **change))
    assert await sink.subjects(order) == 0
    for secret in (PASSWORD, "wrong-password", "ada"):
        assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, mail.MailUnavailableError), "a mistake in our settings loses no mail"


async def test_a_wrong_password_is_answered(sink: Demanding, order: str) -> None:
    """By a refusal and not by silence, so that a mistake in our settings is named in the log and not a time-out."""
    wrong = msgspec.structs.replace(sink.server, mail_password=Secret("wrong-password"))
    with pytest.raises(mail.MailUnavailableError, match="SMTPAuthenticationError"):
        await deliver(ticket(order, "ada@example.org"), wrong)


async def test_a_server_without_tls_gets_no_password(tmp_path: Path, order: str) -> None:
    """Where TLS is wanted and the server offers none, or a man in the middle has taken it out, nothing is sent."""
    seen = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 open\r\n")
        while line := await reader.readline():
            seen.extend(line)
            writer.write(b"250-open\r\n250 AUTH PLAIN LOGIN\r\n" if line[:4] == b"EHLO" else b"250 fine\r\n")
        writer.close()

    authority = Authority(tmp_path)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        away = Server(
            server.sockets[0].getsockname()[1],
            mail_tls="starttls",
            mail_ca_file=str(authority.ca),
            mail_username="nexus",
            mail_password=Secret(PASSWORD),
        )
        with pytest.raises(mail.MailUnavailableError):
            await deliver(ticket(order, "ada@example.org"), away)
    assert b"AUTH" not in seen
    assert b"MAIL" not in seen
