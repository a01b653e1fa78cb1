"""Seals short personal texts, so that no journal, state or log holds them in the open. Pure but for the nonce.

AES-256-GCM with a random nonce of 96 bits; a key may seal 2^32 texts. Source: NIST SP 800-38D, 8.3.
A sealed text is bound to its context: elsewhere it cannot be opened. It has one of two forms:

    v1.<key id>.<base64url of nonce and ciphertext>                            the ring opens it
    v2.<key id>.<buyer>.<data key id>.<base64url of nonce and ciphertext>      ring and the buyer's data key together

Once that data key is gone, nobody opens a v2 text any more, whatever else is left: docs/decisions/erasure.md.
Errors never carry the text or a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = "v1"
BUYER_VERSION: Final = "v2"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
BUYER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""How a buyer is named in sealed texts and in the store of data keys: by the hashed subject."""


class SealKeysError(ValueError):
    """The text of a key ring cannot be used."""


class SealBrokenError(ValueError):
    """A sealed text was changed, belongs to another context, or its key has been dropped."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one buyer: 32 bytes that are kept where they can be erased."""

    buyer: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError where this is no key."""
        if BUYER.fullmatch(self.buyer) is None or len(self.secret) != KEY_BYTES:
            raise ValueError(f"a data key has a buyer and {KEY_BYTES} bytes")

    @property
    def key_id(self) -> str:
        """Tell this key from a later one of the same buyer; nothing of the key follows from it."""
        return hashlib.sha256(b"nexus data key id" + self.secret).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """Which data key a sealed text wants."""

    buyer: str
    key_id: str


def named_key(sealed: str) -> NamedKey | None:
    """Give the data key that a sealed text names; None of a text that the ring alone opens. Raises SealBrokenError."""
    parts = sealed.split(".")
    if parts[0] != BUYER_VERSION:
        return None
    if len(parts) != _BUYER_PARTS or BUYER.fullmatch(parts[2]) is None:
        raise SealBrokenError(_BROKEN)
    return NamedKey(parts[2], parts[3])


class KeyRing:
    """Keys by id: the first one seals, all of them open. Rotation: put a new key first, drop the old one later."""

    __slots__ = ("_first", "_keys")

    def __init__(self, keys: dict[str, bytes]) -> None:
        """Take keys of 32 bytes by id, the sealing one first. Raises SealKeysError."""
        if not keys:
            raise SealKeysError("at least one key is needed")
        for place, (key_id, key) in enumerate(keys.items(), 1):
            if KEY_ID.fullmatch(key_id) is None or len(key) != KEY_BYTES:
                raise _bad_entry(place)
        self._keys: Final = dict(keys)
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
        return f"KeyRing({', '.join(self._keys)})"

    def seal(self, plaintext: str, context: str, data_key: DataKey | None = None) -> str:
        """Seal a text for a context, for example an order id. Sealing it twice gives two different texts.

        With a `data_key` nobody opens it without that key.
        """
        nonce, head = os.urandom(NONCE_BYTES), _head(self._first, data_key)
        cipher = _cipher(self._keys[self._first], data_key)
        sealed = nonce + cipher.encrypt(nonce, plaintext.encode(), f"{head}.{context}".encode())
        return f"{head}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, sealed: str, context: str, data_key: DataKey | None = None) -> str:
        """Open what was sealed for this context, with the data key that it names. Raises SealBrokenError."""
        head, _, encoded = sealed.rpartition(".")
        version, _, rest = head.partition(".")
        if version not in (VERSION, BUYER_VERSION):
            raise SealBrokenError("not a sealed text of a version known here")
        key = self._keys.get(rest.partition(".")[0])
        if key is None:
            raise SealBrokenError("sealed with a key that is not in the ring")
        if head != _head(rest.partition(".")[0], data_key):
            raise SealBrokenError("sealed with another data key" if version == BUYER_VERSION else _BROKEN)
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            bound = f"{head}.{context}".encode()
            return _cipher(key, data_key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound).decode()
        except (InvalidTag, ValueError):
            raise SealBrokenError(_BROKEN) from None


_BROKEN: Final = "changed, or sealed for something else"
_BUYER_PARTS: Final = 5


def _head(key_id: str, data_key: DataKey | None) -> str:
    """Give what stands before the ciphertext. No part holds the separator, so that no two bindings read the same."""
    if data_key is None:
        return f"{VERSION}.{key_id}"
    return f"{BUYER_VERSION}.{key_id}.{data_key.buyer}.{data_key.key_id}"


def _cipher(key: bytes, data_key: DataKey | None) -> AESGCM:
    """Make the cipher of a key of the ring, or of it and a data key: neither is enough without the other.

    Source: RFC 5869 (HKDF), the ring's key as salt, the data key as input.
    """
    if data_key is None:
        return AESGCM(key)
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=key, info=b"nexus seal v2").derive(data_key.secret))


def _bad_entry(place: int) -> SealKeysError:
    return SealKeysError(f"entry {place}: expected id:base64 of {KEY_BYTES} bytes")
