"""Compiles a proto that no code of the gateway names."""

from __future__ import annotations

import itertools
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
HTTP = 'option (google.api.http) = {get: "/v1/scratch/{thing_id}"};'
ROUTE = 'option (nexus.v1.route) = {service: "Thing" key: "{thing_id}" handler: "get" access: ACCESS_SIGNED_IN};'
FIELDS = "string thing_id = 1 [(nexus.v1.rules) = {id: true}];"

_numbers = itertools.count()


def compile_scratch(folder: Path, rpc: str, fields: str = FIELDS) -> bytes:
    """Give the FileDescriptorSet of a service `Things` in a package of its own."""
    package = f"scratch{next(_numbers)}"
    source = folder / f"{package}.proto"
    source.write_text(
        f"""syntax = "proto3";
        package {package};
        import "google/api/annotations.proto";
        import "nexus/v1/options.proto";
        message Ask {{ {fields} }}
        message Tell {{ string thing_id = 1; bool is_there = 2; }}
        service Things {{ {rpc} }}"""
    )
    image = folder / "image.binpb"
    google = Path(str(files("google.rpc").joinpath("../.."))).resolve()
    bundled = files("grpc_tools").joinpath("_proto")
    arguments = ["protoc", f"-I{folder}", f"-I{PROTO}", f"-I{google}", f"-I{bundled}"]
    assert protoc.main([*arguments, f"--descriptor_set_out={image}", source.name]) == 0
    return image.read_bytes()
