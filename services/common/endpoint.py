"""Runs an endpoint: services behind identity keys, on granian or hypercorn, drained on SIGTERM.

An endpoint is a module (`services.<name>.app`) with `SERVICES`, a list of Restate definitions, and
optionally `async def startup()` and `async def shutdown()`, which run in the process that serves. A module
`settings` beside it may have `check(environ)`, which raises ConfigError before anything is served.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import prometheus_client
import restate
import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP2Settings
from granian.log import LogLevels
from granian.server import Server as Granian
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from restate.server import install_shutdown_hook

from services.common import attempt, code, drain, identity, log, tracing
from services.common.config import DEFAULT_PORTS, EndpointSettings, load_or_exit, refuse_start, valid_or_exit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

DRAIN_SECONDS: Final = 20
"""Longer than the longest step (15 s), shorter than a pod's grace period. Source: FACTS.md."""

MANY: Final = 100_000
"""No limit in practice: Restate multiplexes everything over few connections."""

LONG_SECONDS: Final = 24 * 3600
UNAUTHORIZED: Final = 401
REFUSALS: Final = (UNAUTHORIZED, 404)

IN_FLIGHT = prometheus_client.Gauge("nexus_invocations_in_flight", "Invocation attempts being served now.")
ATTEMPTS = prometheus_client.Counter("nexus_invocation_attempts", "Invocation attempts begun.", ["service", "handler"])
UNSIGNED = prometheus_client.Counter(
    "nexus_unsigned_calls", "Calls answered with 401: not signed by a Restate whose key is accepted."
)
SECONDS = prometheus_client.Histogram(
    "nexus_invocation_attempt_seconds",
    "How long an attempt was connected, waits included.",
    ["service", "handler"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)

logger = structlog.get_logger()


def run(component: str, module: str, environ: Mapping[str, str] | None = None) -> None:
    """Serve the endpoint until SIGTERM, and then until no step is in flight (at most 20 s).

    Exits with code 2 and one sentence where a setting is missing, above all the identity keys.
    """
    port, metrics_port = DEFAULT_PORTS.get(component, (0, 0))
    defaults = {"port": port, "metrics_port": metrics_port}
    environ = os.environ if environ is None else environ
    settings = load_or_exit(EndpointSettings, environ, defaults)
    identity_keys = valid_or_exit(identity.configured, settings)
    # Hashed before the code is imported: a file changed in between gives an old hash, which is noticed.
    version = code.code_hash(folder_of(module))
    beside = f"{module.rpartition('.')[0]}.settings"
    if importlib.util.find_spec(beside) is not None:
        valid_or_exit(importlib.import_module(beside).check, environ)
    make = functools.partial(build, component, module, version, settings, identity_keys)
    if settings.server == "hypercorn":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_hypercorn(make(), settings))
    else:
        _run_granian(make, settings)


