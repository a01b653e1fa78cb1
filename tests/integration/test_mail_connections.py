"""Connections to a mail server are kept for the next mail, and only while that is right."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.checkout import mail
from services.checkout.mail_connections import IDLE_SECONDS, MOST, Connections
from tests.integration.booking import until
from tests.integration.test_mail_sink import SENDER, Server, ticket


@dataclass
class Post:
    """A mail server that counts its connections. `reply`: to the next mail; `gate`: which it waits for."""

    reply: str = "250 OK"
    gate: asyncio.Event | None = None
    connections: list[SMTP] = field(default_factory=list)
    at_once: int = 0
    taken: list[str] = field(default_factory=list)

    def connect(self) -> SMTP:
        made = SMTP(self)
        self.connections.append(made)
        return made

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.at_once += 1
        if self.gate is not None:
            await self.gate.wait()
        self.at_once -= 1
        reply, self.reply = self.reply, "250 OK"
        if reply.startswith("250"):
            self.taken.append(envelope.rcpt_tos[0])
        return reply


class Clock:
    """Monotonic seconds that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def port(post: Post) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(post.connect, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connections(port: int, clock: Clock) -> AsyncIterator[Connections]:
    made = mail.connections(Server(port), SENDER)
    made.clock = clock
    yield made
    made.close()


async def send(connections: Connections, address: str = "ada@example.org") -> None:
    await mail.send(ticket(uuid.uuid4().hex, address), connections)


async def test_mails_in_a_row_take_one_connection(post: Post, connections: Connections) -> None:
    """Each is its own mail to its own recipient."""
    addresses = [f"buyer-{number}@example.org" for number in range(5)]
    for address in addresses:
        await send(connections, address)
    assert post.taken == addresses
    assert len(post.connections) == 1


async def test_after_a_refusal_a_new_connection_is_made(post: Post, connections: Connections) -> None:
    """What was left half said over the old one cannot get into the next mail."""
    post.reply = "451 later"
    with pytest.raises(mail.MailUnavailableError):
        await send(connections)
    await send(connections)
    assert (len(post.taken), len(post.connections)) == (1, 2)


async def test_a_connection_that_the_server_has_closed_is_not_used(post: Post, connections: Connections) -> None:
    """A mail server that restarts costs no mail an attempt, once the end of the connection has come in."""
    await send(connections)
    ((client, _),) = connections._idle
    transport = post.connections[0].transport
    assert transport is not None
    transport.close()

    async def is_noticed() -> bool:
        return not client.is_connected

    await until(is_noticed, "the end of the connection")
    await send(connections)
    assert (len(post.taken), len(post.connections)) == (2, 2)


@pytest.mark.parametrize(("waited", "made"), [(IDLE_SECONDS * 0.9, 1), (IDLE_SECONDS, 2)])
async def test_what_has_waited_long_is_closed(
    post: Post, connections: Connections, clock: Clock, waited: float, made: int
) -> None:
    """Servers close what is silent, often just as the next mail comes."""
    await send(connections)
    clock.seconds += waited
    await send(connections)
    assert (len(post.taken), len(post.connections)) == (2, made)


async def test_connections_at_a_time_are_bounded(post: Post, connections: Connections) -> None:
    """More mails than a server takes from one client wait for a connection, and all are sent."""
    post.gate = asyncio.Event()
    sending = [asyncio.ensure_future(send(connections)) for _ in range(3 * MOST)]

    async def is_busy() -> bool:
        return post.at_once == MOST

    await until(is_busy, "all connections to be used")
    post.gate.set()
    await asyncio.gather(*sending)
    assert (len(post.taken), len(post.connections)) == (3 * MOST, MOST)
