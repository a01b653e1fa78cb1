"""Between proto messages and the JSON of handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from services.common.errors import InternalError


def to_json(message: Message) -> dict[str, Any]:
    """Print a message as proto3 JSON under its proto field names, without fields that are not set."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def from_json(response: Mapping[str, Any], kind: type[Message]) -> Message:
    """Read a handler's response. Fields that this version does not know yet are left out."""
    try:
        return json_format.ParseDict(dict(response), kind(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise InternalError(f"a handler's answer is no {kind.DESCRIPTOR.name}") from error


def first_answer(request: Message, kind: type[Message]) -> Message:
    """Show what was submitted but has not begun: the request's own fields, every state at its first value."""
    response = kind()
    for own in response.DESCRIPTOR.fields:
        asked = request.DESCRIPTOR.fields_by_name.get(own.name)
        if asked is not None and asked.type == own.type and not own.is_repeated and own.message_type is None:
            setattr(response, own.name, getattr(request, own.name))
        elif own.enum_type is not None and not own.is_repeated:
            setattr(response, own.name, own.enum_type.values[1].number)
        elif own.message_type is not None and not own.is_repeated:
            for inner in own.message_type.fields:
                if inner.enum_type is not None and not inner.is_repeated:
                    setattr(getattr(response, own.name), inner.name, inner.enum_type.values[1].number)
    return response
