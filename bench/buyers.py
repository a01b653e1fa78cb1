"""What one visitor of the gRPC door does to buy: in one step, by a hold, or a hold that comes to nothing.

A visit gives the reason of a refusal, empty where it was done, None where no seat is left to ask for. Requests are
written with as little as can be, so that the generator costs little of what it measures.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from bench.loads import Load, Told
from services.cli import token as tokens
from services.gateway.gen.nexus.v1 import checkout_pb2, ticket_pb2

CARD: Final = "card_success"
EMAIL: Final = "bench@example.org"
DETAILS: Final = "grpc-status-details-bin"


class Visitors:
    """Everybody who comes. Subclasses say what one of them does."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.random = random.Random(load.seed)  # noqa: S311 - repeatable from its seed
        self.told = Told()
        self._seats = self._in_turn()

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def visit(self, number: int) -> str | None:
        """Do the thing once."""
        raise NotImplementedError

    def take(self) -> list[str] | None:
        """Choose the seats of one order; None where not enough are left."""
        if self.load.is_any:
            return self.random.sample(self.load.seats, self.load.seats_each)
        found = list(itertools.islice(self._seats, self.load.seats_each))
        if len(found) < self.load.seats_each:
            self.told.ran_out = True
            return None
        return found

    def _in_turn(self) -> Iterator[str]:
        seats = list(self.load.seats)
        self.random.shuffle(seats)
        return iter(seats)


class AtGateway(Visitors):
    """Those who come to the gRPC door, each with a token of their own."""

    async def open(self) -> None:
        """Connect and sign the tokens."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self.channels = [grpc.aio.insecure_channel(self.load.grpc, options) for _ in range(self.load.connections)]
        for channel in self.channels:
            await channel.channel_ready()
        key = Path(self.load.key_file)
        self.metadata = [
            (("authorization", f"Bearer {tokens.sign(key, f'bench-{number}')}"),) for number in range(self.load.buyers)
        ]
        self._calls: dict[tuple[int, str], Any] = {}

    async def close(self) -> None:
        """Disconnect."""
        for channel in self.channels:
            await channel.close(None)

    async def call(self, number: int, path: str, request: Any) -> bytes:
        """Call as the buyer of this number; gives the answer's bytes. Raises AioRpcError."""
        where = (number % len(self.channels), path)
        if where not in self._calls:
            self._calls[where] = self.channels[where[0]].unary_unary(f"/nexus.v1.{path}", None, None)
        metadata = self.metadata[number % len(self.metadata)]
        sent = request.SerializeToString()
        return bytes(await self._calls[where](sent, metadata=metadata, timeout=self.load.deadline_seconds))

    async def buy(self, number: int, **what: Any) -> str:
        """Buy, and remember the seats of an order that was confirmed. Raises AioRpcError."""
        wish = checkout_pb2.CheckoutRequest(event_id=self.load.event_id, payment_method=CARD, email=EMAIL, **what)
        order = checkout_pb2.Order.FromString(await self.call(number, "CheckoutService/Checkout", wish))
        if order.state != checkout_pb2.ORDER_STATE_CONFIRMED:
            return f"state {order.state}"
        self.told.bought[order.order_id] = [seat.seat_id for seat in order.seats]
        if self.load.keeps_moments:
            sold = next(step.at for step in order.history if step.step == "confirmed")
            for seat in order.seats:
                self.told.moments[seat.seat_id] = [sold.seconds + sold.nanos / 1e9]
        return ""

    async def hold(self, number: int, seat_ids: list[str]) -> ticket_pb2.Hold:
        """Hold seats. Raises AioRpcError."""
        wish = ticket_pb2.HoldSeatsRequest(event_id=self.load.event_id, seat_ids=seat_ids)
        return ticket_pb2.Hold.FromString(await self.call(number, "TicketService/HoldSeats", wish))


class Asking(AtGateway):
    """A visit that may be refused. Subclasses say what is asked, by the seats that were taken."""

    async def visit(self, number: int) -> str | None:
        """Ask; give the reason of a refusal."""
        seat_ids = self.take()
        if seat_ids is None:
            return None
        try:
            return await self.ask(number, seat_ids)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)

    async def ask(self, number: int, seat_ids: list[str]) -> str:
        """Do the thing. Raises AioRpcError."""
        raise NotImplementedError


class Sale(Asking):
    """Buy seats in one step."""

    async def ask(self, number: int, seat_ids: list[str]) -> str:
        """Buy."""
        return await self.buy(number, seat_ids=seat_ids)


class HoldCheckout(Asking):
    """Hold seats, then buy them."""

    async def ask(self, number: int, seat_ids: list[str]) -> str:
        """Hold and buy."""
        return await self.buy(number, hold_id=(await self.hold(number, seat_ids)).hold_id)


class HoldOnly(Asking):
    """Hold seats and go away."""

    async def ask(self, number: int, seat_ids: list[str]) -> str:
        """Hold; remember when the last hold ends (Unix seconds)."""
        ends = (await self.hold(number, seat_ids)).expires_at
        at = ends.seconds + ends.nanos / 1e9
        self.told.facts["last_expires_at"] = max(at, self.told.facts.get("last_expires_at", 0.0))
        return ""


class HoldRelease(AtGateway):
    """Hold a seat and give it back; the seats are gone through again and again."""

    async def visit(self, number: int) -> str | None:
        """Hold and release."""
        try:
            hold = await self.hold(number, [self.load.seats[number % len(self.load.seats)]])
            wish = ticket_pb2.ReleaseHoldRequest(event_id=hold.event_id, hold_id=hold.hold_id)
            await self.call(number, "TicketService/ReleaseHold", wish)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
        return ""


def reason_of(error: Any) -> str:
    """Give the reason in a refusal's details; the code where it has none."""
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS:
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                    return str(error_details_pb2.ErrorInfo.FromString(detail.value).reason)
    return str(error.code().name)
