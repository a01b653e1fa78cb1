"""Tokens that no identity provider would make."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt

from services.cli.local import LocalStack


def claims(**changes: Any) -> dict[str, Any]:
    """Give the claims of a good token, changed; None takes one away."""
    now = int(time.time())
    good = {"iss": "nexus", "aud": "nexus", "sub": "mallory", "iat": now - 1, "exp": now + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def by_hand(header: Mapping[str, Any], secret: bytes = b"", **changes: Any) -> str:
    """Write a token that PyJWT would not; signed with HMAC-SHA256 where there is a secret."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    text = part({"typ": "JWT"} | dict(header)) + b"." + part(claims(**changes))
    signature = hmac.new(secret, text, hashlib.sha256).digest() if secret else b""
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def signed(stack: LocalStack, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """Sign with the stack's own key."""
    private = stack.keys.auth_private_pem.read_bytes()
    return jwt.encode(claims(**changes), private, algorithm="EdDSA", headers=dict(headers or {}))
