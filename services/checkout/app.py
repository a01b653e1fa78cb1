"""The endpoint `checkout`: the services Checkout and Mailer."""

from __future__ import annotations

from services.checkout import mail, outside
from services.checkout.handlers import CHECKOUT
from services.checkout.handlers_mailer import MAILER

SERVICES = [CHECKOUT, MAILER]


async def startup() -> None:
    """Fail now, and not at the first order, where a setting is missing."""
    outside.key_ring()
    outside.data_keys()
    outside.provider()
    mail.check_sender(outside.settings().mail_from)


async def shutdown() -> None:
    """Close the connections to the provider, to the mail server and to the store of data keys."""
    await outside.provider().close()
    outside.mail_server().close()
    data_keys = outside.data_keys()
    if data_keys is not None:
        await data_keys.close()