def folder_of(module: str) -> Path:
    """Find the folder of an endpoint's module without importing the module itself."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        refuse_start(f"there is no module {module}")
    return Path(spec.origin).resolve().parent


def build(component: str, module: str, version: str, settings: EndpointSettings, identity_keys: tuple[str, ...]) -> App:
    """Make the ASGI app, in the process that serves it."""
    log.configure(component, settings.log_level, processors=[attempt.add_invocation], filters=[attempt.drop_replayed])
    tracing.start(component, settings.otlp_endpoint)
    endpoint = importlib.import_module(module)
    drain.suspend_on_shutdown()
    return Endpoint(version, settings, endpoint, identity_keys)


class Endpoint:
    """Restate's ASGI app with a lifespan, code and keys on `/health`, numbers, and a drain that ends."""

    def __init__(self, version: str, settings: EndpointSettings, module: Any, identity_keys: tuple[str, ...]) -> None:
        self.version = version
        self.settings = settings
        self.module = module
        self.known = {definition.name: definition.handlers for definition in module.SERVICES}
        self.is_draining = False
        self.in_flight = 0
        self.on_drained: Callable[[], None] = functools.partial(os.kill, os.getpid(), signal.SIGINT)
        self._following: asyncio.Task[None] | None = None
        self.accept(identity_keys)

    def accept(self, identity_keys: tuple[str, ...]) -> None:
        """Obey calls signed with one of these keys from now on; calls in flight go on as they are."""
        # The SDK has no way to replace a verifier, so the whole app is made anew; what runs in the old one stays there.
        self.app: App = restate.app(services=self.module.SERVICES, identity_keys=list(identity_keys))
        self.identity_keys = identity_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's lifespan or one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope.get("path", "")
        if path.endswith("/health"):
            await self._answer(send, 503 if self.is_draining else 200)
        elif self.is_draining:
            # Restate tries again, at another process or at the next one here.
            await self._answer(send, 503)
        else:
            await self._serve(path, scope, receive, send)

    async def _serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        parts = path.rsplit("/", 3)
        service = parts[-2] if len(parts) == 4 and parts[1] == "invoke" else ""  # noqa: PLR2004 - .../invoke/service/handler
        handler = parts[-1] if service else "discover"
        # Only what exists becomes a label: anybody may ask for other paths.
        labels = (service, handler) if handler in self.known.get(service, ()) else ("", "")
        ATTEMPTS.labels(*labels).inc()
        self.in_flight += 1
        IN_FLIGHT.inc()
        begun = time.monotonic()

        try:
            await self.app(scope, receive, _refusing_at_once(send))
        finally:
            SECONDS.labels(*labels).observe(time.monotonic() - begun)
            IN_FLIGHT.dec()
            self.in_flight -= 1
            if self.is_draining and self.in_flight == 0:
                self.on_drained()

    def drain(self) -> None:
        """Take nothing new; end once nothing is in flight."""
        if self.is_draining:
            return
        self.is_draining = True
        logger.info("draining", in_flight=self.in_flight)
        if self.in_flight == 0:
            self.on_drained()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except Exception as error:
            logger.exception("startup failed")
            # Without this the servers would go on without a lifespan.
            await send({"type": "lifespan.startup.failed", "message": type(error).__name__})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._following is not None:
            self._following.cancel()
        if hasattr(self.module, "shutdown"):
            await self.module.shutdown()
        # In a thread: what is left is sent, which blocks.
        await asyncio.to_thread(tracing.stop)
        logger.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        if self.settings.metrics_port:
            # Of each counter it would export when this process made it, which reads like a fact.
            prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
            # In the process that serves: with granian that is not the one that was started.
            prometheus_client.start_http_server(self.settings.metrics_port, self.settings.host)
        if hasattr(self.module, "startup"):
            await self.module.startup()
        if self.settings.identity_keys_file:
            path = Path(self.settings.identity_keys_file)
            self._following = asyncio.create_task(identity.follow(path, self.identity_keys, self.accept))
        # Beside the SDK's own hook, which makes waiting invocations suspend.
        install_shutdown_hook(asyncio.get_running_loop(), self.drain, signal.SIGTERM)
        logger.info("serving", port=self.settings.port, code=self.version, server=self.settings.server)

    async def _answer(self, send: Send, status: int) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (code.HEADER.encode(), self.version.encode()),
            (identity.HEADER.encode(), ",".join(self.identity_keys).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b'{"status":"ok"}' if status == 200 else b'{"status":"draining"}'  # noqa: PLR2004
        await send({"type": "http.response.body", "body": body})


def _refusing_at_once(send: Send) -> Send:
    """Give a `send` by which a refusal leaves at once, and which counts those of unsigned calls."""
    is_refused = False

    async def answer(message: Message) -> None:
        nonlocal is_refused
        if message.get("status") in REFUSALS:
            is_refused = True
            if message["status"] == UNAUTHORIZED:
                UNSIGNED.inc()
            await send(message)
            # The SDK would first wait for the end of the request, and the servers keep the status until there is a
            # body: Restate, which leaves its side of an invocation open, would wait as well, for a minute and more.
            await send({"type": "http.response.body"})
        elif not is_refused:
            await send(message)

    return answer


def _run_granian(make: Callable[[], App], settings: EndpointSettings) -> None:
    server = Granian(
        "",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=1,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        http2_settings=HTTP2Settings(max_concurrent_streams=MANY),
        websockets=False,
        backlog=1024,
        backpressure=MANY,
        log_access=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=DRAIN_SECONDS,
    )
    server.serve(target_loader=make, wrap_loader=False)


async def _run_hypercorn(app: App, settings: EndpointSettings) -> None:
    config = HypercornConfig()
    config.bind = [f"{settings.host}:{settings.port}"]
    config.graceful_timeout = DRAIN_SECONDS
    config.h2_max_concurrent_streams = MANY
    config.keep_alive_timeout = LONG_SECONDS
    config.keep_alive_max_requests = 10**9
    config.accesslog = None
    config.loglevel = "WARNING"
    stop = asyncio.Event()
    # hypercorn's own SIGTERM handler would be replaced by the SDK's. Source: FACTS.md.
    loop = asyncio.get_running_loop()
    install_shutdown_hook(loop, stop.set, signal.SIGTERM)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait)
