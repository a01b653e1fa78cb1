"""The commands over TLS, with and without a certificate of their own: nothing of it is ever optional."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.local import LocalStack
from tests.integration.certificates import Authority, Pair
from tests.integration.client import NewEvent
from tests.integration.modes import normal_mode_only
from tests.integration.test_cli_booking import UNREACHABLE, USED_WRONGLY, Done, Nexus, environ, nexus, run

pytestmark = normal_mode_only("the command line")

__all__ = ["nexus"]


@dataclass(frozen=True)
class Doors:
    """The gateway of the stack behind TLS: `plain` asks for no certificate, `mutual` for one of the authority's."""

    authority: Authority
    client: Pair
    plain: str
    mutual: str

    @property
    def ca(self) -> tuple[str, str]:
        return "--ca", str(self.authority.ca)

    @property
    def own(self) -> tuple[str, ...]:
        return "--cert", str(self.client.cert), "--key", str(self.client.key)


@asynccontextmanager
async def tls_in_front(stack: LocalStack, authority: Authority, *, mutual: bool) -> AsyncIterator[str]:
    """Take TLS off in front of the stack's gateway; gives the address."""
    pair = authority.sign("gateway", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca))
    context.load_cert_chain(pair.cert, pair.key)
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    host, _, port = stack.grpc_address.rpartition(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture(scope="module")
async def doors(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    async with AsyncExitStack() as opened:
        plain, mutual = [
            await opened.enter_async_context(tls_in_front(stack, authority, mutual=mutual)) for mutual in (False, True)
        ]
        yield Doors(authority, authority.sign("nexus"), plain, mutual)


def one_line(done: Done, *words: str) -> None:
    assert (done.code, done.out, done.err.count("\n")) == (UNREACHABLE, "", 1), done
    assert all(word in done.err for word in words), done


async def test_every_command_goes_over_tls(nexus: Nexus, doors: Doors, new_event: NewEvent) -> None:
    """Booking, events, map, call, smoke and race, with a certificate of our own where the gateway wants one."""
    event, _ = await new_event()
    buyer = ("--as", f"buyer-{uuid.uuid4().hex[:8]}")
    at = ("--gateway", doors.mutual, *doors.ca, *doors.own)
    held = await nexus("hold", event, "A-1-1", "--json", *buyer, *at)
    assert held.code == 0, held
    bought = await nexus("buy", event, "--hold", held.json["hold_id"], "--email", "a@b.cd", "--json", *buyer, *at)
    assert bought.code == 0, bought
    for command in (
        ("order", bought.json["order_id"], *buyer),
        ("orders", event, *buyer),
        ("events", "--json"),
        ("events", "show", event),
        ("map", event),
        ("call", "GetEvent", json.dumps({"event_id": event})),
        ("smoke",),
        ("race", "--buyers", "4"),
    ):
        done = await nexus(*command, *at)
        assert done.code == 0, (command, done)


async def test_the_variables_do_the_same(stack: LocalStack, doors: Doors) -> None:
    """NEXUS_GATEWAY, NEXUS_CA_FILE, NEXUS_CERT_FILE and NEXUS_KEY_FILE; NEXUS_TLS alone trusts the system only."""
    files = {
        "NEXUS_CA_FILE": doors.authority.ca,
        "NEXUS_CERT_FILE": doors.client.cert,
        "NEXUS_KEY_FILE": doors.client.key,
    }
    env = environ(stack) | {name: str(path) for name, path in files.items()} | {"NEXUS_GATEWAY": doors.mutual}
    done = await run(env, "events", "--json")
    assert done.code == 0, done
    one_line(await run(environ(stack) | {"NEXUS_GATEWAY": doors.plain, "NEXUS_TLS": "true"}, "events"), "TLS fails")


async def test_a_door_that_cannot_be_trusted_is_not_talked_to(
    stack: LocalStack, nexus: Nexus, doors: Doors, tmp_path: Path
) -> None:
    """A stranger's certificate, one for another host, TLS on one side only, no certificate of ours: code 3, a line."""
    stranger = str(Authority(tmp_path).ca)
    assert (await nexus("events", "--gateway", doors.plain, *doors.ca)).code == 0
    one_line(await nexus("events", "--gateway", doors.plain, "--ca", stranger), doors.plain, "TLS fails")
    by_name = doors.plain.replace("127.0.0.1", "localhost")
    one_line(await nexus("events", "--gateway", by_name, *doors.ca), by_name)
    one_line(await nexus("events", "--gateway", doors.plain), doors.plain)
    one_line(await nexus("events", "--gateway", doors.mutual, *doors.ca), doors.mutual)
    one_line(await nexus("events", "--gateway", stack.grpc_address, *doors.ca), stack.grpc_address, "TLS fails")


async def test_files_that_cannot_be_used_are_named(nexus: Nexus, doors: Doors, tmp_path: Path) -> None:
    """Before anything is asked: code 2 and the option."""
    text = tmp_path / "text"
    text.write_text("no certificate")
    for arguments, word in [
        (("--ca", str(tmp_path / "none")), "--ca"),
        (("--ca", str(text)), "--ca"),
        (("--cert", str(doors.client.cert)), "--key"),
        (("--key", str(doors.client.key)), "--cert"),
        (("--cert", str(doors.client.cert), "--key", str(text)), "--key"),
        (("--cert", str(doors.authority.ca), "--key", str(doors.client.key)), "--key"),
    ]:
        done = await nexus("events", "--gateway", doors.plain, *arguments)
        assert (done.code, done.out) == (USED_WRONGLY, ""), done
        assert word in done.err
        assert "Traceback" not in done.err
