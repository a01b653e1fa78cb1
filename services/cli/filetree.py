"""YAML and JSON files as trees that remember where each value was written. What the values mean is not decided here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from services.cli.errors import FileError, Problem

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_VALUES: Final = 5_000_000
"""More than 200,000 seats have; aliases of YAML could make any number out of a small file."""

MAX_DEPTH: Final = 30
MAX_TWINS: Final = 20
MAX_DIGITS: Final = 30
"""A longer number is left as a text: none of ours is so long, and Python refuses to read some."""

_PLAIN_TAGS: Final = {"int", "float", "bool", "null", "str", "timestamp"}

# The C parser is ten times as fast, which a stadium needs; it is the same language.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """A value of a file. `text`: a scalar as it was written; `line`: 0 where the format does not tell.

    `origin`: the path of what the value was made from, where it was not in the file itself.
    """

    value: Any
    line: int = 0
    text: str = ""
    origin: str = ""

    @property
    def is_map(self) -> bool:
        """Whether it has fields."""
        return isinstance(self.value, dict)

    @property
    def kind(self) -> str:
        """Name what was written, for a person."""
        if isinstance(self.value, dict):
            return "a map"
        if isinstance(self.value, list):
            return "a list"
        return "nothing" if self.value is None else repr(self.text)[:60]


def place(root: Node, path: str) -> str:
    """Tell where the value at a path such as `sections[2].rows[0]` was written: its line where known, and the path."""
    node, rest = root, path
    line, origin = root.line, root.origin
    while rest and isinstance(node.value, dict | list):
        if isinstance(node.value, list):
            index, _, after = rest[1:].partition("]")
            found = node.value[int(index)] if index.isdigit() and int(index) < len(node.value) else None
        else:
            name = rest.split(".", 1)[0].split("[", 1)[0]
            found, after = node.value.get(name), rest[len(name) :]
        if found is None:
            break
        node, rest = found, after.removeprefix(".")
        line, origin = node.line or line, node.origin or origin
    if origin:
        return ": ".join(filter(None, (origin, rest)))
    return ": ".join(filter(None, (f"line {line}" if line else "", path)))


def read(file: Path) -> Node:
    """Read a file: JSON where its name ends so, else YAML. Raises FileError."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise FileError(str(file), [Problem("", f"expected at most {MAX_FILE_BYTES // 2**20} MB")])
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(str(file), [Problem("", error.strerror or "cannot be read")]) from None
    except UnicodeDecodeError as error:
        raise FileError(str(file), [Problem(f"byte {error.start}", "expected UTF-8 text")]) from None
    return _read_json(str(file), text) if file.suffix.lower() == ".json" else _read_yaml(str(file), text)


def _read_json(name: str, text: str) -> Node:
    def fields(pairs: list[tuple[str, Any]]) -> Node:
        found = dict(pairs)
        names = [key for key, _ in pairs]
        twin = next((key for key in names if names.count(key) > 1), "") if len(found) < len(pairs) else ""
        return Node(found, text=twin)

    try:
        # Numbers keep their text: `1.0` where an integer is meant, or more digits than a float has.
        tree = json.loads(
            text,
            object_pairs_hook=fields,
            parse_int=lambda digits: Node(int(digits) if len(digits) < MAX_DIGITS else digits, text=digits),
            parse_float=lambda digits: Node(float(digits), text=digits),
            parse_constant=lambda word: Node(float(word.replace("Infinity", "inf")), text=word),
        )
    except json.JSONDecodeError as error:
        raise FileError(name, [Problem(f"line {error.lineno}", f"expected JSON: {error.msg}")]) from None
    except RecursionError:
        raise FileError(name, [Problem("", f"expected at most {MAX_DEPTH} levels")]) from None
    problems: list[Problem] = []
    root = _wrapped(tree, "", problems)
    if problems:
        raise FileError(name, problems[:MAX_TWINS])
    return root


def _wrapped(value: Any, path: str, problems: list[Problem]) -> Node:
    """Make nodes of what json leaves bare: texts, lists, true, false, null. Notes keys that are there twice."""
    if isinstance(value, Node):
        if value.is_map:
            if value.text:
                problems.append(Problem(path, f"expected each key once; {value.text!r} is there twice"))
            above = f"{path}." if path else ""
            fields = {key: _wrapped(inner, above + key, problems) for key, inner in value.value.items()}
            return Node(fields)
        return value
    if isinstance(value, list):
        return Node([_wrapped(inner, f"{path}[{index}]", problems) for index, inner in enumerate(value)])
    return Node(value, text=value if isinstance(value, str) else json.dumps(value))


def _read_yaml(name: str, text: str) -> Node:
    try:
        tree = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        raise FileError(name, [Problem(where, f"expected YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise FileError(name, [Problem("", f"expected YAML: {' '.join(str(error).split())[:200]}")]) from None
    return _YamlTree(name).node(tree, 0) if tree is not None else Node(None, line=1)


class _YamlTree:
    """Turns the nodes of PyYAML into ours, and refuses what YAML allows and a person did not mean."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def node(self, found: yaml.Node, depth: int) -> Node:
        line = found.start_mark.line + 1
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            self._refuse(line, f"expected at most {MAX_DEPTH} levels and {MAX_VALUES:,} values")
        if isinstance(found, yaml.MappingNode):
            return Node(self._fields(found, depth), line)
        if isinstance(found, yaml.SequenceNode):
            return Node([self.node(inner, depth + 1) for inner in found.value], line)
        if isinstance(found, yaml.ScalarNode):
            return Node(self._scalar(found, line), line, found.value)
        raise TypeError(f"PyYAML made a {type(found).__name__}")

    def _fields(self, found: yaml.MappingNode, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for key, value in found.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(line, "expected a name before the colon")
            if key.value in fields:
                self._refuse(
                    line, f"expected each key once; {key.value!r} is there since line {fields[key.value].line}"
                )
            fields[key.value] = self.node(value, depth + 1)
            # Where its name stands, not where its first element does.
            fields[key.value].line = line
        return fields

    def _scalar(self, found: yaml.ScalarNode, line: int) -> Any:
        tag = str(found.tag).rpartition(":")[2]
        if tag not in _PLAIN_TAGS:
            self._refuse(line, f"expected a plain value, found the tag {found.tag}")
        try:
            if tag == "int" and len(found.value) < MAX_DIGITS:
                return int(found.value.replace("_", ""))
            if tag == "float":
                return float(found.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            # 0x1F, 1:30 and others that YAML takes for numbers.
            return str(found.value)
        if tag == "bool":
            return found.value.lower() in {"true", "yes", "on"}
        return None if tag == "null" else str(found.value)

    def _refuse(self, line: int, expected: str) -> None:
        raise FileError(self._name, [Problem(f"line {line}", expected)])
