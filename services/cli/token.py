"""Sign-in tokens: signed with the development key that `nexus up` made, or with a key of an installation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.cli.errors import StackError
from services.cli.roles import Role

__all__ = ["AUDIENCE", "ISSUER", "Role", "sign"]

ISSUER: Final = "nexus"
AUDIENCE: Final = "nexus"


def sign(private_pem: Path, subject: str, roles: Sequence[str] = (), hours: float = 12, kid: str = "") -> str:
    """Sign a bearer token; `hours` may be negative, for a token that has expired; `kid`: the key's id, or none.

    Raises StackError where the file is no Ed25519 key.
    """
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
    try:
        key = load_pem_private_key(private_pem.read_bytes(), password=None)
    except OSError as error:
        raise StackError(f"{private_pem} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: it may quote the key.
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise StackError(f"{private_pem} is not an Ed25519 private key in unencrypted PEM form")
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid} if kid else None)
