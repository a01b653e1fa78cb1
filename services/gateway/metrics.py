"""Numbers for Prometheus, under the names of grpc-ecosystem, and the same for HTTP."""

from __future__ import annotations

import grpc
from prometheus_client import Counter, Gauge, Histogram

from services.gateway.routes import Route

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
MAP_VIEWS = Gauge("nexus_gateway_map_views", "Sections whose live map this gateway holds.")
MAP_WATCHERS = Gauge("nexus_gateway_map_watchers", "Watchers of live maps, whatever their door.")
MAP_READS = Counter("nexus_gateway_map_reads", "Reads of SeatMap, however many watch.", ("outcome",))
WAITING_CALLS = Gauge("nexus_gateway_waiting_calls", "Calls that wait for Restate to come back.")
REPEATED_CALLS = Counter("nexus_gateway_repeated_calls", "Calls of Restate made again after it was away.")
CALLS_IN_FLIGHT = Gauge("nexus_gateway_in_flight", "Calls being answered now, by kind (unary, stream).", ("kind",))
CALLS_LIMIT = Gauge("nexus_gateway_in_flight_limit", "Calls that may be answered at once; fewer under pressure.")
RATE_LIMIT_STORE_AWAY = Gauge("nexus_gateway_rate_limit_store_away", "1 while the shared store does not answer.")
READY = Gauge("nexus_gateway_ready", "1 while /readyz answers that it is ready, else 0.")
_refused = Counter("nexus_gateway_rate_limited", "Calls refused by a limit.", ("limit", "kind"))


def refused(limit: str, kind: str) -> None:
    """Count a call that a limit refused. `limit`: caller, address or in_flight; `kind`: the class of the call."""
    _refused.labels(limit, kind).inc()


def rpc_started(route: Route) -> None:
    """Count an RPC that begins."""
    _started.labels(*_labels(route)).inc()


def rpc_handled(route: Route, code: str, seconds: float) -> None:
    """Count an RPC that has ended. `code`: gRPC's name, as in NOT_FOUND."""
    labels = _labels(route)
    _handled.labels(*labels, _CAMEL[code]).inc()
    _handling.labels(*labels).observe(seconds)


def http(method: str, route: str, status: int, seconds: float) -> None:
    """Count an HTTP request. `route`: the path template, never the path, which clients choose."""
    _requests.labels(method, route, str(status)).inc()
    _request_seconds.labels(method, route).observe(seconds)


def _labels(route: Route) -> tuple[str, str, str]:
    service, _, method = route.name[1:].partition("/")
    return "server_stream" if route.is_stream else "unary", service, method


def _camel(code: str) -> str:
    """Write a code as go-grpc-middleware does, which takes Go's own names. Source: grpc-go, codes/code_string.go."""
    special = {"OK": "OK", "CANCELLED": "Canceled"}
    return special.get(code) or "".join(part.capitalize() for part in code.split("_"))


_CAMEL = {code.name: _camel(code.name) for code in grpc.StatusCode}
