"""Visitors of a running stack, over gRPC: they buy in one step, hold and let go again, or look at a section's map.

Seats are given out once: a visitor meets nobody who wants the same, so that every refusal is the load's doing.
Afterwards `wrongs` lets ops and the provider's ledger judge what was sold.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from bench.openloop import OK, Arrival, Told
from services.cli import token as tokens
from services.cli.call import find
from services.cli.client import Gateway
from services.cli.errors import GatewayError
from services.cli.local import LocalStack
from services.gateway.gen.nexus.v1 import checkout_pb2, seatmap_pb2, ticket_pb2

SALE, HOLD, RELEASE, LOOK = "sale", "hold", "release", "look"
MIX: Final = {SALE: 0.6, HOLD: 0.2, LOOK: 0.2}
BUYERS: Final = 2000
"""Far below the limit of a caller each, and each other's calls do not queue up behind a buyer's own."""

CHANNELS: Final = 8
"""A connection takes 1,000 calls at a time."""

CALL_SECONDS: Final = 60.0
VERIFY_SECONDS: Final = 300.0
SETTLE_SECONDS: Final = 30
SECTIONS, ROW_SEATS = 10, 100
SHED: Final = "RESOURCE_EXHAUSTED"


class Visitors:
    """Buyers, seats and connections."""

    def __init__(self, stack: LocalStack) -> None:
        """Sign everybody in; call it on the loop that is to serve them."""
        self.stack = stack
        self.events: list[str] = []
        self.bought: set[str] = set()
        self.has_run_out = False
        self._seats: deque[tuple[str, str]] = deque()
        pem = stack.keys.auth_private_pem
        self._organizer = tokens.sign(pem, "load-organizer", ["organizer"], 4)
        self._admin = tokens.sign(pem, "load-auditor", ["admin"], 4)
        self._buyers = [(("authorization", f"Bearer {tokens.sign(pem, f'load-{n}', [], 4)}"),) for n in range(BUYERS)]
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(stack.grpc_address, options) for _ in range(CHANNELS)]
        names = {SALE: "Checkout", HOLD: "HoldSeats", RELEASE: "ReleaseHold", LOOK: "GetSeatMap"}
        self._stubs = {kind: [_stub(channel, name) for channel in self._channels] for kind, name in names.items()}

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels))

    async def add_seats(self, count: int) -> None:
        """Put at least so many more seats on sale, in events of their own."""
        headers = {"authorization": f"Bearer {self._organizer}"}
        async with aiohttp.ClientSession(self.stack.gateway_url, headers=headers) as session:
            for _ in range(math.ceil(count / EVENT_SEATS)):
                event_id = f"load-{uuid.uuid4().hex[:8]}"
                for path, body in (("", _event(event_id)), (f"/{event_id}:publish", {})):
                    async with session.post(f"/v1/events{path}", json=body) as answer:
                        if not answer.ok:
                            raise RuntimeError(f"{event_id}: {answer.status} {await answer.text()}")
                self.events.append(event_id)
                # Across the sections, so that no section's map is busier than another.
                self._seats += [
                    (event_id, f"S{section}-{row}-{seat}")
                    for row in range(1, EVENT_ROWS + 1)
                    for seat in range(1, ROW_SEATS + 1)
                    for section in range(SECTIONS)
                ]

    async def visit(self, arrival: Arrival, moment: float) -> list[Told]:
        """Do what a visitor wants; the latency of its first call counts from `moment`."""
        if arrival.kind == LOOK:
            event_id = self.events[arrival.number % len(self.events)]
            section_id = f"S{arrival.number % SECTIONS}"
            request: Message = seatmap_pb2.GetSeatMapRequest(event_id=event_id, section_id=section_id, page_size=1000)
            return [(await self._call(LOOK, arrival, request, moment))[0]]
        if not self._seats:
            self.has_run_out = True
            return [Told(arrival.kind, arrival.at, 0.0, "NO_SEATS_LEFT")]
        seat = self._seats.popleft()
        return await (self._buy if arrival.kind == SALE else self._hold)(arrival, seat, moment)

    async def _buy(self, arrival: Arrival, seat: tuple[str, str], moment: float) -> list[Told]:
        order_id = f"load-{uuid.uuid4().hex}"
        request = checkout_pb2.CheckoutRequest(
            order_id=order_id,
            event_id=seat[0],
            seat_ids=[seat[1]],
            payment_method="card_success",
            email="load@nexus.invalid",
        )
        told, _, _ = await self._call(SALE, arrival, request, moment)
        if told.code == OK:
            self.bought.add(order_id)
        elif told.code == SHED:
            self._seats.append(seat)
        return [told]

    async def _hold(self, arrival: Arrival, seat: tuple[str, str], moment: float) -> list[Told]:
        request = ticket_pb2.HoldSeatsRequest(event_id=seat[0], seat_ids=[seat[1]])
        told, hold, _ = await self._call(HOLD, arrival, request, moment)
        if told.code == SHED:
            self._seats.append(seat)
        if hold is None:
            return [told]
        # Whoever is told to come back later does so.
        found = [told]
        release = ticket_pb2.ReleaseHoldRequest(event_id=seat[0], hold_id=hold.hold_id)
        while True:
            again, _, wait = await self._call(RELEASE, arrival, release, time.monotonic())
            found.append(again)
            if again.code != SHED or time.monotonic() > moment + CALL_SECONDS:
                break
            await asyncio.sleep(max(wait, 0.1))
        if again.code == OK:
            # The Ticket hears of it by a message, a moment later.
            asyncio.get_running_loop().call_later(5.0, self._seats.append, seat)
        return found

    async def _call(self, kind: str, arrival: Arrival, request: Message, moment: float) -> tuple[Told, Any, float]:
        """Call; give what was told, the answer (None where there is none), and after how long to repeat."""
        stub = self._stubs[kind][arrival.number % CHANNELS]
        buyer = self._buyers[arrival.number % BUYERS]
        answer, code, reason, wait = None, OK, "", None
        try:
            answer = await stub(request, metadata=buyer, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            reason, wait = details(error)
        told = Told(kind, arrival.at, time.monotonic() - moment, code, reason, has_retry=wait is not None)
        return told, answer, wait or 0.0

    async def wrongs(self, unsure: int) -> list[str]:
        """Name what is wrong with what was sold. `unsure`: sales whose outcome no client knows."""
        wrong = [text for event_id in self.events for text in await asyncio.to_thread(self._verify, event_id)]
        async with aiohttp.request("GET", f"{self.stack.payments_url}/ledger") as answer:
            entries = (await answer.json())["entries"]
        return wrong + ledger_wrongs([(one["payment_key"], one["effect"]) for one in entries], self.bought, unsure)

    def _verify(self, event_id: str) -> list[str]:
        """Let ops audit an event."""
        # Over gRPC: over HTTP a call may take no longer than a minute.
        with Gateway(self.stack.ops_address, self._admin, VERIFY_SECONDS) as ops:
            try:
                report = ops.call("VerifyEvent", {"event_id": event_id, "settle_seconds": SETTLE_SECONDS})["report"]
            except GatewayError as error:
                return [f"verify {event_id}: {error}"]
        if report["verdict"] == "VERDICT_PASSED":
            return []
        texts = [one["text"] for one in report["findings"]][:5]
        return [f"verify {event_id}: {report['verdict']} {'; '.join(texts)}".rstrip()]


def ledger_wrongs(moves: Sequence[tuple[str, str]], bought: set[str], unsure: int) -> list[str]:
    """Compare the provider's ledger, (payment key, effect) in its order, with the orders that clients were sold."""
    captures = Counter(key for key, effect in moves if effect == "captured")
    last = {key: effect for key, effect in moves if effect not in ("none", "refused")}
    wrong = []
    if missing := bought - captures.keys():
        wrong.append(f"{len(missing)} orders were confirmed and never captured, {min(missing)} among them")
    if twice := [key for key, count in captures.items() if count > 1]:
        wrong.append(f"{len(twice)} orders were captured twice, {min(twice)} among them")
    if still_open := [key for key, effect in last.items() if effect == "authorized"]:
        wrong.append(f"{len(still_open)} authorizations are open, {min(still_open)} among them")
    kept = [key for key, effect in last.items() if effect == "captured" and key not in bought]
    if len(kept) > unsure:
        wrong.append(f"{len(kept)} captures that no client knows of, {unsure} sales are unsure")
    return wrong


def details(error: Any) -> tuple[str, float | None]:
    """Give the reason of a refusal, and the seconds of its RetryInfo, None where it has none."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        status = None
    reason, wait = "", None
    for detail in status.details if status is not None else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            wait = retry.retry_delay.ToTimedelta().total_seconds()
    return reason, wait


def _stub(channel: grpc.aio.Channel, name: str) -> Any:
    path, method = find(name)
    response_type = message_factory.GetMessageClass(method.output_type)
    return channel.unary_unary(
        f"/{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response_type.FromString,
    )


EVENT_ROWS: Final = 5
EVENT_SEATS: Final = SECTIONS * EVENT_ROWS * ROW_SEATS


def _event(event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "title": "Load",
        "venue": "Nowhere",
        "starts_at": "2030-01-01T20:00:00Z",
        "currency_code": "EUR",
        "hold_seconds": 120,
        "max_seats_per_buyer": 300,
        "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 4500}],
        "sections": [
            {
                "section_id": f"S{section}",
                "title": f"Section {section}",
                "row_count": EVENT_ROWS,
                "seats_per_row": ROW_SEATS,
                "category_id": "std",
            }
            for section in range(SECTIONS)
        ],
    }
