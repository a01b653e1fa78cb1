"""Restate from behind: state, invocations and logs that no client sees, and handlers that no client reaches."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from services.cli.local import LocalStack, answers
from tests.integration.booking import until


class Behind:
    """Restate's admin interface: what no client sees."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self._session = session

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate's tables."""
        url, headers = f"{self.stack.admin_url}/query", {"accept": "application/json"}
        async with self._session.post(url, json={"query": sql}, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["rows"])

    async def state(self, service: str, key: str) -> dict[str, Any]:
        """Read the state of an object; values are JSON."""
        sql = f"SELECT key, value_utf8 FROM state WHERE service_name = '{service}' AND service_key = '{key}'"
        return {row["key"]: json.loads(row["value_utf8"]) for row in await self.query(sql)}

    async def states(self, service: str, key_prefix: str, name_prefix: str) -> list[Any]:
        """Read values of one kind of many objects."""
        sql = (
            f"SELECT value_utf8 FROM state WHERE service_name = '{service}' "
            f"AND service_key LIKE '{key_prefix}%' AND key LIKE '{name_prefix}%'"
        )
        return [json.loads(row["value_utf8"]) for row in await self.query(sql)]

    async def write_state(self, service: str, key: str, state: Mapping[str, bytes]) -> None:
        """Put another state in place of an object's own, once no exclusive handler runs there."""
        body = {"object_key": key, "new_state": {name: list(value) for name, value in state.items()}}
        async with self._session.post(f"{self.stack.admin_url}/services/{service}/state", json=body) as answer:
            assert answer.status == 202, await answer.text()

    async def running(self, target: str) -> list[str]:
        """Give the ids of unfinished invocations of `Service/key/handler`."""
        sql = f"SELECT id FROM sys_invocation WHERE target = '{target}' AND status NOT IN ('completed', 'scheduled')"
        return [row["id"] for row in await self.query(sql)]

    async def is_stuck(self, target: str) -> str:
        """Give the id of an invocation that has failed and is tried again; empty where there is none."""
        sql = f"SELECT id FROM sys_invocation WHERE target = '{target}' AND status <> 'completed' AND retry_count > 1"
        return next((row["id"] for row in await self.query(sql)), "")

    async def kill(self, invocation_id: str) -> None:
        """Kill an invocation and what it calls."""
        async with self._session.patch(f"{self.stack.admin_url}/invocations/{invocation_id}/kill") as answer:
            assert answer.status == 200, await answer.text()

    async def kill_if_running(self, invocation_id: str) -> None:
        """Kill an invocation unless it has ended by itself."""
        async with self._session.patch(f"{self.stack.admin_url}/invocations/{invocation_id}/kill") as answer:
            assert answer.status in (200, 404, 409), await answer.text()

    async def register(self, url: str) -> None:
        """Register an endpoint of a test's own."""
        body = {"uri": url, "force": True}
        async with self._session.post(f"{self.stack.admin_url}/deployments", json=body) as answer:
            assert answer.status in (200, 201), await answer.text()

    async def invoke(self, target: str, body: object) -> Any:
        """Call a handler straight on the ingress, past the gateway."""
        async with self._session.post(f"{self.stack.ingress_url}/{target}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def log(self, component: str, text: str) -> list[dict[str, Any]]:
        """Give the lines of a component's log that hold a text."""
        lines = self.stack.processes.log_file(component).read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if text in line]


@pytest.fixture(scope="session")
async def behind(stack: LocalStack) -> AsyncIterator[Behind]:
    async with aiohttp.ClientSession() as session:
        yield Behind(stack, session)


@pytest.fixture(scope="session")
async def scratch(stack: LocalStack, behind: Behind) -> AsyncIterator[Behind]:
    """Restate with the services of scratch_services.py."""
    port = free_port()
    own = {"NEXUS_PORT": str(port), "NEXUS_METRICS_PORT": "0"}
    argv = [sys.executable, "-m", "tests.integration.scratch_services"]
    stack.processes.start("scratch", argv, stack.environ("ticket") | own)
    try:

        async def is_up() -> bool:
            return await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/health")

        await until(is_up, "the scratch endpoint", 30)
        await behind.register(f"http://127.0.0.1:{port}")
        yield behind
    finally:
        stack.processes.kill("scratch")


def free_port() -> int:
    """Choose a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
