"""Each setting of the gateway that cannot work is refused by its name."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.common.config import ConfigError, load
from services.gateway import settings as told
from services.gateway.auth import AuthConfigError
from services.gateway.certificates import CertificateError
from services.gateway.ingress import Ingress
from services.gateway.keys import RequestKeys
from services.gateway.settings import GatewaySettings

NEEDED = {
    "NEXUS_SEAL_KEYS": "k1:" + base64.b64encode(b"s" * 32).decode(),
    "NEXUS_SUBJECT_KEY": base64.b64encode(b"k" * 32).decode(),
    "NEXUS_INSECURE_DEV": "true",
}


def make(settings: dict[str, str]) -> Ingress:
    """Make all that the gateway makes of its settings before it listens."""
    read = load(GatewaySettings, NEEDED | settings)
    told.cors_origins(read)
    told.certificates(read)
    told.authenticator(read, RequestKeys(told.subject_key(read)))
    return told.ingress(read)


def public_pem() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


PEM = public_pem()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"NEXUS_INGRESS_WAIT_SECONDS": "-1"}, "NEXUS_INGRESS_WAIT_SECONDS: expected a number >= 0 and <= 300"),
        ({"NEXUS_INGRESS_WAIT_SECONDS": "nan"}, "NEXUS_INGRESS_WAIT_SECONDS: expected a number >= 0 and <= 300"),
        (
            {"NEXUS_INGRESS_URL": "restate:8080"},
            "NEXUS_INGRESS_URL: expected a text beginning with http:// or https://",
        ),
        ({"NEXUS_INGRESS_TOKEN": "a b"}, "NEXUS_INGRESS_TOKEN: expected visible ASCII"),
        ({"NEXUS_CORS_ORIGINS": "*,https://a.example"}, "NEXUS_CORS_ORIGINS: expected origins as in"),
        ({"NEXUS_CORS_ORIGINS": "https://a.example/shop"}, "NEXUS_CORS_ORIGINS: expected origins as in"),
        ({"NEXUS_TLS_CERT_FILE": "/nothing"}, "NEXUS_TLS_KEY_FILE: is required"),
        (
            {"NEXUS_TLS_CERT_FILE": "/nothing", "NEXUS_TLS_KEY_FILE": "/nothing"},
            "NEXUS_TLS_CERT_FILE: expected the path of a PEM file: No such file",
        ),
        ({"NEXUS_AUTH_TEST_PUBLIC_KEY": "x"}, "NEXUS_AUTH_TEST_PUBLIC_KEY: expected a public key in PEM"),
        (
            {"NEXUS_AUTH_PUBLIC_KEY": PEM, "NEXUS_AUTH_TEST_PUBLIC_KEY": PEM},
            "NEXUS_AUTH_TEST_PUBLIC_KEY: must be another key",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, str], named: str) -> None:
    """It names the variable and what was expected."""
    with pytest.raises((ConfigError, AuthConfigError, CertificateError)) as refused:
        make(settings)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_defaults_are_enough() -> None:
    """With keys and a way to sign in, every other setting may be left out."""
    make({})


def test_a_token_may_end_with_a_newline() -> None:
    """As files of tokens do."""
    assert make({"NEXUS_INGRESS_TOKEN": "t0ken\n"})._authorization == {"authorization": "Bearer t0ken"}
