"""The gateway's process: what it is made of. How a process serves its doors is in `process.py`."""

from __future__ import annotations

import asyncio
import functools
import os

import structlog
import uvloop

from services.common import log, tracing
from services.common.config import ConfigError, load_or_exit, refuse_start
from services.common.seal import KeyRing, SealKeysError
from services.gateway import settings as told
from services.gateway.access import add_call
from services.gateway.admission import Admission
from services.gateway.auth import AuthConfigError
from services.gateway.calls import Gateway
from services.gateway.certificates import CertificateError
from services.gateway.composed import COMPOSED, refuse_sold
from services.gateway.cors import CorsDoor, CorsPolicy
from services.gateway.http import HttpDoor
from services.gateway.keys import RequestKeys
from services.gateway.openapi import document
from services.gateway.pages import Pages, Readiness
from services.gateway.process import Parts, serve
from services.gateway.routes import CONTRACT, load_routes
from services.gateway.rpc import RpcDoor
from services.gateway.settings import GatewaySettings

logger = structlog.get_logger(__name__)


def main(settings: GatewaySettings | None = None) -> None:
    """Run until SIGTERM or SIGINT. Ends the process with code 2 where it cannot start with its settings."""
    chosen = settings or load_or_exit(GatewaySettings, os.environ)
    log.configure("gateway", chosen.log_level, processors=[add_call])
    tracing.start("gateway", chosen.otlp_endpoint)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(chosen))


async def _run(settings: GatewaySettings) -> None:
    routes = load_routes([*CONTRACT, *told.further(settings)])
    try:
        keys = RequestKeys(told.subject_key(settings))
        ring = KeyRing.parse(settings.seal_keys.reveal())
        origins, guard = told.cors_origins(settings), told.guard(settings)
        gateway = Gateway(told.ingress(settings), keys, ring, COMPOSED, refuse_sold, told.data_keys(settings))
        authenticator = told.authenticator(settings, keys)
        certificates = told.certificates(settings)
    except SealKeysError as error:
        refuse_start(f"NEXUS_SEAL_KEYS: {error}")
    except (AuthConfigError, CertificateError) as error:
        refuse_start(str(error))
    except ConfigError as error:
        refuse_start(*(f"{variable}: {expected}" for variable, expected in error.problems.items()))
    _warn(settings)
    readiness = Readiness(gateway, routes)
    admission = Admission(keys, guard)
    http = HttpDoor(routes, gateway, admission, authenticator, Pages(readiness, document(routes)))
    rpc = RpcDoor(routes, gateway, admission, authenticator)
    app = CorsDoor(http, CorsPolicy.of(origins, routes.values())) if origins else http
    try:
        pings = readiness.pings()
        behind = [functools.partial(guard.pressure.follow, pings)] if guard.pressure else []
        await serve("gateway", settings, Parts(gateway, readiness, app, rpc, certificates), behind)
    finally:
        await guard.close()


def _warn(settings: GatewaySettings) -> None:
    if settings.insecure_dev:
        logger.warning("NEXUS_INSECURE_DEV: anybody may call as anybody")
    if settings.ingress_token.reveal() and settings.ingress_url.startswith("http:"):
        logger.warning("NEXUS_INGRESS_TOKEN: goes to NEXUS_INGRESS_URL without TLS")


if __name__ == "__main__":
    main()
