"""A stack of their own for the tests of ops, which damage state and leave strange payments; and what operators do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from services.cli.local import LocalStack
from tests.integration.behind import Behind
from tests.integration.booking import Hall, until
from tests.integration.client import PROJECT, Answer, Client, new_event, running, sign


@dataclass
class Operator:
    """An operator: calls ops as admin, and damages what no client can reach."""

    stack: LocalStack
    client: Client
    behind: Behind
    ops: aiohttp.ClientSession

    async def hall(self, **fields: Any) -> Hall:
        """Put a new event on sale."""
        return Hall(self.client, *await new_event(self.client, **fields))

    async def call(self, method: str, path: str, body: object = None, token: str | None = "admin") -> Answer:
        """Call ops over HTTP; by default as an admin."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if token:
            headers["authorization"] = f"Bearer {sign(self.stack, 'root', 'admin') if token == 'admin' else token}"
        data = None if body is None else json.dumps(body).encode()
        async with self.ops.request(method, path, data=data, headers=headers) as answer:
            return Answer(answer.status, json.loads(await answer.read() or b"{}"), answer.headers)

    async def verify(self, event_id: str, settle_seconds: int = 1) -> dict[str, Any]:
        """Audit an event and give the report."""
        answer = await self.call("POST", f"/v1/events/{event_id}:verify", {"settle_seconds": settle_seconds})
        assert answer.status == 200, answer
        return dict(answer.json["report"])

    async def findings(self, event_id: str, settle_seconds: int = 1) -> set[tuple[str, str, str, str]]:
        """Audit an event and give its damage: kind, seats, orders, hold."""
        report = await self.verify(event_id, settle_seconds)
        return {
            (
                one["kind"].removeprefix("FINDING_KIND_"),
                ",".join(one["seat_ids"]),
                ",".join(one["order_ids"]),
                one["hold_id"],
            )
            for one in report["findings"]
        }

    async def damage(self, service: str, key: str, name: str, **fields: Any) -> None:
        """Change fields of one stored value, past every rule; wait until Restate has it."""
        state = await self.behind.state(service, key)
        state[name] = {**state.get(name, {}), **fields}
        await self.write(service, key, {each: json.dumps(value).encode() for each, value in state.items()})

    async def write(self, service: str, key: str, state: Mapping[str, bytes]) -> None:
        """Put a whole state in place of an object's own; wait until Restate has it."""
        await self.behind.write_state(service, key, state)
        where = f"service_name = '{service}' AND service_key = '{key}'"

        async def is_there() -> bool:
            rows = await self.behind.query(f"SELECT key, value_utf8 FROM state WHERE {where}")
            return {row["key"]: row["value_utf8"].encode() for row in rows} == dict(state)

        await until(is_there, f"the state of {service} {key}")

    async def pay(self, payment_key: str, *calls: str, amount_minor: int = 4500) -> None:
        """Move money at the provider behind everybody's back."""
        body = {"amount_minor": amount_minor, "currency_code": "EUR", "payment_method": "card_success"}
        for call in calls:
            url = f"{self.stack.payments_url}/v1/payments/{payment_key}/{call}"
            headers = {"Idempotency-Key": f"{payment_key}:{call}"}
            async with self.client.session.post(url, json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

    async def switch(self, **switches: Any) -> None:
        """Set the payment simulator's switches; none: everything works."""
        async with self.client.session.put(f"{self.stack.payments_url}/switches", json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def admin(self, method: str, path: str) -> None:
        """Call Restate's admin API; a conflict is that the invocation is not in a state for it."""
        async with self.client.session.request(method, f"{self.stack.admin_url}{path}") as answer:
            assert answer.status in (200, 202, 409), await answer.text()

    def nexus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the person at this machine does."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        own = {"NEXUS_HOME": str(self.stack.home), "COLUMNS": "200", "PYTHONPATH": str(PROJECT)}
        argv = [sys.executable, "-m", "services.cli", *arguments]
        return subprocess.run(argv, env=environ | own, capture_output=True, text=True, check=False, timeout=120)


def new_id(kind: str) -> str:
    """Choose an id that nobody else uses."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def operated_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running(tmp_path_factory.mktemp("operated"), ops={"NEXUS_POLL_SECONDS": "1"}) as made:
        yield made


@pytest.fixture(scope="session")
async def operator(operated_stack: LocalStack) -> AsyncIterator[Operator]:
    client = Client(operated_stack)
    async with aiohttp.ClientSession() as session, aiohttp.ClientSession(operated_stack.ops_url) as ops:
        yield Operator(operated_stack, client, Behind(operated_stack, session), ops)
    await client.session.close()
