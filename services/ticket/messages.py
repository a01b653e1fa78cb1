"""Requests and answers of Ticket and Buyer, and the addresses of their handlers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from services.common.messages import Nothing, Target
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import HoldState, OrderState, SeatStatus


class ReserveRequest(msgspec.Struct, frozen=True):
    """Claim the seat for a hold.

    `buyer`: keyed hash of the subject. `position`: place of the seat in its section's layout, from 0.
    `at`: the caller's clock; an older one only makes reserve refuse more.
    `hard_deadline`: from then on anyone may take the seat, whatever became of the hold.
    """

    hold_id: str
    buyer: str
    section_id: str
    position: int
    hard_deadline: datetime
    at: datetime


class ConfirmRequest(msgspec.Struct, frozen=True):
    """Make the held seat sold to the order."""

    hold_id: str
    order_id: str


class Confirmed(msgspec.Struct, frozen=True):
    """When the seat was sold, by the Ticket's clock."""

    at: datetime


class ReleaseRequest(msgspec.Struct, frozen=True):
    """Free the seat if it is still held by this hold."""

    hold_id: str


class RevokeRequest(msgspec.Struct, frozen=True):
    """Free the seat if it is sold to this order, which has not been confirmed."""

    order_id: str


class BlockRequest(msgspec.Struct, frozen=True):
    """Take the seat out of the sale. `block_id`: the request that blocks, so that it can be undone."""

    block_id: str
    section_id: str
    position: int


class UnblockRequest(msgspec.Struct, frozen=True):
    """Put the seat back. With a `block_id`: only if that request blocked it."""

    block_id: str = ""


class AnnounceRequest(msgspec.Struct, frozen=True):
    """Tell the seat map again what the seat is."""

    section_id: str
    position: int


class SeatLook(msgspec.Struct, frozen=True):
    """The status of a seat, as its Ticket knows it."""

    status: SeatStatus


class GetTicket(msgspec.Struct, frozen=True):
    """Client request: show a ticket."""

    event_id: str
    seat_id: str


class TicketView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proto's Ticket."""

    event_id: str
    seat_id: str
    status: SeatStatus
    revision: int
    order_id: str = ""


class HoldView(msgspec.Struct, frozen=True):
    """The proto's Hold."""

    hold_id: str
    event_id: str
    seats: list[HeldSeat]
    total: Money
    created_at: datetime
    expires_at: datetime
    state: HoldState


class HoldSeats(msgspec.Struct, frozen=True):
    """Client request: hold seats."""

    event_id: str
    seat_ids: list[str]
    request_id: str = ""


class NameHold(msgspec.Struct, frozen=True):
    """Client request: get, extend or release a hold."""

    event_id: str
    hold_id: str


class ExpireRequest(msgspec.Struct, frozen=True):
    """What a hold's timer carries. `due_at` is compared with the hold, never with a clock."""

    hold_id: str
    due_at: datetime
    seat_ids: list[str]


class HoldForOrderRequest(msgspec.Struct, frozen=True):
    """Hold seats for an order and begin its payment, in one step."""

    order_id: str
    hold_id: str
    seat_ids: list[str]


class BeginCheckoutRequest(msgspec.Struct, frozen=True):
    """Move an OPEN hold to PAYING for an order."""

    order_id: str
    hold_id: str


class PayableHold(msgspec.Struct, frozen=True):
    """A hold that is being paid. No authorize or capture attempt starts after `pay_until`."""

    hold: HoldView
    begun_at: datetime
    pay_until: datetime
    event_title: str
    event_venue: str
    event_starts_at: datetime


class FinishCheckoutRequest(msgspec.Struct, frozen=True):
    """End the hold that an order paid or made, and record the order with its buyer.

    `seat_ids`: what was asked for or held; releases go to these even where the hold is not listed.
    """

    order_id: str
    hold_id: str
    seat_ids: list[str]
    outcome: OrderState
    created_at: datetime


class ListOrders(msgspec.Struct, frozen=True):
    """Client request: the caller's orders of an event. `page_size` 0 means 20."""

    event_id: str
    page_size: int = 0
    page_token: str = ""


class OrderIds(msgspec.Struct, frozen=True):
    """A page of order ids, newest first; the gateway asks Checkout for each."""

    order_ids: list[str]
    next_page_token: str = ""


RESERVE = Target("Ticket", "reserve", ReserveRequest, Nothing)
CONFIRM = Target("Ticket", "confirm", ConfirmRequest, Confirmed)
RELEASE_SEAT = Target("Ticket", "release", ReleaseRequest, Nothing)
REVOKE = Target("Ticket", "revoke", RevokeRequest, Nothing)
BLOCK = Target("Ticket", "block", BlockRequest, Nothing)
UNBLOCK = Target("Ticket", "unblock", UnblockRequest, Nothing)
ANNOUNCE = Target("Ticket", "announce", AnnounceRequest, Nothing)
LOOK = Target("Ticket", "look", Nothing, SeatLook)
GET_TICKET = Target("Ticket", "get", GetTicket, TicketView)

HOLD = Target("Buyer", "hold", HoldSeats, HoldView)
EXTEND = Target("Buyer", "extend", NameHold, HoldView)
RELEASE_HOLD = Target("Buyer", "release", NameHold, HoldView)
GET_HOLD = Target("Buyer", "get", NameHold, HoldView)
LIST_ORDERS = Target("Buyer", "list_orders", ListOrders, OrderIds)
EXPIRE = Target("Buyer", "expire", ExpireRequest, Nothing)
ARM = Target("Buyer", "arm", ExpireRequest, Nothing)
HOLD_FOR_ORDER = Target("Buyer", "hold_for_order", HoldForOrderRequest, PayableHold)
BEGIN_CHECKOUT = Target("Buyer", "begin_checkout", BeginCheckoutRequest, PayableHold)
FINISH_CHECKOUT = Target("Buyer", "finish_checkout", FinishCheckoutRequest, Nothing)
