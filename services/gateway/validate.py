"""Refuses requests out of bounds, by the rules in the proto, with the same words for both doors.

Checks are compiled from descriptors once per message type. What needs state (does the seat exist?) is
the handlers' to decide.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.common.ids import ID_PATTERN
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.routes import option_of, rules_of

MAX_VIOLATIONS = 20
"""Named at most; more would not fit into the trailers that clients accept (8 kB)."""

MAX_MASK_PATHS = 100

# Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. Source: google/protobuf/timestamp.proto.
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799
_MAX_NANOS = 999_999_999
# Handlers keep microseconds, and would round what is later up to the year 10000.
_LAST_NANOS = 999_999_499

# Control characters, and the overrides that make a text show as another one.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What json_format can print and read back. Source: google/protobuf/field_mask.proto, "JSON Encoding".
_MASK_PATH = re.compile(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*(\.[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*)*")

_NOT_SET = "must be set"
_ID_WORDS = f"must match ^{ID_PATTERN.pattern}$"

Violations = dict[str, str]
_Check = Callable[[Message, str, Violations], None]
_ValueCheck = Callable[[object], str]
"""Gives what was expected, or an empty text where the value is within bounds."""

_ItemsCheck = Callable[[Iterable[Any], str, Violations], None]

_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


def violations_of(message: Message) -> Violations:
    """Give every field out of bounds by its path, such as `event.sections[2].seats_per_row`; at most 20."""
    found: Violations = {}
    for check in _checks(message.DESCRIPTOR):
        check(message, "", found)
    return found


def words_for_size(max_bytes: int) -> Violations:
    """Say that a request is too large."""
    return {"request": f"at most {max_bytes} bytes"}


@functools.cache
def _checks(descriptor: Descriptor) -> tuple[_Check, ...]:
    if descriptor.full_name == "google.protobuf.Timestamp":
        return (_check_timestamp,)
    if descriptor.full_name == "google.protobuf.FieldMask":
        return (_check_field_mask,)
    checks = [check for field in descriptor.fields if (check := _field_check(field)) is not None]
    rules: options_pb2.MessageRules = option_of(descriptor.GetOptions(), options_pb2.message_rules)
    if rules.exactly_one_of:
        checks.append(_exactly_one_of(descriptor, tuple(rules.exactly_one_of)))
    return tuple(checks)


def _note(found: Violations, path: str, words: str) -> None:
    if len(found) < MAX_VIOLATIONS:
        found.setdefault(path, words)


def _field_check(field: FieldDescriptor) -> _Check | None:
    rules = rules_of(field)
    if rules.output_only:
        return _output_only(field)
    if field.is_repeated:
        return _list_check(field, rules)
    if field.message_type is not None:
        return _message_check(field, is_required=rules.required)
    value_check = _value_check(field, rules)
    if value_check is None and not rules.required:
        return None
    return _scalar_check(field, value_check, is_required=rules.required)


def _output_only(field: FieldDescriptor) -> _Check:
    name, is_set = field.name, _presence(field)

    def check(message: Message, above: str, found: Violations) -> None:
        if is_set(message):
            _note(found, above + name, "is set by the server")

    return check


def _presence(field: FieldDescriptor) -> Callable[[Message], bool]:
    name = field.name
    if field.has_presence:
        return lambda message: message.HasField(name)
    return lambda message: bool(getattr(message, name))


def _scalar_check(field: FieldDescriptor, value_check: _ValueCheck | None, *, is_required: bool) -> _Check:
    name, has_presence = field.name, field.has_presence
    is_text = field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}

    def check(message: Message, above: str, found: Violations) -> None:
        value = getattr(message, name)
        is_set = message.HasField(name) if has_presence else bool(value)
        if not is_set:
            if is_required:
                _note(found, above + name, _NOT_SET)
            # An empty text is no text; a zero is a number.
            if has_presence or is_text:
                return
        if value_check is not None and (words := value_check(value)):
            _note(found, above + name, words)

    return check


def _message_check(field: FieldDescriptor, *, is_required: bool) -> _Check:
    name, descriptor = field.name, field.message_type

    def check(message: Message, above: str, found: Violations) -> None:
        if message.HasField(name):
            inner = getattr(message, name)
            for each in _checks(descriptor):
                each(inner, f"{above}{name}.", found)
        elif is_required:
            _note(found, above + name, _NOT_SET)

    return check


def _list_check(field: FieldDescriptor, rules: options_pb2.FieldRules) -> _Check:
    name, max_items, is_unique, is_required = field.name, rules.max_items, rules.unique, rules.required
    check_items = _items_check(field, rules)

    def check(message: Message, above: str, found: Violations) -> None:
        items = getattr(message, name)
        if not items:
            if is_required:
                _note(found, above + name, "must have at least one element")
            return
        if max_items and len(items) > max_items:
            # The elements of a list that is too long are not looked at.
            _note(found, above + name, f"at most {max_items} elements")
            return
        if is_unique and len(set(items)) != len(items):
            _note(found, above + name, "no element twice")
        check_items(items, above + name, found)

    return check


def _items_check(field: FieldDescriptor, rules: options_pb2.FieldRules) -> _ItemsCheck:
    descriptor = field.message_type
    value_check = None if descriptor is not None else _value_check(field, rules)

    def check_messages(items: Iterable[Any], path: str, found: Violations) -> None:
        checks = _checks(cast("Descriptor", descriptor))
        for index, item in enumerate(items):
            inner = f"{path}[{index}]."
            for check in checks:
                check(item, inner, found)
            if len(found) >= MAX_VIOLATIONS:
                return

    def check_values(items: Iterable[Any], path: str, found: Violations) -> None:
        for index, item in enumerate(items):
            if value_check is not None and (words := value_check(item)):
                _note(found, f"{path}[{index}]", words)

    return check_messages if descriptor is not None else check_values


def _value_check(field: FieldDescriptor, rules: options_pb2.FieldRules) -> _ValueCheck | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_check(rules)
    if field.enum_type is not None:
        numbers, words = frozenset(field.enum_type.values_by_number), f"no value of {field.enum_type.name}"
        return lambda value: "" if value in numbers else words
    if field.type in _FLOATS or rules.has_range:
        least, greatest = (rules.min, rules.max) if rules.has_range else (-math.inf, math.inf)
        return _number_check(least, greatest)
    return None


def _number_check(least: float, greatest: float) -> _ValueCheck:
    words = f"must be from {least} to {greatest}" if math.isfinite(least) else "must be a finite number"

    def check(value: object) -> str:
        # NaN is not within any bounds, and infinity not within open ones.
        is_within = isinstance(value, int | float) and math.isfinite(value) and least <= value <= greatest
        return "" if is_within else words

    return check


def _text_check(rules: options_pb2.FieldRules) -> _ValueCheck:
    pattern = ID_PATTERN if rules.id else re.compile(rules.pattern) if rules.pattern else None
    pattern_words = _ID_WORDS if rules.id else f"must be {rules.pattern_means or rules.pattern}"
    max_len, max_bytes = rules.max_len, rules.max_bytes

    def check(value: object) -> str:
        text = str(value)
        if pattern is not None and pattern.fullmatch(text) is None:
            return pattern_words
        if max_len and len(text) > max_len:
            return f"at most {max_len} characters"
        if max_bytes and len(text.encode()) > max_bytes:
            return f"at most {max_bytes} bytes"
        if pattern is None and _UNPRINTABLE.search(text):
            return "no control characters"
        return ""

    return check


def _exactly_one_of(descriptor: Descriptor, names: tuple[str, ...]) -> _Check:
    presences = [_presence(descriptor.fields_by_name[name]) for name in names]
    words = f"exactly one of {', '.join(names)} must be set"

    def check(message: Message, above: str, found: Violations) -> None:
        if sum(is_set(message) for is_set in presences) != 1:
            _note(found, above + names[0], words)

    return check


def _check_timestamp(message: Message, above: str, found: Violations) -> None:
    seconds, nanos = getattr(message, "seconds", 0), getattr(message, "nanos", 0)
    greatest = _MAX_NANOS if seconds < _LAST_SECOND else _LAST_NANOS
    if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos <= greatest):
        _note(found, above.rstrip("."), "must be a time of the years 0001 to 9999")


def _check_field_mask(message: Message, above: str, found: Violations) -> None:
    paths = getattr(message, "paths", ())
    if len(paths) > MAX_MASK_PATHS or not all(_MASK_PATH.fullmatch(path) for path in paths):
        _note(found, above.rstrip("."), f"at most {MAX_MASK_PATHS} names of fields, comma-separated")
