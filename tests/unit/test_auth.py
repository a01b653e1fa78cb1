"""Who a caller is: tokens, API keys and trust, each only where it was configured."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.common.errors import UnauthenticatedError, UnavailableError
from services.common.messages import Caller
from services.gateway.auth import (
    MAX_TOKEN_BYTES,
    AuthConfigError,
    Authenticator,
    Credentials,
    JwtVerifier,
    OneKey,
    load_api_keys,
)
from services.gateway.jwks import JwksKeys

KEY = ed25519.Ed25519PrivateKey.generate()
RSA_KEY = rsa.generate_private_key(65537, 2048)
ALGORITHMS = ("EdDSA", "RS256", "ES256")


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def token(key: Any = KEY, algorithm: str = "EdDSA", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(time.time())
    known = {"sub": "ann", "iss": "nexus", "aud": "nexus", "exp": now + 600, "roles": ["organizer", "root"]}
    chosen = {name: value for name, value in {**known, **claims}.items() if value is not None}
    return jwt.encode(chosen, key, algorithm=algorithm, headers=headers)


def hs256(secret: bytes) -> str:
    """Sign with a public key as if it were a shared secret; PyJWT itself refuses to."""

    def part(value: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"sub": "ann", "iss": "nexus", "aud": "nexus", "exp": int(time.time()) + 600}
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (signed + b"." + base64.urlsafe_b64encode(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


def authenticator(key: Any = KEY, **options: Any) -> Authenticator:
    return Authenticator(
        lambda subject: f"#{subject}", jwts=JwtVerifier(OneKey(pem(key)), ALGORITHMS, "nexus", "nexus"), **options
    )


def bearer(text: str) -> Credentials:
    return Credentials([f"Bearer {text}"])


async def test_good_token_gives_its_caller() -> None:
    """A token stands for its subject, hashed, with the roles that we know."""
    assert await authenticator().caller(bearer(token())) == Caller("#ann", ["organizer"])
    assert await authenticator(RSA_KEY).caller(bearer(token(RSA_KEY, "RS256"))) == Caller("#ann", ["organizer"])


async def test_nothing_sent_is_anonymous() -> None:
    """Without credentials the caller is nobody, whatever name it gives."""
    assert await authenticator().caller(Credentials(subject=["ann"], roles=["admin"])) == Caller()


@pytest.mark.parametrize(
    "text",
    [
        token(exp=int(time.time()) - 1),
        # Made when the tests are collected, so later than the longest run.
        token(nbf=int(time.time()) + 7200, exp=int(time.time()) + 9000),
        token(aud="other"),
        token(iss="other"),
        token(exp=None),
        token(sub=None),
        token(sub=""),
        token(sub="x" * 257),
        token(aud=None),
        token(roles="admin"),
        token(roles=[{"admin": True}]),
        token(ed25519.Ed25519PrivateKey.generate()),
        token(RSA_KEY, "RS256"),
        token("", "none"),
        hs256(pem(KEY).encode()),
        token()[:-4] + "AAAA",
        "x.y.z",
        "a",
        "x" * (MAX_TOKEN_BYTES + 1),
        "é",
    ],
    ids=lambda text: text[-6:],
)
async def test_bad_token_is_refused(text: str) -> None:
    """A token that proves nothing is refused, and its text is not repeated."""
    with pytest.raises(UnauthenticatedError) as refused:
        await authenticator().caller(bearer(text))
    assert len(text) < 10 or text not in refused.value.message


async def test_hs256_with_the_rsa_public_key_is_refused() -> None:
    """The public key, which everybody knows, does not sign."""
    with pytest.raises(UnauthenticatedError):
        await authenticator(RSA_KEY).caller(bearer(hs256(pem(RSA_KEY).encode())))


@pytest.mark.parametrize(
    "sent",
    [
        Credentials(["Bearer a", "Bearer b"]),
        Credentials([f"Bearer {token()}", f"Bearer {token()}"]),
        Credentials([f"Bearer {token()}"], ["nxk_1"]),
        Credentials(["Basic YTpi"]),
        Credentials(["Bearer "]),
        Credentials([""]),
        Credentials([], ["nxk_unknown"]),
        Credentials(["Bearer nxk_unknown"]),
    ],
)
async def test_strange_credentials_are_refused(sent: Credentials) -> None:
    """Credentials are given once, in a form that we know."""
    with pytest.raises(UnauthenticatedError):
        await authenticator().caller(sent)


async def test_api_key_is_known_by_its_hash(tmp_path: Path) -> None:
    """A machine's key is accepted in both places; the file holds only its hash."""
    file = tmp_path / "keys.json"
    digest = hashlib.sha256(b"nxk_secret").hexdigest()
    file.write_text(json.dumps({digest: {"subject": "box-office", "roles": ["organizer", "root"]}}))
    by_key = Authenticator(lambda subject: subject, api_keys=load_api_keys(str(file)))
    for sent in (Credentials([], ["nxk_secret"]), bearer("nxk_secret")):
        assert await by_key.caller(sent) == Caller("box-office", ["organizer"])
    with pytest.raises(UnauthenticatedError):
        await by_key.caller(bearer(digest))


