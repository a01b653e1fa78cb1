"""The port for operators: /metrics, /livez and /readyz, never with TLS, up until the very end of a stop.

Probes and Prometheus need no certificate of a client there, and learn nothing that is secret.
"""

from __future__ import annotations

import prometheus_client
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from services.gateway.asgi import Answer
from services.gateway.pages import Readiness, liveness_answer, readiness_answer

CLOSE_SECONDS = 1.0


class Probes:
    """A small HTTP server of its own."""

    def __init__(self, readiness: Readiness) -> None:
        # Of each counter it would export when this process made it, which reads like a fact.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._readiness = readiness
        app = web.Application()
        app.router.add_get("/metrics", _metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError where the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        return _response(liveness_answer())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _response(await readiness_answer(self._readiness))


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return web.Response(body=encode(prometheus_client.REGISTRY), headers={"content-type": content_type})


def _response(answer: Answer) -> web.Response:
    headers = {"content-type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
