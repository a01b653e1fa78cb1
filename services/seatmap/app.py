"""The endpoint `seatmap`: the services SeatMap, Event and Catalog."""

from __future__ import annotations

from services.seatmap.handlers import SEAT_MAP
from services.seatmap.handlers_catalog import CATALOG
from services.seatmap.handlers_event import EVENT

SERVICES = [SEAT_MAP, EVENT, CATALOG]
