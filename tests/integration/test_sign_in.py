"""Who may come in: tokens that prove nothing and strange credentials, at both doors."""

from __future__ import annotations

import asyncio
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from services.cli.local import LocalStack
from tests.integration.forged import by_hand, claims, signed
from tests.integration.modes import normal_mode_only
from tests.integration.world import World, judge

pytestmark = normal_mode_only("the gateway's sign-in")

RSA = rsa.generate_private_key(65537, 2048)
HOLD, EVENT = "TicketService/HoldSeats", "EventService/GetEvent"


def bad_tokens(stack: LocalStack) -> dict[str, str]:
    now, public = int(time.time()), stack.keys.auth_public_pem.read_bytes()
    return {
        "expired": signed(stack, exp=now - 1),
        "not yet valid": signed(stack, nbf=now + 600),
        "another audience": signed(stack, aud="somebody"),
        "no audience": signed(stack, aud=None),
        "another issuer": signed(stack, iss="somebody"),
        "no expiry": signed(stack, exp=None),
        "no subject": signed(stack, sub=None),
        "empty subject": signed(stack, sub=""),
        "subject of 1,000 characters": signed(stack, sub="s" * 1000),
        "roles that are no list": signed(stack, roles="admin"),
        "alg=none": by_hand({"alg": "none"}),
        "alg=None": by_hand({"alg": "None"}),
        "no alg": by_hand({}),
        "HS256 with the public key": by_hand({"alg": "HS256"}, public),
        "HS256 with nothing": by_hand({"alg": "HS256"}, b"\0"),
        "EdDSA, signed with HMAC": by_hand({"alg": "EdDSA"}, public),
        "another key": jwt.encode(claims(), ed25519.Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        "another kind of key": jwt.encode(claims(), RSA, algorithm="RS256"),
        "its signature cut off": signed(stack).rpartition(".")[0] + ".",
        "another's claims": ".".join(
            (
                signed(stack).split(".")[0],
                signed(stack, sub="ann", roles=["admin"]).split(".")[1],
                signed(stack).split(".")[2],
            )
        ),
        "no token at all": "x",
        "dots": "...",
        "9 kB": "a" * 9_000,
        "an unknown API key": "nxk_unknown",
    }


async def test_bad_tokens_are_refused_everywhere(world: World) -> None:
    """A token that proves nothing is UNAUTHENTICATED at both doors, also where no sign-in is needed."""
    async with world.untouched():
        for name, token in bad_tokens(world.behind.stack).items():
            hold = {"event_id": world.names["event"], "seat_ids": ["A-2-1"]}
            for rpc, request in ((HOLD, hold), (EVENT, {"event_id": world.names["event"]})):
                http, rpc_ = await world.http.call(rpc, request, token), await world.grpc.call(rpc, request, token)
                for outcome in (http, rpc_):
                    judge(outcome, name)
                    assert (outcome.code, outcome.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED"), (name, outcome)
                    assert token[-20:] not in outcome.text or len(token) < 20, name
                assert http.words == rpc_.words, name


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic YWRhOmFkYQ==")],
        [("authorization", "$token")],
        [("authorization", "Bearer $token"), ("authorization", "Bearer $token")],
        [("authorization", "Bearer $token, Bearer $token")],
        [("authorization", "Bearer $token"), ("x-api-key", "nxk_unknown")],
        [("x-api-key", "")],
        [("x-api-key", "nxk_unknown")],
    ],
)
async def test_strange_credentials_are_refused(world: World, headers: list[tuple[str, str]]) -> None:
    """Credentials twice, of another kind or empty are refused in the same words, also beside a good one."""
    sent = [(name, value.replace("$token", world.buyer)) for name, value in headers]
    async with world.untouched():
        http, rpc = await world.both(HOLD, {"event_id": "$event", "seat_ids": ["A-2-1"]}, "nobody", headers=sent)
    judge(http)
    assert http.code == "UNAUTHENTICATED"
    assert http.words == rpc.words


async def test_a_token_of_a_megabyte_is_refused(world: World) -> None:
    """It is refused by its size, over HTTP by that of the head, and nobody tries to verify it."""
    token = "a" * 1_000_000
    async with world.untouched():
        rpc = await world.grpc.call(HOLD, {"event_id": world.names["event"], "seat_ids": ["A-2-1"]}, token)
        assert rpc.code in ("UNAUTHENTICATED", "RESOURCE_EXHAUSTED")
        reader, writer = await asyncio.open_connection("127.0.0.1", world.behind.stack.ports.http_port)
        writer.write(f"GET /v1/orders/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
    assert line.split()[1] in (b"401", b"431")


async def test_trust_is_not_given_where_it_was_not_said(world: World) -> None:
    """The headers of --insecure-dev are nothing to a gateway with real sign-in."""
    headers = [("x-nexus-subject", "ann"), ("x-nexus-roles", "admin,organizer"), ("x-nexus-caller", "ann")]
    async with world.untouched():
        http, rpc = await world.both(HOLD, {"event_id": "$event", "seat_ids": ["A-2-1"]}, "nobody", headers=headers)
    assert (http.code, rpc.code) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
