"""What Checkout and Mailer need of the world outside: provider, mail server, key ring; made on first use."""

from __future__ import annotations

import functools
import os

import msgspec

from services.checkout.instant import INSTANT_URL, InstantProvider
from services.checkout.payments import HttpProvider, PaymentProvider
from services.common.config import Port, Secret, load
from services.common.seal import KeyRing


class OutsideSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the payment provider and the mail server are."""

    seal_keys: Secret
    payments_url: str = "http://127.0.0.1:8901"
    mail_host: str = "127.0.0.1"
    mail_port: Port = 2525
    mail_from: str = "tickets@nexus.invalid"


@functools.cache
def settings() -> OutsideSettings:
    """Read the settings. Raises ConfigError."""
    return load(OutsideSettings, os.environ)


@functools.cache
def provider() -> PaymentProvider:
    """Give the payment provider of this process."""
    url = settings().payments_url
    return InstantProvider() if url == INSTANT_URL else HttpProvider(url)


@functools.cache
def key_ring() -> KeyRing:
    """Give the keys that open sealed addresses."""
    return KeyRing.parse(settings().seal_keys.reveal())
