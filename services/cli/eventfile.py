"""Event files: our own form, in the fields of nexus.v1.Event, checked as the server would, with the place of a mistake.

The rules are not here: they are the proto's (`services.gateway.validate`) and the domain's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.errors import FileError, Problem
from services.cli.filetree import Node, place, read
from services.cli.pretix import PLAN_FIELDS, event_of_plan
from services.common.errors import InvalidRequestError
from services.gateway.gen.nexus.v1 import event_pb2
from services.gateway.routes import rules_of
from services.gateway.validate import violations_of
from services.seatmap.domain_event import REQUIRED
from services.seatmap.domain_layout import MAX_SEATS, build

MAX_PROBLEMS: Final = 20
"""Named at most: a wrong habit need not be told for each of 50,000 seats."""

_WORDS: Final = (
    ("must be set", "a value; it is missing"),
    ("must have ", ""),
    ("must be ", ""),
    ("must match ", "something that matches "),
    ("is set by the server", "nothing: the server sets it"),
    ("used once", "an id of its own"),
)
_NUMBER: Final = re.compile(r"-?[0-9]+")
_INTEGERS: Final = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64}
_BITS: Final = {FieldDescriptor.TYPE_INT32: 31, FieldDescriptor.TYPE_INT64: 63}


def read_event(file: Path, prices: Path | None = None) -> event_pb2.Event:
    """Read an event file, or a seating plan of pretix with the price list beside it.

    Raises FileError naming each mistake (the first 20) with its place.
    """
    root = read(file)
    if not root.is_map:
        raise FileError(
            str(file), [Problem(place(root, ""), f"expected a map of an event's fields, found {root.kind}")]
        )
    if PLAN_FIELDS & root.value.keys() or (prices is not None and "sections" not in root.value):
        root = event_of_plan(file, root, _price_list(file, prices))
    elif prices is not None:
        raise FileError(str(file), [Problem("", "expected a seating plan of pretix: an event file has its own prices")])
    return _event_of(str(file), root)


def create_request(event: event_pb2.Event) -> event_pb2.CreateEventRequest:
    """Make the request that creates an event."""
    return event_pb2.CreateEventRequest(event=event)


def seat_count(event: event_pb2.Event) -> int:
    """Count the seats of an event, those to be made included."""
    return sum(
        section.row_count * section.seats_per_row or sum(len(row.seats) for row in section.rows)
        for section in event.sections
    )


def _price_list(plan: Path, prices: Path | None) -> tuple[Path, Node]:
    if prices is None:
        prices = next(
            (found for suffix in (".yaml", ".yml") if (found := plan.with_suffix(f".prices{suffix}")).exists()), None
        )
    if prices is None:
        beside = plan.with_suffix(".prices.yaml")
        raise FileError(
            str(plan), [Problem("", f"expected the prices of this seating plan in {beside}, or --prices FILE")]
        )
    return prices, read(prices)


def _event_of(name: str, root: Node) -> event_pb2.Event:
    problems: list[Problem] = []
    event = event_pb2.Event()
    _Filler(root, problems).fill(event, root, "")
    if not problems:
        problems = [Problem(_place(root, path), f"expected {_words(words)}") for path, words in _mistakes(event, root)]
    if problems:
        raise FileError(name, problems[:MAX_PROBLEMS])
    return event


def _mistakes(event: event_pb2.Event, root: Node) -> list[tuple[str, str]]:
    """Give what the server would refuse, by path."""
    missing = [(f"event.{field}", "a value; it is missing") for field in REQUIRED if not _is_set(event, field)]
    if missing:
        return missing
    seats = seat_count(event)
    if seats > MAX_SEATS:
        return [("event.sections", f"at most {MAX_SEATS:,} seats; there are {seats:,}")]
    found = list(violations_of(create_request(event)).items())
    if found:
        return found
    twins = _twins([category.category_id for category in event.price_categories])
    found = [
        (f"event.price_categories[{at}].category_id", f"an id of its own; {it} is there twice") for at, it in twins
    ]
    if event.HasField("sale_starts_at") and event.HasField("sale_ends_at"):
        begins, ends = event.sale_starts_at.ToDatetime(), event.sale_ends_at.ToDatetime()
        if ends <= begins:
            found.append(("event.sale_ends_at", "a time later than sale_starts_at"))
    known = [category.category_id for category in event.price_categories]
    try:
        # The messages have the shape that the domain asks for; coordinates that are unset are finite zeros.
        build(list(event.sections), set(known))
    except InvalidRequestError as error:
        words = {"one of price_categories": f"one of price_categories ({', '.join(known)})"}
        found += [(path, _found(root, path, words.get(text, text))) for path, text in error.violations.items()]
    return found


def _found(root: Node, path: str, expected: str) -> str:
    """Add what stands at the path to what was expected there."""
    node: Any = root
    for part in re.findall(r"[a-z_]+|\[[0-9]+\]", path.removeprefix("event.")):
        inner = node.value
        node = (
            inner[int(part[1:-1])] if isinstance(inner, list) else inner.get(part) if isinstance(inner, dict) else None
        )
        if node is None:
            return expected
    return f"{expected}, found {node.kind}" if "twice" not in expected and node.text else expected


def _twins(ids: list[str]) -> list[tuple[int, str]]:
    return [(index, it) for index, it in enumerate(ids) if it in ids[:index]]


def _is_set(event: event_pb2.Event, field: str) -> bool:
    return event.HasField("starts_at") if field == "starts_at" else bool(getattr(event, field))


def _place(root: Node, path: str) -> str:
    return place(root, path.removeprefix("event").removeprefix("."))


def _words(words: str) -> str:
    """Turn the server's words (`must be set`, `used once; ...`) into what stands after "expected"."""
    for begin, better in _WORDS:
        if words.startswith(begin):
            return better + words.removeprefix(begin)
    return words


