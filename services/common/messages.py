"""What every handler's request and answer is wrapped in, and typed addresses of handlers.

Another service is called through the `Target`s in its `messages.py`, never by importing its handlers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

Request = TypeVar("Request")
Response = TypeVar("Response")

ROLE_ORGANIZER = "organizer"
ROLE_ADMIN = "admin"


class Caller(msgspec.Struct, frozen=True):
    """Who asks. `subject` is a keyed hash; an empty one is an anonymous caller."""

    subject: str = ""
    roles: list[str] = []

    @property
    def is_admin(self) -> bool:
        """Whether the caller may act on every organizer's events."""
        return ROLE_ADMIN in self.roles


class Envelope(msgspec.Struct, Generic[Request], frozen=True):
    """A client's request as the gateway sends it; no client field can set caller or fingerprint."""

    request: Request
    caller: Caller = Caller()
    fingerprint: str = ""


class Reply(msgspec.Struct, Generic[Response], frozen=True):
    """An answer with the fingerprint of the request that it answers."""

    response: Response
    fingerprint: str = ""


class Nothing(msgspec.Struct, frozen=True):
    """An empty request or answer."""


@dataclass(frozen=True, slots=True)
class Target(Generic[Request, Response]):
    """The address of a handler with the types it takes and gives."""

    service: str
    handler: str
    request: type[Request]
    response: type[Response]
