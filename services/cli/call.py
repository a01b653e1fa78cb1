"""`nexus call`: calls an RPC of the gateway with the project's own descriptors; no other tool is needed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor

from services.cli.errors import CallError

if TYPE_CHECKING:
    from services.cli.client import Gateway

__all__ = ["CallError", "call", "find", "methods", "names"]


def methods() -> dict[str, MethodDescriptor]:
    """Map `nexus.v1.TicketService/HoldSeats` and so on to its descriptor."""
    from services.gateway.gen.nexus import v1

    found: dict[str, MethodDescriptor] = {}
    for module in pkgutil.iter_modules(v1.__path__):
        if not module.name.endswith("_pb2"):
            continue
        file = importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
        for service in file.services_by_name.values():
            found |= {f"{service.full_name}/{method.name}": method for method in service.methods}
    return found


def find(name: str) -> tuple[str, MethodDescriptor]:
    """Find an RPC by its name, with or without service and package. Raises CallError."""
    wanted = name.removeprefix("/")
    all_methods = methods()
    hits = [
        path
        for path in all_methods
        if path == wanted or path.rpartition(".")[2] == wanted or path.rpartition("/")[2] == wanted
    ]
    if len(hits) != 1:
        known = ", ".join(sorted(path.rpartition(".")[2] for path in all_methods))
        raise CallError(f"there is no RPC {name}; choose from {known}")
    return hits[0], all_methods[hits[0]]


def call(door: Gateway, name: str, body: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Call an RPC; give the answer, or those of a stream as they come. Raises CallError and GatewayError."""
    _, method = find(name)
    request_type = message_factory.GetMessageClass(method.input_type)
    try:
        request = json_format.Parse(body, request_type())
    except json_format.ParseError as error:
        problem = " ".join(str(error).split())
        raise CallError(f"the JSON does not fit {method.input_type.full_name}: {problem}") from error
    yield from door.stream(name, request, seconds)


def names() -> Sequence[str]:
    """List every RPC, shortest name that `find` takes."""
    return sorted(path.rpartition("/")[2] for path in methods())
