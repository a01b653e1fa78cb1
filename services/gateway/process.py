"""How a process serves both doors on one event loop, and stops so that calls finish. Used by the gateway and by ops."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config

from services.common import tracing
from services.common.config import refuse_start
from services.gateway.asgi import App
from services.gateway.calls import Gateway
from services.gateway.certificates import Certificates
from services.gateway.pages import Readiness
from services.gateway.probes import Probes
from services.gateway.rpc import RpcDoor
from services.gateway.settings import GatewaySettings

GRACE_SECONDS: Final = 20
"""How long calls in flight may go on after SIGTERM; a pod's grace period must be longer."""

HANDSHAKE_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 16 * 1024

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What one process serves. `certificates`: None where the doors have no TLS."""

    gateway: Gateway
    readiness: Readiness
    http: App
    rpc: RpcDoor
    certificates: Certificates | None


async def serve(
    name: str, settings: GatewaySettings, parts: Parts, behind: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
) -> None:
    """Serve until SIGTERM or SIGINT. `behind`: what runs beside the doors and never ends by itself.

    Ends the process with code 2 where it cannot listen.
    """
    stop, listens, stops = asyncio.Event(), f"{name} listens", f"{name} stops"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().set_exception_handler(note_broken_connection)
    rpc, certificates = parts.rpc, parts.certificates
    try:
        credentials = certificates.grpc_credentials() if certificates else None
        port = await rpc.start(f"{settings.host}:{settings.grpc_port}", credentials)
    except RuntimeError:
        refuse_start(f"NEXUS_GRPC_PORT: {settings.host}:{settings.grpc_port} cannot be listened on")
    probes = Probes(parts.readiness)
    closing = asyncio.Event()
    http_served = asyncio.ensure_future(
        serve_http(parts.http, _hypercorn(settings, certificates), shutdown_trigger=closing.wait)  # type: ignore[arg-type]
    )
    stopped = asyncio.ensure_future(stop.wait())
    followed = [asyncio.ensure_future(rpc.follow(parts.readiness))]
    if certificates:
        followed.append(asyncio.ensure_future(certificates.follow()))
    working = [asyncio.ensure_future(work()) for work in behind]
    try:
        if settings.metrics_port:
            await probes.start(settings.host, settings.metrics_port)
        logger.info(listens, grpc_port=port, http_port=settings.http_port, tls=certificates is not None)
        await asyncio.wait({http_served, stopped, *working}, return_when=asyncio.FIRST_COMPLETED)
        for ended in (http_served, *working):
            if ended.done():
                # It never ends by itself: its error is to be seen.
                await ended
        logger.info(stops)
    except OSError as error:
        refuse_start(f"NEXUS_HTTP_PORT or NEXUS_METRICS_PORT: {error.strerror or 'the port is taken'}")
    finally:
        # Balancers look elsewhere, watchers are sent elsewhere, then calls in flight have their time.
        parts.gateway.stopping.set()
        for task in (*followed, *working):
            task.cancel()
        await rpc.say_not_serving()
        closing.set()
        await asyncio.gather(rpc.stop(GRACE_SECONDS), http_served, *working, return_exceptions=True)
        stopped.cancel()
        await parts.gateway.close()
        await probes.close()
        # In a thread: what is left is sent, which blocks.
        await asyncio.to_thread(tracing.stop)


def note_broken_connection(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Write one line about a connection that its client broke; anything else is the loop's own to tell.

    hypercorn lets what its HTTP/2 stumbles over reach the loop, which writes the traceback, and in it the
    client's bytes: tokens and addresses are among them. The connection is closed all the same.
    """
    error = context.get("exception")
    if error is None or not str(context.get("message", "")).startswith(_CONNECTION_BROKE):
        loop.default_exception_handler(dict(context))
        return
    logger.info("connection broken", errors=sorted({type(one).__name__ for one in _leaves(error)}))


_CONNECTION_BROKE: Final = "Unhandled exception in client_connected_cb"
"""Source: asyncio/streams.py."""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


class _HypercornConfig(Config):
    """Hypercorn's settings, with a TLS context of ours in place of one that it would read once."""

    certificates: Certificates | None = None

    @property
    def ssl_enabled(self) -> bool:
        """Whether the door has TLS."""
        return self.certificates is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Give the context of the certificate in use."""
        return self.certificates.tls_context() if self.certificates else None


def _hypercorn(settings: GatewaySettings, certificates: Certificates | None) -> Config:
    config = _HypercornConfig()
    config.certificates = certificates
    config.ssl_handshake_timeout = HANDSHAKE_SECONDS
    config.bind = [f"{settings.host}:{settings.http_port}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = GRACE_SECONDS
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.h2_max_header_list_size = MAX_HEAD_BYTES
    config.h2_max_concurrent_streams = 1000
    config.keep_alive_timeout = 75
    config.keep_alive_max_requests = 1_000_000
    return config
