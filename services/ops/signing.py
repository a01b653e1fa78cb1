"""Signs reports, and tells whether a report was signed by a key. Ed25519 in a DSSE envelope.

Source: DSSE v1.0.2, protocol.md (what is signed is type and payload, each with its length); RFC 8032 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PAYLOAD_TYPE: Final = "application/vnd.nexus.verification-report+json"


class ReportKeyError(Exception):
    """The key that is to sign reports, or to check them, cannot be used."""


class Signer:
    """Signs with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    @classmethod
    def load(cls, path: str) -> Self:
        """Read the key of NEXUS_REPORT_KEY_FILE. Raises ReportKeyError."""
        try:
            key = load_pem_private_key(Path(path).read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ReportKeyError(
                f"NEXUS_REPORT_KEY_FILE: expected the path of an Ed25519 private key in PEM, not {path}"
            )
        return cls(key)

    def sign(self, payload: str) -> str:
        """Give the signature of a report's text, base64."""
        return base64.b64encode(self._key.sign(_encoded(PAYLOAD_TYPE, payload))).decode()


def is_signed(payload: str, signature: str, key: Ed25519PublicKey, payload_type: str = PAYLOAD_TYPE) -> bool:
    """Tell whether this text, as a report, was signed by the key."""
    if payload_type != PAYLOAD_TYPE:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), _encoded(payload_type, payload))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Read a public key, or the public half of a private one, in PEM. Raises ReportKeyError."""
    for load in (load_pem_public_key, _public_half):
        try:
            key = load(pem)
        except (ValueError, TypeError):
            continue
        if isinstance(key, Ed25519PublicKey):
            return key
    raise ReportKeyError("expected an Ed25519 key in PEM")


def key_id(key: Ed25519PublicKey) -> str:
    """Name a key: the first 16 hex digits of the SHA-256 of its raw bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _public_half(pem: bytes) -> object:
    key = load_pem_private_key(pem, password=None)
    return key.public_key()


def _encoded(payload_type: str, payload: str) -> bytes:
    """Give DSSE's pre-authentication encoding: no two pairs of type and payload read the same."""
    kind, body = payload_type.encode(), payload.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)
