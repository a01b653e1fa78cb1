"""`nexus race`: many buyers, one seat, at once, at a real installation; tickets, money and mail are judged.

One buyer gets the seat, all others are refused with SEAT_UNAVAILABLE; the ledger has one capture, the mail server
one mail. The event is the race's own, and is closed however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import grpc
import grpc.aio
from google.protobuf import json_format, message_factory

from services.cli.call import find
from services.cli.client import Gateway
from services.cli.errors import GatewayError
from services.cli.failures import failure
from services.cli.race_judge import Facts, Outcome, Report, judge

PREFIX: Final = "helm-test-"
"""Of the event, its orders and its subjects: all that a gateway lets the key of `helm test` touch."""

SEAT: Final = "A-1-1"
CALLS_PER_CHANNEL: Final = 25
"""A connection takes some hundred calls at a time; and several of them reach several gateways."""

PATIENT: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)
"""A gateway that lets in fewer calls for a while has judged nothing: such a call is repeated, by gRPC itself."""

MAIL_SECONDS: Final = 30.0
ASKED_AT_ONCE: Final = 20


class Race:
    """One race. `tokens`: of the buyers, one each; `organizer`: owns the event."""

    def __init__(
        self,
        organizer: Gateway,
        tokens: Sequence[str],
        *,
        credentials: grpc.ChannelCredentials | None,
        payments_url: str,
        mail_url: str,
        seconds: float,
    ) -> None:
        self._organizer, self._tokens, self._credentials = organizer, tokens, credentials
        self._payments_url, self._mail_url = payments_url.rstrip("/"), mail_url.rstrip("/")
        self._seconds = seconds
        self._run = secrets.token_hex(8)
        self._event = {"event_id": f"{PREFIX}{self._run}"}
        self.report = Report(self._event["event_id"], organizer.address, len(tokens))

    def run(self) -> Report:
        """Hold the race and judge it; the event is closed however it ends. Raises GatewayError."""
        self._organizer.call("CreateEvent", {"event": self._event | _EVENT | {"starts_at": _in_a_month()}})
        try:
            self._organizer.call("PublishEvent", self._event)
            asyncio.run(self._race())
        except BaseException:
            # Also where an answer was lost, or by Ctrl-C; what went wrong first is what is told.
            with contextlib.suppress(GatewayError):
                self._organizer.call("CloseSales", self._event)
            raise
        self._organizer.call("CloseSales", self._event)
        return self.report

    async def _race(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.service_config", PATIENT)]
        channels = [
            grpc.aio.secure_channel(self._organizer.address, self._credentials, options)
            if self._credentials
            else grpc.aio.insecure_channel(self._organizer.address, options)
            for _ in range(-(-len(self._tokens) // CALLS_PER_CHANNEL))
        ]
        try:
            async with asyncio.timeout(self._seconds):
                await asyncio.gather(*(channel.channel_ready() for channel in channels))
        except TimeoutError:
            raise GatewayError(f"{self._organizer.address} did not take {len(channels)} connections") from None
        else:
            await self._rush(channels)
        finally:
            await asyncio.gather(*(channel.close(None) for channel in channels))
        facts = await self._look()
        self.report.checks = judge(self.report.outcomes, facts)

    async def _rush(self, channels: Sequence[grpc.aio.Channel]) -> None:
        """Let all buyers go at once."""
        start = asyncio.Barrier(len(self._tokens) + 1)
        async with asyncio.TaskGroup() as group:
            buyers = [
                group.create_task(self._buy(channels[number % len(channels)], number, start))
                for number in range(len(self._tokens))
            ]
            await start.wait()
            begun = time.monotonic()
        self.report.outcomes = [buyer.result() for buyer in buyers]
        self.report.seconds = time.monotonic() - begun

    async def _buy(self, channel: grpc.aio.Channel, number: int, start: asyncio.Barrier) -> Outcome:
        path, method = find("Checkout")
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        checkout: Any = channel.unary_unary(
            f"/{path}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        order_id = f"{PREFIX}{self._run}-{secrets.token_hex(16)}"
        wish = {"order_id": order_id, "seat_ids": [SEAT], "payment_method": "card_success", "email": self._mail(number)}
        request = json_format.ParseDict(self._event | wish, request_type())
        metadata = (("authorization", f"Bearer {self._tokens[number]}"),)
        await start.wait()
        try:
            order = await checkout(request, metadata=metadata, timeout=self._seconds)
        except grpc.aio.AioRpcError as error:
            return Outcome(order_id, error.code().name, failure(error, self._organizer.address).reason)
        return Outcome(order_id, "OK", json_format.MessageToDict(order, preserving_proto_field_name=True)["state"])

    async def _look(self) -> Facts:
        """See what became of the seat, the money and the mail. Raises GatewayError."""
        orders = [outcome.order_id for outcome in self.report.outcomes]
        seat = await asyncio.to_thread(self._organizer.call, "GetTicket", self._event | {"seat_id": SEAT})
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=ASKED_AT_ONCE)
        ) as session:
            effects = dict(zip(orders, await _each(orders, lambda it: self._effects(session, it)), strict=True))
            mails = await self._mails(session)
        return Facts(
            seat_status=seat["status"],
            seat_order=seat["order_id"],
            captured=[order for order in orders for effect in effects[order] if effect == "captured"],
            open_authorizations=[order for order in orders if effects[order] and effects[order][-1] == "authorized"],
            mails=mails,
        )

    async def _effects(self, session: aiohttp.ClientSession, order_id: str) -> list[str]:
        """Tell what moved money of an order; its payment key is its id."""
        found = await _get(session, f"{self._payments_url}/ledger", payment_key=order_id)
        return [entry["effect"] for entry in found["entries"] if entry["effect"] not in ("none", "refused")]

    async def _mails(self, session: aiohttp.ClientSession) -> list[str]:
        """Wait for a mail to any of the buyers; name the order of each that came."""
        winner = next((number for number, it in enumerate(self.report.outcomes) if it.has_won), None)
        deadline = time.monotonic() + MAIL_SECONDS

        async def sent(number: int) -> list[str]:
            found = await _get(session, f"{self._mail_url}/messages", to=self._mail(number))
            return [message["message_id"].strip("<>").partition("@")[0] for message in found["messages"]]

        while winner is not None and time.monotonic() < deadline:
            if await sent(winner):
                break
            await asyncio.sleep(0.1)
        return [order for mails in await _each(range(len(self._tokens)), sent) for order in mails]

    def _mail(self, number: int) -> str:
        return f"{PREFIX}{self._run}-{number}@nexus.invalid"


_EVENT: Final = {
    "title": "A race for one seat",
    "venue": "Nowhere",
    "currency_code": "EUR",
    "hold_seconds": 120,
    "price_categories": [{"category_id": "std", "title": "Standard", "amount_minor": 100}],
    "sections": [{"section_id": "A", "title": "A", "row_count": 1, "seats_per_row": 1, "category_id": "std"}],
}


def _in_a_month() -> str:
    return (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _each(keys: Sequence[Any], ask: Callable[[Any], Awaitable[list[str]]]) -> list[list[str]]:
    return list(await asyncio.gather(*(ask(key) for key in keys)))


async def _get(session: aiohttp.ClientSession, url: str, **query: str) -> Any:
    """Ask payment simulator or mail sink. Raises GatewayError."""
    try:
        async with session.get(url, params=query) as answer:
            if answer.ok:
                return await answer.json()
            why = f"status {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = type(error).__name__
    raise GatewayError(f"{url} cannot be read ({why}): the race cannot be judged")
