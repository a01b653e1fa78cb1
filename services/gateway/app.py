"""The gateway's process: settings, both doors on one event loop, and a stop that lets calls finish."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import signal
from pathlib import Path
from typing import Final, Literal

import msgspec
import prometheus_client
import structlog
import uvloop
from google.protobuf.descriptor import FileDescriptor
from hypercorn.asyncio import serve
from hypercorn.config import Config

from services.common import log, tracing
from services.common.config import ConfigError, OtlpEndpoint, Port, Secret, load_or_exit, refuse_start
from services.common.seal import KeyRing, SealKeysError
from services.gateway.access import add_call
from services.gateway.admission import Admission
from services.gateway.auth import AuthConfigError, Authenticator, JwtVerifier, OneKey, load_api_keys
from services.gateway.calls import Gateway
from services.gateway.composed import COMPOSED, refuse_sold
from services.gateway.http import HttpDoor
from services.gateway.ingress import Ingress
from services.gateway.jwks import JwksKeys
from services.gateway.keys import RequestKeys
from services.gateway.openapi import document
from services.gateway.pages import Pages, Readiness
from services.gateway.routes import CONTRACT, Route, further_files, load_routes
from services.gateway.rpc import RpcDoor

GRACE_SECONDS: Final = 20
"""How long calls in flight may go on after SIGTERM; a pod's grace period must be longer."""

MAX_HEAD_BYTES: Final = 16 * 1024

logger = structlog.get_logger(__name__)


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway is told; see README.md, "Settings".

    `descriptors`: file with a FileDescriptorSet whose services are served as well.
    """

    seal_keys: Secret
    subject_key: Secret
    host: str = "127.0.0.1"
    grpc_port: Port = 50051
    http_port: Port = 8000
    metrics_port: Port = 9184
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    ingress_url: str = "http://127.0.0.1:8080"
    auth_public_key: str = ""
    auth_jwks_url: str = ""
    auth_issuer: str = "nexus"
    auth_audience: str = "nexus"
    auth_algorithms: tuple[str, ...] = ("EdDSA", "RS256", "ES256")
    api_keys_file: str = ""
    insecure_dev: bool = False
    descriptors: str = ""
    otlp_endpoint: OtlpEndpoint = ""


def main(settings: GatewaySettings | None = None) -> None:
    """Run until SIGTERM or SIGINT. Ends the process with code 2 where it cannot start with its settings."""
    chosen = settings or load_or_exit(GatewaySettings, os.environ)
    log.configure("gateway", chosen.log_level, processors=[add_call])
    tracing.start("gateway", chosen.otlp_endpoint)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(chosen))


async def _run(settings: GatewaySettings) -> None:
    routes = load_routes([*CONTRACT, *_further(settings)])
    try:
        keys = RequestKeys(_subject_key(settings))
        gateway = Gateway(
            Ingress(settings.ingress_url), keys, KeyRing.parse(settings.seal_keys.reveal()), COMPOSED, refuse_sold
        )
        authenticator = _authenticator(settings, keys)
    except SealKeysError as error:
        refuse_start(f"NEXUS_SEAL_KEYS: {error}")
    except AuthConfigError as error:
        refuse_start(str(error))
    except ConfigError as error:
        refuse_start(*(f"{variable}: {expected}" for variable, expected in error.problems.items()))
    if settings.insecure_dev:
        logger.warning("NEXUS_INSECURE_DEV: anybody may call as anybody")
    await _serve(settings, routes, gateway, Admission(keys), authenticator)


async def _serve(
    settings: GatewaySettings,
    routes: dict[str, Route],
    gateway: Gateway,
    admission: Admission,
    authenticator: Authenticator,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    readiness = Readiness(gateway, routes)
    pages = Pages(readiness, document(routes))
    http = HttpDoor(routes, gateway, admission, authenticator, pages)
    rpc = RpcDoor(routes, gateway, admission, authenticator)
    try:
        port = await rpc.start(f"{settings.host}:{settings.grpc_port}")
    except RuntimeError:
        refuse_start(f"NEXUS_GRPC_PORT: {settings.host}:{settings.grpc_port} cannot be listened on")
    metrics = None
    closing = asyncio.Event()
    http_served = asyncio.ensure_future(
        serve(http, _hypercorn(settings), shutdown_trigger=closing.wait)  # type: ignore[arg-type]
    )
    stopped = asyncio.ensure_future(stop.wait())
    health_told = asyncio.ensure_future(rpc.follow(readiness))
    try:
        if settings.metrics_port:
            # Of each counter it would export when this process made it, which reads like a fact.
            prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
            metrics, _ = prometheus_client.start_http_server(settings.metrics_port, settings.host)
        logger.info("gateway listens", grpc_port=port, http_port=settings.http_port)
        await asyncio.wait({http_served, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if http_served.done():
            await http_served
        logger.info("gateway stops")
    except OSError as error:
        refuse_start(f"NEXUS_HTTP_PORT or NEXUS_METRICS_PORT: {error.strerror or 'the port is taken'}")
    finally:
        # Balancers look elsewhere, watchers are sent elsewhere, then calls in flight have their time.
        gateway.stopping.set()
        health_told.cancel()
        await rpc.say_not_serving()
        closing.set()
        await asyncio.gather(rpc.stop(GRACE_SECONDS), http_served, return_exceptions=True)
        stopped.cancel()
        await gateway.close()
        if metrics is not None:
            metrics.shutdown()
        # In a thread: what is left is sent, which blocks.
        await asyncio.to_thread(tracing.stop)


def _hypercorn(settings: GatewaySettings) -> Config:
    config = Config()
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


def _subject_key(settings: GatewaySettings) -> bytes:
    try:
        key = base64.b64decode(settings.subject_key.reveal(), validate=True)
        RequestKeys(key)
    except (binascii.Error, ValueError):
        raise ConfigError({"NEXUS_SUBJECT_KEY": "expected base64 of at least 32 bytes"}) from None
    return key


def _authenticator(settings: GatewaySettings, keys: RequestKeys) -> Authenticator:
    if settings.auth_public_key and settings.auth_jwks_url:
        raise AuthConfigError("NEXUS_AUTH_PUBLIC_KEY and NEXUS_AUTH_JWKS_URL: only one of them may be set")
    source: OneKey | JwksKeys | None = None
    if settings.auth_public_key:
        source = OneKey(settings.auth_public_key)
    elif settings.auth_jwks_url:
        source = JwksKeys(settings.auth_jwks_url)
    jwts = None
    if source is not None:
        jwts = JwtVerifier(source, settings.auth_algorithms, settings.auth_issuer, settings.auth_audience)
    api_keys = load_api_keys(settings.api_keys_file) if settings.api_keys_file else None
    return Authenticator(keys.subject, jwts=jwts, api_keys=api_keys, is_insecure=settings.insecure_dev)


def _further(settings: GatewaySettings) -> list[FileDescriptor]:
    return further_files(Path(settings.descriptors).read_bytes()) if settings.descriptors else []


if __name__ == "__main__":
    main()
