"""A client of the HTTP door for tests, and the stack that they share."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from services.cli import token as tokens
from services.cli.errors import StackError
from services.cli.local import LocalStack
from services.cli.ports import Ports
from services.common.config import ENDPOINTS
from services.registrar.admin import Admin
from services.registrar.registration import EndpointAt, Registrar, Row

PROJECT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """An answer of the HTTP door; a body that is no JSON is `{"raw": text}`."""

    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """Give the refusal's reason; empty where there is none."""
        error = self.json.get("error") if isinstance(self.json, dict) else None
        details = (error or {}).get("details", [])
        return next((detail["reason"] for detail in details if "reason" in detail), "")


class Client:
    """Calls the HTTP door of one stack."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.session = aiohttp.ClientSession(base_url=stack.gateway_url)

    async def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        raw: bytes | None = None,
        timeout_seconds: float = 60,
    ) -> Answer:
        """Send a request and read the whole answer."""
        sent = dict(headers or {})
        data = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        if data is not None:
            sent.setdefault("content-type", "application/json")
        if token:
            sent.setdefault("authorization", f"Bearer {token}")
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        async with self.session.request(method, path, data=data, headers=sent, timeout=timeout) as answer:
            content = await answer.read()
            try:
                read = msgspec.json.decode(content or b"{}")
            except msgspec.DecodeError:
                read = {"raw": content[:500].decode(errors="replace")}
            return Answer(answer.status, read, answer.headers)


def make_stack(home: Path, environ: Mapping[str, str] = os.environ) -> LocalStack:
    """Prepare a stack on free ports in the mode that NEXUS_TEST_MODE names: normal or suspended."""
    # A test is one caller that does in a second what a person does in an hour; addresses keep their limits.
    unlimited = ",".join(f"{name}=off" for name in ("reads", "holds", "checkouts", "changes", "watches"))
    # On a busy machine pings are slow, and calls would be shed: test_pressure.py and the load spike see to that.
    gateway = {"NEXUS_RATE_LIMIT_CALLER": unlimited, "NEXUS_MAX_PING_SECONDS": "0"}
    overrides: dict[str, dict[str, str]] = {"restate": {}, "*": {}, "gateway": gateway}
    mode = environ.get("NEXUS_TEST_MODE", "normal")
    if mode == "suspended":
        # Every await suspends and replays. Source: FACTS.md, Getting the parts.
        overrides["restate"]["RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT"] = "0s"
    elif mode != "normal":
        raise ValueError("NEXUS_TEST_MODE: expected normal or suspended")
    if environ.get("NEXUS_SERVER"):
        overrides["*"]["NEXUS_SERVER"] = environ["NEXUS_SERVER"]
    return LocalStack(home, Ports.free(), overrides)


@contextmanager
def running(home: Path, **overrides: Mapping[str, str]) -> Iterator[LocalStack]:
    """Start what `nexus up` starts, register it, stop it at the end. `overrides`: settings of a component."""
    stack = make_stack(home)
    stack.overrides |= {name: {**stack.overrides.get(name, {}), **more} for name, more in overrides.items()}
    try:
        stack.start_all()
        asyncio.run(register(stack))
        stack.wait_ready("gateway", ready=True)
        yield stack
    except StackError as error:
        pytest.exit(f"the stack does not start: {error}", returncode=3)
    finally:
        stack.stop_all()


async def register(stack: LocalStack) -> list[Row]:
    """Register the three endpoints of a stack."""
    endpoints = [EndpointAt(name, stack.endpoint_url(name), PROJECT / "services" / name) for name in ENDPOINTS]
    async with Admin(stack.admin_url, seconds=30) as admin:
        return await Registrar(admin).register(endpoints)


def sign(stack: LocalStack, subject: str, role: str | None = None, hours: float = 1) -> str:
    """Sign a token of the stack."""
    return tokens.sign(stack.keys.auth_private_pem, subject, [role] if role else [], hours)


async def new_event(
    client: Client,
    *,
    rows: int = 2,
    seats_per_row: int = 10,
    price: int = 4500,
    is_published: bool = True,
    **fields: Any,
) -> tuple[str, str]:
    """Create an event `A-1-1` ..., by default on sale; give its id and its organizer's token."""
    organizer = sign(client.stack, f"organizer-{uuid.uuid4().hex[:8]}", "organizer")
    event_id = f"test-{uuid.uuid4().hex[:12]}"
    event = {
        "event_id": event_id,
        "title": "Test",
        "venue": "Hall",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": price}],
        "sections": [
            {
                "section_id": "A",
                "title": "Stalls",
                "row_count": rows,
                "seats_per_row": seats_per_row,
                "category_id": "std",
            }
        ],
    } | fields
    answer = await client.call("POST", "/v1/events", organizer, event)
    assert answer.status == 200, answer
    if is_published:
        answer = await client.call("POST", f"/v1/events/{event_id}:publish", organizer, {})
        assert answer.status == 200, answer
        assert answer.json["state"] == "EVENT_STATE_ON_SALE", answer
    return event_id, organizer


NewEvent = Callable[..., Awaitable[tuple[str, str]]]
Token = Callable[..., str]
