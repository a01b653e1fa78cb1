"""What the gateway is told, and what is made of it: keys, sign-in, certificates. Each refusal names its variable."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from google.protobuf.descriptor import FileDescriptor

from services.common.config import ConfigError, OtlpEndpoint, Port, Secret
from services.common.datakeys import DataKeys, of_setting
from services.gateway.auth import AuthConfigError, Authenticator, JwtVerifier, OneKey, load_api_keys
from services.gateway.certificates import Certificates, files_of
from services.gateway.cors import ORIGIN_WORDS, is_origin_list
from services.gateway.ingress import Ingress
from services.gateway.jwks import JwksKeys
from services.gateway.keys import RequestKeys
from services.gateway.pressure import SLOW_SECONDS
from services.gateway.ratelimit import ADDRESS_DEFAULTS, CALLER_DEFAULTS, Proxies, parse_limits, parse_networks
from services.gateway.ratelimit_guard import Guard
from services.gateway.ratelimit_store import LocalBuckets, SharedBuckets
from services.gateway.routes import further_files

MAX_WAIT_SECONDS: Final = 300
"""No deadline is later than that."""

HttpUrl = Annotated[
    str, msgspec.Meta(pattern=r"^https?://[^/\s]", description="beginning with http:// or https://, and a host")
]
WaitSeconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_SECONDS)]
PingSeconds = Annotated[float, msgspec.Meta(ge=0, le=5)]
Room = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

_TOKEN = re.compile(r"[\x21-\x7e]*")


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway is told; see README.md, "Settings".

    `descriptors`: file with a FileDescriptorSet whose services are served as well. `ingress_wait_seconds`:
    how long a call waits for a Restate that is away. `auth_test_public_key`: of the tokens with key id `helm-test`.
    `trusted_proxies`: how many proxies, or which networks, say by X-Forwarded-For whose call it is.
    `rate_limit_store`: address of the store that all gateways share. `data_keys_url`: of the store of buyers' keys,
    without which the ring alone seals. `max_in_flight`: calls at once, streams apart.
    `max_ping_seconds`: from where on fewer are let in (pressure.py); 0 for never.
    """

    seal_keys: Secret
    subject_key: Secret
    host: str = "127.0.0.1"
    grpc_port: Port = 50051
    http_port: Port = 8000
    metrics_port: Port = 9184
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    ingress_url: HttpUrl = "http://127.0.0.1:8080"
    ingress_token: Secret = Secret("")
    ingress_wait_seconds: WaitSeconds = 20.0
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    cors_origins: tuple[str, ...] = ()
    auth_public_key: str = ""
    auth_jwks_url: str = ""
    auth_issuer: str = "nexus"
    auth_audience: str = "nexus"
    auth_algorithms: tuple[str, ...] = ("EdDSA", "RS256", "ES256")
    auth_test_public_key: str = ""
    api_keys_file: str = ""
    insecure_dev: bool = False
    descriptors: str = ""
    otlp_endpoint: OtlpEndpoint = ""
    rate_limit: bool = True
    rate_limit_caller: tuple[str, ...] = ()
    rate_limit_address: tuple[str, ...] = ()
    rate_limit_exempt: tuple[str, ...] = ()
    rate_limit_store: Secret = Secret("")
    data_keys_url: Secret = Secret("")
    trusted_proxies: tuple[str, ...] = ()
    max_in_flight: Room = 2000
    max_watches: Room = 20_000
    max_ping_seconds: PingSeconds = SLOW_SECONDS


def subject_key(settings: GatewaySettings) -> bytes:
    """Give the key by which subjects are hashed. Raises ConfigError."""
    try:
        key = base64.b64decode(settings.subject_key.reveal(), validate=True)
        RequestKeys(key)
    except (binascii.Error, ValueError):
        raise ConfigError({"NEXUS_SUBJECT_KEY": "expected base64 of at least 32 bytes"}) from None
    return key


def ingress(settings: GatewaySettings) -> Ingress:
    """Make the way to Restate. Raises ConfigError."""
    # A file that holds a token commonly ends with a newline.
    token = settings.ingress_token.reveal().strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigError({"NEXUS_INGRESS_TOKEN": "expected visible ASCII characters without spaces"})
    return Ingress(settings.ingress_url, token, settings.ingress_wait_seconds)


