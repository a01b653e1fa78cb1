"""The mail sink: a real SMTP server that delivers nowhere and lists over HTTP what it got.

HTTP: GET and DELETE /messages?to=&message_id=, GET and PUT /switches {"refuse": true}, GET /health.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
from collections import deque
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Literal

import msgspec
import structlog
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.common import log
from services.common.config import Port, load_or_exit
from simulators.web import health, read, refuse_bad_fields, respond, serve_until_stopped

MOST_MESSAGES = 10_000
"""Messages kept; the oldest go first."""

MAX_BYTES = 1024 * 1024
REFUSAL = "450 4.3.2 The sink is switched off, try again later"

_logger = structlog.get_logger()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the sink is told. `port`: of HTTP."""

    host: str = "127.0.0.1"
    port: Port = 8902
    smtp_port: Port = 2525
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
        for recipient in envelope.rcpt_tos:
            self._messages.append(
                Message(
                    message_id=str(mail["Message-ID"] or ""),
                    to=recipient,
                    sender=envelope.mail_from or "",
                    subject=str(mail["Subject"] or ""),
                    text=_part(mail, "plain"),
                    html=_part(mail, "html"),
                    received_at=received_at,
                )
            )
        # A whole Message-ID has the form of an address, which logs hide; ours are `<order_id@domain>`.
        order_id = str(mail["Message-ID"] or "").strip("<>").partition("@")[0]
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
    """Serve SMTP and HTTP until SIGTERM."""
    sink = Sink()
    smtp = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, ident="nexus mail sink"),
        settings.host,
        settings.smtp_port,
    )
    _logger.info("mail sink starts", port=settings.port, smtp_port=settings.smtp_port)
    try:
        await serve_until_stopped(sink.app(), settings.host, settings.port)
    finally:
        smtp.close()


def main(settings: Settings) -> None:
    """Run the sink in this process."""
    log.configure("mail-sink", settings.log_level)
    asyncio.run(serve(settings))


def _part(mail: EmailMessage, subtype: Literal["plain", "html"]) -> str:
    part = mail.get_body((subtype,))
    return str(part.get_content()) if part is not None else ""


if __name__ == "__main__":
    main(load_or_exit(Settings, os.environ))