class _Filler:
    """Fills messages from a tree, field by field, and notes what does not fit."""

    def __init__(self, root: Node, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems

    def fill(self, message: Message, node: Node, path: str) -> None:
        """Fill the fields of a message from a map."""
        fields: Mapping[str, Any] = message.DESCRIPTOR.fields_by_name
        above = f"{path}." if path else ""
        for name, value in node.value.items():
            inner = above + name
            if len(self._problems) >= MAX_PROBLEMS:
                return
            if name not in fields:
                self._note(inner, _unknown(name, fields))
            elif value.value is not None:
                self._set(message, fields[name], value, inner)

    def _set(self, message: Message, field: FieldDescriptor, node: Node, path: str) -> None:
        if field.is_repeated:
            if not isinstance(node.value, list):
                self._note(path, f"expected a list, found {node.kind}")
                return
            items = getattr(message, field.name)
            for index, item in enumerate(node.value):
                self._fill_inner(items.add(), item, f"{path}[{index}]")
        elif field.message_type is not None:
            self._fill_inner(getattr(message, field.name), node, path)
        else:
            value = _scalar(field, node)
            if value is None:
                self._note(path, f"expected {_kind(field)}, found {node.kind}")
            else:
                setattr(message, field.name, value)

    def _fill_inner(self, message: Message, node: Node, path: str) -> None:
        if isinstance(message, Timestamp):
            try:
                message.FromJsonString(str(node.text))
            except ValueError:
                self._note(path, f"expected a time such as 2030-01-01T20:00:00Z, found {node.kind}")
        elif node.is_map:
            self.fill(message, node, path)
        else:
            fields = ", ".join(field.name for field in _fields(message) if not rules_of(field).output_only)
            self._note(path, f"expected a map with {fields}, found {node.kind}")

    def _note(self, path: str, expected: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(place(self._root, path), expected))


def _unknown(name: str, fields: Mapping[str, Any]) -> str:
    """Say what an unknown field might have been: a misspelt one, or one that belongs a level deeper."""
    deeper = next(
        (field.name for field in fields.values() if field.message_type and name in field.message_type.fields_by_name),
        "",
    )
    if deeper:
        return f"expected {name} inside {deeper}, not here"
    known = [field.name for field in fields.values() if not rules_of(field).output_only]
    close = get_close_matches(name, known, 1)
    return f"unknown field; expected {close[0] if close else 'one of ' + ', '.join(known)}"


def _kind(field: FieldDescriptor) -> str:
    return (
        "a text"
        if field.type == FieldDescriptor.TYPE_STRING
        else "a whole number"
        if field.type in _INTEGERS
        else "a number"
    )


def _text(node: Node) -> str | None:
    # As it was written: `row_id: 1` is "1", and `section_id: NO` is "NO".
    return node.text if not isinstance(node.value, dict | list) else None


def _integer(bits: int) -> Callable[[Node], int | None]:
    def read_integer(node: Node) -> int | None:
        is_number = not isinstance(node.value, dict | list | bool) and _NUMBER.fullmatch(node.text) is not None
        value = int(node.text) if is_number and len(node.text) < bits else None
        return value if value is not None and -(2**bits) <= value < 2**bits else None

    return read_integer


def _scalar(field: FieldDescriptor, node: Node) -> Any:
    """Read a scalar as its field wants it; None where it does not fit."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(node)
    if field.type in _INTEGERS:
        return _integer(_BITS[field.type])(node)
    if field.enum_type is not None:
        # Every enum of an event is set by the server, which the rules say.
        return field.enum_type.values[-1].number
    return float(node.value) if isinstance(node.value, int | float) and not isinstance(node.value, bool) else None


def _fields(message: Message) -> list[FieldDescriptor]:
    fields: Any = message.DESCRIPTOR.fields
    return list(fields)
