"""Makes and checks the Secrets of a release: `nexus cluster make-keys`.

What exists is never changed: losing a seal key loses mail addresses, another subject key makes every buyer a
stranger. What can be derived, or was not asked for by an older version, is added.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from services.cli import keys
from services.cli.errors import StackError
from services.common.seal import KeyRing, SealKeysError
from services.registrar.secrets import Held, Secrets

if TYPE_CHECKING:
    from services.registrar.kube import Kube

IDENTITY: Final = "identity"
KEYS: Final = "keys"
TRIAL: Final = "trial"
_LEAST_SUBJECT_KEY_BYTES: Final = 32

Data = dict[str, str]
Read = TypeVar("Read")


@dataclass(frozen=True)
class Wanted:
    """A Secret that a release needs. `is_ours`: made where it is missing; else only checked."""

    kind: str
    name: str
    is_ours: bool


@dataclass(frozen=True)
class Requirement:
    """A Secret of the user that must hold these data keys. `value`: the chart's value that names it, or empty."""

    value: str
    secret: str
    data_keys: tuple[str, ...]


def wanted(fullname: str, identity: str, keys_secret: str, trial: str, check_only: str) -> list[Wanted]:
    """Name the Secrets that a release needs. Raises StackError."""
    checked = set(filter(None, (part.strip() for part in check_only.split(","))))
    if checked - {IDENTITY, KEYS}:
        raise StackError(f"--check-only: expected {IDENTITY}, {KEYS} or both, comma-separated")
    names = {IDENTITY: identity, KEYS: keys_secret or f"{fullname}-keys", TRIAL: trial}
    return [Wanted(kind, name, kind not in checked) for kind, name in names.items() if name]


def parse_requirement(text: str) -> Requirement:
    """Read `[VALUE=]SECRET:KEY,KEY`. Raises StackError."""
    value, _, rest = text.rpartition("=")
    secret, _, data_keys = rest.partition(":")
    names = tuple(filter(None, (part.strip() for part in data_keys.split(","))))
    if not secret or not names:
        raise StackError("--require: expected [VALUE=]SECRET:KEY,KEY")
    return Requirement(value, secret, names)


def make(
    kube: Kube, release: str, secrets: list[Wanted], required: list[Requirement], say: Callable[[str], None]
) -> None:
    """Make what is missing of a release's Secrets. Nothing is made where anything cannot be used.

    Raises StackError naming the Secret, its data key and what was expected there.
    """
    store = Secrets(kube)
    held = {item.name: store.read(item.name) for item in secrets}
    for requirement in required:
        check_requirement(requirement, store.read(requirement.secret))
    plans = [(item, held[item.name], additions(item, held[item.name])) for item in secrets]
    for item, found, added in plans:
        if found is None:
            if store.create(item.name, added, release):
                say(f"made Secret {item.name}: {', '.join(sorted(added))}")
            else:
                # Another Job was faster: what it made must be right.
                additions(item, store.read(item.name))
        elif added:
            store.patch(item.name, added, found.resource_version)
            say(f"added to Secret {item.name}: {', '.join(sorted(added))}")
        else:
            say(f"Secret {item.name} is complete")


def check_requirement(requirement: Requirement, held: Held | None) -> None:
    """Raise StackError where a Secret of the user is missing or lacks a data key."""
    value = f"{requirement.value}: " if requirement.value else ""
    if held is None:
        raise StackError(
            f"{value}there is no Secret {requirement.secret}: create it with {_list(requirement.data_keys)}"
        )
    lacking = [name for name in requirement.data_keys if not held.data.get(name, "").strip()]
    if lacking:
        raise StackError(f"{value}Secret {requirement.secret} lacks {_list(lacking)}, or holds nothing there")


def additions(item: Wanted, held: Held | None) -> Data:
    """Give what is to be added to a Secret, all of it where there is none. Raises StackError."""
    if held is None and not item.is_ours:
        raise StackError(
            f"{item.kind}.existingSecret: there is no Secret {item.name}: create it, or leave the value empty"
        )
    given = held.data if held else {}
    try:
        found = _COMPLETE[item.kind](given, held is None)
    except ValueError as error:
        raise StackError(f"Secret {item.name}: {error}") from None
    added = {name: text for name, text in found.items() if name not in given}
    if added and not item.is_ours:
        raise StackError(f"{item.kind}.existingSecret: Secret {item.name} lacks {_list(sorted(added))}")
    return added


def _complete_identity(given: Mapping[str, str], is_new: bool) -> Data:
    pem = keys.new_pem() if is_new else _given(given, "identity.pem")
    public = _read("identity.pem", keys.identity_of, pem)
    accepted = given.get("identity-keys", public)
    listed = [part for part in accepted.replace(",", " ").split() if part]
    if not listed:
        raise ValueError("identity-keys is empty: an endpoint without a key would obey anybody")
    if not all(key.startswith("publickeyv1_") for key in listed):
        raise ValueError("identity-keys: expected comma-separated keys that begin with publickeyv1_")
    if public not in listed:
        raise ValueError(f"identity-keys does not hold {public}, the public key of identity.pem: no call would pass")
    return {"identity.pem": pem, "identity-keys": accepted}


def _complete_keys(given: Mapping[str, str], is_new: bool) -> Data:
    seal = keys.new_seal_keys("k1") if is_new else _given(given, "seal-keys")
    subject = keys.new_subject_key() if is_new else _given(given, "subject-key")
    try:
        KeyRing.parse(seal.strip())
    except SealKeysError as error:
        raise ValueError(f"seal-keys: {error}") from None
    try:
        raw = base64.b64decode(subject.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < _LEAST_SUBJECT_KEY_BYTES:
        raise ValueError(f"subject-key: expected base64 of at least {_LEAST_SUBJECT_KEY_BYTES} random bytes")
    report = given.get("report.pem") or keys.new_pem()
    _read("report.pem", keys.identity_of, report)
    return {"seal-keys": seal, "subject-key": subject, "report.pem": report}


def _complete_trial(given: Mapping[str, str], is_new: bool) -> Data:
    found: Data = {}
    for name in ("auth", "helm-test"):
        private = given.get(f"{name}-private.pem", "") if not is_new else ""
        if f"{name}-public.pem" in given and not private:
            raise ValueError(f"{name}-private.pem is missing or empty: delete the Secret to have a new pair made")
        private = private or keys.new_pem()
        key = _read(f"{name}-private.pem", keys.read_pem, private)
        public = given.get(f"{name}-public.pem", keys.public_pem(key))
        if public.strip() != keys.public_pem(key).strip():
            raise ValueError(f"{name}-public.pem is not the public half of {name}-private.pem")
        found |= {f"{name}-private.pem": private, f"{name}-public.pem": public}
    return found


_COMPLETE: Final[Mapping[str, Callable[[Mapping[str, str], bool], Data]]] = {
    IDENTITY: _complete_identity,
    KEYS: _complete_keys,
    TRIAL: _complete_trial,
}


def _given(given: Mapping[str, str], name: str) -> str:
    text = given.get(name, "")
    if not text.strip():
        raise ValueError(f"{name} is missing or empty: restore it from your backup, a new one is never made over it")
    return text


def _read(name: str, reader: Callable[[str], Read], text: str) -> Read:
    try:
        return reader(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)
