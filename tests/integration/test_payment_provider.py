"""The adapters of the payment provider: the HTTP one against the real simulator and against odd servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from services.checkout.instant import InstantProvider
from services.checkout.payments import HttpProvider, Outcome, PaymentProvider
from services.common.config import Secret
from services.common.money import Money
from services.common.states import PaymentState
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the client of the provider")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

AMOUNT = Money("EUR", 4500)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def simulating(ledger: Path, **environ: str) -> AsyncIterator[str]:
    """A running payment simulator; gives its address."""
    port = free_port()
    env = os.environ | {"NEXUS_LEDGER": str(ledger), "NEXUS_PORT": str(port), "NEXUS_LOG_LEVEL": "WARNING"} | environ
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.payments", env=env, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 10
    async with aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"{url}/health"):
                    break
            except aiohttp.ClientError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
    yield url
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.fixture(scope="module")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a running payment simulator."""
    async with simulating(tmp_path_factory.mktemp("provider") / "ledger.jsonl") as url:
        yield url


@pytest.fixture
async def http(simulator: str) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(simulator, attempt_seconds=1)
    yield provider
    await provider.close()


@pytest.fixture(params=["http", "instant"])
def provider(request: pytest.FixtureRequest) -> PaymentProvider:
    found: PaymentProvider = InstantProvider() if request.param == "instant" else request.getfixturevalue(request.param)
    return found


@pytest.fixture
def order() -> str:
    return f"order-{uuid.uuid4().hex}"


async def switch(simulator: str, **switches: object) -> None:
    async with aiohttp.ClientSession() as client, client.put(f"{simulator}/switches", json=switches) as response:
        assert response.status == 200


