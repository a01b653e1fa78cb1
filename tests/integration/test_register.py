"""`nexus register`: what it says is registered is what runs and what is called."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.registrar.admin import Admin
from services.registrar.errors import AdminError, RegistrationError
from services.registrar.registration import Row, Status
from tests.integration.modes import normal_mode_only
from tests.integration.scratch import SERVICE_SOURCE, ScratchStack, until

pytestmark = normal_mode_only("the registrar")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchStack]:
    made = ScratchStack(tmp_path)
    try:
        made.stack.start("restate")
        made.stack.wait_ready("restate")
        made.start()
        yield made
    finally:
        made.stack.stop_all()


def statuses(rows: list[Row]) -> list[Status]:
    return [row.status for row in rows]


async def test_registering_twice_changes_nothing(scratch: ScratchStack) -> None:
    """The second time says `unchanged` and leaves one deployment, with our metadata."""
    first, second = await scratch.register(), await scratch.register()
    assert statuses(first) == [Status.NEW]
    assert statuses(second) == [Status.UNCHANGED]
    assert first[0].deployment_id == second[0].deployment_id
    assert (first[0].service, first[0].kind, first[0].endpoint) == ("Scratch", "VirtualObject", "scratch")
    async with Admin(scratch.stack.admin_url, 5) as admin:
        [deployment] = await admin.deployments()
    assert deployment.uri == first[0].address
    assert deployment.metadata.keys() == {"managed_by", "endpoint", "version", "git_sha", "code"}
    assert await scratch.call("version") == "one"


async def test_changed_code_gets_a_new_address_and_serves(scratch: ScratchStack) -> None:
    """New code, new address: new calls go there."""
    before = await scratch.register()
    scratch.write("two")
    await asyncio.to_thread(scratch.restart)
    after = await scratch.register()
    assert statuses(after) == [Status.NEW]
    assert after[0].address != before[0].address
    assert await scratch.call("version") == "two"


async def test_a_process_that_runs_older_code_is_not_registered(scratch: ScratchStack) -> None:
    """An address that names code which does not run there would lie: it is refused, and says what to do."""
    scratch.write("two")
    with pytest.raises(RegistrationError, match="restart it"):
        await scratch.register()


async def test_code_that_was_registered_before_is_promoted_under_a_new_address(scratch: ScratchStack) -> None:
    """After a rollback the old code serves again; registering its old address anew would not do that."""
    first = await scratch.register()
    scratch.write("two")
    await asyncio.to_thread(scratch.restart)
    await scratch.register()
    scratch.write("one")
    await asyncio.to_thread(scratch.restart)
    again = await scratch.register()
    assert statuses(again) == [Status.PROMOTED]
    assert again[0].address == f"{first[0].address}-2"
    async with Admin(scratch.stack.admin_url, 5) as admin:
        assert await admin.latest() == {"Scratch": again[0].deployment_id}
    assert statuses(await scratch.register()) == [Status.UNCHANGED]


async def test_the_same_code_that_discovers_otherwise_is_not_unchanged(scratch: ScratchStack) -> None:
    """A setting adds a handler: the hash is the same, the discovery is not, so it is registered anew."""
    await scratch.register()
    await asyncio.to_thread(scratch.restart, SCRATCH_EXTRA="1")
    assert statuses(await scratch.register()) == [Status.NEW]
    assert await scratch.call("extra") == "extra"
    assert statuses(await scratch.register()) == [Status.UNCHANGED]


async def test_a_dry_run_says_the_same_and_does_nothing(scratch: ScratchStack) -> None:
    """Nothing is registered, and the table is that of the real run but for the id."""
    preview = await scratch.register(dry_run=True)
    async with Admin(scratch.stack.admin_url, 5) as admin:
        assert await admin.deployments() == []
    real = await scratch.register()
    assert [(row.service, row.address, row.status) for row in preview] == [
        (row.service, row.address, row.status) for row in real
    ]
    assert preview[0].deployment_id == ""


async def test_a_permanent_refusal_is_loud(scratch: ScratchStack) -> None:
    """A virtual object that became a service is refused with Restate's own text, also in a preview."""
    await scratch.register()
    scratch.write("two", SERVICE_SOURCE)
    await asyncio.to_thread(scratch.restart)
    with pytest.raises(AdminError, match="META"):
        await scratch.register()
    with pytest.raises(AdminError, match="META"):
        await scratch.register(dry_run=True)
    assert statuses(await scratch.register(breaking=True)) == [Status.NEW]


async def test_only_drained_versions_of_ours_are_removed(scratch: ScratchStack) -> None:
    """A version that an unfinished invocation is pinned to stays until that has ended."""
    first = await scratch.register()
    answer = asyncio.create_task(scratch.call("wait", 4.0))
    await until(lambda: scratch.trace() == ["waits"])
    scratch.write("two")
    await asyncio.to_thread(scratch.restart)
    await scratch.register()
    assert await scratch.prune() == []
    await answer
    assert await scratch.prune() == [first[0].address]
    assert await scratch.prune() == []
    assert await scratch.call("version") == "two"


async def test_a_deployment_of_somebody_else_is_left_alone(scratch: ScratchStack) -> None:
    """Without our metadata a deployment is not ours to remove, drained or not."""
    async with Admin(scratch.stack.admin_url, 5) as admin:
        await admin.register(f"{scratch.url}/theirs", {}, breaking=False)
        await scratch.register()
        assert await scratch.prune() == []
        assert len(await admin.deployments()) == 2


async def test_an_endpoint_that_does_not_answer_is_named(scratch: ScratchStack) -> None:
    """The deadline passes, and the text says which endpoint."""
    await asyncio.to_thread(scratch.stack.stop, "ticket")
    with pytest.raises(RegistrationError, match=r"scratch: .* did not answer within 1 s"):
        await scratch.register(seconds=1)


def test_the_command_fails_in_one_line_while_restate_is_away(scratch: ScratchStack, tmp_path: Path) -> None:
    """Exit code 1, no traceback."""
    scratch.stack.stop("ticket")
    environ = scratch.stack.environ("ticket")
    scratch.stack.processes.start("ticket", [sys.executable, "-m", "services.cli", "run", "ticket"], environ)
    scratch.stack.wait_ready("ticket")
    command = [sys.executable, "-m", "services.cli", "register", "--json", "--timeout", "2"]
    inherited = {"PATH": os.environ["PATH"], "NEXUS_HOME": str(tmp_path / "none")}
    inherited |= {"NEXUS_ENDPOINTS": f"ticket={scratch.url}", "NEXUS_ADMIN_URL": scratch.stack.admin_url}

    done = subprocess.run(command, env=inherited, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert {row["service"] for row in json.loads(done.stdout)["services"]} == {"Ticket", "Buyer"}

    scratch.stack.stop("restate")
    done = subprocess.run(command, env=inherited, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert scratch.stack.admin_url in done.stderr
