"""OpsService: each RPC as the doors call it. What is decided is in the domain modules, what is read in the readers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from google.protobuf.message import Message

from services.checkout.domain import Order
from services.checkout.messages import GET_ORDER, PROCESS, CheckoutRequest, NameOrder
from services.checkout.provider import PaymentProvider
from services.common import paging
from services.common.errors import (
    InvalidRequestError,
    InvalidTransitionError,
    NexusError,
    NotFoundError,
    OrderNotFoundError,
)
from services.common.messages import ROLE_ADMIN, Caller, Envelope
from services.gateway.calls import Call, ComposedCall, Gateway
from services.gateway.convert import from_json
from services.ops import domain_unfinished, queries, report
from services.ops.audit import Audit, audit
from services.ops.domain_unfinished import Action, Judged
from services.ops.payments import Payments
from services.ops.reading import Reader
from services.ops.signing import Signer
from services.ops.statetable import StateTable, UnreadableError, decode
from services.ops.tables import AdminRefusedError, Tables, literal
from services.ops.timeline import read_timeline
from services.ops.unfinished import read_open_orders, read_running

SETTLE_SECONDS: Final = 30
DEFAULT_PAGE: Final = 100
MAX_AUDITS: Final = 2
"""Audits at a time: each holds an event in memory."""

FOLLOW_SECONDS: Final = 5.0
"""How long a retry waits to tell what became of the order."""


class Desk:
    """Answers operators."""

    def __init__(self, tables: Tables, provider: PaymentProvider, signer: Signer) -> None:
        self._tables = tables
        self._state = StateTable(tables)
        self._provider = provider
        self._signer = signer
        self._audits = asyncio.Semaphore(MAX_AUDITS)

    def composed(self) -> Mapping[str, ComposedCall]:
        """Give the RPCs by the names of their routes."""
        calls = {
            "VerifyEvent": self.verify_event,
            "ListUnfinished": self.list_unfinished,
            "RetryOrder": self.retry_order,
            "ResumeInvocation": self.resume_invocation,
            "GetOrderTimeline": self.get_order_timeline,
        }
        return {f"/nexus.v1.OpsService/{name}": call for name, call in calls.items()}

    async def verify_event(self, _gateway: Gateway, call: Call) -> Message:
        """Audit an event."""
        request: Any = call.request
        told = report.report(await self.audited(request.event_id, request.settle_seconds or SETTLE_SECONDS))
        return from_json(
            {"report": told, "signed_report": report.signed(told, self._signer)}, call.route.response_class
        )

    async def audited(self, event_id: str, settle_seconds: float = SETTLE_SECONDS) -> Audit:
        """Audit an event and set its numbers. Raises EventNotFoundError, UnavailableError."""
        async with self._audits:
            reader = Reader(self._tables, Payments(self._provider), event_id)
            found = await audit(reader, event_id, settle_seconds)
        report.count(found)
        return found

    async def list_unfinished(self, _gateway: Gateway, call: Call) -> Message:
        """List what is stuck, and with include_fine all that has not ended."""
        request: Any = call.request
        running = await read_running(self._tables, "" if request.include_fine else queries.DUE)
        orders = await read_open_orders(self._tables)
        judged = domain_unfinished.judge_all(running, orders, datetime.now(UTC))
        if not request.include_fine:
            judged = [one for one in judged if one.severity is not domain_unfinished.Severity.FINE]
        page, token = paging.page(judged, request.page_size or DEFAULT_PAGE, request.page_token)
        told = {"unfinished": [_unfinished(one) for one in page], "next_page_token": token}
        return from_json(told, call.route.response_class)

    async def retry_order(self, gateway: Gateway, call: Call) -> Message:
        """Take up an order: by its own invocation where one lives, else by a new one."""
        request: Any = call.request
        order = await self._order(request.order_id)
        mine = f"target_service_name = 'Checkout' AND target_service_key = {literal(request.order_id)}"
        processes = await read_running(self._tables, f"{mine} AND target_handler_name = 'process'")
        action, invocation_id = domain_unfinished.retry_of(order.state.is_final, processes)
        if action is Action.RESUMED:
            await self._resume(invocation_id)
        elif action is Action.TAKEN_UP:
            invocation_id = await _take_up(gateway, order)
        told = await self._followed(gateway, order.order_id, until_final=action in (Action.RESUMED, Action.TAKEN_UP))
        return from_json(
            {"action": action.value, "invocation_id": invocation_id, "order": told}, call.route.response_class
        )

    async def resume_invocation(self, _gateway: Gateway, call: Call) -> Message:
        """Let an invocation be tried now."""
        request: Any = call.request
        await self._resume(request.invocation_id)
        running = await read_running(self._tables, f"id = {literal(request.invocation_id)}")
        judged = [domain_unfinished.judge(one, {}, datetime.now(UTC)) for one in running]
        return from_json({"invocation": _unfinished(judged[0])} if judged else {}, call.route.response_class)

    async def get_order_timeline(self, gateway: Gateway, call: Call) -> Message:
        """Tell what happened to an order."""
        request: Any = call.request
        order = await self._order(request.order_id)
        timeline = await read_timeline(self._tables, self._provider, order)
        entries = [
            {
                "at": _moment(entry.at),
                "source": entry.source.value,
                "what": entry.what,
                "detail": entry.detail,
                "invocation_id": entry.invocation_id,
                "is_compensation": entry.is_compensation,
            }
            | ({} if entry.milliseconds is None else {"milliseconds": str(entry.milliseconds)})
            for entry in timeline.entries
        ]
        told = {"order": await _shown(gateway, order.order_id), "entries": entries, "gaps": timeline.gaps}
        return from_json(told, call.route.response_class)

    async def _order(self, order_id: str) -> Order:
        """Read an order's record. Raises OrderNotFoundError."""
        rows = await self._state.of("Checkout", order_id, "key = 'order'")
        if not rows:
            raise OrderNotFoundError("no such order", {"order_id": order_id})
        try:
            return decode(rows[0], Order)
        except UnreadableError as error:
            raise InvalidTransitionError("the order's record cannot be read", {"order_id": order_id}) from error

    async def _resume(self, invocation_id: str) -> None:
        try:
            await self._tables.resume(invocation_id)
        except AdminRefusedError as error:
            details = {"invocation_id": invocation_id}
            if error.status == 404:  # noqa: PLR2004 - not found
                raise NotFoundError("no such invocation, or it has ended", details) from error
            if error.status == 400:  # noqa: PLR2004 - bad request
                raise InvalidRequestError({"invocation_id": "must be the id of an invocation"}) from error
            raise InvalidTransitionError(f"Restate does not resume it: {error}", details) from error

    async def _followed(self, gateway: Gateway, order_id: str, *, until_final: bool) -> dict[str, Any]:
        """Show the order, when it has ended or some seconds later."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FOLLOW_SECONDS
        while True:
            rows = await self._state.of("Checkout", order_id, "key = 'order'")
            is_final = not rows or decode(rows[0], Order).state.is_final
            if is_final or not until_final or loop.time() > deadline:
                return await _shown(gateway, order_id)
            await asyncio.sleep(0.2)


async def _take_up(gateway: Gateway, order: Order) -> str:
    """Call `process` for its owner under a fresh Idempotency-Key, without waiting; gives the invocation's id.

    The record says what to go on with; of the request only owner and fingerprint are looked at. Source: DESIGN.md,
    rule 8.
    """
    request = CheckoutRequest(order.order_id, order.event_id, "", "", order.hold_id)
    envelope = Envelope(request, Caller(order.owner), order.fingerprint)
    body = await gateway.ingress.call(
        PROCESS.service,
        order.order_id,
        PROCESS.handler,
        msgspec.json.encode(envelope),
        idempotency_key=f"retry-{secrets.token_hex(16)}",
        send=True,
    )
    return str(msgspec.json.decode(body).get("invocationId", ""))


async def _shown(gateway: Gateway, order_id: str) -> dict[str, Any]:
    """Give the order as GetOrder shows it to an admin; nothing but its id while checkout does not answer."""
    envelope = Envelope(NameOrder(order_id), Caller("ops", [ROLE_ADMIN]))
    try:
        body = await gateway.ingress.call(
            GET_ORDER.service, order_id, GET_ORDER.handler, msgspec.json.encode(envelope), timeout=5.0
        )
    except NexusError:
        return {"order_id": order_id}
    shown: dict[str, Any] = msgspec.json.decode(body)["response"]
    return shown


def _unfinished(one: Judged) -> dict[str, Any]:
    told: dict[str, Any] = {
        "severity": one.severity.value,
        "service": one.service,
        "key": one.key,
        "handler": one.handler,
        "invocation_id": one.invocation_id,
        "order_id": one.order_id,
        "status": one.status,
        "due_at": _moment(one.due_at),
        "attempts": one.attempts,
        "failed_step": one.failed_step,
        "why": one.why,
        "advice": one.advice,
        "blocked_by": one.blocked_by,
    }
    if one.next_retry_at is not None:
        told["next_retry_at"] = _moment(one.next_retry_at)
    return told


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
