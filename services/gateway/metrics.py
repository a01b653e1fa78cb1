"""Numbers for Prometheus, under the names of grpc-ecosystem, and the same for HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from prometheus_client import Counter, Gauge, Histogram

from services.common.errors import NexusError
from services.gateway.routes import Route
from services.gateway.status import grpc_code

_GRPC = ("grpc_type", "grpc_service", "grpc_method")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

_started = Counter("grpc_server_started_total", "RPCs begun.", _GRPC)
_handled = Counter("grpc_server_handled_total", "RPCs ended, by code.", (*_GRPC, "grpc_code"))
_handling = Histogram("grpc_server_handling_seconds", "Time from begin to end of RPCs.", _GRPC, buckets=_SECONDS)
_requests = Counter("http_server_requests_total", "HTTP requests answered.", ("method", "route", "status"))
_request_seconds = Histogram(
    "http_server_request_seconds", "Time until HTTP requests were answered.", ("method", "route"), buckets=_SECONDS
)
STREAMS = Gauge("nexus_gateway_streams", "Streams open now.", ("door",))


class RpcOutcome:
    """How an RPC ended; cancelled by its client unless told otherwise."""

    def __init__(self) -> None:
        self.code = grpc.StatusCode.CANCELLED.name

    def answered(self) -> None:
        """Note that it was answered."""
        self.code = grpc.StatusCode.OK.name

    def refused(self, error: NexusError) -> None:
        """Note the code of a refusal."""
        self.code = grpc_code(error).name


@contextmanager
def rpc(route: Route) -> Iterator[RpcOutcome]:
    """Count an RPC."""
    labels = ("server_stream" if route.is_stream else "unary", *route.name[1:].split("/"))
    _started.labels(*labels).inc()
    outcome, begun = RpcOutcome(), time.perf_counter()
    try:
        yield outcome
    finally:
        _handled.labels(*labels, _CAMEL[outcome.code]).inc()
        _handling.labels(*labels).observe(time.perf_counter() - begun)


def http(method: str, route: str, status: int, seconds: float) -> None:
    """Count an HTTP request. `route`: the path template, never the path, which clients choose."""
    _requests.labels(method, route, str(status)).inc()
    _request_seconds.labels(method, route).observe(seconds)


# The label has gRPC's names in camel case, as go-grpc-middleware writes them.
_CAMEL = {
    code.name: "OK" if code.name == "OK" else "".join(part.capitalize() for part in code.name.split("_"))
    for code in grpc.StatusCode
}
