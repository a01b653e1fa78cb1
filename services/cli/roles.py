"""What a subject may be."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a subject may be. Everyone who is signed in may buy."""

    BUYER = "buyer"
    ORGANIZER = "organizer"
    ADMIN = "admin"
