"""Seating plans of pretix, as its public JSON schema describes them, with a price list beside them.

Source: pretix, src/pretix/static/seating/seating-plan.schema.json. What its editor adds for itself (colours, areas,
sizes) is passed over. Positions are relative: a seat's to its row's, a row's to its zone's.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from services.cli.errors import FileError, Problem
from services.cli.filetree import Node, place
from services.common.ids import is_id

PLAN_FIELDS: Final = {"zones", "categories"}
PRICES: Final = "prices"
MAX_PROBLEMS: Final = 20
_SLUG_CHARACTERS: Final = 40


def event_of_plan(file: Path, plan: Node, price_list: tuple[Path, Node]) -> Node:
    """Make the tree of an event of our own form; each part remembers where the plan has it.

    Ids: a name that is an id of ours stays as it is, another one becomes a made id, always the same one for the same
    name. Raises FileError naming each mistake in the plan or in the price list.
    """
    problems: list[Problem] = []
    found = _Plan(plan, problems)
    categories = found.categories()
    if problems and not categories:
        # Without any, each seat's would be a mistake too.
        raise FileError(str(file), problems)
    sections = found.sections(categories)
    if problems:
        raise FileError(str(file), problems[:MAX_PROBLEMS])
    prices_file, prices = price_list
    event = _terms(prices_file, prices)
    used = {seat.value["category_id"].text for section in sections for seat in _seats(section)}
    event["price_categories"] = _priced(
        prices_file, prices, {name: it for name, it in categories.items() if it in used}
    )
    event["sections"] = Node(sections, origin="zones")
    event.setdefault("title", _text(plan.value["name"].text if "name" in plan.value else "", "name"))
    return Node(event, origin=prices_file.name)


def id_of(name: str, prefix: str) -> str:
    """Give the id of ours for a name of theirs: the name itself where it may be one, else made of it."""
    if is_id(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    # Without its accents a name is still read as what it was.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub("[^A-Za-z0-9]+", "-", plain).strip("-")[:_SLUG_CHARACTERS].strip("-")
    return f"{slug or prefix}-{digest[:8]}"


def _seats(section: Node) -> Iterator[Node]:
    for row in section.value["rows"].value:
        yield from row.value["seats"].value


def _text(text: str, origin: str) -> Node:
    return Node(text, text=text, origin=origin)


class _Plan:
    """Reads a plan and notes what is wrong with it."""

    def __init__(self, plan: Node, problems: list[Problem]) -> None:
        self._plan = plan
        self._problems = problems
        self._guids: dict[str, str] = {}

    def categories(self) -> dict[str, str]:
        """Give the id of each category by its name."""
        found: dict[str, str] = {}
        for path, category in self._each(self._plan, "categories", ""):
            name = self._name(category, "name", path)
            if name in found:
                self._note(f"{path}.name", f"expected a name of its own; {name!r} is there twice")
            elif name:
                found[name] = id_of(name, "category")
        return found

    def sections(self, categories: dict[str, str]) -> list[Node]:
        """Make a section of each zone that has seats."""
        sections: list[Node] = []
        taken: set[str] = set()
        for path, zone in self._each(self._plan, "zones", ""):
            name = zone.value["name"].text if zone.is_map and "name" in zone.value else f"Zone {path[6:-1]}"
            rows = self._rows(zone, path, categories)
            if rows:
                fields = {
                    "section_id": _text(_free(id_of(name, "zone"), taken), path),
                    "title": _text(name[:100], path),
                    "rows": Node(rows, origin=path),
                }
                sections.append(Node(fields, origin=path))
        if not sections and not self._problems:
            self._note("zones", "expected at least one seat")
        return sections

    def _rows(self, zone: Node, path: str, categories: dict[str, str]) -> list[Node]:
        rows: list[Node] = []
        taken: set[str] = set()
        left, top = self._position(zone, path, is_needed=True)
        for row_path, row in self._each(zone, "rows", path):
            number = self._name(row, "row_number", row_path)
            row_left, row_top = self._position(row, row_path, is_needed=False)
            at = (left + row_left, top + row_top)
            seats = [self._seat(seat, it, at, categories) for it, seat in self._each(row, "seats", row_path)]
            if seats:
                row_id = _text(_free(id_of(number, "row"), taken), row_path)
                rows.append(Node({"row_id": row_id, "seats": Node(seats, origin=row_path)}, origin=row_path))
        return rows

    def _seat(self, seat: Node, path: str, at: tuple[float, float], categories: dict[str, str]) -> Node:
        guid = self._name(seat, "seat_guid", path)
        if guid in self._guids:
            self._note(f"{path}.seat_guid", f"expected a guid of its own; {guid!r} is also at {self._guids[guid]}")
        elif guid:
            self._guids[guid] = path
        category = self._name(seat, "category", path)
        if category and category not in categories:
            known = ", ".join(categories) or "none"
            self._note(f"{path}.category", f"expected one of the plan's categories ({known}), found {category!r}")
        left, top = self._position(seat, path, is_needed=True)
        x, y = at[0] + left, at[1] + top
        fields = {
            "seat_id": _text(id_of(guid, "seat"), path),
            "category_id": _text(categories.get(category, ""), path),
            "x": Node(x, text=str(x), origin=path),
            "y": Node(y, text=str(y), origin=path),
        }
        return Node(fields, origin=path)

    def _each(self, node: Node, name: str, path: str) -> list[tuple[str, Node]]:
        """List the elements of a list with their paths; a missing list is a mistake."""
        above = f"{path}.{name}" if path else name
        found = node.value.get(name) if node.is_map else None
        if found is None or not isinstance(found.value, list):
            self._note(above, "expected a list" + (f", found {found.kind}" if found is not None else "; it is missing"))
            return []
        if not found.value and not path:
            self._note(above, "expected at least one element")
        return [(f"{above}[{index}]", inner) for index, inner in enumerate(found.value)]

    def _name(self, node: Node, name: str, path: str) -> str:
        found = node.value.get(name) if node.is_map else None
        if found is None or isinstance(found.value, dict | list) or not found.text or found.value is None:
            self._note(f"{path}.{name}", "expected a text" + (f", found {found.kind}" if found else "; it is missing"))
            return ""
        return str(found.text)

    def _position(self, node: Node, path: str, *, is_needed: bool) -> tuple[float, float]:
        found = node.value.get("position") if node.is_map else None
        if found is None and not is_needed:
            return 0.0, 0.0
        values = [found.value[axis].value for axis in "xy" if axis in found.value] if found and found.is_map else []
        if len(values) != len("xy") or not all(
            isinstance(it, int | float) and not isinstance(it, bool) for it in values
        ):
            self._note(f"{path}.position", "expected a map with the numbers x and y")
            return 0.0, 0.0
        return float(values[0]), float(values[1])

    def _note(self, path: str, expected: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(place(self._plan, path), expected))


def _free(wanted: str, taken: set[str]) -> str:
    """Give an id that is not taken: pretix may name two rows alike, as on both sides of an aisle."""
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted[:_SLUG_CHARACTERS]}-{number}"
    taken.add(found)
    return found


def _terms(file: Path, prices: Node) -> dict[str, Node]:
    """Give the event's own fields: all of the price list but the prices and the layout."""
    if not prices.is_map:
        raise FileError(str(file), [Problem(place(prices, ""), f"expected a map with prices, found {prices.kind}")])
    strange = [
        Problem(place(prices, name), "expected nothing: the plan has it")
        for name in ("sections", "price_categories")
        if name in prices.value
    ]
    if strange:
        raise FileError(str(file), strange)
    return {
        name: Node(value.value, value.line, value.text, _origin(file, value, name))
        for name, value in prices.value.items()
        if name != PRICES
    }


