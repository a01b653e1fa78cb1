"""Seals short personal texts, so that no journal, state or log holds them in the open. Pure but for the nonce.

AES-256-GCM with a random nonce of 96 bits; a key may seal 2^32 texts. Source: NIST SP 800-38D, 8.3.
A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`, bound to its context: elsewhere it
cannot be opened. Errors never carry the text or a key.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = "v1"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class SealKeysError(ValueError):
    """The text of a key ring cannot be used."""


class SealBrokenError(ValueError):
    """A sealed text was changed, belongs to another context, or its key has been dropped."""


class KeyRing:
    """Keys by id: the first one seals, all of them open. Rotation: put a new key first, drop the old one later."""

    __slots__ = ("_ciphers", "_first")

    def __init__(self, keys: dict[str, bytes]) -> None:
        """Take keys of 32 bytes by id, the sealing one first. Raises SealKeysError."""
        if not keys:
            raise SealKeysError("at least one key is needed")
        for place, (key_id, key) in enumerate(keys.items(), 1):
            if KEY_ID.fullmatch(key_id) is None or len(key) != KEY_BYTES:
                raise _bad_entry(place)
        self._ciphers: Final = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._first: Final = next(iter(keys))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `id:base64(32 bytes)`, comma-separated, as NEXUS_SEAL_KEYS holds it. Raises SealKeysError."""
        keys: dict[str, bytes] = {}
        for place, entry in enumerate(text.split(","), 1):
            key_id, _, encoded = entry.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                # Without `from`: the cause may quote what was read.
                raise _bad_entry(place) from None
            if key_id in keys:
                raise SealKeysError(f"entry {place}: its id is there twice")
            keys[key_id] = key
        return cls(keys)

    def __repr__(self) -> str:
        """Name the ids and no key."""
        return f"KeyRing({', '.join(self._ciphers)})"

    def seal(self, plaintext: str, context: str) -> str:
        """Seal a text for a context, for example an order id. Sealing it twice gives two different texts."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._ciphers[self._first].encrypt(nonce, plaintext.encode(), _bound(self._first, context))
        return f"{VERSION}.{self._first}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, sealed: str, context: str) -> str:
        """Open what was sealed for this context. Raises SealBrokenError."""
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.partition(".")
        if version != VERSION:
            raise SealBrokenError("not a sealed text of a version known here")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBrokenError("sealed with a key that is not in the ring")
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(key_id, context)).decode()
        except (InvalidTag, ValueError):
            raise SealBrokenError("changed, or sealed for something else") from None


def _bound(key_id: str, context: str) -> bytes:
    # The separator is in neither the version nor a key id, so no two contexts read the same.
    return f"{VERSION}.{key_id}.{context}".encode()


def _bad_entry(place: int) -> SealKeysError:
    return SealKeysError(f"entry {place}: expected id:base64 of {KEY_BYTES} bytes")
