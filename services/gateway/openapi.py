"""/openapi.json: an OpenAPI 3.1 document from the routes alone.

Nothing here names an RPC: one that is added to the proto appears with its comments, bounds, examples
and refusals. Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.common.errors import all_errors
from services.gateway.comments import comments, first_sentence
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.openapi_schemas import Schema, Schemas, example, field_example, is_plain
from services.gateway.routes import Route, enum_prefix, rules_of

Document = dict[str, Any]

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
WHOLE: Final = "*"
"""Body of a route that is the whole request."""

PATCHED_FIELDS: Final = 2
"""Fields that the example of a PATCH changes."""

_INTRODUCTION: Final = """\
Nexus sells reserved seats: a seat is never sold twice, and money is never kept without a ticket.
The same calls are served over gRPC (server reflection is on).

A call that may be repeated carries an `Idempotency-Key` (or `request_id`): the same key with the same
request gives the same answer. 64-bit numbers are printed as strings and read in both forms; times are
RFC 3339 in UTC. Every refusal has the form of the schema `Error`: branch on `reason`, never on texts."""

_TRANSPORT: Final = {
    405: "The path exists, the method does not; `Allow` names those that do.",
    408: "The body did not arrive in time.",
    413: "The body is larger than the limit of this call.",
    415: "The body is not application/json.",
}


def document(routes: Mapping[str, Route], version: str = "1") -> Document:
    """Make the document. The same routes give the same document."""
    schemas = Schemas(comments())
    paths: dict[str, Document] = {}
    tags: dict[str, Document] = {}
    statuses: set[int] = set()
    names: set[str] = set()
    for route in routes.values():
        service = route.method.containing_service
        tags.setdefault(service.name, _tag(service.name, schemas.comments.get(service.full_name, "")))
        codes = _refusals(route)
        statuses.update(codes)
        operation = _operation(route, schemas, codes)
        # An operation's id is the RPC's name; where two services share a name, the second says its service.
        if operation["operationId"] in names:
            operation["operationId"] = f"{service.name}_{operation['operationId']}"
        names.add(operation["operationId"])
        paths.setdefault(_path(route), {})[route.http_method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus",
            "version": version,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": list(tags.values()),
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**schemas.found, "Error": _error_schema()}.items())),
            "responses": {f"Refusal{status}": _refusal(status) for status in sorted(statuses)},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token with the roles buyer, organizer or admin; locally: `nexus token SUBJECT`.",
                },
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "A key for machines.",
                },
            },
        },
    }


def _tag(name: str, text: str) -> Document:
    return {"name": name, "description": text} if text else {"name": name}


def _path(route: Route) -> str:
    """Give the path with its fields' last names: two RPCs of one path must use the same ones."""
    text = route.path.text
    for field in route.path_fields:
        text = text.replace("{" + field.text + "}", "{" + field.name + "}")
    return text


def _operation(route: Route, schemas: Schemas, codes: list[int]) -> Document:
    text = schemas.comments.get(route.method.full_name, "")
    operation: Document = {
        "operationId": route.method.name,
        "tags": [route.method.containing_service.name],
        "summary": first_sentence(text) or route.method.name,
        "description": text,
        "parameters": _parameters(route, schemas),
        "responses": {
            "200": _answer(route, schemas),
            **(
                {"304": {"description": "The answer that the client has still holds."}}
                if _is_revalidated(route)
                else {}
            ),
            **{str(code): {"$ref": f"#/components/responses/Refusal{code}"} for code in codes},
        },
        "security": _security(route),
        "x-nexus-rpc": route.name.removeprefix("/"),
    }
    if route.body:
        operation["requestBody"] = _body(route, schemas)
    if route.access == options_pb2.ACCESS_ORGANIZER:
        operation["x-nexus-role"] = "organizer"
    elif route.access == options_pb2.ACCESS_ADMIN:
        operation["x-nexus-role"] = "admin"
    return operation


def _security(route: Route) -> list[Document]:
    signed_in: list[Document] = [{"bearer": []}, {"apiKey": []}]
    return [{}, *signed_in] if route.is_public else signed_in


def _parameters(route: Route, schemas: Schemas) -> list[Document]:
    found = [_parameter(path.field, "path", schemas) for path in route.path_fields]
    found += [_parameter(field, "query", schemas) for field in _query_fields(route)]
    names = route.method.input_type.fields_by_name
    if "request_id" in names:
        found.append(
            _header(
                "Idempotency-Key",
                "Fills request_id: 1-255 visible ASCII characters. Another request under the same key is refused.",
                # Unlike the field it cannot be empty: that is a client which lost its key.
                {"pattern": "^[\\x21-\\x7e]+$", "maxLength": 255},
            )
        )
    if "resume_token" in names and route.is_stream:
        bound = {"maxLength": rules_of(names["resume_token"]).max_len}
        found.append(_header("Last-Event-ID", "Fills resume_token: the id of the last event received.", bound))
    if _is_revalidated(route):
        found.append(
            _header("If-None-Match", "The `ETag` of an earlier answer: 304 without a body where it still holds.", {})
        )
    return found


