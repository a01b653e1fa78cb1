"""The payment simulator: a small provider over HTTP whose ledger on disk is the only judge of money.

What is decided about money is in `simulators.bank`, what goes wrong on demand in `simulators.switches`.

    POST /v1/payments/{payment_key}/{authorize|capture|void|refund}   Idempotency-Key: ...
         {"amount_minor": 4500, "currency_code": "EUR", "payment_method": "card_success"}
    GET  /v1/payments/{payment_key}     GET /v1/payments?since=&page_token=
    GET  /ledger?payment_key=           GET, PUT, DELETE /switches     GET /health
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import web

from services.common import log
from services.common.config import Port, Secret, load_or_exit
from simulators.bank import Answer, Bank, Card, Request, entry_of, reference_of
from simulators.ledger import Call, Effect, Entry, Ledger
from simulators.switches import Fault, Panel, Switches
from simulators.web import FieldError, demand_token, health, read, refuse_bad_fields, respond, serve_until_stopped

SLOW_SECONDS = 2.0
"""How long an authorization of `card_slow` takes."""

PAGE_SIZE = 100
AWAY = "unavailable"

NOT_DONE = {
    Fault.AWAY: (503, AWAY),
    Fault.ERROR: (503, AWAY),
    Fault.LATE: (504, "late"),
    Fault.BUSY: (429, "too_many_requests"),
    Fault.RESET: (0, "reset"),
}
"""Status and error of calls that are not looked at, or not yet; 0: no answer at all."""

_logger = structlog.get_logger()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulator is told. `ledger`: path of the file; `seed`: of `card_random` and `error_rate`.

    `payments_token`: what callers of the provider's API must have; ledger and switches are open to all.
    """

    ledger: str
    host: str = "127.0.0.1"
    port: Port = 8901
    seed: int = 0
    payments_token: Secret | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class ChangeBody(msgspec.Struct, frozen=True):
    """Body of a change. void needs none of it."""

    amount_minor: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    currency_code: Annotated[str, msgspec.Meta(pattern="^([A-Z]{3})?$")] = ""
    payment_method: Annotated[str, msgspec.Meta(max_length=128)] = ""


class Simulator:
    """The provider: a bank whose every step is in the ledger before it is answered."""

    def __init__(self, ledger: Ledger, seed: int, token: Secret | None = None) -> None:
        self._ledger = ledger
        self._token = token
        self._bank = Bank(seed)
        self._bank.replay(ledger.entries)
        self._panel = Panel(seed)
        self._late: set[asyncio.Task[Entry]] = set()

    def app(self) -> web.Application:
        """Make the HTTP application."""
        first = [demand_token(self._token.reveal(), "/v1/")] if self._token else []
        app = web.Application(middlewares=[*first, refuse_bad_fields], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.post("/v1/payments/{payment_key}/{call:authorize|capture|void|refund}", self.change),
                web.get("/v1/payments/{payment_key}", self.lookup),
                web.get("/v1/payments", self.list_payments),
                web.get("/ledger", self.show_ledger),
                web.get("/switches", self.show_switches),
                web.put("/switches", self.set_switches),
                web.delete("/switches", self.reset_switches),
                web.get("/health", health),
            ]
        )
        app.on_shutdown.append(self._stop)
        return app

    async def change(self, http: web.Request) -> web.Response:
        """Authorize, capture, void or refund."""
        request = await _request(http)
        trouble = self._panel.trouble(request.call, request.payment_key)
        fault = trouble.fault
        await asyncio.sleep(trouble.wait_seconds)
        if fault in NOT_DONE:
            status, error = NOT_DONE[fault]
            if fault is Fault.LATE:
                self._send_late(request, trouble.late_seconds)
            noted = await self._note(request, status, error)
            if fault is Fault.RESET:
                return _reset(http)
            return _answer(noted, {"Retry-After": str(trouble.retry_after_seconds)} if fault is Fault.BUSY else None)
        if request.call is Call.AUTHORIZE and request.payment_method == Card.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        entry = await self._perform(request)
        if fault is Fault.REPEAT:
            entry = await self._perform(request)
        if fault is Fault.ANSWER_LATE:
            await asyncio.sleep(trouble.late_seconds)
        return _reset(http) if fault is Fault.LOSE_ANSWER else _answer(entry)

    async def lookup(self, http: web.Request) -> web.Response:
        """Show one payment."""
        payment_key = http.match_info["payment_key"]
        if not await self._can_read(payment_key):
            return respond({"error": AWAY}, 503)
        payment = self._bank.lookup(payment_key)
        return respond(payment) if payment else respond({"error": "not_found"}, 404)

    async def list_payments(self, http: web.Request) -> web.Response:
        """List payments changed since a time, in the order in which they began."""
        since = _time(http.query.get("since", ""))
        after = _number(http.query.get("page_token", ""))
        if not await self._can_read(None):
            return respond({"error": AWAY}, 503)
        page = self._bank.page(since, after, PAGE_SIZE)
        token = str(page[-1].number) if len(page) == PAGE_SIZE else ""
        return respond({"payments": page, "next_page_token": token})

    async def show_ledger(self, http: web.Request) -> web.Response:
        """List what is in the ledger, of one payment or of all; no switch touches this."""
        await self._ledger.flushed()
        payment_key = http.query.get("payment_key")
        entries = self._ledger.entries
        if payment_key is not None:
            entries = [entry for entry in entries if entry.payment_key == payment_key]
        return respond({"entries": entries})

    async def show_switches(self, _http: web.Request) -> web.Response:
        """Show the switches; `times` counts down."""
        return respond(self._panel.switches)

    async def set_switches(self, http: web.Request) -> web.Response:
        """Replace all switches."""
        self._panel.set(await read(http, Switches))
        return respond(self._panel.switches)

    async def reset_switches(self, _http: web.Request) -> web.Response:
        """Switch all faults off."""
        self._panel.set(Switches())
        return respond(self._panel.switches)

    async def _perform(self, request: Request) -> Entry:
        # No await between the decision and its place in the ledger: their order is the same.
        entry = self._bank.decide(request, self._ledger.next_seq, datetime.now(UTC))
        await self._ledger.append(entry)
        return entry

    async def _note(self, request: Request, status: int, error: str) -> Entry:
        # Seen, and not looked at.
        entry = entry_of(request, Answer(status, Effect.NONE, error), self._ledger.next_seq, datetime.now(UTC))
        await self._ledger.append(entry)
        return entry

    def _send_late(self, request: Request, late_seconds: float) -> None:
        async def perform() -> Entry:
            await asyncio.sleep(late_seconds)
            return await self._perform(request)

        task = asyncio.create_task(perform())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _can_read(self, payment_key: str | None) -> bool:
        trouble = self._panel.trouble_of_read(payment_key)
        await asyncio.sleep(trouble.wait_seconds)
        # What is not on the disk yet might not have happened.
        await self._ledger.flushed()
        return trouble.fault is None

    async def _stop(self, _app: web.Application) -> None:
        # A late request that has not arrived by now never does, as on a real network.
        for task in self._late:
            task.cancel()


