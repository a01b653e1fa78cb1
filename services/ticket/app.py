"""The endpoint `ticket`: the services Ticket and Buyer."""

from __future__ import annotations

from services.ticket.handlers import TICKET
from services.ticket.handlers_buyer import BUYER

SERVICES = [TICKET, BUYER]
