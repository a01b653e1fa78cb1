"""SIGTERM drains an endpoint: what is in flight runs once, and nothing stays on the port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.ports import is_taken
from tests.integration.modes import normal_mode_only
from tests.integration.scratch import ScratchStack, until

pytestmark = normal_mode_only("an endpoint of its own")

STEP_SECONDS = 3.0


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchStack]:
    made = ScratchStack(tmp_path)
    try:
        made.stack.start("restate")
        made.stack.wait_ready("restate")
        yield made
    finally:
        made.stack.stop_all()


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
@pytest.mark.parametrize("parent_only", [False, True], ids=["group", "parent"])
async def test_a_step_in_flight_at_sigterm_runs_once(scratch: ScratchStack, server: str, parent_only: bool) -> None:
    """The step ends in the old process, which then goes at once; the invocation ends in the next one."""
    scratch.start(NEXUS_SERVER=server)
    await scratch.register()
    answer = asyncio.create_task(scratch.call("slow", STEP_SECONDS))
    await until(lambda: scratch.trace() == ["begin"])

    begun = time.monotonic()
    scratch.terminate(parent_only=parent_only)
    gone = await asyncio.to_thread(scratch.stack.processes.wait_gone, "ticket", 15)
    took = time.monotonic() - begun

    assert gone
    assert not is_taken(scratch.stack.ports.ticket_port)
    assert not is_taken(scratch.stack.ports.ticket_metrics_port)
    assert scratch.trace()[:2] == ["begin", "end"]
    # It waited for the step, and not for the whole time that a drain may take.
    assert 1.0 < took < STEP_SECONDS + 4

    scratch.start(NEXUS_SERVER=server)
    assert await answer == "one"
    assert scratch.trace() in (["begin", "end", "answered"], ["begin", "end", "answered", "answered"])


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
async def test_an_idle_endpoint_goes_at_once(scratch: ScratchStack, server: str) -> None:
    """Nothing in flight: no waiting."""
    scratch.start(NEXUS_SERVER=server)
    await scratch.register()
    assert await scratch.call("version") == "one"
    begun = time.monotonic()
    scratch.terminate(parent_only=False)
    assert await asyncio.to_thread(scratch.stack.processes.wait_gone, "ticket", 15)
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
async def test_an_invocation_that_waits_does_not_keep_the_process(scratch: ScratchStack, server: str) -> None:
    """It suspends at once, and goes on in the next process when its time has come."""
    scratch.start(NEXUS_SERVER=server)
    await scratch.register()
    answer = asyncio.create_task(scratch.call("wait", 6.0))
    await until(lambda: scratch.trace() == ["waits"])
    begun = time.monotonic()
    scratch.terminate(parent_only=False)
    assert await asyncio.to_thread(scratch.stack.processes.wait_gone, "ticket", 15)
    assert time.monotonic() - begun < 3
    assert not answer.done()
    scratch.start(NEXUS_SERVER=server)
    assert await answer == "one"


async def test_a_killed_process_group_is_gone_at_once_and_its_step_runs_again(scratch: ScratchStack) -> None:
    """SIGKILL leaves nothing on the port; the invocation goes on in the next process."""
    scratch.start()
    await scratch.register()
    answer = asyncio.create_task(scratch.call("slow", STEP_SECONDS))
    await until(lambda: scratch.trace() == ["begin"])
    await asyncio.to_thread(scratch.stack.kill, "ticket")
    assert not is_taken(scratch.stack.ports.ticket_port)
    scratch.start()
    assert await answer == "one"
    assert scratch.trace() == ["begin", "begin", "end", "answered"]
