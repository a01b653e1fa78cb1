"""JSON of any msgspec type, as Restate's SDK wants it: one serde per type."""

from __future__ import annotations

from typing import Any

import msgspec
from restate.serde import Serde

from services.common.migrations import migrate


class JsonSerde(Serde[Any]):
    """JSON of a type. Numbers may also come as strings, as proto3 JSON writes int64."""

    def __init__(self, type_: Any) -> None:
        self.encoder = msgspec.json.Encoder()
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_, strict=False)

    def serialize(self, obj: Any) -> bytes:
        """Encode a value; None is the empty body."""
        return b"" if obj is None else self.encoder.encode(obj)

    def deserialize(self, buf: bytes) -> Any:
        """Decode a body; an empty one is `{}`."""
        return self.decoder.decode(buf or b"{}")


class _Version(msgspec.Struct):
    """The one field that every stored value has."""

    schema_version: int = 1


class StateSerde(JsonSerde):
    """JSON of a stored type, which is a dataclass with `schema_version`; older versions are migrated."""

    def __init__(self, type_: Any) -> None:
        super().__init__(type_)
        self.type = type_
        self.current: int = type_.__dataclass_fields__["schema_version"].default
        self.peek = msgspec.json.Decoder(_Version)

    def deserialize(self, buf: bytes) -> Any:
        """Decode a stored value. Raises UnknownSchemaError."""
        if self.peek.decode(buf).schema_version == self.current:
            return self.decoder.decode(buf)
        raw = migrate(self.type.__name__, msgspec.json.decode(buf), self.current)
        return msgspec.convert(raw, self.type)


_SERDES: dict[Any, JsonSerde] = {}


def serde(type_: Any) -> JsonSerde:
    """Give the serde of a type, made once."""
    found = _SERDES.get(type_)
    if found is None:
        is_state = "schema_version" in getattr(type_, "__dataclass_fields__", {})
        found = _SERDES[type_] = StateSerde(type_) if is_state else JsonSerde(type_)
    return found
