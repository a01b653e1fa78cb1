"""Mailer: a stateless service that mails the tickets of confirmed orders."""

from __future__ import annotations

import restate
import structlog

from services.checkout import addresses, mail
from services.checkout.messages import SEND_MAIL, MailRequest
from services.checkout.outside import data_keys, key_ring, mail_server, settings
from services.common.handlers import PATIENT, add_ping, now, private
from services.common.messages import Nothing

MAILER = restate.Service("Mailer")
log = structlog.get_logger()
add_ping(MAILER)


@private(MAILER, SEND_MAIL, retry=PATIENT)
async def send(ctx: restate.Context, request: MailRequest) -> Nothing:
    """Mail the tickets; a repeat carries the same Message-ID."""
    at = await now(ctx)

    async def deliver() -> None:
        # Opened here only, inside the step, so that no journal ever holds the address.
        try:
            address = await addresses.opened(request.sealed_address, request.order_id, key_ring(), data_keys())
            await mail.send(mail.render(request, address, settings().mail_from, at), mail_server())
        except addresses.AddressErasedError:
            log.info("mail dropped: its buyer was erased")
            raise restate.TerminalError("the mail was dropped: its buyer was erased") from None
        except (mail.MailAddressError, mail.MailRefusedError) as refused:
            # Refused for good; anything else is tried again, however long it takes.
            log.exception("mail refused for good")
            raise restate.TerminalError("the mail was refused for good") from refused

    with structlog.contextvars.bound_contextvars(order_id=request.order_id):
        # The mail server's acceptance, once and for all replays.
        await ctx.run_typed("send mail", deliver)
    return Nothing()
