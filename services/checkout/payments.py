"""Payment providers: the adapter that asks over HTTP, and by name what else the saga needs of payments.

What is asked of every provider is in `provider.py`, the one in memory in `instant.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from services.checkout.provider import Outcome, PaymentProvider, ProviderAnswer, ProviderPage, ProviderPayment
from services.common import tracing
from services.common.config import Secret
from services.common.money import Money
from services.common.states import PaymentState

__all__ = [
    "HttpProvider",
    "Outcome",
    "PaymentProvider",
    "ProviderAnswer",
    "ProviderPage",
    "ProviderPayment",
]

ATTEMPT_SECONDS: Final = 10
"""Longest that one attempt may take; less than a step may (services.common.handlers.STEP_SECONDS)."""

LONGEST_RETRY_AFTER_SECONDS: Final = 30.0
MOST_BYTES: Final = 1024 * 1024

Body = TypeVar("Body", bound=msgspec.Struct)


class HttpProvider:
    """The provider behind an address that speaks as simulators/payments.py does.

    How statuses are read: 2xx with the state that was asked for: DONE. 402 with an error: DECLINED (for
    authorize and capture). 409 `voided`, `already_captured`, `already_refunded`: what they say. 400 and
    422 to an authorize: DECLINED, see `_judge`. All else, no answer, and a body that does not say what
    its status says: UNKNOWN.
    """

    def __init__(self, base_url: str, attempt_seconds: float = ATTEMPT_SECONDS, *, token: Secret | None = None) -> None:
        """Take the provider's address and, where it wants one, the bearer token that signs us in."""
        self._base = base_url.rstrip("/")
        self._token = token
        self._attempt_seconds = attempt_seconds
        self._client: aiohttp.ClientSession | None = None

    async def authorize(
        self, payment_key: str, idempotency_key: str, amount: Money, payment_method: str
    ) -> ProviderAnswer:
        """Set money aside on the card."""
        body = {**_amount(amount), "payment_method": payment_method}
        return await self._change(payment_key, "authorize", idempotency_key, body)

    async def capture(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Take the money set aside."""
        return await self._change(payment_key, "capture", idempotency_key, _amount(amount))

    async def void(self, payment_key: str, idempotency_key: str) -> ProviderAnswer:
        """Give up what was or will be authorized."""
        return await self._change(payment_key, "void", idempotency_key, {})

    async def refund(self, payment_key: str, idempotency_key: str, amount: Money) -> ProviderAnswer:
        """Give all captured money back."""
        return await self._change(payment_key, "refund", idempotency_key, _amount(amount))

    async def lookup(self, payment_key: str) -> ProviderPayment | None:
        """Tell what there is under a payment key."""
        status, _, content = await self._ask("lookup", f"/v1/payments/{quote(payment_key, safe='')}")
        if status == HTTPStatus.NOT_FOUND and _decode(content, _ErrorBody).error == "not_found":
            return None
        found = _decode(content, _PaymentBody)
        if not _is_success(status) or found.payment_key != payment_key:
            return ProviderPayment(payment_key, PaymentState.UNKNOWN)
        return found.view()

    async def list(self, since: datetime | None, page_token: str) -> ProviderPage:
        """List payments changed since a time."""
        query = {"page_token": page_token} if page_token else {}
        if since is not None:
            query["since"] = since.astimezone(UTC).isoformat()
        status, _, content = await self._ask("list", "/v1/payments", query=query)
        page = _decode(content, _PageBody)
        if not _is_success(status) or page.payments is None:
            return ProviderPage(Outcome.UNKNOWN)
        return ProviderPage(Outcome.DONE, [payment.view() for payment in page.payments], page.next_page_token)

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _change(
        self, payment_key: str, call: str, idempotency_key: str, body: Mapping[str, object]
    ) -> ProviderAnswer:
        path = f"/v1/payments/{quote(payment_key, safe='')}/{call}"
        status, headers, content = await self._ask(call, path, body=body, idempotency_key=idempotency_key)
        answered = _decode(content, _PaymentBody)
        is_done = _is_success(status) and (answered.payment_key, answered.state) == (payment_key, _STATE_AFTER[call])
        outcome = Outcome.DONE if is_done else _judge(call, status, _decode(content, _ErrorBody).error)
        retry_after = _retry_after(headers) if outcome is Outcome.UNKNOWN else None
        return ProviderAnswer(outcome, answered.reference, retry_after)

    async def _ask(
        self,
        call: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str = "",
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Ask once; status 0 where there was no whole answer."""
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"} if body is not None else {}
        content = msgspec.json.encode(body) if body is not None else None
        # Quoted already; a key must not become a path of its own.
        url = URL(self._base + path, encoded=True).update_query(query or {})
        tracer = tracing.tracer()
        if tracer is None:
            return await self._exchange(url, content, headers)
        above = tracing.CURRENT.get()
        span = tracer.begin(f"payment {call}", "client", above.traceparent if above else "", {"nexus.payment": call})
        try:
            answer = await self._exchange(url, content, {**headers, tracing.HEADER: span.traceparent})
            span.set("http.response.status_code", answer[0])
            if answer[0] == 0 or answer[0] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                span.fail(str(answer[0]) if answer[0] else "NO_ANSWER")
        finally:
            span.end()
        return answer

    async def _exchange(
        self, url: URL, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with self._session().request(
                "GET" if content is None else "POST",
                url,
                data=content,
                headers=headers,
                allow_redirects=False,
            ) as response:
                answered = bytearray()
                async for chunk in response.content.iter_any():
                    answered += chunk
                    if len(answered) > MOST_BYTES:
                        return 0, {}, b""
                return response.status, response.headers, bytes(answered)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}, b""

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            # As many connections as there are calls: Restate bounds these, and waiting for a free
            # connection would eat the attempt's time.
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                # Of the session: no request and no span ever holds the token. Redirects are not followed.
                headers={"Authorization": f"Bearer {self._token.reveal()}"} if self._token else None,
                timeout=aiohttp.ClientTimeout(total=self._attempt_seconds),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client


class _ErrorBody(msgspec.Struct, frozen=True):
    error: str = ""


class _PaymentBody(msgspec.Struct, frozen=True):
    payment_key: str = ""
    reference: str = ""
    state: str = ""
    amount_minor: int = 0
    currency_code: str = ""
    updated_at: datetime | None = None

    def view(self) -> ProviderPayment:
        amount = Money(self.currency_code, self.amount_minor) if self.currency_code else None
        state = _STATES.get(self.state, PaymentState.UNKNOWN)
        return ProviderPayment(self.payment_key, state, amount, self.reference, self.updated_at)


class _PageBody(msgspec.Struct, frozen=True):
    payments: list[_PaymentBody] | None = None
    next_page_token: str = ""


_STATE_AFTER: Final = {"authorize": "authorized", "capture": "captured", "void": "voided", "refund": "refunded"}

_STATES: Final = {
    "authorized": PaymentState.AUTHORIZED,
    "captured": PaymentState.CAPTURED,
    "voided": PaymentState.VOIDED,
    "refunded": PaymentState.REFUNDED,
    "declined": PaymentState.DECLINED,
}

_CONFLICTS: Final = {
    ("authorize", "voided"): Outcome.VOIDED,
    ("capture", "voided"): Outcome.VOIDED,
    ("refund", "voided"): Outcome.VOIDED,
    ("void", "voided"): Outcome.DONE,
    ("capture", "already_captured"): Outcome.ALREADY_CAPTURED,
    ("void", "already_captured"): Outcome.ALREADY_CAPTURED,
    ("refund", "already_refunded"): Outcome.DONE,
}
"""What a 409 says. Any other (a key in use, an amount that differs) decides nothing."""


def _judge(call: str, status: int, error: str) -> Outcome:
    """Read an answer that is no success; `error` is empty where the body has none."""
    if not error:
        # Whoever wrote this, it was not the provider: a proxy on the way, or a page for people.
        return Outcome.UNKNOWN
    if status == HTTPStatus.CONFLICT:
        return _CONFLICTS.get((call, error), Outcome.UNKNOWN)
    if call in ("authorize", "capture") and status == HTTPStatus.PAYMENT_REQUIRED:
        return Outcome.DECLINED
    if call == "authorize" and status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        # The provider will never take this request, say for a token that it does not know. That is
        # safe to call a decline: each attempt has the same keys and the same body, so an earlier one
        # whose answer was lost was refused as well, and no money has moved that a void would have to
        # free. It is not so for 401, 403 and 404, which tell of our own set-up and may change between
        # two attempts, nor for any call after authorize, where money may be at stake: these stay
        # UNKNOWN, are repeated until pay_until, and then the void decides.
        return Outcome.DECLINED
    return Outcome.UNKNOWN


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _amount(amount: Money) -> dict[str, object]:
    return {"amount_minor": amount.amount_minor, "currency_code": amount.currency_code}


def _decode(content: bytes, body_type: type[Body]) -> Body:
    """Read a body; one that makes no sense reads as one that says nothing."""
    try:
        return msgspec.json.decode(content, type=body_type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body_type()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, in seconds or as a date. Source: RFC 9110, 10.2.3."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        # The provider's own clock, where it tells it, so that ours need not agree with it.
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        seconds = (until - now).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
