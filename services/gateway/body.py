"""Strict JSON and query parameters to a request message. What one client's parser reads otherwise is refused."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, cast
from urllib.parse import parse_qsl, unquote_to_bytes

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from services.common.errors import InvalidRequestError
from services.gateway.routes import Route, enum_prefix
from services.gateway.times import strange_time

MAX_PARAMETERS = 50
MAX_PATH = 200
MAX_NAME = 100
"""Characters of a client's name that an error repeats."""

BODY = "body"

_FAILED = re.compile(r"(?:Failed to parse \w+ field: )+")
_FIELD = re.compile(r"parse (\w+) field")
_UNKNOWN = re.compile(r'has no field named "([^"]*)"')
_BOOLEANS = {"true": True, "false": False}

Json = dict[str, Any]


class _StrangeJsonError(ValueError):
    """JSON that is read differently by different parsers."""


def read_json(content: bytes) -> Json:
    """Read a JSON object: UTF-8 without BOM, no name twice, finite numbers. Empty content is `{}`.

    Raises InvalidRequestError.
    """
    if not content:
        return {}
    if content.startswith(codecs.BOM_UTF8):
        raise InvalidRequestError({BODY: "no byte order mark"})
    try:
        text = content.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _StrangeJsonError as error:
        raise InvalidRequestError({BODY: str(error)}) from error
    except UnicodeDecodeError as error:
        raise InvalidRequestError({BODY: "must be UTF-8"}) from error
    except RecursionError as error:
        raise InvalidRequestError({BODY: "nested too deeply"}) from error
    except ValueError as error:
        raise InvalidRequestError({BODY: "must be JSON"}) from error
    if not isinstance(value, dict):
        raise InvalidRequestError({BODY: "must be a JSON object"})
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    # proto3 JSON reads seat_ids and seatIds as the same field.
    if len({name.replace("_", "").lower() for name, _ in pairs}) != len(pairs):
        raise _StrangeJsonError("no name twice in an object")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise _StrangeJsonError(f"{name} is no JSON number")


def to_message(route: Route, fields: Json, body: Json, path_values: list[str]) -> Message:
    """Build the request of path, query and body. `path_values`: percent-encoded, in the template's order.

    Raises InvalidRequestError; the words never repeat a value, which may be personal.
    """
    request = route.request_class()
    target: Message = request
    if route.body and route.body != "*":
        target = getattr(request, route.body)
        target.SetInParent()
    _parse(body, target, f"{route.body}." if target is not request else "")
    if fields:
        _parse(fields, request, "")
    for path, encoded in zip(route.path_fields, path_values, strict=True):
        try:
            value = unquote_to_bytes(encoded).decode()
            given = path.get(request)
            path.set(request, value)
        except ValueError as error:
            raise InvalidRequestError({path.text: "must be UTF-8"}) from error
        if given not in ("", value):
            raise InvalidRequestError({path.text: "must equal the one in the path"})
    return request


def _parse(fields: Json, target: Message, above: str) -> None:
    strange = strange_time(fields, cast("Descriptor", target.DESCRIPTOR))
    if strange:
        raise InvalidRequestError({above + strange: "must be a time in RFC 3339 with a zone"})
    try:
        json_format.ParseDict(fields, target)
    except json_format.ParseError as error:
        raise InvalidRequestError(_words(str(error), target, above)) from error
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError) as error:
        raise InvalidRequestError({above.rstrip(".") or BODY: "has a value of the wrong type or form"}) from error


def _words(text: str, target: Message, above: str) -> dict[str, str]:
    """Name the field that json_format could not read, without the value that its text may hold."""
    unknown = _UNKNOWN.search(text)
    place = re.search(rf'\bat "?{target.DESCRIPTOR.name}((?:\.\w+(?:\[\d+\])?)*)', text)
    steps = _FAILED.match(text)
    path = ".".join(_FIELD.findall(steps[0])) if steps else ""
    if place is not None and place[1]:
        path = place[1][1:]
    if unknown is not None:
        within = f"{place[1][1:]}." if place is not None and place[1] else ""
        return {f"{above}{within}{unknown[1][:MAX_NAME]}": "there is no such field"}
    return {(above + path).rstrip(".")[:MAX_PATH] or BODY: "has a value of the wrong type or form"}


def read_query(query: bytes, route: Route) -> Json:
    """Read query parameters as proto3 JSON. Raises InvalidRequestError for unknown and repeated ones."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidRequestError({"query": "must be name=value pairs in UTF-8"}) from error
    fields: Json = {}
    taken = {path.text for path in route.path_fields}
    for name, text in pairs:
        if route.body == "*" or name in taken or name.split(".")[0] == route.body:
            raise InvalidRequestError({name[:MAX_NAME]: "is no query parameter here"})
        _put(fields, route.request_class.DESCRIPTOR, name, text)
    return fields


def _put(fields: Json, message: Any, name: str, text: str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        inner = message.fields_by_name.get(parent)
        if inner is None or inner.message_type is None or inner.is_repeated:
            raise InvalidRequestError({name[:MAX_NAME]: "there is no such query parameter"})
        message = inner.message_type
        fields = fields.setdefault(parent, {})
    field = message.fields_by_name.get(last)
    if field is None or (field.message_type is not None and not _is_text(field.message_type)):
        raise InvalidRequestError({name[:MAX_NAME]: "there is no such query parameter"})
    value = _value(field, text)
    if field.is_repeated:
        fields.setdefault(last, []).append(value)
    elif last in fields:
        raise InvalidRequestError({name: "must be given once"})
    else:
        fields[last] = value


def _is_text(message: Descriptor) -> bool:
    return message.full_name in {"google.protobuf.Timestamp", "google.protobuf.FieldMask"}


def _value(field: FieldDescriptor, text: str) -> object:
    if field.type == FieldDescriptor.TYPE_BOOL:
        # Anything else stays a text, which the parser refuses.
        return _BOOLEANS.get(text, text)
    if field.enum_type is not None and text.isdecimal() and text.isascii():
        return int(text[:10])
    if field.enum_type is not None:
        return _enum_name(field, text)
    return text


def _enum_name(field: FieldDescriptor, text: str) -> str:
    """Give the full name of an enum value that may be written without its prefix."""
    names = cast("EnumDescriptor", field.enum_type).values_by_name
    prefix = enum_prefix(cast("EnumDescriptor", field.enum_type))
    for name in (text, prefix + text):
        if name in names:
            return name
    allowed = ", ".join(name.removeprefix(prefix) for name in names)
    raise InvalidRequestError(
        {field.name: f"must be one of {allowed}" + (f", with or without {prefix} before it" if prefix else "")}
    )


def print_json(message: Message) -> bytes:
    """Print an answer: proto3 JSON under proto field names, fields without presence always there."""
    fields: Mapping[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
