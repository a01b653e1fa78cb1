"""The proto's comments by full name: protoc's Python drops them, /openapi.json shows them.

generate.py renders them to gen/comments.json; the running gateway reads that file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

FILE = Path("comments.json")

# Field numbers that a SourceCodeInfo path is made of, with the attribute that holds the list.
# Source: google/protobuf/descriptor.proto, SourceCodeInfo.Location.path.
_FILE = {4: "message_type", 5: "enum_type", 6: "service"}
_MESSAGE = {2: "field", 3: "nested_type", 4: "enum_type"}
_ENUM = {2: "value"}
_SERVICE = {2: "method"}
_BELOW = {"message_type": _MESSAGE, "nested_type": _MESSAGE, "enum_type": _ENUM, "service": _SERVICE}


def render(descriptors: FileDescriptorSet, package: str = "nexus.") -> str:
    """Give comments.json for the files of a package: leading comments by full name, sorted."""
    found = {
        name: text for file in descriptors.file if file.package.startswith(package) for name, text in _of_file(file)
    }
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@functools.cache
def comments() -> dict[str, str]:
    """Read the generated comments."""
    text = files("services.gateway.gen").joinpath(str(FILE)).read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def first_sentence(text: str) -> str:
    """Give the first sentence of a comment without its full stop."""
    return text.partition(". ")[0].rstrip(".")


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        if location.leading_comments:
            name = _name(file, location.path)
            if name:
                yield name, " ".join(location.leading_comments.split())


def _name(file: FileDescriptorProto, path: Iterable[int]) -> str:
    """Follow a path to the thing that it names; empty for what has no name, such as `syntax`."""
    node: Any = file
    names, below, steps = [file.package], _FILE, list(path)
    if not steps or len(steps) % 2:
        return ""
    for number, index in zip(steps[::2], steps[1::2], strict=True):
        attribute = below.get(number)
        if attribute is None:
            return ""
        node = getattr(node, attribute)[index]
        names.append(node.name)
        below = _BELOW.get(attribute, {})
    return ".".join(names)