async def serve(settings: Settings) -> None:
    """Open the ledger and serve until SIGTERM."""
    ledger = Ledger(Path(settings.ledger))
    try:
        simulator = Simulator(ledger, settings.seed, settings.payments_token)
        _logger.info("payment simulator starts", port=settings.port, ledger_entries=len(ledger.entries))
        await serve_until_stopped(simulator.app(), settings.host, settings.port)
    finally:
        await ledger.close()


def main(settings: Settings) -> None:
    """Run the simulator in this process."""
    log.configure("payment-simulator", settings.log_level)
    asyncio.run(serve(settings))


async def _request(http: web.Request) -> Request:
    idempotency_key = http.headers.get("Idempotency-Key", "")
    if not 1 <= len(idempotency_key) <= 255:  # noqa: PLR2004  the bounds are in the message below
        raise FieldError("Idempotency-Key: 1-255 characters are needed")
    call = Call(http.match_info["call"])
    body = await read(http, ChangeBody)
    if call is not Call.VOID and not body.currency_code:
        raise FieldError("currency_code: three capital letters are needed")
    if call is Call.AUTHORIZE and not body.payment_method:
        raise FieldError("payment_method: a token is needed")
    return Request(
        payment_key=http.match_info["payment_key"],
        idempotency_key=idempotency_key,
        call=call,
        amount_minor=body.amount_minor,
        currency_code=body.currency_code,
        payment_method=body.payment_method,
    )


def _reset(http: web.Request) -> web.Response:
    """Reset the connection; what is given reaches nobody."""
    if http.transport is not None:
        http.transport.abort()
    return web.Response()


def _answer(entry: Entry, headers: Mapping[str, str] | None = None) -> web.Response:
    if entry.error:
        return respond({"error": entry.error}, entry.status, headers)
    # The state that the call leads to, also for a repeat: it gets the first answer.
    states = {Call.AUTHORIZE: "authorized", Call.CAPTURE: "captured", Call.VOID: "voided", Call.REFUND: "refunded"}
    return respond(
        {"payment_key": entry.payment_key, "reference": reference_of(entry.payment_key), "state": states[entry.call]}
    )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        since: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise FieldError(f"since: {error}") from error
    return since


def _number(text: str) -> int:
    if not (text or "0").isdecimal():
        raise FieldError("page_token: not one of ours")
    return int(text or "0")


if __name__ == "__main__":
    main(load_or_exit(Settings, os.environ))
