"""Keys: how each kind is made and read, and those of a local stack, kept in files that only their owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEY_BYTES: Final = 32
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class Keys:
    """Where the keys are, and the texts that processes are told."""

    identity_pem: Path
    identity_public: str
    seal_keys: str
    subject_key: str
    auth_private_pem: Path
    auth_public_pem: Path

    def __repr__(self) -> str:
        """Show places only."""
        return f"Keys({self.identity_pem.parent})"


def ensure(folder: Path) -> Keys:
    """Give the keys of the folder; what is missing is made.

    identity.pem signs Restate's requests, seal.key seals mail addresses, subject.key hashes
    subjects, auth-private.pem signs sign-in tokens of this machine.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = _private_key(folder / "identity.pem")
    auth = _private_key(folder / "auth-private.pem")
    return Keys(
        identity_pem=folder / "identity.pem",
        identity_public=public_identity(identity.public_key()),
        seal_keys=_text(folder / "seal.key", new_seal_keys("local-1")),
        subject_key=_text(folder / "subject.key", new_subject_key()),
        auth_private_pem=folder / "auth-private.pem",
        auth_public_pem=_write(folder / "auth-public.pem", public_pem(auth)),
    )


def public_identity(key: Ed25519PublicKey) -> str:
    """Write a public identity key as Restate does.

    Source: FACTS.md, Identity keys: `publickeyv1_` and the base58 of the 32 raw bytes.
    """
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "publickeyv1_" + _BASE58[0] * zeros + text


def new_pem() -> str:
    """Make an Ed25519 private key, in PKCS#8 PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_pem(pem: str) -> Ed25519PrivateKey:
    """Read an Ed25519 private key in PKCS#8 PEM. Raises ValueError, whose text quotes nothing of it."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without `from`: the cause may quote what was read.
        raise ValueError("expected an Ed25519 private key as PKCS#8 PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("expected an Ed25519 private key, found another kind")  # noqa: TRY004 - a text, not a type
    return key


def public_pem(key: Ed25519PrivateKey) -> str:
    """Write the public half of a key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def identity_of(pem: str) -> str:
    """Give the public identity key of a private one in PEM. Raises ValueError."""
    return public_identity(read_pem(pem).public_key())


def new_seal_keys(key_id: str) -> str:
    """Make a ring of one key that seals mail addresses."""
    return f"{key_id}:{new_subject_key()}"


def new_subject_key() -> str:
    """Make a key that hashes subjects: 32 random bytes, base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _private_key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        _write(path, new_pem())
    try:
        return read_pem(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}; remove it to have a new one made") from None


def _text(path: Path, fresh: str) -> str:
    if not path.exists():
        _write(path, fresh + "\n")
    return path.read_text().strip()


def _write(path: Path, text: str) -> Path:
    """Write a file that only its owner can read; whole or not at all."""
    if not path.exists() or path.read_text() != text:
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.rename(path)
    return path
