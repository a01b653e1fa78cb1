"""Seats as holds and orders keep them, and how their places are found. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from services.common.money import Money


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """The proto's HeldSeat: a seat with the price that was frozen when it was held."""

    seat_id: str
    category_id: str
    section_id: str
    price: Money


def lookup_of(seat_id: str, lookup_chunks: int) -> int:
    """Tell which lookup chunk of an event holds a seat. CRC-32: the same in every process and version of Python."""
    return zlib.crc32(seat_id.encode()) % lookup_chunks
