"""JSON of any msgspec type, as Restate's SDK wants it: one serde per type."""

from __future__ import annotations

from typing import Any

import msgspec
from restate.serde import Serde


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


_SERDES: dict[Any, JsonSerde] = {}


def serde(type_: Any) -> JsonSerde:
    """Give the serde of a type, made once."""
    found = _SERDES.get(type_)
    if found is None:
        found = _SERDES[type_] = JsonSerde(type_)
    return found
