"""Writes what is made from charts/nexus/values.yaml: values.schema.json and README.md. `chart_docs.py [--check]`.

Above each value of the file stands what it is for, and where the default does not show its form, a JSON schema:

    # -- How many pods.
    # @schema {"minimum": 1}
    replicas: 2

A map is closed (an unknown key is refused) unless its `@schema` has `additionalProperties` or its name is one
that Kubernetes leaves to the user, such as `nodeSelector`. Own code rather than helm-docs and helm-schema: those
are two Go programs that would have to be built wherever `make check` runs, and neither refuses a value without a word.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parents[1] / "charts" / "nexus"
TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
FREE: Final = {"type": "object", "additionalProperties": True}
FREE_LIST: Final = {"type": "array", "items": {"type": "object"}}
QUANTITY: Final = {"type": ["string", "number"]}
RESOURCES: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "requests": {"type": "object", "additionalProperties": QUANTITY},
        "limits": {"type": "object", "additionalProperties": QUANTITY},
    },
}
# A form that is Kubernetes' own, by the value's name.
KNOWN: Final[Mapping[str, dict[str, Any]]] = {
    "affinity": FREE,
    "annotations": TEXTS,
    "env": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    "imagePullSecrets": {"type": "array", "items": {"type": "string", "minLength": 1}},
    "labels": TEXTS,
    "nodeSelector": TEXTS,
    "podAnnotations": TEXTS,
    "podLabels": TEXTS,
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "resources": RESOURCES,
    "tolerations": FREE_LIST,
    "topologySpreadConstraints": FREE_LIST,
}
PORT: Final = {"minimum": 1, "maximum": 65535}
TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}

_HEAD: Final = """\
# The chart `nexus`

Everything that Nexus needs on Kubernetes: Restate, the three endpoints by version, the gateway and ops. Unless
`production` is true also a payment simulator, a mail sink and keys to sign in with: the defaults are a complete trial.

```sh
helm install nexus charts/nexus --namespace nexus --create-namespace
helm test nexus --namespace nexus
```

How to run it in earnest, upgrade, roll back, rotate keys, and what each alert means:
[docs/operations.md](../../docs/operations.md).

## Values

Made from `values.yaml` by `make docs`; edit the comments there. A key that is not listed is refused, and so is a value
of another form; keys of maps marked *free* are yours.
"""


class ValuesError(Exception):
    """The file cannot be made a page of. The text names line, value and what is missing."""


@dataclass(frozen=True)
class Value:
    """A key of the file. `children` is empty for a leaf, which a free map is as well."""

    path: tuple[str, ...]
    default: Any
    text: str
    schema: Mapping[str, Any]
    children: tuple[Value, ...] = ()


def read(text: str) -> tuple[Value, ...]:
    """Read values.yaml with its comments. Raises ValuesError."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return ()
    return tuple(_children(root, yaml.safe_load(text), text.splitlines(), ()))


def schema(values: tuple[Value, ...]) -> dict[str, Any]:
    """Make the JSON schema (draft 7) of all values."""
    made = _object(values)
    # Helm hands `global` down to every chart that is a part of another.
    made["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart nexus", **made}


def page(values: tuple[Value, ...]) -> str:
    """Write the README: a table for each block, values without a block first."""
    blocks: dict[str, list[Value]] = {"": [value for value in values if not value.children]}
    text = {value.path[0]: value.text for value in values}
    blocks |= {value.path[0]: list(_leaves(value)) for value in values if value.children}
    parts = [_HEAD]
    for name, leaves in blocks.items():
        if leaves:
            parts.append(f"\n### {name}\n\n" if name else "\n")
            parts.append(f"{text[name]}\n\n" if name and text[name] else "")
            parts.append("| value | form | default | meaning |\n|---|---|---|---|\n")
            parts += [_row(leaf) for leaf in leaves]
    return "".join(parts)


def main(arguments: list[str]) -> int:
    """Write both files, or with --check tell whether they are up to date; give the exit code."""
    try:
        values = read((CHART / "values.yaml").read_text())
    except (ValuesError, yaml.YAMLError) as error:
        sys.stderr.write(f"charts/nexus/values.yaml: {error}\n")
        return 1
    files = {"values.schema.json": json.dumps(schema(values), indent=2) + "\n", "README.md": page(values)}
    stale = [name for name, text in files.items() if not _is(CHART / name, text)]
    if "--check" in arguments:
        for name in stale:
            sys.stderr.write(f"charts/nexus/{name} is not up to date: run `make docs`\n")
        return 1 if stale else 0
    for name in stale:
        (CHART / name).write_text(files[name])
    return 0


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