def _origin(file: Path, node: Node, path: str) -> str:
    return f"{file.name}: line {node.line}: {path}" if node.line else f"{file.name}: {path}"


def _priced(file: Path, prices: Node, categories: dict[str, str]) -> Node:
    """Make the price categories: every category that has seats needs its price."""
    found: Any = prices.value.get(PRICES)
    if found is None or not found.is_map:
        words = f"expected a map of category to amount_minor, for {', '.join(categories)}"
        raise FileError(str(file), [Problem(place(prices, PRICES), words)])
    problems = [
        Problem(place(prices, PRICES), f"expected the price of the category {name!r}, which has seats")
        for name in categories
        if name not in found.value
    ]
    problems += [
        Problem(
            ": ".join(filter(None, (f"line {node.line}" if node.line else "", f"{PRICES}.{name}"))),
            f"expected a category of the plan that has seats ({', '.join(categories)})",
        )
        for name, node in found.value.items()
        if name not in categories
    ]
    if problems:
        raise FileError(str(file), problems[:MAX_PROBLEMS])
    listed = []
    for name, category_id in categories.items():
        amount = found.value[name]
        origin = _origin(file, amount, f"{PRICES}.{name}")
        fields = {
            "category_id": _text(category_id, origin),
            "title": _text(name[:100], origin),
            "amount_minor": Node(amount.value, text=amount.text, origin=origin),
        }
        listed.append(Node(fields, origin=origin))
    return Node(listed)
