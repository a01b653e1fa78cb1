"""Times in proto3 JSON are RFC 3339; protobuf's own reader also takes `2030-1-1T2:0:0Z` and `+99:99`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

# Source: RFC 3339, section 5.6; fraction as in google/protobuf/timestamp.proto, "JSON Mapping".
_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_TIMESTAMP: Final = "google.protobuf.Timestamp"


def strange_time(fields: object, message: Descriptor, above: str = "") -> str:
    """Give the path of the first text that is no RFC 3339 time where a time is meant; empty where there is none."""
    if not isinstance(fields, Mapping):
        return ""  # The parser refuses it.
    for name, inner in _with_times(message):
        value = fields.get(name)
        for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            path = f"{above}{name}" if index is None else f"{above}{name}[{index}]"
            if inner is not None:
                found = strange_time(item, inner, f"{path}.")
            else:
                found = path if isinstance(item, str) and _TIME.fullmatch(item) is None else ""
            if found:
                return found
    return ""


@functools.cache
def _with_times(message: Descriptor) -> tuple[tuple[str, Descriptor | None], ...]:
    """Give the fields that are times (None) or that may hold some, under both names that proto3 JSON reads."""
    found: list[tuple[str, Any]] = []
    for field in message.fields:
        inner = field.message_type
        if inner is None:
            continue
        if inner.full_name == _TIMESTAMP:
            found += [(name, None) for name in {field.name, field.json_name}]
        elif _may_hold_times(inner, frozenset([message.full_name])):
            found += [(name, inner) for name in {field.name, field.json_name}]
    return tuple(found)


def _may_hold_times(message: Descriptor, above: frozenset[str]) -> bool:
    if message.full_name == _TIMESTAMP:
        return True
    if message.full_name in above:
        return False
    inner = (field.message_type for field in message.fields if field.message_type is not None)
    return any(_may_hold_times(each, above | {message.full_name}) for each in inner)
