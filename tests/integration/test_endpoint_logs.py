"""What an invocation logs: once, however often it is replayed, with its id and its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scratch import ScratchStack

SOURCE = """
import datetime
import restate, structlog

logger = structlog.get_logger()
Checkout = restate.VirtualObject("Checkout")
Scratch = restate.VirtualObject("Scratch")

async def logs(ctx: restate.ObjectContext) -> str:
    logger.info("before", email="ada@example.org")
    await ctx.sleep(datetime.timedelta(milliseconds=50))
    logger.info("between")
    await ctx.sleep(datetime.timedelta(milliseconds=50))
    logger.info("after")
    return "done"

Checkout.handler("logs")(logs)
Scratch.handler("logs")(logs)
SERVICES = [Scratch, Checkout]
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchStack]:
    made = ScratchStack(tmp_path)
    # Every await suspends, so that the handler is replayed twice.
    made.stack.overrides["restate"] = {"RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "0s"}
    made.write("one", SOURCE)
    try:
        made.stack.start("restate")
        made.stack.wait_ready("restate")
        made.start()
        yield made
    finally:
        made.stack.stop_all()


@pytest.mark.parametrize(("service", "key_name"), [("Scratch", "key"), ("Checkout", "order_id")])
async def test_a_replayed_invocation_logs_each_line_once(scratch: ScratchStack, service: str, key_name: str) -> None:
    """With the invocation's id, handler and key, which of an order is the order_id; nothing personal."""
    await scratch.register()
    assert await scratch.call("logs", key="k1", service=service) == "done"
    lines = [json.loads(line) for line in scratch.stack.processes.tail("ticket", 100).splitlines()]
    logged = [line for line in lines if line["event"] in ("before", "between", "after")]
    assert [line["event"] for line in logged] == ["before", "between", "after"]
    assert {line["invocation_id"][:4] for line in logged} == {"inv_"}
    assert len({line["invocation_id"] for line in logged}) == 1
    assert {line["handler"] for line in logged} == {f"{service}/logs"}
    assert {line[key_name] for line in logged} == {"k1"}
    assert logged[0]["email"] == "[hidden]"
