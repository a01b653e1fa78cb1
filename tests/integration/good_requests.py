"""A good request of every RPC, by who may make it."""

from __future__ import annotations

from typing import Any

from tests.integration.bad_input import BUYING

PUBLIC = {
    "EventService/GetEvent": {"event_id": "$event"},
    "EventService/ListEvents": {},
    "SeatMapService/GetSeatMap": {"event_id": "$event"},
    "SeatMapService/WatchSeatMap": {"event_id": "$event"},
    "TicketService/GetTicket": {"event_id": "$event", "seat_id": "A-2-1"},
}
"""RPCs that need no sign-in, each with a request that is answered. Source: DESIGN.md, "The contract"."""

HOLD = {"event_id": "$event", "hold_id": "$hold"}
ORDER = {"order_id": "$order"}
BUYERS: dict[str, dict[str, Any]] = {
    "TicketService/GetHold": HOLD,
    "TicketService/ExtendHold": HOLD,
    "TicketService/ReleaseHold": HOLD,
    "CheckoutService/Checkout": BUYING | {"hold_id": "$hold"},
    "CheckoutService/GetOrder": ORDER,
    "CheckoutService/CancelOrder": ORDER,
    "CheckoutService/WatchOrder": ORDER,
}
"""RPCs on what one buyer has."""

ORGANIZERS: dict[str, dict[str, Any]] = {
    "EventService/UpdateEvent": {"event": {"event_id": "$event", "title": "Mine now"}},
    "EventService/PublishEvent": {"event_id": "$event"},
    "EventService/PauseSales": {"event_id": "$event"},
    "EventService/ResumeSales": {"event_id": "$event"},
    "EventService/CloseSales": {"event_id": "$event"},
    "EventService/BlockSeats": {"event_id": "$event", "seat_ids": ["A-2-1"]},
    "EventService/UnblockSeats": {"event_id": "$event", "seat_ids": ["A-1-3"]},
    "EventService/RebuildSeatMap": {"event_id": "$event"},
    "EventService/ListAuditEntries": {"event_id": "$event"},
}
"""RPCs on what one organizer has."""
