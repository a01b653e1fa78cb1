"""A shop of its own for the tests of orders: a stack whose payments pass a gate that tests can shut.

It is not the stack of the other tests, because here processes are killed and stopped.
"""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
import pytest

from services.cli.errors import StackError
from services.cli.local import LocalStack
from tests.integration.client import Answer, Client, make_stack, new_event, register, sign
from tests.integration.payment_gate import Gate

Found = TypeVar("Found")
FINAL = {f"ORDER_STATE_{name}" for name in ("CONFIRMED", "DECLINED", "EXPIRED", "CANCELLED", "FAILED")}


async def until(check: Callable[[], Awaitable[Found]], what: str, seconds: float = 20) -> Found:
    """Ask again until the answer is true, and give it; fail after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await check()
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what}; the last answer was {found!r}")
        await asyncio.sleep(0.05)


def new_order_id() -> str:
    """Choose an order's id, as a client may."""
    return f"o-{uuid.uuid4().hex[:16]}"


def detail(answer: Answer, name: str) -> str:
    """Give a detail of a refusal."""
    return str(answer.json["error"]["details"][0]["metadata"].get(name, ""))


class Shop:
    """What buyers, operators and auditors of one stack do."""

    def __init__(self, stack: LocalStack, client: Client, gate: Gate) -> None:
        self.stack = stack
        self.client = client
        self.gate = gate

    # Buyers and organizers, through the HTTP door.

    def buyer(self) -> str:
        """Give the token of a new buyer."""
        return sign(self.stack, f"buyer-{uuid.uuid4().hex[:12]}")

    async def event(self, **fields: Any) -> str:
        """Put a new event on sale; a payment that hold_seconds does not prolong ends after 60 s."""
        event_id, _ = await new_event(self.client, **{"hold_seconds": 30} | fields)
        return event_id

    async def hold(self, token: str, event_id: str, *seat_ids: str) -> dict[str, Any]:
        """Hold seats."""
        answer = await self.client.call("POST", f"/v1/events/{event_id}/holds", token, {"seat_ids": seat_ids})
        assert answer.status == 200, answer
        return dict(answer.json)

    async def get_hold(self, token: str, hold: dict[str, Any]) -> dict[str, Any]:
        """Look at a hold again."""
        answer = await self.client.call("GET", f"/v1/events/{hold['event_id']}/holds/{hold['hold_id']}", token)
        assert answer.status == 200, answer
        return dict(answer.json)

    async def buy(
        self,
        token: str,
        event_id: str,
        *seat_ids: str,
        card: str = "card_success",
        headers: dict[str, str] | None = None,
        timeout_seconds: float = 100,
        **fields: Any,
    ) -> Answer:
        """Check out seats in one step, or the hold that `hold_id` names."""
        body = {"event_id": event_id, "payment_method": card, "email": "ada@example.org"} | fields
        if seat_ids:
            body["seat_ids"] = seat_ids
        return await self.client.call("POST", "/v1/orders", token, body, headers, timeout_seconds=timeout_seconds)

    def start(self, token: str, event_id: str, *seat_ids: str, **fields: Any) -> asyncio.Task[Answer]:
        """Begin to check out."""
        return asyncio.create_task(self.buy(token, event_id, *seat_ids, **fields))

    async def order(self, token: str, order_id: str) -> dict[str, Any]:
        """Look at an order; `{}` while there is none to be seen."""
        answer = await self.client.call("GET", f"/v1/orders/{order_id}", token)
        return dict(answer.json) if answer.status == 200 else {}

    async def ended(self, token: str, order_id: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until an order is final."""

        async def look() -> dict[str, Any] | None:
            order = await self.order(token, order_id)
            return order if order.get("state") in FINAL else None

        return await until(look, f"the end of {order_id}", seconds) or {}

    async def cancel(self, token: str, order_id: str) -> Answer:
        """Ask that an order be given up."""
        return await self.client.call("POST", f"/v1/orders/{order_id}:cancel", token, {})

    async def seat(self, event_id: str, seat_id: str) -> str:
        """Give a seat's status without its prefix."""
        answer = await self.client.call("GET", f"/v1/events/{event_id}/tickets/{seat_id}")
        return str(answer.json["status"]).removeprefix("SEAT_STATUS_")

    async def seat_becomes(self, event_id: str, seat_id: str, status: str, seconds: float = 10) -> None:
        """Wait until a seat has a status."""

        async def look() -> bool:
            return await self.seat(event_id, seat_id) == status

        await until(look, f"{seat_id} to be {status}", seconds)

    # Auditors: the ledger of the payment simulator, and the mail sink.

    async def ledger(self, order_id: str) -> list[dict[str, Any]]:
        """List what the provider saw of an order's payment, past the gate."""
        return list((await self._get(f"{self.stack.payments_url}/ledger", payment_key=order_id))["entries"])

    async def effects(self, order_id: str) -> list[str]:
        """List what happened to an order's money."""
        return [entry["effect"] for entry in await self.ledger(order_id) if entry["effect"] not in ("none", "refused")]

    async def effects_become(self, order_id: str, *effects: str, seconds: float = 10) -> None:
        """Wait until exactly this has happened to an order's money."""

        async def look() -> bool:
            return await self.effects(order_id) == list(effects)

        await until(look, f"{effects} in the ledger of {order_id}", seconds)

    async def mails(self, address: str) -> list[dict[str, Any]]:
        """List the mails that came for an address."""
        return list((await self._get(f"{self.stack.mail_url}/messages", to=address))["messages"])

    async def put(self, url: str, body: object) -> None:
        """Set a simulator's switches."""
        async with aiohttp.request("PUT", url, json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def _get(self, url: str, **query: str) -> Any:
        async with aiohttp.request("GET", url, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def gate_is_idle(self) -> bool:
        """Tell whether no request is on its way to the provider."""
        return self.gate.in_flight == 0

    # Operators: Restate's admin API, and signals.

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate about itself."""
        url, headers = f"{self.stack.admin_url}/query", {"accept": "application/json"}
        async with aiohttp.request("POST", url, json={"query": sql}, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["rows"])

    async def state(self, service: str, key: str, name: str) -> dict[str, Any]:
        """Read a value of an object's state; `{}` where there is none."""
        rows = await self.query(
            f"select value_utf8 from state where service_name = '{service}' "
            f"and service_key = '{key}' and key = '{name}'"
        )
        return dict(json.loads(rows[0]["value_utf8"])) if rows else {}

    async def change_state(self, service: str, key: str, name: str, **changes: Any) -> None:
        """Change fields of an object's only value behind its back."""
        value = json.dumps(await self.state(service, key, name) | changes).encode()
        body = {"object_key": key, "new_state": {name: list(value)}}
        async with aiohttp.request("POST", f"{self.stack.admin_url}/services/{service}/state", json=body) as answer:
            assert answer.status in (200, 202), await answer.text()

        async def is_there() -> bool:
            return changes.items() <= (await self.state(service, key, name)).items()

        await until(is_there, f"the new state of {service} {key}")

    async def tried(self, order_id: str, step: str) -> None:
        """Wait until an order's record says that a step is about to be tried.

        A step may reach the provider some milliseconds before that can be read.
        """

        async def look() -> bool:
            record = await self.state("Checkout", order_id, "order")
            return step in [*record.get("tried", []), record.get("verdict")]

        await until(look, f"{order_id} to try {step}")

    async def kill_process(self, order_id: str) -> None:
        """Kill the running `process` of an order, compensations and all."""
        unfinished = (
            "select id from sys_invocation where target_service_name = 'Checkout' and target_handler_name = 'process' "
            f"and target_service_key = '{order_id}' and status != 'completed'"
        )
        rows = await self.query(unfinished)
        assert len(rows) == 1, rows
        async with aiohttp.request("PATCH", f"{self.stack.admin_url}/invocations/{rows[0]['id']}/kill") as answer:
            assert answer.status in (200, 202), await answer.text()

        async def is_gone() -> bool:
            return not await self.query(unfinished)

        await until(is_gone, "the killed invocation to be gone")

    async def process_again(self, order_id: str) -> dict[str, Any]:
        """Call `process` under a fresh Idempotency-Key, as an operator's RetryOrder does; give Restate's answer."""
        record = await self.state("Checkout", order_id, "order")
        body = {
            "caller": {"subject": record["owner"]},
            "fingerprint": record["fingerprint"],
            "request": {
                "order_id": order_id,
                "event_id": record["event_id"],
                "payment_method": record["payment_method"],
                "email": record["email"],
            },
        }
        url = f"{self.stack.ingress_url}/Checkout/{order_id}/process"
        async with aiohttp.request("POST", url, json=body, headers={"idempotency-key": uuid.uuid4().hex}) as answer:
            return dict(await answer.json())

    @contextmanager
    def stopped(self, component: str) -> Iterator[None]:
        """Let a component's processes stand still for a while."""
        self.stack.processes.signal(component, signal.SIGSTOP)
        try:
            yield
        finally:
            self.stack.processes.signal(component, signal.SIGCONT)

    async def kill(self, component: str) -> None:
        """SIGKILL a component's process group."""
        await asyncio.to_thread(self.stack.kill, component)

    async def restart(self, component: str) -> None:
        """Start a component again, and wait until the gateway finds everything as it should be."""
        await asyncio.to_thread(self.stack.restart, component)
        await asyncio.to_thread(self.stack.wait_ready, "gateway", ready=True)


@pytest.fixture(scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A whole stack for the tests of orders; started when the first of them asks for it."""
    gate = Gate()
    await gate.start()
    stack = make_stack(tmp_path_factory.mktemp("shop"))
    gate.provider_url = stack.payments_url
    stack.overrides["checkout"] = {"NEXUS_PAYMENTS_URL": gate.url}
    client = Client(stack)
    try:
        await asyncio.to_thread(stack.start_all)
        await register(stack)
        await asyncio.to_thread(stack.wait_ready, "gateway", ready=True)
        yield Shop(stack, client, gate)
    except StackError as error:
        pytest.fail(f"the shop does not start: {error}")
    finally:
        await client.session.close()
        await asyncio.to_thread(stack.stop_all)
        await gate.stop()