def cors_origins(settings: GatewaySettings) -> tuple[str, ...]:
    """Give the origins whose pages may call. Raises ConfigError."""
    if not is_origin_list(settings.cors_origins):
        raise ConfigError({"NEXUS_CORS_ORIGINS": f"expected {ORIGIN_WORDS}"})
    return settings.cors_origins


def guard(settings: GatewaySettings) -> Guard:
    """Make what lets calls in. Raises ConfigError with every variable at fault."""
    made: dict[str, Any] = {
        "max_calls": settings.max_in_flight,
        "max_watches": settings.max_watches,
        "max_ping_seconds": settings.max_ping_seconds,
    }
    if not settings.rate_limit:
        return Guard(**made)
    store = settings.rate_limit_store.reveal().strip()
    readers: dict[str, tuple[str, Callable[[], Any]]] = {
        "NEXUS_RATE_LIMIT_CALLER": ("caller", lambda: parse_limits(settings.rate_limit_caller, CALLER_DEFAULTS)),
        "NEXUS_RATE_LIMIT_ADDRESS": ("address", lambda: parse_limits(settings.rate_limit_address, ADDRESS_DEFAULTS)),
        "NEXUS_RATE_LIMIT_EXEMPT": ("exempt", lambda: parse_networks(settings.rate_limit_exempt)),
        "NEXUS_TRUSTED_PROXIES": ("proxies", lambda: Proxies.parse(settings.trusted_proxies)),
        "NEXUS_RATE_LIMIT_STORE": ("buckets", lambda: SharedBuckets(store) if store else LocalBuckets()),
    }
    problems: dict[str, str] = {}
    for variable, (name, read) in readers.items():
        try:
            made[name] = read()
        except ValueError as error:
            # The library's own text may quote the address, and with it a password.
            expected = "an address as in redis://host:6379/0" if name == "buckets" else error
            problems[variable] = f"expected {expected}"
    if problems:
        raise ConfigError(problems)
    return Guard(**made)


def data_keys(settings: GatewaySettings) -> DataKeys | None:
    """Open the store of buyers' keys, None where there is none. Raises ConfigError."""
    return of_setting(settings.data_keys_url)


def certificates(settings: GatewaySettings) -> Certificates | None:
    """Read the certificates, None where there is no TLS. Raises CertificateError."""
    files = files_of(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
    return Certificates(files) if files else None


def authenticator(settings: GatewaySettings, keys: RequestKeys) -> Authenticator:
    """Make sign-in. Raises AuthConfigError."""
    if settings.auth_public_key and settings.auth_jwks_url:
        raise AuthConfigError("NEXUS_AUTH_PUBLIC_KEY and NEXUS_AUTH_JWKS_URL: only one of them may be set")
    source: OneKey | JwksKeys | None = None
    if settings.auth_public_key:
        source = OneKey(settings.auth_public_key)
    elif settings.auth_jwks_url:
        source = JwksKeys(settings.auth_jwks_url)
    test_source = None
    if settings.auth_test_public_key:
        test_source = OneKey(settings.auth_test_public_key, "NEXUS_AUTH_TEST_PUBLIC_KEY")
        if isinstance(source, OneKey) and test_source.is_same(source):
            # Whoever signs for the test would sign for everybody, by leaving the key id out.
            raise AuthConfigError("NEXUS_AUTH_TEST_PUBLIC_KEY: must be another key than NEXUS_AUTH_PUBLIC_KEY")
    return Authenticator(
        keys.subject,
        jwts=_verifier(source, settings),
        test_jwts=_verifier(test_source, settings),
        api_keys=load_api_keys(settings.api_keys_file) if settings.api_keys_file else None,
        is_insecure=settings.insecure_dev,
    )


def _verifier(source: OneKey | JwksKeys | None, settings: GatewaySettings) -> JwtVerifier | None:
    if source is None:
        return None
    return JwtVerifier(source, settings.auth_algorithms, settings.auth_issuer, settings.auth_audience)


def further(settings: GatewaySettings) -> list[FileDescriptor]:
    """Give the descriptors of services that are served beside the contract's."""
    return further_files(Path(settings.descriptors).read_bytes()) if settings.descriptors else []
