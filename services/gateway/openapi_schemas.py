"""JSON Schemas (2020-12, as OpenAPI 3.1 has them) of the proto's messages, with bounds and examples from its rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from services.common.ids import ID_PATTERN
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.routes import option_of, rules_of

Schema = dict[str, Any]

MAX_ID_LENGTH = 64

_INTEGER: Schema = {"type": "integer", "format": "int32"}
_NUMBER: Schema = {"type": "number", "format": "double"}
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: _INTEGER,
    FieldDescriptor.TYPE_UINT32: _INTEGER,
    FieldDescriptor.TYPE_SINT32: _INTEGER,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_UINT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_DOUBLE: _NUMBER,
    FieldDescriptor.TYPE_FLOAT: _NUMBER,
}
_NUMBERS = {number for number, schema in _SCALARS.items() if schema in (_INTEGER, _NUMBER)}
"""Types whose bounds JSON Schema can say: those that are printed as numbers."""

# How proto3 JSON prints the well-known types that the contract uses.
# Source: https://protobuf.dev/programming-guides/json/
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Comma-separated names of fields."},
}


class Schemas:
    """The schemas that a document refers to, collected while they are asked for."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self.comments = comments
        self.found: dict[str, Schema] = {}

    def ref(self, kind: Descriptor | EnumDescriptor) -> Schema:
        """Give a reference to a message or an enum, and keep its schema."""
        name = _short(kind)
        if name not in self.found:
            self.found[name] = {}  # So that a message which contains itself ends here.
            if isinstance(kind, EnumDescriptor):
                self.found[name] = self._enum(kind)
            else:
                self.found[name] = self.message(kind, kind.fields)
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, kind: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
        """Describe an object that has some of a message's fields."""
        shown = list(fields)
        schema: Schema = {"type": "object", **self._described(kind.full_name)}
        if shown:
            schema["properties"] = {field.name: self.field(field) for field in shown}
        required = [field.name for field in shown if rules_of(field).required]
        if required:
            schema["required"] = required
        one_of = exactly_one_of(kind)
        if one_of and {field.name for field in shown}.issuperset(one_of):
            schema["oneOf"] = [{"required": [name]} for name in one_of]
        return schema

    def field(self, field: FieldDescriptor) -> Schema:
        """Describe a field's value."""
        rules = rules_of(field)
        value = self._value(field, rules)
        if field.is_repeated:
            schema: Schema = {"type": "array", "items": value}
            if rules.required:
                schema["minItems"] = 1
            if rules.max_items:
                schema["maxItems"] = rules.max_items
            if rules.unique:
                schema["uniqueItems"] = True
        else:
            schema = value
        schema |= self._described(field.full_name)
        if rules.output_only:
            schema["readOnly"] = True
        if rules.example:
            schema["examples"] = [json.loads(rules.example)]
        return schema

    def _value(self, field: FieldDescriptor, rules: options_pb2.FieldRules) -> Schema:
        if field.message_type is not None and field.message_type.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[field.message_type.full_name])
        kind = field.message_type or field.enum_type
        if kind is not None:
            return self.ref(kind)
        if field.type == FieldDescriptor.TYPE_STRING:
            return _text(rules, may_be_empty=not (rules.required or field.is_repeated))
        if field.type not in _SCALARS:
            raise ValueError(f"{field.full_name}: no schema for this type")
        return {**_SCALARS[field.type], **(_range(rules) if field.type in _NUMBERS else {})}

    def _enum(self, kind: EnumDescriptor) -> Schema:
        text = self.comments.get(kind.full_name, "")
        lines = [
            f"- `{value.name}`: {self.comments.get(f'{kind.full_name}.{value.name}', '')}" for value in kind.values
        ]
        return {
            "type": "string",
            "description": "\n".join([text, "", *lines]).strip(),
            "enum": [value.name for value in kind.values],
        }

    def _described(self, full_name: str) -> Schema:
        text = self.comments.get(full_name)
        return {"description": text} if text else {}


def example(kind: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
    """Put an example of an object together from those of its fields; of alternatives the first that has one."""
    made: Schema = {}
    taken = False
    alternatives = exactly_one_of(kind)
    for field in fields:
        value = field_example(field)
        if value is None or (taken and field.name in alternatives):
            continue
        taken = taken or field.name in alternatives
        made[field.name] = value
    return made


def field_example(field: FieldDescriptor) -> Any:
    """Give an example of a field's value, None where the proto has none."""
    rules = rules_of(field)
    if rules.example:
        return json.loads(rules.example)
    if field.message_type is None or rules.output_only or field.message_type.full_name in _WELL_KNOWN:
        return None
    inner = example(field.message_type, field.message_type.fields)
    if not inner:
        return None
    return [inner] if field.is_repeated else inner


def exactly_one_of(kind: Descriptor) -> list[str]:
    """Give the fields of which a message must have exactly one; empty where there is no such rule."""
    rules: options_pb2.MessageRules = option_of(kind.GetOptions(), options_pb2.message_rules)
    return list(rules.exactly_one_of)


def is_plain(field: FieldDescriptor) -> bool:
    """Tell whether a field can be written into a query."""
    return field.message_type is None or field.message_type.full_name in _WELL_KNOWN


def _short(kind: Descriptor | EnumDescriptor) -> str:
    package: str = kind.file.package
    return kind.full_name.removeprefix(f"{package}.")


def _text(rules: options_pb2.FieldRules, *, may_be_empty: bool) -> Schema:
    """Describe a text. `may_be_empty`: an empty one is one that is not set, in requests and in answers."""
    schema: Schema = {"type": "string"}
    left_out = "?" if may_be_empty else ""
    if rules.id:
        schema |= {"pattern": f"^(?:{ID_PATTERN.pattern}){left_out}$", "maxLength": MAX_ID_LENGTH}
    elif rules.pattern:
        schema["pattern"] = f"^(?:{rules.pattern}){left_out}$"
    if rules.required and not rules.id:
        schema["minLength"] = 1
    if rules.max_len:
        schema["maxLength"] = rules.max_len
    return schema


def _range(rules: options_pb2.FieldRules) -> Schema:
    return {"minimum": rules.min, "maximum": rules.max} if rules.has_range else {}
