"""What Checkout and Mailer need of the world outside: provider, mail server, key ring; made on first use."""

from __future__ import annotations

import functools
import os

from services.checkout.instant import INSTANT_URL, InstantProvider
from services.checkout.payments import HttpProvider, PaymentProvider
from services.checkout.settings import OutsideSettings, check
from services.common.seal import KeyRing


@functools.cache
def settings() -> OutsideSettings:
    """Read the settings. Raises ConfigError."""
    return check(os.environ)


@functools.cache
def provider() -> PaymentProvider:
    """Give the payment provider of this process."""
    url = settings().payments_url
    return InstantProvider() if url == INSTANT_URL else HttpProvider(url, token=settings().payments_token)


@functools.cache
def key_ring() -> KeyRing:
    """Give the keys that open sealed addresses."""
    return KeyRing.parse(settings().seal_keys.reveal())
