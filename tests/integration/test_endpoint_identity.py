"""An endpoint obeys the Restate that holds the identity key, and nobody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from services.cli import keys
from services.registrar.errors import AdminError
from tests.integration.modes import normal_mode_only
from tests.integration.scratch import ScratchStack

pytestmark = normal_mode_only("the signatures of calls")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScratchStack]:
    made = ScratchStack(tmp_path_factory.mktemp("identity"))
    try:
        made.stack.start("restate")
        made.stack.wait_ready("restate")
        yield made
    finally:
        made.stack.stop_all()


def refused_start(component: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "services.cli", "run", component]
    return subprocess.run(
        argv, env={"PATH": "/usr/bin:/bin"} | environ, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("component", ["ticket", "seatmap", "checkout"])
@pytest.mark.parametrize("identity_keys", ["", " , ", "abc", "publickeyv1_0OIl"])
def test_an_endpoint_without_a_key_does_not_start(component: str, identity_keys: str) -> None:
    """Exit code 2 and one sentence that names the variable: without a key the SDK would obey anybody."""
    done = refused_start(component, NEXUS_IDENTITY_KEYS=identity_keys)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "NEXUS_IDENTITY_KEYS" in done.stderr


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
async def test_unsigned_calls_are_refused_and_signed_ones_served(scratch: ScratchStack, server: str) -> None:
    """401 to whoever cannot sign, on every path but `/health`, which tells the code's hash."""
    await asyncio.to_thread(scratch.restart, NEXUS_SERVER=server)
    async with aiohttp.ClientSession(scratch.url) as session:
        for path in ("/discover", "/v/x/discover", "/invoke/Scratch/version", "/invoke/No/such", "/anything"):
            async with session.post(path, data=b"{}") as answer:
                assert answer.status == 401, path
            async with session.post(
                path, headers={"x-restate-jwt-v1": "eyJ.a.b", "x-restate-signature-scheme": "v1"}
            ) as answer:
                assert answer.status == 401, path
        async with session.get("/health") as answer:
            assert answer.status == 200
            assert answer.headers["x-nexus-code"]
        # The numbers are on a port of their own, never on the signed one.
        async with session.get("/metrics") as answer:
            assert answer.status == 401
        async with session.get(f"http://127.0.0.1:{scratch.stack.ports.ticket_metrics_port}/metrics") as answer:
            assert "nexus_invocations_in_flight" in await answer.text()
    await scratch.register()
    assert await scratch.call("version") == "one"


async def test_a_restate_with_another_key_is_refused(scratch: ScratchStack, tmp_path: Path) -> None:
    """The endpoint's list of keys decides; a second key in it is what rotation needs."""
    other = keys.ensure(tmp_path / "keys").identity_public
    await asyncio.to_thread(scratch.restart, NEXUS_IDENTITY_KEYS=other)
    scratch.write("another")
    await asyncio.to_thread(scratch.restart, NEXUS_IDENTITY_KEYS=other)
    with pytest.raises(AdminError, match="401"):
        await scratch.register(seconds=1)
    both = f"{other},{scratch.stack.keys.identity_public}"
    await asyncio.to_thread(scratch.restart, NEXUS_IDENTITY_KEYS=both)
    await scratch.register()
    assert await scratch.call("version") == "another"
