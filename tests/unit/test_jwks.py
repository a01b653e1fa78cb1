"""The keys of an identity provider: rotation, outage, floods of made-up key ids, and pages that are no key set."""

from __future__ import annotations

import asyncio
import json
import time
import types
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519

from services.common.errors import UnauthenticatedError, UnavailableError
from services.gateway import jwks
from services.gateway.jwks import KEEP_SECONDS, PATIENCE_SECONDS, REFETCH_SECONDS, JwksKeys


class Clock:
    """The time as JwksKeys sees it; a test moves it on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Tell the time, seconds."""
        return self.now


class Provider:
    """A provider whose key set, health and patience a test chooses."""

    def __init__(self) -> None:
        self.asked = 0
        self.page = ""
        self.status = 200
        self.hangs = asyncio.Event()
        self.url = ""

    def serve(self, *kids: str) -> None:
        """Publish one key for each id."""
        keys = [ed25519.Ed25519PrivateKey.generate().public_key() for _ in kids]
        shown = [jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True) for key in keys]
        self.page = json.dumps({"keys": [one | {"kid": kid} for one, kid in zip(shown, kids, strict=True)]})

    async def answer(self, _request: web.Request) -> web.Response:
        """Answer when it does not hang."""
        self.asked += 1
        await self.hangs.wait()
        return web.Response(text=self.page, status=self.status, content_type="application/json")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(jwks, "time", types.SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made, app = Provider(), web.Application()
    made.hangs.set()
    app.router.add_get("/jwks", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield made
    made.hangs.set()
    await runner.cleanup()


async def has(keys: JwksKeys, kid: str) -> bool:
    try:
        return await keys.key({"kid": kid}) is not None
    except UnauthenticatedError:
        return False


async def asked(provider: Provider, times: int) -> None:
    """Wait until the provider was asked so often."""
    async with asyncio.timeout(5):
        while provider.asked < times:  # noqa: ASYNC110 - a predicate with a deadline
            await asyncio.sleep(0.01)


async def test_a_new_key_is_known_after_half_a_minute_at_most(provider: Provider, clock: Clock) -> None:
    """Rotation: the new key counts as soon as keys may be fetched again, and the old one as long as it is there."""
    keys = JwksKeys(provider.url)
    provider.serve("old")
    assert await has(keys, "old")
    provider.serve("old", "new")
    assert not await has(keys, "new"), "within 30 s of the last fetch nobody asks"
    clock.now += REFETCH_SECONDS
    assert await has(keys, "new")
    assert await has(keys, "old")
    provider.serve("new")
    clock.now += KEEP_SECONDS + 1
    assert not await has(keys, "old"), "taken out by the provider, and asked for before it is given"
    assert await has(keys, "new")
    assert provider.asked == 3


async def test_a_flood_of_made_up_key_ids_asks_once(provider: Provider, clock: Clock) -> None:
    """A thousand unknown key ids at once, again and again, cost one fetch in 30 s."""
    keys = JwksKeys(provider.url)
    provider.serve("good")
    for minutes in range(1, 4):
        found = await asyncio.gather(*(has(keys, f"made-up-{number}") for number in range(1000)))
        assert not any(found)
        assert provider.asked == minutes
        clock.now += REFETCH_SECONDS


@pytest.mark.parametrize("status", [500, 404])
async def test_keys_go_on_while_the_provider_is_away(provider: Provider, clock: Clock, status: int) -> None:
    """An outage of hours does not sign anybody out."""
    keys = JwksKeys(provider.url)
    provider.serve("good")
    assert await has(keys, "good")
    provider.status = status
    for tries in range(2, 5):
        clock.now += KEEP_SECONDS + 1
        assert await has(keys, "good")
        await asked(provider, tries)
        assert not await has(keys, "made-up")


async def test_a_provider_that_hangs_holds_nobody_up(provider: Provider, clock: Clock) -> None:
    """Keys that are known are given soon, while their refresh waits for an answer that does not come."""
    keys = JwksKeys(provider.url)
    provider.serve("good")
    assert await has(keys, "good")
    provider.hangs.clear()
    clock.now += KEEP_SECONDS + 1
    begun = time.monotonic()
    assert all(await asyncio.gather(*(has(keys, "good") for _ in range(100))))
    assert time.monotonic() - begun < PATIENCE_SECONDS + 1
    await asked(provider, 2)
    provider.hangs.set()


@pytest.mark.parametrize(
    "page",
    ["", "<html>", "null", "[]", '"x"', '{"keys": "x"}', '{"keys": [1]}', '{"keys": {}}', '{"keys": [{"kty": "OKP"}]}'],
)
async def test_a_page_that_is_no_key_set_changes_nothing(provider: Provider, clock: Clock, page: str) -> None:
    """What the provider serves by mistake is no fault of a caller's, and the keys that are known go on."""
    provider.page = page
    with pytest.raises(UnavailableError):
        await JwksKeys(provider.url).key({"kid": "good"})
    keys = JwksKeys(provider.url)
    provider.serve("good")
    assert await has(keys, "good")
    provider.page = page
    clock.now += REFETCH_SECONDS
    assert not await has(keys, "other")
    assert await has(keys, "good")


async def test_a_key_id_that_is_no_text_is_no_fault(provider: Provider, clock: Clock) -> None:
    """Neither in a token nor in a key set."""
    keys = JwksKeys(provider.url)
    provider.serve("good")
    shown: dict[str, Any] = json.loads(provider.page)
    provider.page = json.dumps({"keys": [shown["keys"][0] | {"kid": ["good"]}]})
    with pytest.raises(UnavailableError):
        await keys.key({"kid": "good"})
    provider.serve("good")
    clock.now += REFETCH_SECONDS
    for kid in (["good"], {"a": 1}, 7, True):
        with pytest.raises(UnauthenticatedError):
            await keys.key({"kid": kid})
