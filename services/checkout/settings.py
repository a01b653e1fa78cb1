"""Where the payment provider and the mail server are and how to sign in there: read, and checked before anything runs.

Light on purpose: the process that starts an endpoint checks this without loading the endpoint.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from services.common.config import ConfigError, Port, Secret, load
from services.common.datakeys import SETTING as DATA_KEYS
from services.common.datakeys import URL_WORDS, is_store_url
from services.common.seal import KeyRing, SealKeysError

VISIBLE: Final = re.compile(r"[!-~]+")
"""What may stand in a bearer token. Source: RFC 9110, 11.2, taken widely."""


class OutsideSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `checkout` is told of the world outside; see README.md, "Settings"."""

    seal_keys: Secret
    data_keys_url: Secret = Secret("")
    payments_url: str = "http://127.0.0.1:8901"
    payments_token: Secret | None = None
    mail_host: str = "127.0.0.1"
    mail_port: Port = 2525
    mail_from: str = "tickets@nexus.invalid"
    mail_tls: Literal["none", "starttls", "tls"] = "none"
    mail_ca_file: str = ""
    mail_username: str = ""
    mail_password: Secret | None = None


def check(environ: Mapping[str, str]) -> OutsideSettings:
    """Read the settings. Raises ConfigError that names every variable at fault, and no value."""
    settings = load(OutsideSettings, environ)
    problems = _problems(settings)
    if problems:
        raise ConfigError(problems)
    return settings


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Make what checks a server's certificate, by the system's authorities or by those in a file.

    Raises OSError (ssl.SSLError included) where the file cannot be used.
    """
    return ssl.create_default_context(cafile=ca_file or None)


def _problems(settings: OutsideSettings) -> dict[str, str]:
    problems: dict[str, str] = {}
    try:
        KeyRing.parse(settings.seal_keys.reveal())
    except SealKeysError as error:
        problems["NEXUS_SEAL_KEYS"] = str(error)
    data_keys_url = settings.data_keys_url.reveal().strip()
    if data_keys_url and not is_store_url(data_keys_url):
        problems[DATA_KEYS] = f"expected {URL_WORDS}"
    token = settings.payments_token
    if token is not None and not VISIBLE.fullmatch(token.reveal()):
        problems["NEXUS_PAYMENTS_TOKEN"] = "expected visible ASCII without blanks"  # noqa: S105  no token, but its form
    if bool(settings.mail_username) != (settings.mail_password is not None):
        missing = "NEXUS_MAIL_PASSWORD" if settings.mail_username else "NEXUS_MAIL_USERNAME"
        other = "NEXUS_MAIL_USERNAME" if settings.mail_username else "NEXUS_MAIL_PASSWORD"
        problems[missing] = f"is required where {other} is set"
    if settings.mail_tls == "none":
        if settings.mail_password is not None:
            problems["NEXUS_MAIL_TLS"] = "expected starttls or tls: a password never goes over the network in the open"
        elif settings.mail_ca_file:
            problems["NEXUS_MAIL_TLS"] = "expected starttls or tls where NEXUS_MAIL_CA_FILE is set"
    if settings.mail_ca_file:
        try:
            tls_context(settings.mail_ca_file)
        except OSError as error:
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            problems["NEXUS_MAIL_CA_FILE"] = f"the file cannot be used: {why}"
    return problems