@asynccontextmanager
async def server_that(handler: Handler) -> AsyncIterator[HttpProvider]:
    """Run a real server that answers everything by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    provider = HttpProvider(f"http://127.0.0.1:{port}", attempt_seconds=0.5)
    yield provider
    await provider.close()
    await runner.cleanup()


async def ask(provider: PaymentProvider, call: str, order: str) -> Outcome:
    match call:
        case "authorize":
            answer = await provider.authorize(order, f"{order}:authorize", AMOUNT, "card_success")
        case "capture":
            answer = await provider.capture(order, f"{order}:capture", AMOUNT)
        case "void":
            answer = await provider.void(order, f"{order}:void")
        case _:
            answer = await provider.refund(order, f"{order}:refund", AMOUNT)
    return answer.outcome


async def test_a_good_payment(provider: PaymentProvider, order: str) -> None:
    """Authorize, capture and refund are DONE, and lookup shows state and amount after each."""
    assert await provider.lookup(order) is None
    for call, state in (
        ("authorize", PaymentState.AUTHORIZED),
        ("capture", PaymentState.CAPTURED),
        ("refund", PaymentState.REFUNDED),
    ):
        assert await ask(provider, call, order) is Outcome.DONE
        found = await provider.lookup(order)
        assert found is not None
        assert (found.state, found.amount) == (state, AMOUNT)


async def test_the_fence(provider: PaymentProvider, order: str) -> None:
    """After a void, authorize and capture are VOIDED, and the void may be repeated."""
    assert await ask(provider, "void", order) is Outcome.DONE
    assert await ask(provider, "authorize", order) is Outcome.VOIDED
    assert await ask(provider, "capture", order) is Outcome.VOIDED
    assert await ask(provider, "void", order) is Outcome.DONE
    assert (await provider.void(order, "another key")).outcome is Outcome.DONE


async def test_captured_money_cannot_be_voided(provider: PaymentProvider, order: str) -> None:
    """A void after the capture is ALREADY_CAPTURED."""
    await ask(provider, "authorize", order)
    await ask(provider, "capture", order)
    assert await ask(provider, "void", order) is Outcome.ALREADY_CAPTURED


async def test_a_decline(provider: PaymentProvider, order: str) -> None:
    """A declined card is DECLINED."""
    answer = await provider.authorize(order, order, AMOUNT, "card_decline")
    assert answer.outcome is Outcome.DECLINED


async def test_list(provider: PaymentProvider) -> None:
    """A payment is listed with its state and amount."""
    orders = [f"order-{uuid.uuid4().hex}" for _ in range(3)]
    since = datetime.now(UTC) - timedelta(minutes=1)
    for order in orders:
        await ask(provider, "authorize", order)
    page = await provider.list(since, "")
    assert page.outcome is Outcome.DONE
    listed = {payment.payment_key: payment for payment in page.payments}
    assert set(orders) <= set(listed)
    assert all((listed[order].state, listed[order].amount) == (PaymentState.AUTHORIZED, AMOUNT) for order in orders)


async def test_cards_of_the_simulator(http: HttpProvider, order: str) -> None:
    """A capture declined for good and an unknown token are DECLINED, an error of the card is UNKNOWN."""
    await http.authorize(order, "a", AMOUNT, "card_capture_decline")
    assert (await http.capture(order, "c", AMOUNT)).outcome is Outcome.DECLINED
    assert (await http.authorize(order + "-x", "a", AMOUNT, "card_of_cards")).outcome is Outcome.DECLINED
    assert (await http.authorize(order + "-y", "a", AMOUNT, "card_error")).outcome is Outcome.UNKNOWN


async def test_keys_are_quoted(http: HttpProvider) -> None:
    """A payment key with signs of a path stays one key."""
    key = f"../{uuid.uuid4().hex}/a?b#c%2F"
    assert (await http.authorize(key, "a", AMOUNT, "card_success")).outcome is Outcome.DONE
    found = await http.lookup(key)
    assert found is not None
    assert found.payment_key == key


async def test_a_lost_answer_is_unknown_and_then_done(http: HttpProvider, simulator: str, order: str) -> None:
    """A connection that breaks after the capture is UNKNOWN; one attempt is made, and the repeat is DONE."""
    await ask(http, "authorize", order)
    await switch(simulator, lose_answer=["capture"], times=1, payment_keys=[order])
    assert await ask(http, "capture", order) is Outcome.UNKNOWN
    async with aiohttp.ClientSession() as client, client.get(f"{simulator}/ledger?payment_key={order}") as response:
        seen = [entry["call"] for entry in (await response.json())["entries"]]
    assert seen == ["authorize", "capture"]
    assert await ask(http, "capture", order) is Outcome.DONE


async def test_a_provider_that_is_away(http: HttpProvider, simulator: str, order: str) -> None:
    """While the provider is away every change is UNKNOWN, and so is what reads would tell."""
    await switch(simulator, away=True)
    try:
        for call in ("authorize", "capture", "void", "refund"):
            assert await ask(http, call, order) is Outcome.UNKNOWN
        found = await http.lookup(order)
        assert found is not None
        assert found.state is PaymentState.UNKNOWN
        assert (await http.list(None, "")).outcome is Outcome.UNKNOWN
    finally:
        await switch(simulator)


async def test_nobody_listens(order: str) -> None:
    """No connection is UNKNOWN and raises nothing."""
    provider = HttpProvider(f"http://127.0.0.1:{free_port()}")
    for call in ("authorize", "capture", "void", "refund"):
        assert await ask(provider, call, order) is Outcome.UNKNOWN
    assert (await provider.list(None, "")).outcome is Outcome.UNKNOWN
    await provider.close()


async def test_time_out(order: str) -> None:
    """An attempt ends UNKNOWN after its time, also while a body trickles in."""

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    began = time.monotonic()
    async with server_that(trickle) as provider:
        assert await ask(provider, "capture", order) is Outcome.UNKNOWN
        assert time.monotonic() - began < 2


VOIDED, CAPTURED, DECLINED = '{"error": "voided"}', '{"error": "already_captured"}', '{"error": "card_declined"}'
PAGE = "<html>Payment required</html>"


@pytest.mark.parametrize(
    ("call", "status", "body", "outcome"),
    [
        ("authorize", 402, DECLINED, Outcome.DECLINED),
        ("capture", 402, DECLINED, Outcome.DECLINED),
        ("authorize", 402, PAGE, Outcome.UNKNOWN),
        ("void", 402, DECLINED, Outcome.UNKNOWN),
        ("refund", 402, DECLINED, Outcome.UNKNOWN),
        ("authorize", 400, '{"error": "invalid_request"}', Outcome.DECLINED),
        ("authorize", 422, '{"error": "unknown_payment_method"}', Outcome.DECLINED),
        ("authorize", 400, PAGE, Outcome.UNKNOWN),
        ("capture", 400, '{"error": "invalid_request"}', Outcome.UNKNOWN),
        ("void", 422, '{"error": "invalid_request"}', Outcome.UNKNOWN),
        ("authorize", 401, '{"error": "bad_credentials"}', Outcome.UNKNOWN),
        ("authorize", 403, '{"error": "forbidden"}', Outcome.UNKNOWN),
        ("authorize", 404, '{"error": "no_such_route"}', Outcome.UNKNOWN),
        ("authorize", 409, VOIDED, Outcome.VOIDED),
        ("capture", 409, VOIDED, Outcome.VOIDED),
        ("refund", 409, VOIDED, Outcome.VOIDED),
        ("void", 409, CAPTURED, Outcome.ALREADY_CAPTURED),
        ("capture", 409, CAPTURED, Outcome.ALREADY_CAPTURED),
        ("refund", 409, '{"error": "already_refunded"}', Outcome.DONE),
        ("authorize", 409, '{"error": "idempotency_key_in_use"}', Outcome.UNKNOWN),
        ("capture", 409, '{"error": "amount_mismatch"}', Outcome.UNKNOWN),
        *(("authorize", status, DECLINED, Outcome.UNKNOWN) for status in (408, 425, 429, 500, 502, 503, 504)),
        ("capture", 200, PAGE, Outcome.UNKNOWN),
        ("capture", 200, "", Outcome.UNKNOWN),
        ("capture", 200, "[]", Outcome.UNKNOWN),
        ("capture", 200, '{"payment_key": 7}', Outcome.UNKNOWN),
        ("capture", 200, "\udcff", Outcome.UNKNOWN),
        ("capture", 200, '{"payment_key": "another", "state": "captured"}', Outcome.UNKNOWN),
        ("capture", 200, '{"payment_key": "o-1", "state": "authorized"}', Outcome.UNKNOWN),
        ("capture", 200, '{"payment_key": "o-1", "state": "captured"}', Outcome.DONE),
        ("capture", 302, '{"payment_key": "o-1", "state": "captured"}', Outcome.UNKNOWN),
        ("capture", 200, '{"other": ' + "[" * 100_000, Outcome.UNKNOWN),
        ("capture", 200, "[" * 100_000, Outcome.UNKNOWN),
        ("capture", 200, " " * 2_000_000 + '{"payment_key": "o-1", "state": "captured"}', Outcome.UNKNOWN),
    ],
)
async def test_how_answers_are_read(call: str, status: int, body: str, outcome: Outcome) -> None:
    """Only an answer that says so itself, in status and in body, is taken for a decision about money."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            return web.json_response({"payment_key": "o-1", "state": "captured"})
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, body=body.encode(errors="surrogateescape"), headers=headers)

    async with server_that(answer) as provider:
        assert await ask(provider, call, "o-1") is outcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("86400", 30.0),
        ("9" * 400, 30.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        (format_datetime(datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC), usegmt=True), 9.0),
        (format_datetime(datetime(2026, 1, 2, tzinfo=UTC), usegmt=True), 30.0),
        (format_datetime(datetime(2025, 1, 2, tzinfo=UTC), usegmt=True), 0.0),
    ],
)
async def test_retry_after(header: str, seconds: float | None) -> None:
    """Retry-After is read as seconds or as a date by the provider's clock, at most 30 s, and nonsense is none."""

    async def later(_request: web.Request) -> web.Response:
        date = format_datetime(datetime(2026, 1, 1, tzinfo=UTC), usegmt=True)
        return web.Response(status=503, headers={"Retry-After": header, "Date": date})

    async with server_that(later) as provider:
        answer = await provider.void("o-1", "o-1:void")
        assert (answer.outcome, answer.retry_after_seconds) == (Outcome.UNKNOWN, seconds)


