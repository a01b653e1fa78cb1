"""The process of ops: the gateway's two doors in front of OpsService, and the numbers made of Restate's tables."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import msgspec
import structlog
import uvloop

from services.checkout.payments import HttpProvider
from services.common import log, tracing
from services.common.config import ConfigError, Port, Secret, load_or_exit, refuse_start
from services.common.seal import KEY_BYTES, KeyRing
from services.gateway import settings as told
from services.gateway.access import add_call
from services.gateway.admission import Admission
from services.gateway.auth import AuthConfigError
from services.gateway.calls import Gateway
from services.gateway.certificates import CertificateError
from services.gateway.gen.nexus.v1 import ops_pb2
from services.gateway.http import HttpDoor
from services.gateway.keys import RequestKeys
from services.gateway.openapi import document
from services.gateway.pages import Pages, Readiness
from services.gateway.process import Parts, serve
from services.gateway.routes import load_routes
from services.gateway.rpc import RpcDoor
from services.gateway.settings import GatewaySettings, HttpUrl
from services.ops.desk import Desk
from services.ops.erasing import Eraser
from services.ops.rounds import Rounds
from services.ops.signing import ReportKeyError, Signer
from services.ops.tables import Tables
from services.ops.watch import Watch

logger = structlog.get_logger(__name__)


class OpsSettings(GatewaySettings, frozen=True, kw_only=True):
    """What ops is told; see README.md, "Settings". Doors, sign-in and TLS are those of the gateway.

    `report_key_file`: Ed25519 key in PEM that signs reports. `poll_seconds`: between two looks at Restate's tables.
    `audit_seconds`: between two rounds of audits of all events on sale; 0: audits only where somebody asks.
    """

    report_key_file: str
    seal_keys: Secret = Secret("")
    grpc_port: Port = 50052
    http_port: Port = 8001
    metrics_port: Port = 9185
    admin_url: HttpUrl = "http://127.0.0.1:9070"
    admin_token: Secret = Secret("")
    payments_url: HttpUrl = "http://127.0.0.1:8901"
    payments_token: Secret | None = None
    poll_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 15.0
    audit_seconds: Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)] = 3600.0


class Reach(Readiness):
    """Ready when Restate's admin API answers: without it nothing can be told."""

    def __init__(self, gateway: Gateway, tables: Tables) -> None:
        super().__init__(gateway, {})
        self._tables = tables

    async def _ask(self) -> list[str]:
        return [] if await self._tables.is_healthy() else ["restate"]


def main(settings: OpsSettings | None = None) -> None:
    """Run until SIGTERM or SIGINT. Ends the process with code 2 where it cannot start with its settings."""
    chosen = settings or load_or_exit(OpsSettings, os.environ)
    log.configure("ops", chosen.log_level, processors=[add_call])
    tracing.start("ops", chosen.otlp_endpoint)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(chosen))


async def _run(settings: OpsSettings) -> None:
    if settings.insecure_dev:
        refuse_start("NEXUS_INSECURE_DEV: ops takes nobody at their word")
    tables = Tables(settings.admin_url, settings.admin_token.reveal().strip())
    provider = HttpProvider(settings.payments_url, token=settings.payments_token)
    # No field of OpsService is sealed: a ring whose key nobody keeps seals nothing.
    ring = KeyRing({"none": os.urandom(KEY_BYTES)})
    try:
        desk = Desk(tables, provider, Signer.load(settings.report_key_file))
        keys = RequestKeys(told.subject_key(settings))
        data_keys = told.data_keys(settings)
        composed = {**desk.composed(), **Eraser(data_keys, keys.subject).composed()}
        gateway = Gateway(told.ingress(settings), keys, ring, composed, data_keys=data_keys)
        # Without the key of an installation's own test: its tokens have no business here.
        authenticator = told.authenticator(msgspec.structs.replace(settings, auth_test_public_key=""), keys)
        certificates = told.certificates(settings)
    except (AuthConfigError, CertificateError, ReportKeyError) as error:
        refuse_start(str(error))
    except ConfigError as error:
        refuse_start(*(f"{variable}: {expected}" for variable, expected in error.problems.items()))
    routes = load_routes([ops_pb2.DESCRIPTOR])
    readiness = Reach(gateway, tables)
    http = HttpDoor(routes, gateway, Admission(keys), authenticator, Pages(readiness, document(routes)))
    rpc = RpcDoor(routes, gateway, Admission(keys), authenticator)
    parts = Parts(gateway, readiness, http, rpc, certificates)
    try:
        behind = [Watch(tables, settings.poll_seconds).run]
        if settings.audit_seconds:
            behind.append(Rounds(tables, desk.audited, settings.audit_seconds).run)
        await serve("ops", settings, parts, behind)
    finally:
        await provider.close()
        await tables.close()


if __name__ == "__main__":
    main()