def _is_revalidated(route: Route) -> bool:
    """Tell whether answers carry an ETag: those that are the same for everybody."""
    return route.is_public and route.http_method == "GET" and not route.is_stream


def _parameter(field: FieldDescriptor, place: str, schemas: Schemas) -> Document:
    schema = schemas.field(field)
    found: Document = {"name": field.name, "in": place}
    if text := schema.pop("description", ""):
        found["description"] = text
    if place == "path" or rules_of(field).required:
        found["required"] = True
    if place == "query" and field.enum_type is not None and (prefix := enum_prefix(field.enum_type)):
        found["description"] = f"{text} `{prefix}` may be left out.".strip()
    found["schema"] = schema
    if (value := field_example(field)) is not None:
        found["example"] = value
    return found


def _header(name: str, text: str, bounds: Schema) -> Document:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string", **bounds}}


def _unbound(route: Route) -> Iterable[FieldDescriptor]:
    """Give the request's fields that are not in the path."""
    in_path = {path.name for path in route.path_fields if not path.parents}
    return [field for field in route.method.input_type.fields if field.name not in in_path]


def _query_fields(route: Route) -> list[FieldDescriptor]:
    if route.body == WHOLE:
        return []
    return [field for field in _unbound(route) if field.name != route.body and is_plain(field)]


def _body(route: Route, schemas: Schemas) -> Document:
    kind = route.method.input_type
    if route.body == WHOLE:
        fields = list(_unbound(route))
        # A field that is not known is refused: it is a mistake, or somebody's own price.
        schema: Schema = {**schemas.message(kind, fields), "additionalProperties": False}
        shown = example(kind, fields)
    else:
        part = cast("Descriptor", kind.fields_by_name[route.body].message_type)  # checked when routes are read
        schema = {**schemas.ref(part), "unevaluatedProperties": False}
        shown = example(part, part.fields)
        if route.http_method == "PATCH":
            # What is not sent stays: an example that sends everything would suggest otherwise.
            in_path = {path.name for path in route.path_fields}
            shown = dict([item for item in shown.items() if item[0] not in in_path][:PATCHED_FIELDS])
    return {"required": True, "content": {JSON: {"schema": schema, "example": shown}}}


def _answer(route: Route, schemas: Schemas) -> Document:
    kind = route.method.output_type
    ref = schemas.ref(kind)
    answer: Document = {
        "description": schemas.comments.get(kind.full_name, kind.name),
        "content": {JSON: {"schema": ref}},
    }
    if route.is_stream:
        answer["description"] += " Each event's `data` is one JSON object of this schema; comments keep the line open."
        answer["content"] = {EVENT_STREAM: {"schema": ref}}
    if _is_revalidated(route):
        answer["headers"] = {"ETag": {"description": "Strong tag of the answer.", "schema": {"type": "string"}}}
    if route.made_id_header:
        answer["headers"] = {
            route.made_id_header: {
                "description": "The id of what the call made or would have made; on refusals as well.",
                "schema": {"type": "string"},
            }
        }
    return answer


def _refusals(route: Route) -> list[int]:
    """Tell which HTTP statuses beside 200 can come, from what the route is."""
    codes = {400, 401, 429, 503, 504}
    if not route.is_public and route.access != options_pb2.ACCESS_SIGNED_IN:
        codes.add(403)
    if "{" in route.key.text:
        codes.add(404)
    if route.http_method != "GET":
        codes |= {408, 409, 413, 415}
        if route.access == options_pb2.ACCESS_SIGNED_IN:
            codes.add(410)
    if route.peek_handler:
        codes.add(402)
    return sorted(codes)


def _refusal(status: int) -> Document:
    lines = [
        f"- `{error.reason}`: {first_sentence(error.__doc__ or '')}."
        for error in all_errors()
        if error.http_status == status
    ]
    text = "\n".join([*([_TRANSPORT[status]] if status in _TRANSPORT else []), *lines])
    return {
        "description": text or f"HTTP {status}",
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _error_schema() -> Schema:
    detail: Schema = {
        "type": "object",
        "description": "google.rpc.ErrorInfo, BadRequest or RetryInfo, by its `@type`.",
        "properties": {
            "@type": {"type": "string"},
            "reason": {"type": "string", "enum": sorted({error.reason for error in all_errors()})},
            "domain": {"type": "string"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "field_violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
                },
            },
            "retry_delay": {"type": "string"},
        },
        "required": ["@type"],
    }
    error: Schema = {
        "type": "object",
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "status": {"type": "string", "description": "The gRPC code."},
            "message": {"type": "string", "description": "For people; it may change."},
            "details": {"type": "array", "items": detail},
        },
        "required": ["code", "status", "message", "details"],
    }
    return {
        "type": "object",
        "description": "A refusal. Branch on the `reason` of the first detail.",
        "properties": {"error": error},
        "required": ["error"],
    }
