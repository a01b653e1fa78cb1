"""How long Restate keeps what a handler did is said for each handler, and nowhere left to Restate's default."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

import pytest
import restate

from services.common.config import ENDPOINTS
from services.common.handlers import KEPT_FOR_CLIENTS


def handlers_without(services: list[Any]) -> list[str]:
    """Give the handlers that do not say how long their journal and their answer are kept, or keep them too long."""
    return [
        f"{service.name}.{name}"
        for service in services
        for name, handler in service.handlers.items()
        for kept in (handler.journal_retention, handler.idempotency_retention)
        if kept is None or not timedelta(0) <= kept <= KEPT_FOR_CLIENTS
    ]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_handler_says_how_long_it_is_kept(endpoint: str) -> None:
    """Sealed addresses and hashed buyers are in journals: at most as long as a client may repeat its request."""
    services = importlib.import_module(f"services.{endpoint}.app").SERVICES
    assert sum(len(service.handlers) for service in services) > 1
    assert handlers_without(services) == []


def test_a_handler_without_retention_is_found() -> None:
    """The control: one that says nothing, and one that keeps its journal for a month."""
    scratch = restate.Service("Scratch")

    async def silent(_ctx: restate.Context) -> None: ...
    async def endless(_ctx: restate.Context) -> None: ...

    scratch.handler()(silent)
    scratch.handler(journal_retention=timedelta(days=30), idempotency_retention=timedelta(0))(endless)
    assert handlers_without([scratch]) == ["Scratch.silent", "Scratch.silent", "Scratch.endless"]
