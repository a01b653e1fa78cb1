"""/openapi.json is a valid OpenAPI 3.1 document that says what the proto says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.gateway.comments import comments, first_sentence
from services.gateway.openapi import document
from services.gateway.routes import load_routes

Document = dict[str, Any]


@pytest.fixture(scope="module")
def doc() -> Document:
    """The document of the contract."""
    return document(load_routes())


def operations(doc: Document) -> list[tuple[str, str, Document]]:
    """Give (path, method, operation) of the document."""
    return [(path, method, operation) for path, item in doc["paths"].items() for method, operation in item.items()]


def test_document_is_valid(doc: Document) -> None:
    """The document passes the OpenAPI 3.1 validator, with every reference found."""
    assert [error.message for error in OpenAPIV31SpecValidator(doc).iter_errors()] == []


def test_document_is_deterministic(doc: Document) -> None:
    """The same routes give the same text."""
    assert json.dumps(document(load_routes())) == json.dumps(doc)


def test_every_rpc_is_there(doc: Document) -> None:
    """Each route is one operation under its own path, method and id."""
    shown = {operation["x-nexus-rpc"] for _, _, operation in operations(doc)}
    assert shown == {name.removeprefix("/") for name in load_routes()}
    ids = [operation["operationId"] for _, _, operation in operations(doc)]
    assert len(ids) == len(set(ids))
    assert doc["paths"]["/v1/events/{event_id}:publish"]["post"]["operationId"] == "PublishEvent"
    assert set(doc["paths"]["/v1/events/{event_id}"]) == {"get", "patch"}


def test_everything_is_described(doc: Document) -> None:
    """Each operation, parameter and property carries the proto's comment."""
    for path, _, operation in operations(doc):
        assert operation["description"], path
        assert all(parameter.get("description") for parameter in operation["parameters"]), path
    for name, schema in doc["components"]["schemas"].items():
        assert schema.get("description"), name
        if name != "Error":
            assert all(field.get("description") for field in schema.get("properties", {}).values()), name


def test_examples_fit_their_schemas(doc: Document) -> None:
    """The example of each request body passes the schema of that body; so do the parameters' examples."""
    bodies = 0
    for path, method, operation in operations(doc):
        for parameter in operation["parameters"]:
            if "example" in parameter:
                assert not _faults(doc, parameter["schema"], parameter["example"]), path
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert not _faults(doc, content["schema"], content["example"]), (path, method)
            bodies += 1
    assert bodies > 0


def _faults(doc: Document, schema: Document, value: object) -> list[str]:
    whole = {**schema, "components": doc["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


@pytest.mark.parametrize(
    "change",
    [
        {"seat_ids": []},
        {"seat_ids": ["A-1-1", "A-1-1"]},
        {"seat_ids": ["a/b"]},
        {"hold_id": "hold-1"},
        {"email": "nobody"},
        {"seat_ids": [f"A-1-{number}" for number in range(51)]},
        {"request_id": "a\nb"},
        {"price": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_bounds_of_the_proto_are_in_the_schema(doc: Document, change: Document) -> None:
    """What the gateway refuses by the proto's rules does not pass the schema either."""
    content = doc["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]
    if change == {"seat_ids": []}:
        # An empty list is no list: with neither it nor a hold the alternatives fail in HoldSeats.
        content = doc["paths"]["/v1/events/{event_id}/holds"]["post"]["requestBody"]["content"]["application/json"]
    assert not _faults(doc, content["schema"], content["example"])
    assert _faults(doc, content["schema"], {**content["example"], **change})


def test_an_answer_may_leave_an_id_out(doc: Document) -> None:
    """Answers print every field: an id that there is none of is an empty text, and so it is in a request."""
    for name, field in (("Order", "hold_id"), ("Section", "category_id"), ("CheckoutRequest", "order_id")):
        schemas = doc["components"]["schemas"] | {
            "CheckoutRequest": doc["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"][
                "schema"
            ]
        }
        schema = schemas[name]["properties"][field]
        assert not _faults(doc, schema, "")
        assert _faults(doc, schema, "a/b")


def test_fields_that_are_not_known_are_refused(doc: Document) -> None:
    """Bodies say so, an event's as well, whose schema is that of the answers too."""
    for path, method, operation in operations(doc):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert _faults(doc, content["schema"], {**content["example"], "price": 1}), (path, method)


def test_the_key_of_a_repeat_has_its_bounds(doc: Document) -> None:
    """Idempotency-Key has the bounds of request_id, and may not be empty."""
    [key] = [one for one in doc["paths"]["/v1/orders"]["post"]["parameters"] if one["name"] == "Idempotency-Key"]
    assert not _faults(doc, key["schema"], "k-1")
    for bad in ("", "a b", "k" * 256, "\u00e9"):
        assert _faults(doc, key["schema"], bad), bad


def test_int64_is_a_string_and_server_fields_are_read_only(doc: Document) -> None:
    """Amounts are strings of digits; what the server sets is marked as such."""
    schemas = doc["components"]["schemas"]
    assert schemas["Money"]["properties"]["amount_minor"]["format"] == "int64"
    assert schemas["Money"]["properties"]["amount_minor"]["type"] == "string"
    assert schemas["Event"]["properties"]["owner"]["readOnly"] is True
    assert "ORDER_STATE_CONFIRMED" in schemas["OrderState"]["enum"]


def test_security_and_refusals(doc: Document) -> None:
    """Public calls say that no token is needed, others ask for one; roles and refusals are told."""
    get_event = doc["paths"]["/v1/events/{event_id}"]["get"]
    assert {} in get_event["security"]
    assert "403" not in get_event["responses"]
    checkout = doc["paths"]["/v1/orders"]["post"]
    assert {} not in checkout["security"]
    assert {"400", "401", "402", "404", "409", "410", "429", "503", "504"} <= set(checkout["responses"])
    assert "nexus-order-id" in checkout["responses"]["200"]["headers"]
    publish = doc["paths"]["/v1/events/{event_id}:publish"]["post"]
    assert "403" in publish["responses"]
    assert publish["x-nexus-role"] == "organizer"


def test_streams_are_event_streams(doc: Document) -> None:
    """Watches answer text/event-stream and can be resumed by Last-Event-ID."""
    watch = doc["paths"]["/v1/events/{event_id}/seatmap:watch"]["get"]
    assert list(watch["responses"]["200"]["content"]) == ["text/event-stream"]
    assert "Last-Event-ID" in [parameter["name"] for parameter in watch["parameters"]]


def test_comments_are_those_of_the_proto() -> None:
    """Names of nested things are found; a comment of several lines becomes one line."""
    found = comments()
    assert found["nexus.v1.SeatStatus.SEAT_STATUS_HELD"] == "Claimed by a hold."
    assert found["nexus.v1.SeatMapService.GetSeatMap"].startswith("The map of one section")
    assert "\n" not in found["nexus.v1.CheckoutService.Checkout"]
    assert first_sentence("One. Two.") == "One"


def test_enum_parameters_tell_of_the_prefix(doc: Document) -> None:
    """As the query is read: with it or without."""
    parameters = doc["paths"]["/v1/events/{event_id}"]["get"]["parameters"]
    [view] = [parameter for parameter in parameters if parameter["name"] == "view"]
    assert "`EVENT_VIEW_` may be left out" in view["description"]
