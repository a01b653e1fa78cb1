"""The routing table: read from descriptors alone, refused at start where it is incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.gen.nexus.v1 import options_pb2, ticket_pb2
from services.gateway.paths import PathTable, PathTemplate
from services.gateway.routes import CONTRACT, Route, RouteError, further_files, load_routes
from tests.unit.scratch import FIELDS, HTTP, ROUTE, compile_scratch


def scratch(folder: Path, rpc: str, fields: str = FIELDS) -> dict[str, Route]:
    """Read the routes of a service that no code of the gateway names."""
    return load_routes(further_files(compile_scratch(folder, rpc, fields)))


def test_contract_is_complete() -> None:
    """Every RPC of the contract has a route that names service, handler and access."""
    routes = load_routes()
    methods = {method.full_name for file in CONTRACT for s in file.services_by_name.values() for method in s.methods}
    assert {route.name[1:].replace("/", ".") for route in routes.values()} == methods
    assert len(methods) == 24
    assert all(route.service and route.handler and route.access for route in routes.values())


def test_route_is_read_from_its_options() -> None:
    """A route says what its proto says."""
    route = load_routes()["/nexus.v1.CheckoutService/Checkout"]
    assert (route.http_method, route.path.text, route.body) == ("POST", "/v1/orders", "*")
    assert (route.service, route.handler, route.peek_handler) == ("Checkout", "process", "peek")
    assert route.made_id is not None
    assert route.made_id.text == "order_id"
    assert [path.text for path in route.sealed] == ["email"]
    assert {path.text for path in route.not_in_fingerprint} == {"order_id", "request_id", "async"}
    watch = load_routes()["/nexus.v1.CheckoutService/WatchOrder"]
    assert watch.kind == options_pb2.ROUTE_KIND_POLL
    assert len(watch.final_values) == 5


def test_key_holds_fields_and_caller() -> None:
    """An object key is made of the request's ids and the caller's hash."""
    route = load_routes()["/nexus.v1.TicketService/HoldSeats"]
    assert route.key.key(ticket_pb2.HoldSeatsRequest(event_id="gala"), "abc") == "gala:abc"


def test_new_rpc_is_routed_by_its_proto_alone(tmp_path: Path) -> None:
    """An RPC of a service that nothing here names gets its route from its options."""
    routes = scratch(tmp_path, f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE} }}")
    (route,) = routes.values()
    assert (route.service, route.handler, route.path.text) == ("Thing", "get", "/v1/scratch/{thing_id}")
    request = route.request_class(thing_id="t1")
    assert route.key.key(request, "") == "t1"


@pytest.mark.parametrize(
    ("rpc", "expected"),
    [
        (f"rpc Get(Ask) returns (Tell) {{ {HTTP} }}", "needs \\(nexus.v1.route\\)"),
        (f"rpc Get(Ask) returns (Tell) {{ {ROUTE} }}", "needs \\(google.api.http\\)"),
        (
            f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE.replace(' access: ACCESS_SIGNED_IN', '')} }}",
            "must say access",
        ),
        (f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE.replace('{thing_id}', '{nothing}')} }}", "no field 'nothing'"),
        (f"rpc Get(Ask) returns (Tell) {{ {HTTP.replace('thing_id', 'nothing')} {ROUTE} }}", "no field 'nothing'"),
        (f"rpc Get(Ask) returns (Tell) {{ {HTTP.replace('{thing_id}', '**')} {ROUTE} }}", "cannot read segment"),
        (f"rpc Get(Ask) returns (stream Tell) {{ {HTTP} {ROUTE} }}", "server stream needs kind"),
        (
            f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE} }} rpc Again(Ask) returns (Tell) {{ {HTTP} {ROUTE} }}",
            "same HTTP form",
        ),
    ],
)
def test_incomplete_route_is_refused(tmp_path: Path, rpc: str, expected: str) -> None:
    """The gateway does not start with an RPC that it could not serve."""
    with pytest.raises(RouteError, match=expected):
        scratch(tmp_path, rpc)


def test_key_of_what_is_no_id_is_refused(tmp_path: Path) -> None:
    """A field without the rule `id` cannot stand in an object key, where it could name another object."""
    with pytest.raises(RouteError, match="id: true"):
        scratch(tmp_path, f"rpc Get(Ask) returns (Tell) {{ {HTTP} {ROUTE} }}", fields="string thing_id = 1;")


TABLE = PathTable(
    (method, PathTemplate.parse(text), text)
    for method, text in [
        ("GET", "/v1/events/{event_id}"),
        ("POST", "/v1/events/{event_id}:publish"),
        ("GET", "/v1/events/{event_id}/seats"),
        ("PATCH", "/v1/events/{event.event_id}"),
    ]
)


@pytest.mark.parametrize(
    ("path", "method", "values"),
    [
        ("/v1/events/gala", "GET", ["gala"]),
        ("/v1/events/gala:publish", "POST", ["gala"]),
        ("/v1/events/a%2Fb/seats", "GET", ["a%2Fb"]),
        ("/v1/events/..", "GET", [".."]),
    ],
)
def test_path_finds_its_template(path: str, method: str, values: list[str]) -> None:
    """A path leads to its template, with the field values still encoded."""
    match = TABLE.find(path)
    assert match is not None
    assert match.by_method[method][1] == values


@pytest.mark.parametrize(
    "path", ["//v1//events/gala", "/v1/events/", "/v1/events", "/v1/events/gala/", "/v1/events/gala:nope", "", "*", "/"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    """Slashes are not collapsed, and an unknown verb is no id."""
    assert TABLE.find(path) is None