def _children(
    node: yaml.MappingNode, loaded: Mapping[str, Any], lines: list[str], parent: tuple[str, ...]
) -> Iterator[Value]:
    """Walk the file twice at once: `node` knows the lines, `loaded` the values."""
    for key, value in node.value:
        path, line, default = (*parent, key.value), key.start_mark.line, loaded[key.value]
        text, plain, own = _comment(lines, line, key.start_mark.column, path)
        known = KNOWN.get(key.value, {})
        form = {**known, **own} if own.get("type", known.get("type")) == known.get("type") else own
        if isinstance(default, dict) and default and not form.keys() & {"additionalProperties", "oneOf", "anyOf"}:
            yield Value(path, default, text or plain, own, tuple(_children(value, default, lines, path)))
            continue
        if not text:
            raise ValuesError(f"line {line + 1}: {'.'.join(path)} has no comment: `# -- ` and what it is for")
        yield Value(path, default, text, _form(default, form, path, line))


def _comment(lines: list[str], line: int, column: int, path: tuple[str, ...]) -> tuple[str, str, dict[str, Any]]:
    """Read the comment above a key: the words after `--`, those without, and the schema in it."""
    above: list[str] = []
    plain: list[str] = []
    while line > 0 and lines[line - 1].startswith(" " * column + "#"):
        line -= 1
        above.insert(0, lines[line].strip().removeprefix("#").removeprefix(" "))
    own: dict[str, Any] = {}
    words: list[str] = []
    for text in above:
        if text.startswith("@schema"):
            try:
                own |= json.loads(text.removeprefix("@schema"))
            except json.JSONDecodeError as error:
                raise ValuesError(f"{'.'.join(path)}: what stands after @schema is not JSON: {error}") from error
        elif text.startswith("-- "):
            words = [text.removeprefix("-- ").strip()]
        elif words:
            words.append(text.strip())
        else:
            plain.append(text.strip())
    return " ".join(filter(None, words)), " ".join(filter(None, plain)), own


def _form(default: Any, form: dict[str, Any], path: tuple[str, ...], line: int) -> dict[str, Any]:
    """Complete a leaf's schema with what its default shows."""
    if form.keys() & {"type", "enum", "oneOf", "anyOf"}:
        return form
    kind = TYPES.get(type(default))
    if kind is None or (kind in ("object", "array") and not (default or "items" in form)):
        raise ValuesError(
            f"line {line + 1}: {'.'.join(path)}: the default does not show its form: add `# @schema` and a JSON schema"
        )
    if kind == "integer":
        return {"type": kind, **(PORT if path[-1].lower().endswith("port") else {"minimum": 0}), **form}
    if kind == "array" and "items" not in form:
        kinds = sorted({TYPES[type(item)] for item in default})
        return {"type": kind, "items": {"type": kinds[0] if len(kinds) == 1 else kinds}, **form}
    return {"type": kind, **form}


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    properties = {}
    for value in values:
        made = {**(_object(value.children) if value.children else {}), **value.schema}
        properties[value.path[-1]] = {"description": value.text, **made} if value.text else made
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _leaves(value: Value) -> Iterator[Value]:
    if not value.children:
        yield value
    for child in value.children:
        yield from _leaves(child)


def _row(value: Value) -> str:
    default = json.dumps(value.default, ensure_ascii=False)
    cells = (f"`{'.'.join(value.path)}`", _kind(value.schema), f"`{default}`", value.text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _kind(form: Mapping[str, Any]) -> str:
    """Say in words what a value may be."""
    if "enum" in form:
        return " or ".join(f"`{json.dumps(item).strip(chr(34))}`" if item != "" else "empty" for item in form["enum"])
    if "oneOf" in form or "anyOf" in form:
        return " or ".join(_kind(item) for item in form.get("oneOf", form.get("anyOf", ())))
    kinds = form.get("type", "any")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    low, high = form.get("minimum"), form.get("maximum")
    if low is not None and high is not None:
        return f"{words} {low}-{high}"
    if low is not None and low > 0:
        return f"{words} from {low}"
    if form.get("additionalProperties") not in (None, False):
        return "free map"
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