async def test_trust_is_only_given_where_it_was_said() -> None:
    """In the insecure mode, and only there, callers are taken at their word."""
    trusting = Authenticator(lambda subject: subject, is_insecure=True)
    sent = Credentials(subject=["ann"], roles=["organizer, admin,root"])
    assert await trusting.caller(sent) == Caller("ann", ["admin", "organizer"])
    with pytest.raises(UnauthenticatedError):
        await trusting.caller(bearer(token()))


def test_no_mode_refuses_to_start(tmp_path: Path) -> None:
    """A gateway that could tell nobody from anybody does not start; neither does one with a symmetric algorithm."""
    with pytest.raises(AuthConfigError, match="no sign-in"):
        Authenticator(str)
    for algorithms in (("HS256",), ("none",), ()):
        with pytest.raises(AuthConfigError):
            JwtVerifier(OneKey(pem(KEY)), algorithms, "nexus", "nexus")
    with pytest.raises(AuthConfigError):
        OneKey(str(tmp_path / "nothing.pem"))
    (tmp_path / "keys.json").write_text('{"x": 1}')
    with pytest.raises(AuthConfigError):
        load_api_keys(str(tmp_path / "keys.json"))


class Provider:
    """An identity provider that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = {"k1": KEY}
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        listed = [
            {**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
            for kid, key in self.keys.items()
        ]
        return web.json_response({"keys": listed})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    app = web.Application()
    app.router.add_get("/jwks", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield found
    await runner.cleanup()


async def test_jwks_is_fetched_once(provider: Provider) -> None:
    """Keys are fetched once; made-up key ids and addresses in a token cause no further request."""
    by_jwks = Authenticator(str, jwts=JwtVerifier(JwksKeys(provider.url), ALGORITHMS, "nexus", "nexus"))
    for subject in ("ann", "bob"):
        caller = await by_jwks.caller(bearer(token(headers={"kid": "k1"}, sub=subject)))
        assert caller.subject == subject
    elsewhere = {"kid": "k2", "jku": provider.url, "x5u": provider.url}
    for headers in ({"kid": "k2"}, {"kid": "k3"}, elsewhere):
        with pytest.raises(UnauthenticatedError):
            await by_jwks.caller(bearer(token(headers=headers)))
    assert provider.asked == 1


async def test_jwks_away_is_no_fault_of_the_client(provider: Provider) -> None:
    """Without any key a token cannot be judged: the client is asked to come back."""
    with pytest.raises(UnavailableError):
        await JwksKeys(provider.url + "/nothing").key({"kid": "k1"})


async def test_verified_token_expires_all_the_same() -> None:
    """A token that was accepted, and is remembered, is refused once it has expired."""
    asked = authenticator()
    text = token(exp=int(time.time()) + 1)
    assert (await asked.caller(bearer(text))).subject == "#ann"

    async def until_refused() -> None:
        while True:
            await asyncio.sleep(0.05)
            await asked.caller(bearer(text))

    with pytest.raises(UnauthenticatedError, match="expired"):
        await asyncio.wait_for(until_refused(), 5)
