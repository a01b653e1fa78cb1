"""What an invocation logs: once, however often it is replayed, with its id and its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.integration.scratch import ScratchStack, until

SOURCE = """
import datetime, logging
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
    logging.getLogger("library").warning("of a library")
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
    """With the invocation's id, service, handler and key (an order's is its order_id); so does a library's line."""
    await scratch.register()
    assert await scratch.call("logs", key="k1", service=service) == "done"
    lines = [json.loads(line) for line in scratch.stack.processes.tail("ticket", 100).splitlines()]
    logged = [line for line in lines if line["event"] in ("before", "between", "after")]
    assert [line["event"] for line in logged] == ["before", "between", "after"]
    assert {line["invocation_id"][:4] for line in logged} == {"inv_"}
    assert len({line["invocation_id"] for line in logged}) == 1
    assert {(line["service"], line["handler"]) for line in logged} == {(service, "logs")}
    assert {line[key_name] for line in logged} == {"k1"}
    assert logged[0]["email"] == "[hidden]"
    [foreign] = [line for line in lines if line["event"] == "of a library"]
    assert (foreign["logger"], foreign["invocation_id"]) == ("library", logged[0]["invocation_id"])


CHAIN = """
import datetime
import restate, structlog
from services.common.handlers import call, private, send
from services.common.messages import Nothing, Target

logger = structlog.get_logger()
Outer, Inner = restate.VirtualObject("Outer"), restate.VirtualObject("Inner")
INNER = Target("Inner", "inner", Nothing, Nothing)

@Outer.handler()
async def outer(ctx: restate.ObjectContext) -> str:
    await call(ctx, INNER, "called", Nothing())
    send(ctx, INNER, "sent", Nothing(), delay=datetime.timedelta(milliseconds=50))
    return "done"

@private(Inner, INNER)
async def inner(ctx, request):
    logger.info("inside")
    return Nothing()

SERVICES = [Outer, Inner]
"""


@pytest.mark.parametrize("is_given", [True, False])
async def test_a_trace_is_followed_into_what_is_called_and_sent(scratch: ScratchStack, *, is_given: bool) -> None:
    """A handler's lines name the trace of the client's call, also where nobody collects traces."""
    scratch.write("two", CHAIN)
    scratch.restart()
    await scratch.register()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"} if is_given else {}
    url = f"{scratch.stack.ingress_url}/Outer/k/outer"
    async with (
        aiohttp.ClientSession(skip_auto_headers=["content-type"]) as session,
        session.post(url, headers=headers) as answer,
    ):
        assert await answer.json() == "done"

    def inside() -> list[dict[str, str]]:
        lines = [json.loads(line) for line in scratch.stack.processes.tail("ticket", 100).splitlines()]
        return [line for line in lines if line["event"] == "inside"]

    await until(lambda: len(inside()) == 2)
    assert [line["key"] for line in inside()] == ["called", "sent"]
    assert {line.get("trace_id") for line in inside()} == {trace_id if is_given else None}
