"""The mail sink: a real SMTP server that delivers nowhere and lists over HTTP what it got.

HTTP: GET and DELETE /messages?to=&message_id=, GET and PUT /switches {"refuse": true}, GET /health.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import ssl
from collections import deque
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Literal

import msgspec
import structlog
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.common import log
from services.common.config import ConfigError, Port, Secret, load_or_exit, valid_or_exit
from simulators.web import health, read, refuse_bad_fields, respond, serve_until_stopped

MOST_MESSAGES = 10_000
"""Messages kept; the oldest go first."""

MAX_BYTES = 1024 * 1024
REFUSAL = "450 4.3.2 The sink is switched off, try again later"

_logger = structlog.get_logger()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the sink is told. `port`: of HTTP.

    `mail_tls`: starttls offers it and takes no mail without, tls expects it from the first byte; both need a
    certificate. With `mail_username` and `mail_password` it takes mail from that user alone.
    """

    host: str = "127.0.0.1"
    port: Port = 8902
    smtp_port: Port = 2525
    mail_tls: Literal["none", "starttls", "tls"] = "none"
    tls_cert_file: str = ""
    tls_key_file: str = ""
    mail_username: str = ""
    mail_password: Secret | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Message(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """One message for one recipient, in the order of arrival; a repeat is listed again."""

    message_id: str
    to: str
    sender: str
    subject: str
    text: str
    html: str
    received_at: datetime


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`refuse`: answer 450 to every mail."""

    refuse: bool = False


class Sink:
    """What came in."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=MOST_MESSAGES)
        self._switches = Switches()

    def app(self) -> web.Application:
        """Make the HTTP application."""
        app = web.Application(middlewares=[refuse_bad_fields])
        app.add_routes(
            [
                web.get("/messages", self.list_messages),
                web.delete("/messages", self.forget_messages),
                web.get("/switches", self.show_switches),
                web.put("/switches", self.set_switches),
                web.get("/health", health),
            ]
        )
        return app

    # The names and the signatures of the next two are aiosmtpd's.
    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a mail."""
        if self._switches.refuse:
            return REFUSAL
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail, once for each recipient."""
        if self._switches.refuse:
            return REFUSAL
        content = envelope.content or b""
        mail = email.message_from_bytes(
            content if isinstance(content, bytes) else content.encode(), EmailMessage, policy=email.policy.default
        )
        received_at = datetime.now(UTC)
        # A long id stands on a line of its own, whose blank the parser leaves. Source: RFC 5322, 2.2.3.
        message_id = str(mail["Message-ID"] or "").strip()
        for recipient in envelope.rcpt_tos:
            self._messages.append(
                Message(
                    message_id=message_id,
                    to=recipient,
                    sender=envelope.mail_from or "",
                    subject=str(mail["Subject"] or ""),
                    text=_part(mail, "plain"),
                    html=_part(mail, "html"),
                    received_at=received_at,
                )
            )
        # A whole Message-ID has the form of an address, which logs hide; ours are `<order_id@domain>`.
        order_id = message_id.strip("<>").partition("@")[0]
        _logger.info("mail received", order_id=order_id, recipients=len(envelope.rcpt_tos))
        return "250 OK"

    async def list_messages(self, http: web.Request) -> web.Response:
        """List the messages, of one recipient or message id or of all; the angle brackets may be left out."""
        to, message_id = http.query.get("to"), http.query.get("message_id")
        found = [
            message
            for message in self._messages
            if (to is None or message.to.lower() == to.lower())
            and (message_id is None or message.message_id.strip("<>") == message_id.strip("<>"))
        ]
        return respond({"messages": found})

    async def forget_messages(self, _http: web.Request) -> web.Response:
        """Empty the list."""
        self._messages.clear()
        return respond({"messages": []})

    async def show_switches(self, _http: web.Request) -> web.Response:
        """Show the switches."""
        return respond(self._switches)

    async def set_switches(self, http: web.Request) -> web.Response:
        """Replace the switches."""
        self._switches = await read(http, Switches)
        return respond(self._switches)


async def serve(settings: Settings) -> None:
    """Serve SMTP and HTTP until SIGTERM. Raises ConfigError where the certificate cannot be used."""
    sink = Sink()
    context = _tls_context(settings)
    smtp = await asyncio.get_running_loop().create_server(
        lambda: _smtp(sink, settings, context),
        settings.host,
        settings.smtp_port,
        ssl=context if settings.mail_tls == "tls" else None,
    )
    _logger.info("mail sink starts", port=settings.port, smtp_port=settings.smtp_port)
    try:
        await serve_until_stopped(sink.app(), settings.host, settings.port)
    finally:
        smtp.close()


def main(settings: Settings) -> None:
    """Run the sink in this process."""
    log.configure("mail-sink", settings.log_level)
    valid_or_exit(lambda: asyncio.run(serve(settings)))


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.mail_tls == "none":
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError:
        why = "with NEXUS_TLS_KEY_FILE, expected a certificate and its key as PEM files"
        raise ConfigError({"NEXUS_TLS_CERT_FILE": why}) from None
    return context


def _smtp(sink: Sink, settings: Settings, context: ssl.SSLContext | None) -> SMTP:
    """Make what serves one connection."""
    password = settings.mail_password

    def sign_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object) -> AuthResult:
        is_user = (
            isinstance(data, LoginPassword)
            and password is not None
            and data.login == settings.mail_username.encode()
            and data.password == password.reveal().encode()
        )
        # Not handled: so the server answers a refusal, which would else be silence.
        return AuthResult(success=is_user, handled=False)

    is_starttls = settings.mail_tls == "starttls"
    return SMTP(
        sink,
        data_size_limit=MAX_BYTES,
        enable_SMTPUTF8=True,
        ident="nexus mail sink",
        tls_context=context if is_starttls else None,
        require_starttls=is_starttls,
        authenticator=sign_in,
        auth_required=password is not None,
        # Over implicit TLS the library does not know that it is encrypted.
        auth_require_tls=settings.mail_tls != "tls",
    )


def _part(mail: EmailMessage, subtype: Literal["plain", "html"]) -> str:
    part = mail.get_body((subtype,))
    return str(part.get_content()) if part is not None else ""


if __name__ == "__main__":
    main(load_or_exit(Settings, os.environ))