async def test_a_provider_that_demands_a_token(tmp_path: Path) -> None:
    """With the token all goes well; without, or with another, every call is UNKNOWN and nothing is in the ledger."""
    async with simulating(tmp_path / "ledger.jsonl", NEXUS_PAYMENTS_TOKEN="open-sesame") as url:
        for token in (None, Secret("open"), Secret("open-sesame!")):
            stranger = HttpProvider(url, token=token)
            refused = await stranger.authorize("p-1", "k-1", AMOUNT, "card_success")
            assert refused.outcome is Outcome.UNKNOWN
            assert (await stranger.list(None, "")).outcome is Outcome.UNKNOWN
            found = await stranger.lookup("p-1")
            assert found is not None
            assert found.state is PaymentState.UNKNOWN
            await stranger.close()
        async with aiohttp.ClientSession() as client, client.get(f"{url}/ledger") as answer:
            assert (await answer.json())["entries"] == []
        ours = HttpProvider(url, token=Secret("open-sesame"))
        assert (await ours.authorize("p-1", "k-1", AMOUNT, "card_success")).outcome is Outcome.DONE
        assert (await ours.void("p-1", "k-2")).outcome is Outcome.DONE
        assert len((await ours.list(None, "")).payments) == 1
        assert "open-sesame" not in repr(vars(ours))
        await ours.close()
