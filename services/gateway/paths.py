"""HTTP path templates of google.api.http and the table that finds a route by method and path.

Only what the contract uses: whole segments that are literal or `{field}`, and a custom verb after a
colon. Wildcards are refused at start. Source: google/api/http.proto, "Path template syntax".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

_FIELD = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed template. `segments`: literals, or None where a field stands; `fields`: dotted names in order."""

    text: str
    segments: tuple[str | None, ...]
    fields: tuple[str, ...]
    verb: str

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Parse a template such as `/v1/events/{event_id}:publish`. Raises ValueError for anything else."""
        path, _, verb = text.partition(":")
        segments: list[str | None] = []
        fields: list[str] = []
        for part in path.split("/")[1:]:
            field = _FIELD.fullmatch(part)
            if field:
                fields.append(field[1])
            elif not _LITERAL.fullmatch(part):
                raise ValueError(f"path template {text!r}: cannot read segment {part!r}")
            segments.append(None if field else part)
        if not text.startswith("/") or (verb and not _LITERAL.fullmatch(verb)):
            raise ValueError(f"path template {text!r} cannot be read")
        return cls(text, tuple(segments), tuple(fields), verb)

    def values(self, segments: list[str]) -> list[str] | None:
        """Give the texts that stand for the fields in a path of as many segments, or None where it differs."""
        found: list[str] = []
        for own, given in zip(self.segments, segments, strict=True):
            if own is None:
                if not given:
                    return None
                found.append(given)
            elif own != given:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Match(Generic[Item]):
    """What a path leads to: one item per HTTP method, with the still percent-encoded field values."""

    by_method: dict[str, tuple[Item, list[str]]]


class PathTable(Generic[Item]):
    """Finds the templates that a path matches, by number of segments and verb."""

    def __init__(self, entries: Iterable[tuple[str, PathTemplate, Item]]) -> None:
        """Take (HTTP method, template, item). Raises ValueError where two cannot be told apart."""
        self._templates: dict[tuple[int, str], list[tuple[str, PathTemplate, Item]]] = {}
        shapes: set[tuple[str, str, tuple[str | None, ...]]] = set()
        for method, template, item in entries:
            shape = (method, template.verb, template.segments)
            if shape in shapes:
                raise ValueError(f"{method} {template.text} is taken twice")
            shapes.add(shape)
            self._templates.setdefault((len(template.segments), template.verb), []).append((method, template, item))

    def find(self, path: str) -> Match[Item] | None:
        """Match a raw path (percent-encoded, without query); empty segments match nothing."""
        segments = path.split("/")[1:]
        last, colon, verb = segments[-1].rpartition(":") if segments else ("", "", "")
        if colon:
            segments[-1] = last
        else:
            verb = ""
        found: dict[str, tuple[Item, list[str]]] = {}
        for method, template, item in self._templates.get((len(segments), verb), ()):
            values = template.values(segments)
            # A template with more literals wins over one that takes anything in that place.
            if values is not None and (method not in found or len(values) < len(found[method][1])):
                found[method] = (item, values)
        return Match(found) if found else None
