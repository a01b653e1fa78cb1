"""A receiver of OTLP/HTTP in the test's own process: what a collector would be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span as it arrived, ids as hex digits."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: list[str]
    raw: str


class Receiver:
    """Keeps every span that is sent to it."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def find(self, name: str, trace_id: str, service: str = "nexus-") -> list[Seen]:
        """Give the spans of one name in one trace, of processes whose service name begins so."""
        return [
            span
            for span in self.spans
            if (span.name, span.trace_id) == (name, trace_id) and span.service.startswith(service)
        ]

    async def _take(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await request.read())
        for group in message.resource_spans:
            service = {item.key: item.value.string_value for item in group.resource.attributes}.get("service.name", "")
            for scope in group.scope_spans:
                self.spans += [_seen(service, span) for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        {item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in span.attributes},
        [link.trace_id.hex() for link in span.links],
        str(span),
    )
