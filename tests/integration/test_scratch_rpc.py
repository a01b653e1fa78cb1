"""An RPC that maps to one handler is served from its proto options alone, by a gateway that never heard of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.cli.local import LocalStack, answers
from services.cli.ports import Ports
from tests.integration.client import NewEvent, Token
from tests.integration.modes import normal_mode_only
from tests.unit.scratch import compile_scratch

pytestmark = normal_mode_only("the gateway's routes")

RPC = """rpc Look(Ask) returns (Seen) {
    option (google.api.http) = {get: "/v1/scratch/{event_id}/{seat_id}"};
    option (nexus.v1.route) = {
        service: "Ticket" key: "{event_id}:{seat_id}" handler: "get" access: ACCESS_SIGNED_IN
    };
}"""
FIELDS = """string event_id = 1 [(nexus.v1.rules) = {required: true id: true}];
string seat_id = 2 [(nexus.v1.rules) = {required: true id: true}]; }
message Seen { string seat_id = 1; string status = 2;"""


@pytest.fixture
async def scratch_gateway(stack: LocalStack, tmp_path: Path) -> AsyncIterator[str]:
    """A second gateway before the same Restate, given one more proto and nothing else."""
    image = tmp_path / "scratch.binpb"
    image.write_bytes(compile_scratch(tmp_path, RPC, FIELDS))
    ports = Ports.free()
    environ = stack.environ("gateway") | {
        "NEXUS_HTTP_PORT": str(ports.http_port),
        "NEXUS_GRPC_PORT": str(ports.grpc_port),
        "NEXUS_METRICS_PORT": "0",
        "NEXUS_DESCRIPTORS": str(image),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "run", "gateway", env=environ, start_new_session=True
    )
    url = f"http://127.0.0.1:{ports.http_port}"

    async def until_alive() -> None:
        while not await asyncio.to_thread(answers, f"{url}/livez"):
            assert process.returncode is None
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(until_alive(), 20)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 25) == 0


async def test_scratch_rpc_reaches_its_handler(scratch_gateway: str, new_event: NewEvent, token: Token) -> None:
    """The new RPC asks the real Ticket; its rules and its access are kept as those of any other."""
    event_id, _ = await new_event()
    path = f"{scratch_gateway}/v1/scratch/{event_id}/A-1-1"
    signed_in = {"authorization": f"Bearer {token('ann')}"}
    async with aiohttp.ClientSession() as session:
        async with session.get(path, headers=signed_in) as answer:
            assert await answer.json() == {"seat_id": "A-1-1", "status": "SEAT_STATUS_AVAILABLE"}
        async with session.get(path) as answer:
            assert answer.status == 401
        async with session.get(f"{scratch_gateway}/v1/scratch/{event_id}/..%2F", headers=signed_in) as answer:
            assert answer.status == 400
