"""A seat with its frozen price, as holds and orders keep it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.money import Money


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """The proto's HeldSeat: a seat with the price that was frozen when it was held."""

    seat_id: str
    category_id: str
    section_id: str
    price: Money
