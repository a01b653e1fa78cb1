"""What Checkout and Mailer need of the world outside: provider, mail server, keys; made on first use."""

from __future__ import annotations

import functools
import os

from services.checkout import mail
from services.checkout.instant import INSTANT_URL, InstantProvider
from services.checkout.mail_connections import Connections
from services.checkout.payments import HttpProvider, PaymentProvider
from services.checkout.settings import OutsideSettings, check
from services.common.datakeys import DataKeys, of_setting
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


@functools.cache
def data_keys() -> DataKeys | None:
    """Give the store of buyers' keys, None where there is none. Raises ConfigError."""
    return of_setting(settings().data_keys_url)


@functools.cache
def mail_server() -> Connections:
    """Give the connections to the mail server of this process."""
    return mail.connections(settings(), settings().mail_from)
