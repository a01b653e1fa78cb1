"""The ways in which a gateway can be told whom to believe: a provider's keys, API keys, trust, and none at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import grpc.aio
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.cli.local import LocalStack, answers
from services.cli.ports import Ports
from tests.integration.booking import small_event, until
from tests.integration.doors import GrpcDoor, HttpDoor, Outcome
from tests.integration.forged import by_hand, claims, signed
from tests.integration.modes import normal_mode_only
from tests.integration.world import judge

pytestmark = normal_mode_only("the gateway's sign-in")

RSA = rsa.generate_private_key(65537, 2048)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ORDER = "CheckoutService/GetOrder"
API_KEY = "nxk_test-key-of-the-box-office"


class Provider:
    """An identity provider, and beside it a trap: addresses that tokens name and that must never be asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Provider]:
        async def answer(request: web.Request) -> web.Response:
            self.asked.append(request.path)
            key = jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
            return web.json_response({"keys": [dict(key) | {"kid": "k1", "use": "sig", "alg": "RS256"}]})

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield self
        await runner.cleanup()


@contextmanager
def gateway_process(
    stack: LocalStack, ports: Ports, settings: Mapping[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a gateway of its own before the same Restate, with no other sign-in than `settings` say."""
    environ = stack.environ("gateway") | {
        "NEXUS_HTTP_PORT": str(ports.http_port),
        "NEXUS_GRPC_PORT": str(ports.grpc_port),
        "NEXUS_METRICS_PORT": "0",
        "NEXUS_AUTH_PUBLIC_KEY": "",
    }
    command = [sys.executable, "-m", "services.cli", "run", "gateway", *arguments]
    process = subprocess.Popen(
        command, env=environ | dict(settings), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


class Doors:
    """Both doors of a gateway of its own."""

    def __init__(self, http: HttpDoor, rpc: GrpcDoor) -> None:
        self.http = http
        self.rpc = rpc

    async def ask(self, token: str | None, headers: list[tuple[str, str]] | None = None) -> Outcome:
        """Look for an order that is not there: NOT_FOUND is the answer to whoever is let in."""
        request = {"order_id": uuid.uuid4().hex}
        http = await self.http.call(ORDER, request, token, headers or [])
        rpc = await self.rpc.call(ORDER, request, token, headers or [])
        judge(http)
        assert http.words == rpc.words
        return http


@asynccontextmanager
async def gateway(stack: LocalStack, settings: Mapping[str, str], *arguments: str) -> AsyncIterator[Doors]:
    ports = Ports.free()
    with gateway_process(stack, ports, settings, *arguments) as process:

        async def is_there() -> bool:
            assert process.poll() is None, process.communicate()
            return await asyncio.to_thread(answers, f"http://127.0.0.1:{ports.http_port}/livez")

        await until(is_there, "a gateway of its own", 20)
        async with (
            aiohttp.ClientSession() as session,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc_port}") as channel,
        ):
            http = HttpDoor(stack, session)
            http.url = f"http://127.0.0.1:{ports.http_port}"
            yield Doors(http, GrpcDoor(channel))


async def test_keys_come_from_the_provider_alone(stack: LocalStack) -> None:
    """With a JWKS address its keys count, by key id; no address that a token names is ever asked."""
    provider = Provider()
    async with provider.served():
        trap = f"{provider.url}/trap"
        evil = rsa.generate_private_key(65537, 2048)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(evil.public_key(), as_dict=True)
        good = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "k1"})
        bad = {
            "unknown kid": jwt.encode(claims(), evil, algorithm="RS256", headers={"kid": "k2"}),
            "known kid, other key": jwt.encode(claims(), evil, algorithm="RS256", headers={"kid": "k1"}),
            "jku": jwt.encode(claims(), evil, algorithm="RS256", headers={"kid": "k2", "jku": trap}),
            "x5u": jwt.encode(claims(), evil, algorithm="RS256", headers={"kid": "k1", "x5u": trap}),
            "jwk": jwt.encode(claims(), evil, algorithm="RS256", headers={"jwk": dict(jwk)}),
            "kid that is a path": jwt.encode(claims(), evil, algorithm="RS256", headers={"kid": "../../etc/passwd"}),
            "kid that is no text": by_hand({"alg": "RS256", "kid": ["k1"]}, RSA_PEM),
            "HS256 with the public key": by_hand({"alg": "HS256", "kid": "k1"}, RSA_PEM),
            "alg=none": by_hand({"alg": "none", "kid": "k1"}),
        }
        async with gateway(stack, {"NEXUS_AUTH_JWKS_URL": f"{provider.url}/jwks"}) as doors:
            assert (await doors.ask(good)).code == "NOT_FOUND"
            for name, token in bad.items():
                assert (await doors.ask(token)).code == "UNAUTHENTICATED", name
            assert (await doors.ask(good)).code == "NOT_FOUND"
        assert provider.asked == ["/jwks"], "once, whatever key ids come"


async def test_api_keys_are_known_by_their_hashes(stack: LocalStack, tmp_path: Path) -> None:
    """A machine's key counts in x-api-key or as bearer; its roles are those of the file. Tokens do not."""
    digest = hashlib.sha256(API_KEY.encode()).hexdigest()
    file = tmp_path / "api-keys.json"
    file.write_text(json.dumps({digest: {"subject": "box-office", "roles": ["buyer"]}}))
    async with gateway(stack, {"NEXUS_API_KEYS_FILE": str(file)}) as doors:
        assert (await doors.ask(None, [("x-api-key", API_KEY)])).code == "NOT_FOUND"
        assert (await doors.ask(API_KEY)).code == "NOT_FOUND"
        for bad in (digest, API_KEY + "x", API_KEY[:-1], API_KEY.upper(), signed(stack)):
            assert (await doors.ask(bad)).code == "UNAUTHENTICATED", bad
            assert (await doors.ask(None, [("x-api-key", bad)])).code == "UNAUTHENTICATED", bad
        created = await doors.http.call("EventService/PublishEvent", {"event_id": "e"}, API_KEY)
        assert created.code == "PERMISSION_DENIED"


async def test_the_installations_own_test_reaches_its_own_events_only(stack: LocalStack) -> None:
    """A token of its key makes and reads events of the test at both doors, and no others; elsewhere it is nothing."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    own = claims(sub="helm-test-1", roles=["organizer"])
    token = jwt.encode(own, key, algorithm="EdDSA", headers={"kid": "helm-test"})
    main_key = {"NEXUS_AUTH_PUBLIC_KEY": str(stack.keys.auth_public_pem)}
    async with gateway(stack, main_key | {"NEXUS_AUTH_TEST_PUBLIC_KEY": public}) as doors:
        assert (await doors.ask(token)).code == "NOT_FOUND"
        for door in (doors.http, doors.rpc):
            event = small_event() | {"event_id": f"helm-test-{uuid.uuid4().hex}"}
            assert (await door.call("EventService/CreateEvent", {"event": event}, token)).code == "OK"
            shown = await door.call("EventService/GetEvent", {"event_id": event["event_id"]}, token)
            assert shown.code == "OK"
            others = [event | {"event_id": f"test-{uuid.uuid4().hex}"}, small_event()]
            for other in others:
                assert (
                    await door.call("EventService/CreateEvent", {"event": other}, token)
                ).code == "PERMISSION_DENIED"
            assert (await door.call("EventService/GetEvent", {"event_id": "demo"}, token)).code == "PERMISSION_DENIED"
        assert (await doors.ask(signed(stack))).code == "NOT_FOUND"
        assert (await doors.ask(signed(stack, {"kid": "helm-test"}, **own))).code == "UNAUTHENTICATED"
    async with gateway(stack, main_key) as doors:
        assert (await doors.ask(token)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("said", ["variable", "flag"])
async def test_trust_has_to_be_said_out_loud(stack: LocalStack, said: str) -> None:
    """Only with --insecure-dev, or its variable, is a caller taken at their word."""
    settings = {"NEXUS_INSECURE_DEV": "true"} if said == "variable" else {}
    async with gateway(stack, settings, *(["--insecure-dev"] if said == "flag" else [])) as doors:
        assert (await doors.ask(None, [("x-nexus-subject", "ann")])).code == "NOT_FOUND"
        assert (await doors.ask(None)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no sign-in is configured"),
        ({"NEXUS_INSECURE_DEV": "false"}, "no sign-in is configured"),
        ({"NEXUS_INSECURE_DEV": "perhaps"}, "NEXUS_INSECURE_DEV"),
        ({"NEXUS_AUTH_PUBLIC_KEY": "/nowhere.pem"}, "NEXUS_AUTH_PUBLIC_KEY"),
        ({"NEXUS_API_KEYS_FILE": "/nowhere.json"}, "NEXUS_API_KEYS_FILE"),
        ({"NEXUS_AUTH_PUBLIC_KEY": "$public", "NEXUS_AUTH_ALGORITHMS": "EdDSA,none"}, "NEXUS_AUTH_ALGORITHMS"),
        ({"NEXUS_AUTH_PUBLIC_KEY": "$public", "NEXUS_AUTH_ALGORITHMS": "HS256"}, "NEXUS_AUTH_ALGORITHMS"),
    ],
)
async def test_without_sign_in_the_gateway_does_not_start(
    stack: LocalStack, settings: dict[str, str], words: str
) -> None:
    """It ends with code 2 and one sentence that names what to set, and shows no value."""
    chosen = {name: value.replace("$public", str(stack.keys.auth_public_pem)) for name, value in settings.items()}
    with gateway_process(stack, Ports.free(), chosen) as process:
        _, errors = await asyncio.to_thread(process.communicate, None, 20)
    lines = errors.strip().splitlines()
    assert (process.returncode, len(lines)) == (2, 1), errors
    assert lines[0].startswith("nexus: cannot start: ")
    assert words in lines[0]
    assert "Traceback" not in errors
