"""The mail that brings the tickets: how it is written and how it is handed over.

The address is open here and nowhere else: no error and no log of this module carries it.
"""

from __future__ import annotations

import asyncio
import functools
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Final, Literal, Protocol

import aiosmtplib
import jinja2

from services.checkout.mail_connections import Connections
from services.checkout.messages import MailRequest
from services.checkout.settings import tls_context
from services.common.config import Secret
from services.common.money import Money

SEND_SECONDS: Final = 10
"""Longest that handing a mail over may take; less than a step may (services.common.handlers.STEP_SECONDS)."""

DEFAULT_EXPONENT: Final = 2
EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Decimals of the currencies that do not have two. Source: ISO 4217, list one (SIX, table A.1)."""

ADDRESS: Final = re.compile(r"([!-?A-~]{1,64})@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)")
"""What an address must match as a whole; the same as CheckoutRequest.email in the proto."""

PERMANENT: Final = range(500, 600)
"""Replies by which a server refuses for good. Source: RFC 5321, 4.2.1."""

_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


class MailSettings(Protocol):
    """What of the process's settings concerns the sending of mail."""

    @property
    def mail_host(self) -> str:
        """The SMTP server."""

    @property
    def mail_port(self) -> int:
        """Its port."""

    @property
    def mail_tls(self) -> Literal["none", "starttls", "tls"]:
        """Whether the connection is encrypted: never, after EHLO, from the first byte."""

    @property
    def mail_ca_file(self) -> str:
        """The authorities that the server's certificate is checked by; empty: the system's."""

    @property
    def mail_username(self) -> str:
        """Who signs in; empty: nobody."""

    @property
    def mail_password(self) -> Secret | None:
        """The password of the user."""


class MailAddressError(ValueError):
    """An address cannot be written to: repeating does not help."""


class MailRefusedError(Exception):
    """The server refuses this mail or its recipient for good: repeating does not help."""


class MailUnavailableError(Exception):
    """The server could not be reached, or wants the mail later."""


def render(request: MailRequest, address: str, sender: str, at: datetime) -> EmailMessage:
    """Write the mail of an order, the same for the same order but for its date.

    `address`: the opened address; `sender`: NEXUS_MAIL_FROM; `at`: the Date.
    Raises MailAddressError.
    """
    values = {
        "order_id": request.order_id,
        "event_title": one_line(request.event_title),
        "event_venue": one_line(request.event_venue),
        "event_starts_at": request.event_starts_at.strftime("%Y-%m-%d %H:%M %Z").strip(),
        "seats": [(seat.seat_id, seat.section_id, format_money(seat.price)) for seat in request.seats],
        "total": format_money(request.total),
    }
    message = EmailMessage(policy=SMTP)
    sent_by = _sender(sender)
    try:
        message["From"] = sent_by
        message["To"] = _recipient(address)
        message["Subject"] = f"Your tickets: {values['event_title']}"
        message["Date"] = at
        # The same for every repeat, by which a mail sent twice can be told.
        message["Message-ID"] = f"<{request.order_id}@{sent_by.domain}>"
        # Keeps out-of-office answers away. Source: RFC 3834, 5.
        message["Auto-Submitted"] = "auto-generated"
    except (MessageError, ValueError):
        # Without `from`: the cause quotes the header.
        raise MailAddressError("a header of the mail cannot be written") from None
    message.set_content(_TEMPLATES.get_template("ticket.txt.j2").render(values))
    message.add_alternative(_TEMPLATES.get_template("ticket.html.j2").render(values), subtype="html")
    return message


def connections(settings: MailSettings, sender: str) -> Connections:
    """Make the connections to the mail server. Raises MailAddressError where `sender`, NEXUS_MAIL_FROM, is none."""
    domain = _sender(sender).domain

    def make() -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            # Said, because the library would ask the resolver, and stall every invocation meanwhile.
            local_hostname=domain,
            hostname=settings.mail_host,
            port=settings.mail_port,
            username=settings.mail_username or None,
            password=settings.mail_password.reveal() if settings.mail_password else None,
            # Said both: left open, the library would go on in the clear where a server offers no TLS.
            use_tls=settings.mail_tls == "tls",
            start_tls=settings.mail_tls == "starttls",
            tls_context=None if settings.mail_tls == "none" else _tls_context(settings.mail_ca_file),
            timeout=SEND_SECONDS,
        )

    return Connections(make)


async def send(message: EmailMessage, server: Connections) -> None:
    """Hand a mail to the SMTP server; one attempt.

    Raises MailRefusedError where repeating cannot help, else MailUnavailableError. Neither quotes the
    server, whose words often hold the address.
    """
    try:
        async with asyncio.timeout(SEND_SECONDS), server.one() as connection:
            await connection.send_message(
                message,
                sender=message["From"].addresses[0].addr_spec,
                recipients=[address.addr_spec for address in message["To"].addresses],
            )
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _failure([refused.code for refused in error.recipients]) from None
    except aiosmtplib.SMTPDataError as error:
        raise _failure([error.code]) from None
    except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
        raise MailUnavailableError(f"mail could not be handed over: {type(error).__name__}") from None


def check_sender(sender: str) -> None:
    """Refuse a NEXUS_MAIL_FROM that no mail can come from. Raises MailAddressError."""
    _sender(sender)


def format_money(money: Money) -> str:
    """Write an amount with the decimals of its currency, as in `45.00 EUR`."""
    exponent = EXPONENTS.get(money.currency_code, DEFAULT_EXPONENT)
    sign, digits = ("-" if money.amount_minor < 0 else ""), str(abs(money.amount_minor)).zfill(exponent + 1)
    whole, fraction = (digits[:-exponent], "." + digits[-exponent:]) if exponent else (digits, "")
    return f"{sign}{whole}{fraction} {money.currency_code}"


def one_line(text: str) -> str:
    """Make a text fit for a header or a line: runs of white space become one blank, control characters go."""
    spaced = " ".join(text.split())
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cs"))


# Loading the system's authorities takes some 20 ms.
_tls_context = functools.cache(tls_context)


def _recipient(address: str) -> Address:
    matched = ADDRESS.fullmatch(address)
    if matched is None:
        raise MailAddressError("the address is not of the form name@host")
    # Taken apart, so that a comma or a bracket in the name is quoted and makes no second address.
    return Address(username=matched[1], domain=matched[2])


def _sender(sender: str) -> Address:
    name, address = parseaddr(sender)
    matched = ADDRESS.fullmatch(address)
    if matched is None:
        raise MailAddressError("NEXUS_MAIL_FROM: expected name@host, or Name <name@host>")
    return Address(one_line(name), matched[1], matched[2])


def _failure(codes: Sequence[int]) -> MailRefusedError | MailUnavailableError:
    if codes and all(code in PERMANENT for code in codes):
        return MailRefusedError(f"the mail server refuses for good, with {codes[0]}")
    return MailUnavailableError("the mail server wants the mail later")
