"""Sign-in tokens of this machine: signed with the development key that `nexus up` made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jwt

from services.cli.roles import Role

__all__ = ["AUDIENCE", "ISSUER", "Role", "sign"]

ISSUER: Final = "nexus"
AUDIENCE: Final = "nexus"


def sign(private_pem: Path, subject: str, roles: Sequence[str] = (), hours: float = 12) -> str:
    """Sign a bearer token; `hours` may be negative, for a token that has expired."""
    now = int(time.time())
    # A token that has expired was also issued before that.
    issued = min(now, now + int(hours * 3600)) - 1
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "roles": list(roles),
        "iat": issued,
        "exp": now + int(hours * 3600),
    }
    return jwt.encode(claims, private_pem.read_bytes(), algorithm="EdDSA")
