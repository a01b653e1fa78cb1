"""The only way from the gateway to Restate: one POST to the ingress, made safe.

Ids are checked before a path is built, headers are a fresh set (the client's own would be stored in
the journal), nothing is retried here, and refusals come out as NexusErrors. Source: FACTS.md, "The
ingress, which the gateway must make safe".
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

log = structlog.get_logger(__name__)

FINGERPRINT = "fingerprint"
"""Detail of a refusal that tells which request it answered; never shown to a client."""

MAX_CONNECTIONS = 8192
"""Calls in flight at once; each holds a connection while its handler runs."""

CONNECT_SECONDS = 2.0
LARGE_BYTES = 512 * 1024
MAX_SECONDS = 330.0
"""Longest that anybody waits: the longest payment and its fence stay below it."""

_REASONS = by_reason()
_CLIENT_HEADERS = {"content-type": "application/json"}


class _Refusal(msgspec.Struct, frozen=True):
    """Body of an answer that is not 2xx, as far as it can be read."""

    message: str = ""
    metadata: dict[str, str] | None = None
    source: str = ""


_refusals = msgspec.json.Decoder(_Refusal)


class Ingress:
    """A pool of connections to a Restate ingress, for example `http://127.0.0.1:8080`."""

    def __init__(self, url: str) -> None:
        self._base = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def call(
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
    ) -> bytes:
        """Invoke a handler and give the answer's bytes; with `send` only submit it.

        `key`: object key, None for a plain service. `timeout`: seconds.
        Raises the refusal of the handler, UnavailableError where Restate or the service cannot be
        reached, DeadlineExceededError after `timeout`, InternalError for anything else.
        """
        url = self._url(service, key, handler, send=send)
        # A handler without input, as `ping`, refuses a content-type.
        headers = dict(_CLIENT_HEADERS) if body else {}
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        if traceparent:
            headers["traceparent"] = traceparent
        limit = min(MAX_SECONDS if timeout is None else timeout, MAX_SECONDS)
        if limit <= 0:
            raise DeadlineExceededError("the deadline has passed")
        try:
            async with self._pool().post(
                url,
                # Large bodies in pieces: as one, aiohttp warns, they would hold the event loop up.
                data=body if len(body) < LARGE_BYTES else io.BytesIO(body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=limit, sock_connect=min(CONNECT_SECONDS, limit)),
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                status = answer.status
        except aiohttp.ConnectionTimeoutError as error:
            raise UnavailableError("Restate cannot be reached") from error
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline has passed; the outcome is unknown") from error
        except (aiohttp.ClientError, OSError) as error:
            log.warning("no answer from the ingress", service=service, handler=handler, error=type(error).__name__)
            raise UnavailableError("Restate cannot be reached") from error
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return content
        raise _refusal(status, content, service, handler)

    async def ping(self, service: str, key: str | None) -> bool:
        """Tell whether a service is registered and answers within two seconds."""
        try:
            await self.call(service, key, "ping", b"", timeout=2.0)
        except NexusError:
            return False
        return True

    async def is_healthy(self) -> bool:
        """Tell whether Restate's ingress says that it is healthy."""
        try:
            limit = aiohttp.ClientTimeout(total=2.0)
            async with self._pool().get(URL(f"{self._base}/restate/health", encoded=True), timeout=limit) as answer:
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

    def _url(self, service: str, key: str | None, handler: str, *, send: bool) -> URL:
        parts = [service, *([] if key is None else key.split(":")), handler]
        if not all(is_id(part) for part in parts):
            # Empty, `..` and escaped slashes would name another object or handler.
            raise InternalError(f"not an address: {parts!r}")
        path = f"{service}/{handler}" if key is None else f"{service}/{quote(key, safe='')}/{handler}"
        return URL(f"{self._base}/{path}{'/send' if send else ''}", encoded=True)


def _refusal(status: int, content: bytes, service: str, handler: str) -> NexusError:
    """Make the error that an answer stands for, by its source and reason, never by status or text."""
    try:
        found = _refusals.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = _Refusal()
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
