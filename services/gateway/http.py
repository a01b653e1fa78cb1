"""The HTTP door: an ASGI application that transcodes by the routes. Source: google/api/http.proto."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from typing import Final

from services.common.errors import InvalidRequestError, NotFoundError, RateLimitedError
from services.common.tracing import HEADER
from services.gateway import metrics, sse
from services.gateway.access import Access, watched
from services.gateway.admission import IDEMPOTENCY_KEY, Admission
from services.gateway.asgi import Answer, Disconnected, HttpRefusal, Receive, Request, Scope, Send, refusal_answer
from services.gateway.auth import Authenticator, Credentials
from services.gateway.body import print_json, read_json, read_query, to_message
from services.gateway.calls import Call, Gateway
from services.gateway.outbox import TAKE_SECONDS
from services.gateway.pages import Pages
from services.gateway.paths import PathTable
from services.gateway.ratelimit_guard import Visit
from services.gateway.routes import Route
from services.gateway.status import FAULTS, opaque

CALL_SECONDS: Final = 60.0
"""Deadline of a call: HTTP has no way for a client to say one."""

FORWARDED: Final = "x-forwarded-for"


class HttpDoor:
    """Serves every route, and the pages beside them, over HTTP."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        gateway: Gateway,
        admission: Admission,
        authenticator: Authenticator,
        pages: Pages,
    ) -> None:
        self._gateway = gateway
        self._admission = admission
        self._authenticator = authenticator
        self._pages = pages
        self._table = PathTable((route.http_method, route.path, route) for route in routes.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI asks; WebSockets are refused by not being accepted."""
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": f"{event['type']}.complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        begun = time.perf_counter()
        name, status = "none", 499
        try:
            name, answer = await self._answer(request, send)
            status = 200 if answer is None else answer.status
            if answer is not None:
                await request.drain()
                async with asyncio.timeout(TAKE_SECONDS if request.waiting else None):
                    await answer.send(send, is_head=request.is_head)
        except (Disconnected, TimeoutError):
            pass  # Nobody is left to be answered, or nobody takes the answer.
        finally:
            self._gateway.outbox.taken(request.waiting)
            # A method that is none of ours is the client's choice, and would grow the metrics without bound.
            method = request.method if request.method in _METHODS else "other"
            metrics.http(method, name, status, time.perf_counter() - begun)

    async def _answer(self, request: Request, send: Send) -> tuple[str, Answer | None]:
        """Give the route's name for metrics and the answer, None where it was streamed."""
        try:
            request.check_framing()
        except HttpRefusal as refusal:
            return "none", refusal_answer(refusal.error, refusal.status, refusal.headers)
        page = await self._pages.find(request)
        if page is not None:
            return request.path, page
        match = self._table.find(request.path)
        if match is None:
            return "none", refusal_answer(NotFoundError("there is no such path"))
        method = "GET" if request.is_head else request.method
        if method not in match.by_method:
            allowed = ", ".join(sorted([*match.by_method, *(["HEAD"] if "GET" in match.by_method else [])]))
            error = InvalidRequestError({"method": f"must be {allowed}"})
            return "none", refusal_answer(error, 405, {"allow": allowed})
        route, values = match.by_method[method]
        return route.path.text, await self._call(route, values, request, send)

    async def _call(self, route: Route, values: list[str], request: Request, send: Send) -> Answer | None:
        with watched(route, "http", request.header(HEADER)) as access:
            try:
                with self._admission.guard.enter(route, request.peer, request.headers.get(FORWARDED, ())) as visit:
                    return await self._watched_call(route, values, request, send, access, visit)
            except RateLimitedError as full:
                access.refused(full)
                return refusal_answer(full)

    async def _watched_call(
        self, route: Route, values: list[str], request: Request, send: Send, access: Access, visit: Visit
    ) -> Answer | None:
        headers: dict[str, str] = {}
        try:
            call = await self._open(route, values, request, headers, access, visit)
            if route.is_stream:
                if request.is_head:
                    access.answered()
                    return Answer(200, content_type="text/event-stream", headers=headers)
                await sse.stream(self._gateway, call, request, send, headers, access)
                return None
            response = await self._gateway.unary(call)
            request.waiting = self._gateway.outbox.put(response.ByteSize())
            body = await self._gateway.heavy.run(response.ByteSize(), lambda: print_json(response))
            access.answered()
        except HttpRefusal as refusal:
            access.refused(refusal.error)
            return refusal_answer(refusal.error, refusal.status, {**headers, **refusal.headers})
        except FAULTS as fault:
            error = opaque(fault)
            access.refused(error)
            return refusal_answer(error, headers=headers)
        if route.http_method == "GET" and route.is_public:
            return _revalidated(body, request)
        return Answer(200, body, headers={"cache-control": "no-store", **headers})

    async def _open(
        self,
        route: Route,
        values: list[str],
        request: Request,
        headers: dict[str, str],
        access: Access,
        visit: Visit,
    ) -> Call:
        """Read and check a call. `headers` gets the made id as soon as there is one."""
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        caller = await visit.caller(self._authenticator, _credentials(request))
        content = await request.body(route.max_bytes) if route.body else b""
        fields = read_query(request.query, route)
        last_event = request.header(sse.LAST_EVENT_ID)
        if last_event and route.is_stream and sse.RESUME_TOKEN in route.request_class.DESCRIPTOR.fields_by_name:
            fields.setdefault(sse.RESUME_TOKEN, last_event)
        heavy = self._gateway.heavy
        message = await heavy.run(len(content), lambda: to_message(route, fields, read_json(content), values))
        call = self._admission.open(
            route,
            message,
            caller,
            idempotency_keys=request.headers.get(IDEMPOTENCY_KEY, []),
            deadline=None if route.is_stream else deadline,
            traceparent=request.header(HEADER),
        )
        access.opened(call)
        if call.made_id:
            headers[route.made_id_header] = call.made_id
        await heavy.run(len(content), lambda: self._admission.check(call))
        return call


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _credentials(request: Request) -> Credentials:
    found = request.headers
    return Credentials(
        found.get("authorization", []),
        found.get("x-api-key", []),
        found.get("x-nexus-subject", []),
        found.get("x-nexus-roles", []),
    )


def _revalidated(body: bytes, request: Request) -> Answer:
    """Answer with a strong ETag, or 304 where the client has it. Source: RFC 9110, section 13.1.2."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "no-cache", "vary": "authorization, x-api-key"}
    wanted = ",".join(request.headers.get("if-none-match", []))
    known = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
    if etag in known or "*" in known:
        return Answer(304, headers=headers)
    return Answer(200, body, headers=headers)
