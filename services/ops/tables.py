"""Restate's SQL tables and the one change that operators make by them: resuming an invocation.

Never a kill: it would skip compensations and end the timers that the invocation has set (FACTS.md). SQL texts are in
`queries.py`, what is made of the rows in the domain modules.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from services.common.errors import UnavailableError

QUERY_SECONDS: Final = 60.0
"""Longest that a query may take; a scan of a million rows takes some seconds."""

Row = TypeVar("Row")


class _Answer(msgspec.Struct):
    rows: list[msgspec.Raw] = []


class _Refusal(msgspec.Struct):
    message: str = ""


class AdminRefusedError(RuntimeError):
    """Restate refuses what was asked, or cannot read the query. `status`: of its HTTP answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Tables:
    """Restate's admin API at `url`; `token` is sent as Bearer where there is one."""

    def __init__(self, url: str, token: str = "", seconds: float = QUERY_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def query(self, sql: str, row_type: type[Row]) -> list[Row]:
        """Run a query and give its rows; a column that is null in a row is missing in it.

        Raises UnavailableError where Restate cannot be reached or is too slow, AdminRefusedError where it refuses or
        answers something else.
        """
        body = await self._call("POST", "/query", {"query": sql})
        try:
            rows = msgspec.json.decode(body, type=_Answer).rows
            return [msgspec.json.decode(row, type=row_type, strict=False) for row in rows]
        except msgspec.MsgspecError as error:
            raise AdminRefusedError(HTTPStatus.OK, f"Restate's rows are not what ops knows: {error}") from error

    async def resume(self, invocation_id: str) -> None:
        """Let a paused or backing-off invocation be tried now, on the deployment that it is pinned to."""
        await self._call("PATCH", f"/invocations/{quote(invocation_id, safe='')}/resume")

    async def is_healthy(self) -> bool:
        """Tell whether the admin API answers."""
        try:
            await self._call("GET", "/health", seconds=2.0)
        except (UnavailableError, AdminRefusedError):
            return False
        return True

    async def _call(self, method: str, path: str, body: Any = None, seconds: float | None = None) -> bytes:
        timeout = aiohttp.ClientTimeout(total=seconds or self._seconds, sock_connect=2.0)
        try:
            async with self._open().request(method, self._url + path, json=body, timeout=timeout) as answer:
                content = await answer.read()
                status = answer.status
        except TimeoutError as error:
            raise UnavailableError("Restate's admin API did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError("Restate's admin API cannot be reached") from error
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return content
        raise AdminRefusedError(status, _text(content))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"accept": "application/json"}
            if self._token:
                headers["authorization"] = f"Bearer {self._token}"
            self._session = aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _text(content: bytes) -> str:
    try:
        return msgspec.json.decode(content, type=_Refusal).message[:500]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return content[:500].decode(errors="replace")


def literal(text: str) -> str:
    """Write a text as an SQL string. Ids hold no quotes; this keeps what is in the state from becoming SQL."""
    return "'" + text.replace("'", "''") + "'"
