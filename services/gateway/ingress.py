"""The only way from the gateway to Restate: one POST to the ingress, made safe.

Ids are checked before a path is built, headers are a fresh set (the client's own would be stored in
the journal), and refusals come out as NexusErrors. What a Restate that restarts could not take is made
again as `waiting` allows. Source: FACTS.md, "The ingress, which the gateway must make safe".
"""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import structlog
from yarl import URL

from services.common.errors import DeadlineExceededError, InternalError, NexusError, UnavailableError, by_reason
from services.common.ids import is_id
from services.gateway.waiting import AwayError, WaitingRoom

log = structlog.get_logger(__name__)

FINGERPRINT = "fingerprint"
"""Detail of a refusal that tells which request it answered; never shown to a client."""

MAX_CONNECTIONS = 8192
"""Calls in flight at once; each holds a connection while its handler runs."""

CONNECT_SECONDS = 2.0
PING_SECONDS = 2.0
LARGE_BYTES = 512 * 1024
MAX_SECONDS = 330.0
"""Longest that anybody waits: the longest payment and its fence stay below it."""

_AWAY = {HTTPStatus.SERVICE_UNAVAILABLE}
"""What the ingress, or a proxy before it, says where Restate is not ready; 404, 429 and 500 mean something else."""

_REASONS = by_reason()
_CLIENT_HEADERS = {"content-type": "application/json"}


class _Refusal(msgspec.Struct, frozen=True):
    """Body of an answer that is not 2xx, as far as it can be read."""

    message: str = ""
    metadata: dict[str, str] | None = None
    source: str = ""


_refusals = msgspec.json.Decoder(_Refusal)


class Ingress:
    """A pool of connections to a Restate ingress, for example `http://127.0.0.1:8080`.

    `token`: what Restate Cloud, or a proxy, lets us in by; empty where nothing asks for one.
    `wait_seconds`: how long calls wait for a Restate that is away.
    """

    def __init__(self, url: str, token: str = "", wait_seconds: float = 0.0) -> None:
        self._base = url.rstrip("/")
        self._authorization = {"authorization": f"Bearer {token}"} if token else {}
        self._room = WaitingRoom(wait_seconds)
        self._session: aiohttp.ClientSession | None = None

    @property
    def wait_seconds(self) -> float:
        """How long calls wait for a Restate that is away."""
        return self._room.wait_seconds

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def call(  # noqa: PLR0913 - what one request has, by name
        self,
        service: str,
        key: str | None,
        handler: str,
        body: bytes,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the caller's deadline goes to the connection itself
        send: bool = False,
        traceparent: str = "",
        is_read: bool = False,
    ) -> bytes:
        """Invoke a handler and give the answer's bytes; with `send` only submit it.

        `key`: object key, None for a plain service. `timeout`: seconds. `is_read`: the handler changes
        nothing, so that the call may be made again whatever became of it; so may one with an `idempotency_key`.
        Raises the refusal of the handler, UnavailableError where Restate or the service cannot be
        reached, DeadlineExceededError after `timeout`, InternalError for anything else.
        """
        url = self._url(service, key, handler, send=send)
        headers = self._headers(body, idempotency_key, traceparent)
        limit = min(MAX_SECONDS if timeout is None else timeout, MAX_SECONDS)

        async def attempt(seconds: float) -> bytes:
            return await self._attempt(service, handler, url, headers, body, seconds)

        return await self._room.call(attempt, is_repeatable=is_read or idempotency_key is not None, limit_seconds=limit)

    def _headers(self, body: bytes, idempotency_key: str | None, traceparent: str) -> dict[str, str]:
        # A handler without input, as `ping`, refuses a content-type.
        headers = dict(_CLIENT_HEADERS) if body else {}
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        if traceparent:
            headers["traceparent"] = traceparent
        return headers | self._authorization

    async def _attempt(
        self, service: str, handler: str, url: URL, headers: dict[str, str], body: bytes, seconds: float
    ) -> bytes:
        """Send the request once. Raises AwayError where Restate could not take it, and what `call` raises."""
        if seconds <= 0:
            raise DeadlineExceededError("the deadline has passed")
        try:
            async with self._pool().post(
                url,
                # Large bodies in pieces: as one, aiohttp warns, they would hold the event loop up.
                data=body if len(body) < LARGE_BYTES else io.BytesIO(body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds)),
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                status = answer.status
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            # There was no connection yet, so nothing was sent.
            raise AwayError(UnavailableError("Restate cannot be reached"), was_sent=False) from error
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline has passed; the outcome is unknown") from error
        except (aiohttp.ClientError, OSError) as error:
            log.warning("no answer from the ingress", service=service, handler=handler, error=type(error).__name__)
            raise AwayError(UnavailableError("Restate cannot be reached"), was_sent=True) from error
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return content
        refusal = _refusal(status, content, service, handler)
        if isinstance(refusal, UnavailableError) and status in _AWAY and _read(content).source != "invocation":
            # Also a request that was taken may end so, when Restate stops meanwhile.
            raise AwayError(refusal, was_sent=True)
        raise refusal

    async def ping(self, service: str, key: str | None, seconds: float = PING_SECONDS) -> bool:
        """Tell whether a service is registered and answers in time."""
        try:
            # Not waited for: this is how it is learned that Restate is away.
            await self._attempt(
                service, "ping", self._url(service, key, "ping"), self._headers(b"", None, ""), b"", seconds
            )
        except (NexusError, AwayError):
            return False
        return True

    async def is_healthy(self) -> bool:
        """Tell whether Restate's ingress says that it is healthy."""
        try:
            limit = aiohttp.ClientTimeout(total=2.0)
            url = URL(f"{self._base}/restate/health", encoded=True)
            async with self._pool().get(url, timeout=limit, headers=self._authorization) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=30, ttl_dns_cache=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )
        return self._session

    def _url(self, service: str, key: str | None, handler: str, *, send: bool = False) -> URL:
        parts = [service, *([] if key is None else key.split(":")), handler]
        if not all(is_id(part) for part in parts):
            # Empty, `..` and escaped slashes would name another object or handler.
            raise InternalError(f"not an address: {parts!r}")
        path = f"{service}/{handler}" if key is None else f"{service}/{quote(key, safe='')}/{handler}"
        return URL(f"{self._base}/{path}{'/send' if send else ''}", encoded=True)


def _read(content: bytes) -> _Refusal:
    try:
        return _refusals.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Refusal()


def _refusal(status: int, content: bytes, service: str, handler: str) -> NexusError:
    """Make the error that an answer stands for, by its source and reason, never by status or text."""
    found = _read(content)
    if found.source == "invocation":
        details = dict(found.metadata or {})
        kind = _REASONS.get(details.pop("reason", ""))
        if kind is not None:
            return kind.rebuild(found.message, details)
    elif found.source == "ingress" or status in {404, 429, 503}:
        log.warning("refused by the ingress", status=status, service=service, handler=handler)
        return UnavailableError(f"{service} cannot be reached now")
    log.error("failed call", status=status, source=found.source, service=service, handler=handler)
    return InternalError(f"{service}.{handler} failed with {status}")


def decode(body: bytes) -> dict[str, Any]:
    """Read a handler's answer, a JSON object."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InternalError("an answer that is no JSON object") from error
    return answer
