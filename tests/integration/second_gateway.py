"""A second gateway of the shared stack, which was told of RPCs that its code knows nothing of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest
from grpc_tools import protoc  # type: ignore[import-untyped]

from services.cli.local import LocalStack, answers
from tests.integration.behind import free_port
from tests.integration.booking import until
from tests.integration.client import PROJECT, Client

SCRATCH_PROTO = """
syntax = "proto3";
package scratch.v1;
import "google/api/annotations.proto";
import "nexus/v1/options.proto";
import "nexus/v1/ticket.proto";

service SeatService {
  rpc LookAtSeat(LookAtSeatRequest) returns (nexus.v1.Ticket) {
    option (google.api.http) = {get: "/v1/scratch/{event_id}/seats/{seat_id}"};
    option (nexus.v1.route) = {
      service: "Ticket" key: "{event_id}:{seat_id}" handler: "get" access: ACCESS_PUBLIC
    };
  }
  rpc TakeSeats(TakeSeatsRequest) returns (nexus.v1.Hold) {
    option (google.api.http) = {post: "/v1/scratch/{event_id}:take" body: "*"};
    option (nexus.v1.route) = {
      service: "Buyer" key: "{event_id}:{caller}" handler: "hold" access: ACCESS_SIGNED_IN
      idempotency: IDEMPOTENCY_REQUEST_ID
    };
  }
}
message LookAtSeatRequest {
  string event_id = 1 [(nexus.v1.rules) = {required: true id: true}];
  string seat_id = 2 [(nexus.v1.rules) = {required: true id: true}];
}
message TakeSeatsRequest {
  string event_id = 1 [(nexus.v1.rules) = {required: true id: true}];
  repeated string seat_ids = 2 [(nexus.v1.rules) = {required: true id: true max_items: 2 unique: true}];
  string request_id = 3 [(nexus.v1.rules) = {not_in_fingerprint: true}];
}
"""


def compile_scratch_proto(folder: Path) -> Path:
    """Compile SCRATCH_PROTO to a descriptor set, as whoever adds an RPC would."""
    source, image = folder / "scratch.proto", folder / "scratch.binpb"
    source.write_text(SCRATCH_PROTO)
    google_apis = Path(str(files("google.rpc").joinpath("../.."))).resolve()
    well_known = files("grpc_tools").joinpath("_proto")
    arguments = [f"-I{folder}", f"-I{PROJECT / 'proto'}", f"-I{google_apis}", f"-I{well_known}"]
    assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={image}", str(source)]) == 0
    return image


class SecondGateway(Client):
    """Another gateway of the same stack, told of the RPCs in `descriptors`."""

    def __init__(self, stack: LocalStack, http_port: int, grpc_port: int, descriptors: Path) -> None:
        self.stack = stack
        self.url = f"http://127.0.0.1:{http_port}"
        self.session = aiohttp.ClientSession(base_url=self.url)
        self.grpc_address = f"127.0.0.1:{grpc_port}"
        self.descriptors = descriptors


@pytest.fixture(scope="session")
async def second_gateway(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecondGateway]:
    """A gateway of its own process, which also serves the RPCs of SCRATCH_PROTO."""
    descriptors = compile_scratch_proto(tmp_path_factory.mktemp("scratch"))
    gateway = SecondGateway(stack, free_port(), free_port(), descriptors)
    own = {
        "NEXUS_HTTP_PORT": gateway.url.rsplit(":", 1)[1],
        "NEXUS_GRPC_PORT": gateway.grpc_address.split(":")[1],
        "NEXUS_METRICS_PORT": "0",
        "NEXUS_DESCRIPTORS": str(descriptors),
    }
    argv = [sys.executable, "-m", "services.cli", "run", "gateway"]
    stack.processes.start("gateway-2", argv, stack.environ("gateway") | own)
    try:

        async def is_ready() -> bool:
            return await asyncio.to_thread(answers, f"{gateway.url}/readyz")

        await until(is_ready, "the second gateway", 30)
        yield gateway
    finally:
        await gateway.session.close()
        stack.processes.stop(["gateway-2"], 25)
