"""The payment simulator as a real process: each of its promises, seen over HTTP and in its ledger."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulators.ledger import Call, Effect, Entry, Ledger
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the payment simulator")

AMOUNT = {"amount_minor": 4500, "currency_code": "EUR"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@dataclass
class Simulator:
    """The process, and a client that asks it once for each call."""

    ledger: Path
    client: aiohttp.ClientSession
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    async def spawn(self) -> asyncio.subprocess.Process:
        env = os.environ | {
            "NEXUS_LEDGER": str(self.ledger),
            "NEXUS_PORT": str(self.port),
            "NEXUS_SEED": "7",
            "NEXUS_LOG_LEVEL": "WARNING",
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators.payments", env=env, start_new_session=True
        )

    async def start(self) -> None:
        self.process = await self.spawn()
        await until(self._is_up)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 10)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.client.request(method, url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def change(
        self, payment_key: str, call: str, card: str = "card_success", key: str = "", amount_minor: int = 4500
    ) -> tuple[int, dict[str, Any]]:
        body = {"amount_minor": amount_minor, "currency_code": "EUR", "payment_method": card}
        headers = {"Idempotency-Key": key or f"{payment_key}:{call}"}
        return await self.ask("POST", f"/v1/payments/{payment_key}/{call}", body, **headers)

    async def state(self, payment_key: str) -> str:
        status, payment = await self.ask("GET", f"/v1/payments/{payment_key}")
        return str(payment["state"]) if status == 200 else str(payment["error"])

    async def entries(self, payment_key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("GET", f"/ledger?payment_key={payment_key}"))[1]["entries"]
        return found

    async def effects(self, payment_key: str) -> list[str]:
        return [entry["effect"] for entry in await self.entries(payment_key) if entry["effect"] != "none"]

    async def switch(self, **switches: object) -> None:
        status, answer = await self.ask("PUT", "/switches", switches)
        assert status == 200, answer

    async def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, "the simulator ended"
        try:
            return (await self.ask("GET", "/health"))[0] == 200
        except aiohttp.ClientError:
            return False


async def code_at_start(simulator: Simulator) -> int:
    """Start one that is expected to end by itself; one that does not is ended, and the test fails."""
    process = await simulator.spawn()
    try:
        return await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def an_entry(seq: int) -> Entry:
    return Entry(seq, datetime(2026, 1, 1, tzinfo=UTC), f"p-{seq}", "k", Call.VOID, Effect.VOIDED, 200, 0, "", "")


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulator]:
    async with aiohttp.ClientSession() as client:
        simulator = Simulator(tmp_path_factory.mktemp("payments") / "ledger.jsonl", client)
        await simulator.start()
        yield simulator
        await simulator.stop()


@pytest.fixture
async def simulator(shared: Simulator) -> AsyncIterator[Simulator]:
    yield shared
    await shared.ask("DELETE", "/switches")


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Simulator]:
    """One that a test may kill."""
    async with aiohttp.ClientSession() as client:
        simulator = Simulator(tmp_path / "ledger.jsonl", client)
        await simulator.start()
        yield simulator
        await simulator.stop(signal.SIGKILL)


@pytest.fixture
def payment() -> str:
    return f"order-{uuid.uuid4().hex}"


async def test_authorize_then_capture_then_refund(simulator: Simulator, payment: str) -> None:
    """Each step of a good payment has one effect, in order, and lookup shows where the money is."""
    for call, state in (("authorize", "authorized"), ("capture", "captured"), ("refund", "refunded")):
        status, answer = await simulator.change(payment, call)
        assert (status, answer["state"]) == (200, state)
        assert await simulator.state(payment) == state
    assert await simulator.effects(payment) == ["authorized", "captured", "refunded"]
    found = (await simulator.ask("GET", f"/v1/payments/{payment}"))[1]
    assert {name: found[name] for name in AMOUNT} == AMOUNT


async def test_unknown_payment(simulator: Simulator, payment: str) -> None:
    """A payment to which nothing has happened is not found."""
    assert await simulator.ask("GET", f"/v1/payments/{payment}") == (404, {"error": "not_found"})


async def test_repeats_get_the_first_answer(simulator: Simulator, payment: str) -> None:
    """The same idempotency key again gives the same answer, also after the payment has moved on."""
    first = await simulator.change(payment, "authorize")
    await simulator.change(payment, "capture")
    assert await simulator.change(payment, "authorize") == first
    assert await simulator.effects(payment) == ["authorized", "captured"]


async def test_a_repeated_decline_is_the_same_decline(simulator: Simulator, payment: str) -> None:
    """A declined request that is repeated is declined again, and written as one decline."""
    assert await simulator.change(payment, "authorize", "card_decline") == (402, {"error": "card_declined"})
    assert await simulator.change(payment, "authorize", "card_decline") == (402, {"error": "card_declined"})
    assert await simulator.effects(payment) == ["declined"]
    assert await simulator.state(payment) == "declined"


async def test_same_request_at_once_has_one_effect(simulator: Simulator, payment: str) -> None:
    """Thirty requests under one idempotency key at the same time: one effect, thirty equal answers."""
    for call in ("authorize", "capture"):
        answers = await asyncio.gather(*(simulator.change(payment, call) for _ in range(30)))
        assert all(answer == answers[0] for answer in answers)
        assert answers[0][0] == 200
    assert await simulator.effects(payment) == ["authorized", "captured"]
    assert len(await simulator.entries(payment)) == 60


async def test_different_keys_at_once_have_one_effect(simulator: Simulator, payment: str) -> None:
    """Two captures under two keys: one captures, the other is told so."""
    await simulator.change(payment, "authorize")
    answers = await asyncio.gather(*(simulator.change(payment, "capture", key=f"k{n}") for n in range(2)))
    assert sorted(status for status, _ in answers) == [200, 409]
    assert (await simulator.effects(payment)).count("captured") == 1


async def test_a_key_stands_for_one_request(simulator: Simulator, payment: str) -> None:
    """An idempotency key under which something else was asked is refused."""
    await simulator.change(payment, "authorize")
    answer = await simulator.change(payment, "authorize", amount_minor=1)
    assert answer == (409, {"error": "idempotency_key_reused"})


async def test_void_is_a_fence(simulator: Simulator, payment: str) -> None:
    """After a void, though nothing had been authorized, authorize and capture under that payment are refused."""
    assert (await simulator.change(payment, "void"))[0] == 200
    assert await simulator.change(payment, "authorize") == (409, {"error": "voided"})
    assert await simulator.change(payment, "capture") == (409, {"error": "voided"})
    assert (await simulator.change(payment, "void", key="again"))[0] == 200
    assert await simulator.effects(payment) == ["voided", "refused", "refused"]
    assert await simulator.state(payment) == "voided"


async def test_void_frees_an_authorization(simulator: Simulator, payment: str) -> None:
    """A void of an authorized payment gives it up, and it cannot be captured any more."""
    await simulator.change(payment, "authorize")
    assert (await simulator.change(payment, "void"))[0] == 200
    assert await simulator.change(payment, "capture") == (409, {"error": "voided"})


async def test_captured_money_is_not_voided(simulator: Simulator, payment: str) -> None:
    """A void after the capture is refused and changes nothing, and so it is after the refund."""
    await simulator.change(payment, "authorize")
    await simulator.change(payment, "capture")
    assert await simulator.change(payment, "void") == (409, {"error": "already_captured"})
    assert await simulator.state(payment) == "captured"
    await simulator.change(payment, "refund")
    assert await simulator.change(payment, "void") == (409, {"error": "already_captured"})
    assert await simulator.state(payment) == "refunded"


async def test_impossible_steps_are_refused(simulator: Simulator, payment: str) -> None:
    """Capture without authorization, refund without capture and other amounts are refused and move no money."""
    assert await simulator.change(payment, "capture") == (409, {"error": "not_authorized"})
    await simulator.change(payment, "authorize")
    assert await simulator.change(payment, "refund") == (409, {"error": "not_captured"})
    assert await simulator.change(payment, "capture", amount_minor=4501) == (409, {"error": "amount_mismatch"})
    assert (await simulator.change(payment, "capture"))[0] == 200
    assert await simulator.change(payment, "refund", amount_minor=1) == (409, {"error": "amount_mismatch"})
    moved = [effect for effect in await simulator.effects(payment) if effect != "refused"]
    assert moved == ["authorized", "captured"]


async def test_card_error_never_works(simulator: Simulator, payment: str) -> None:
    """card_error answers 503 however often it is asked, and nothing happens to the payment."""
    for _ in range(6):
        assert (await simulator.change(payment, "authorize", "card_error"))[0] == 503
    assert await simulator.effects(payment) == []
    assert await simulator.state(payment) == "not_found"


async def test_card_flaky_works_at_the_fourth_attempt(simulator: Simulator, payment: str) -> None:
    """card_flaky fails three times under one idempotency key, then works, once."""
    statuses = [(await simulator.change(payment, "authorize", "card_flaky"))[0] for _ in range(5)]
    assert statuses == [503, 503, 503, 200, 200]
    assert await simulator.effects(payment) == ["authorized"]


async def test_card_slow_takes_its_time(simulator: Simulator, payment: str) -> None:
    """An authorization of card_slow takes two seconds, and repeats meanwhile have no effect of their own."""
    began = time.monotonic()
    answers = await asyncio.gather(*(simulator.change(payment, "authorize", "card_slow") for _ in range(2)))
    assert time.monotonic() - began >= 2
    assert [status for status, _ in answers] == [200, 200]
    assert await simulator.effects(payment) == ["authorized"]


async def test_card_capture_decline(simulator: Simulator, payment: str) -> None:
    """card_capture_decline can be authorized, is declined at capture for good, and can be voided then."""
    card = "card_capture_decline"
    assert (await simulator.change(payment, "authorize", card))[0] == 200
    assert (await simulator.change(payment, "capture", card))[0] == 402
    assert (await simulator.change(payment, "capture", card))[0] == 402
    assert await simulator.state(payment) == "authorized"
    assert (await simulator.change(payment, "void"))[0] == 200
    assert await simulator.effects(payment) == ["authorized", "declined", "voided"]


async def test_unknown_card_is_refused(simulator: Simulator, payment: str) -> None:
    """A token that the provider does not know is refused without an effect on the payment."""
    answer = await simulator.change(payment, "authorize", "card_of_cards")
    assert answer == (422, {"error": "unknown_payment_method"})
    assert await simulator.state(payment) == "not_found"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (AMOUNT | {"payment_method": "card_success"}, {}),
        (AMOUNT | {"payment_method": "card_success"}, {"Idempotency-Key": "k" * 256}),
        (AMOUNT, {"Idempotency-Key": "k"}),
        ({"payment_method": "card_success", "amount_minor": 1}, {"Idempotency-Key": "k"}),
        (AMOUNT | {"payment_method": "card_success", "amount_minor": -1}, {"Idempotency-Key": "k"}),
        (AMOUNT | {"payment_method": "card_success", "amount_minor": "1"}, {"Idempotency-Key": "k"}),
        (AMOUNT | {"payment_method": "card_success", "currency_code": "eur"}, {"Idempotency-Key": "k"}),
        ([], {"Idempotency-Key": "k"}),
    ],
)
async def test_bad_requests(simulator: Simulator, payment: str, body: object, headers: dict[str, str]) -> None:
    """A request without its keys or with impossible fields gets 400 and leaves no trace."""
    status, answer = await simulator.ask("POST", f"/v1/payments/{payment}/authorize", body, **headers)
    assert (status, answer["error"]) == (400, "invalid_request")
    assert await simulator.entries(payment) == []


async def test_lost_answer(simulator: Simulator, payment: str) -> None:
    """lose_answer does the call, then the connection breaks; the repeat gets the answer and no second effect."""
    await simulator.change(payment, "authorize")
    await simulator.switch(lose_answer=["capture"], times=1, payment_keys=[payment])
    with pytest.raises(aiohttp.ClientError):
        await simulator.change(payment, "capture")
    assert await simulator.state(payment) == "captured"
    assert (await simulator.change(payment, "capture"))[0] == 200
    assert await simulator.effects(payment) == ["authorized", "captured"]


async def test_late_arrival(simulator: Simulator, payment: str) -> None:
    """hold_calls answers 504 at once and does the call later, when it is judged by what has happened since."""
    other = payment + "-voided"
    await simulator.switch(hold_calls=["authorize"], late_seconds=0.3, payment_keys=[payment, other])
    assert (await simulator.change(payment, "authorize"))[0] == 504
    assert (await simulator.change(other, "authorize"))[0] == 504
    assert await simulator.state(payment) == "not_found"
    await simulator.change(other, "void")

    async def has_arrived() -> bool:
        both = await simulator.entries(payment) + await simulator.entries(other)
        return [entry["call"] for entry in both].count("authorize") == 4

    await until(has_arrived)
    assert await simulator.effects(payment) == ["authorized"]
    assert await simulator.effects(other) == ["voided", "refused"]


async def test_late_answer(simulator: Simulator, payment: str) -> None:
    """answer_late does the call at once and keeps its answer back; who asks again meanwhile is answered."""
    await simulator.switch(answer_late=["authorize"], late_seconds=0.5, times=1, payment_keys=[payment])
    first = asyncio.create_task(simulator.change(payment, "authorize"))

    async def is_done() -> bool:
        return await simulator.state(payment) == "authorized"

    await until(is_done)
    assert (await simulator.change(payment, "authorize"))[0] == 200
    assert not first.done()
    assert (await first)[0] == 200
    assert await simulator.effects(payment) == ["authorized"]


async def test_reset(simulator: Simulator, payment: str) -> None:
    """A reset breaks the connection, nothing done; the ledger shows the attempt."""
    await simulator.switch(reset=["authorize"], times=1, payment_keys=[payment])
    with pytest.raises(aiohttp.ClientError):
        await simulator.change(payment, "authorize")
    assert await simulator.state(payment) == "not_found"
    assert [entry["status"] for entry in await simulator.entries(payment)] == [0]
    assert (await simulator.change(payment, "authorize"))[0] == 200


async def test_repeated_call(simulator: Simulator, payment: str) -> None:
    """A call that arrives twice acts once, and both are in the ledger."""
    await simulator.switch(repeat=["authorize"], times=1, payment_keys=[payment])
    assert (await simulator.change(payment, "authorize"))[0] == 200
    assert [entry["effect"] for entry in await simulator.entries(payment)] == ["authorized", "none"]


async def test_busy(simulator: Simulator, payment: str) -> None:
    """A busy provider answers 429 with Retry-After, nothing done."""
    await simulator.switch(busy=["authorize"], retry_after_seconds=7, times=1, payment_keys=[payment])
    url = f"http://127.0.0.1:{simulator.port}/v1/payments/{payment}/authorize"
    body = AMOUNT | {"payment_method": "card_success"}
    async with simulator.client.post(url, json=body, headers={"Idempotency-Key": "k"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert await simulator.state(payment) == "not_found"


async def test_a_share_of_the_calls(simulator: Simulator, payment: str) -> None:
    """A share between none and all lets some calls through and counts only the others."""
    keys = [f"{payment}-{number}" for number in range(40)]
    await simulator.switch(busy=["authorize"], share=0.5, times=1000, payment_keys=keys)
    told = {(await simulator.change(key, "authorize"))[0] for key in keys}
    assert told == {200, 429}
    refused = [entry for key in keys for entry in await simulator.entries(key) if entry["status"] == 429]
    assert (await simulator.ask("GET", "/switches"))[1]["times"] == 1000 - len(refused)


async def test_away(simulator: Simulator, payment: str) -> None:
    """While it is away everything gets 503 and nothing is done, but attempts are in the ledger."""
    await simulator.switch(away=True)
    assert (await simulator.change(payment, "authorize"))[0] == 503
    assert (await simulator.ask("GET", f"/v1/payments/{payment}"))[0] == 503
    assert (await simulator.ask("GET", "/v1/payments"))[0] == 503
    assert (await simulator.ask("GET", "/health"))[0] == 200
    await simulator.ask("DELETE", "/switches")
    assert await simulator.state(payment) == "not_found"
    assert [entry["status"] for entry in await simulator.entries(payment)] == [503]


async def test_switches_count_and_choose(simulator: Simulator, payment: str) -> None:
    """A switch acts on the next n matching calls of the chosen payments and on no others."""
    other = payment + "-other"
    await simulator.switch(error_rate=1.0, times=2, payment_keys=[payment])
    assert (await simulator.change(other, "authorize"))[0] == 200
    assert [(await simulator.change(payment, "authorize"))[0] for _ in range(3)] == [503, 503, 200]
    assert (await simulator.ask("GET", "/switches"))[1]["times"] == 0


async def test_latency(simulator: Simulator, payment: str) -> None:
    """latency_ms delays a call."""
    await simulator.switch(latency_ms=300)
    began = time.monotonic()
    assert (await simulator.change(payment, "authorize"))[0] == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("switches", [{"typo": 1}, {"error_rate": 2}, {"lose_answer": ["pay"]}, {"times": -1}])
async def test_bad_switches_are_refused(simulator: Simulator, switches: dict[str, object]) -> None:
    """A switch that does not exist or cannot be set is refused, so that no test relies on a misspelt fault."""
    assert (await simulator.ask("PUT", "/switches", switches))[0] == 400
    assert (await simulator.ask("GET", "/switches"))[1]["error_rate"] == 0


async def test_list_pages(fresh: Simulator) -> None:
    """Lists give every payment once, in pages, in the order in which they began; `since` leaves older ones out."""
    keys = [f"p-{number}" for number in range(120)]
    for key in keys[:100]:
        await fresh.change(key, "authorize")
    since = (await fresh.entries(keys[99]))[0]["at"]
    await asyncio.gather(*(fresh.change(key, "authorize") for key in keys[100:]))
    status, first = await fresh.ask("GET", "/v1/payments")
    assert (status, len(first["payments"])) == (200, 100)
    second = (await fresh.ask("GET", f"/v1/payments?page_token={first['next_page_token']}"))[1]
    listed = [payment["payment_key"] for payment in first["payments"] + second["payments"]]
    assert listed[:100] == keys[:100]
    assert sorted(listed) == sorted(keys)
    assert second["next_page_token"] == ""
    recent = (await fresh.ask("GET", f"/v1/payments?since={since.replace('+', '%2B')}"))[1]["payments"]
    assert sorted(payment["payment_key"] for payment in recent) == sorted(keys[99:])
    assert (await fresh.ask("GET", "/v1/payments?since=yesterday"))[0] == 400


async def test_state_survives_a_kill(fresh: Simulator) -> None:
    """After SIGKILL and a new start every payment, fence, first answer and count of failures is as before."""
    good = await fresh.change("good", "authorize")
    await fresh.change("good", "capture")
    await fresh.change("fenced", "void")
    await fresh.change("bad", "authorize", "card_decline")
    await fresh.change("flaky", "authorize", "card_flaky")
    draws = [await fresh.change(f"random-{n}", "authorize", "card_random") for n in range(20)]
    assert {status for status, _ in draws} == {200, 402}
    ledger = (await fresh.ask("GET", "/ledger"))[1]
    await fresh.stop(signal.SIGKILL)
    await fresh.start()
    assert (await fresh.ask("GET", "/ledger"))[1] == ledger
    assert await fresh.change("good", "authorize") == good
    assert await fresh.change("good", "void") == (409, {"error": "already_captured"})
    assert await fresh.change("fenced", "authorize") == (409, {"error": "voided"})
    assert (await fresh.change("bad", "authorize", "card_decline"))[0] == 402
    assert [(await fresh.change("flaky", "authorize", "card_flaky"))[0] for _ in range(3)] == [503, 503, 200]
    assert [await fresh.change(f"random-{n}", "authorize", "card_random") for n in range(20)] == draws
    assert await fresh.effects("good") == ["authorized", "captured", "refused"]


async def test_what_was_answered_is_on_the_disk(fresh: Simulator) -> None:
    """Killed while requests come in, it forgets none that it has answered."""
    answered: list[str] = []

    async def buy(number: int) -> None:
        try:
            if (await fresh.change(f"p-{number}", "authorize"))[0] == 200:
                answered.append(f"p-{number}")
        except aiohttp.ClientError:
            pass

    async def some_answers() -> bool:
        return len(answered) >= 50

    buyers = [asyncio.create_task(buy(number)) for number in range(400)]
    await until(some_answers)
    await fresh.stop(signal.SIGKILL)
    await asyncio.gather(*buyers)
    on_disk = {json.loads(line)["payment_key"] for line in fresh.ledger.read_bytes().split(b"\n")[:-1]}
    assert 50 <= len(answered) < 400, "the kill came too late to show anything"
    assert set(answered) <= on_disk


async def test_torn_last_line_is_cut_off(fresh: Simulator) -> None:
    """A line that a crash tore is dropped at the start, and what comes next can be read again."""
    await fresh.change("good", "authorize")
    await fresh.stop(signal.SIGKILL)
    with fresh.ledger.open("ab") as file:
        file.write(b'{"seq":2,"at":"2026-')
    await fresh.start()
    await fresh.change("good", "capture")
    await fresh.stop()
    await fresh.start()
    assert await fresh.effects("good") == ["authorized", "captured"]


async def test_damaged_ledger_is_not_trusted(fresh: Simulator) -> None:
    """A whole line that cannot be read, or one that is missing, keeps the simulator from starting."""
    for call in ("authorize", "capture", "refund"):
        await fresh.change("good", call)
    await fresh.stop()
    lines = fresh.ledger.read_bytes().splitlines(keepends=True)
    for damaged in ([lines[0], b"{}\n", lines[2]], [lines[0], lines[2]]):
        fresh.ledger.write_bytes(b"".join(damaged))
        assert await code_at_start(fresh) != 0


async def test_one_writer(fresh: Simulator) -> None:
    """A second simulator on the same ledger does not start."""
    second = Simulator(fresh.ledger, fresh.client)
    assert await code_at_start(second) != 0


async def test_sigterm_lets_requests_end(fresh: Simulator) -> None:
    """SIGTERM stops the process with code 0 after the requests in flight have been answered."""
    await fresh.switch(latency_ms=500, times=1)
    in_flight = asyncio.create_task(fresh.change("good", "authorize"))

    async def has_arrived() -> bool:
        return bool((await fresh.ask("GET", "/switches"))[1]["times"] == 0)

    await until(has_arrived)
    assert await fresh.stop() == 0
    assert (await in_flight)[0] == 200


async def test_a_disk_that_refuses_is_not_trusted_again(tmp_path: Path) -> None:
    """After a failed write everybody who waits is told, and so is whoever comes later."""

    class FailsOnce(Ledger):
        has_failed = False

        def _write(self, batch: list[Entry]) -> None:
            if self.has_failed:
                return super()._write(batch)
            self.has_failed = True
            raise OSError(f"no space left for {len(batch)}")

    ledger = FailsOnce(tmp_path / "ledger.jsonl")
    told = await asyncio.gather(*(ledger.append(an_entry(seq)) for seq in (1, 2)), return_exceptions=True)
    assert [type(error) for error in told] == [OSError, OSError]
    with pytest.raises(OSError, match="no space"):
        await ledger.append(an_entry(3))
    assert ledger.entries == []
    await ledger.close()


async def test_waiting_requests_share_an_fsync(tmp_path: Path) -> None:
    """A hundred entries that wait together need a few fsyncs, not a hundred, and keep their order."""
    writes: list[int] = []

    class Counted(Ledger):
        def _write(self, batch: list[Entry]) -> None:
            writes.append(len(batch))
            super()._write(batch)

    ledger = Counted(tmp_path / "ledger.jsonl")
    await asyncio.gather(*(ledger.append(an_entry(seq)) for seq in range(1, 101)))
    await ledger.close()
    assert sum(writes) == 100
    assert len(writes) <= 3
    again = Ledger(tmp_path / "ledger.jsonl")
    assert [read.seq for read in again.entries] == list(range(1, 101))
    await again.close()
