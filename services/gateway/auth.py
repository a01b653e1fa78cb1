"""Who is calling: bearer tokens (JWT), API keys, or, where it was said out loud, names taken on trust.

Bad credentials are refused also where none are needed, so that a client learns of them. What a caller
may touch is not decided here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from services.common.errors import PermissionDeniedError, UnauthenticatedError
from services.common.messages import ROLE_ADMIN, ROLE_ORGANIZER, Caller

MAX_TOKEN_BYTES: Final = 8 * 1024
MAX_SUBJECT_CHARACTERS: Final = 256
MAX_REMEMBERED: Final = 10_000
REMEMBER_SECONDS: Final = 60.0
"""How long a verified token is not verified again; never past its own expiry."""

TEST_KID: Final = "helm-test"
"""Key id of the tokens of an installation's own test. It never names another key."""

TEST_PREFIX: Final = "helm-test-"
"""What the subjects of these tokens, and the events that they may name, begin with."""

API_KEY_PREFIX: Final = "nxk_"
ROLES: Final = frozenset({"buyer", ROLE_ORGANIZER, ROLE_ADMIN})
ALGORITHMS: Final = frozenset({"EdDSA", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384"})
"""May be allowed by a setting. Symmetric ones and `none` never: the public key would sign tokens."""

_KEY_TYPES: Final[tuple[tuple[type[Any], tuple[str, ...]], ...]] = (
    (Ed25519PublicKey, ("EdDSA",)),
    (RSAPublicKey, ("RS", "PS")),
    (EllipticCurvePublicKey, ("ES",)),
)


class AuthConfigError(Exception):
    """Sign-in cannot work as it is set; names the variable."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client sent, every value of each header or metadata key."""

    authorization: list[str] = field(default_factory=list)
    api_key: list[str] = field(default_factory=list)
    subject: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who the credentials stand for; `subject` as they say it, not hashed."""

    subject: str
    roles: tuple[str, ...] = ()


class LimitedCaller(Caller, frozen=True):
    """A caller with a token of the installation's own test: it may name events of the test only."""


class VerificationKeys(Protocol):
    """Gives the key that a token's header names."""

    async def key(self, header: Mapping[str, Any]) -> Any:
        """Give the public key. Raises UnauthenticatedError where there is none, UnavailableError for now."""
        ...


class OneKey:
    """A single public key from a setting. `text`: PEM, or the path of a PEM file; `variable`: the setting."""

    def __init__(self, text: str, variable: str = "NEXUS_AUTH_PUBLIC_KEY") -> None:
        try:
            pem = text.encode() if "-----BEGIN" in text else Path(text).read_bytes()
            self._key = load_pem_public_key(pem)
        except (OSError, ValueError, TypeError) as error:
            raise AuthConfigError(f"{variable}: expected a public key in PEM, or the path of one") from error

    def is_same(self, other: OneKey) -> bool:
        """Tell whether both are one key."""
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        return bool(self._key.public_bytes(*form) == other._key.public_bytes(*form))

    async def key(self, header: Mapping[str, Any]) -> Any:
        """Give the key, whatever the header names."""
        del header
        return self._key


class JwtVerifier:
    """Checks tokens: signature, algorithm, issuer, audience, times, subject."""

    def __init__(self, keys: VerificationKeys, algorithms: tuple[str, ...], issuer: str, audience: str) -> None:
        strange = set(algorithms) - ALGORITHMS
        if strange or not algorithms:
            raise AuthConfigError(f"NEXUS_AUTH_ALGORITHMS: expected some of {', '.join(sorted(ALGORITHMS))}")
        self._keys = keys
        self._algorithms = algorithms
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> tuple[Principal, float]:
        """Give who the token stands for and the Unix time of its expiry. Raises UnauthenticatedError."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._algorithms:
                raise UnauthenticatedError("the token's algorithm is not allowed")
            # `jku`, `x5u` and `jwk` of the header are not looked at: they would let the client choose the key.
            key = await self._keys.key(header)
            claims = jwt.decode(
                token,
                key=key,
                algorithms=_fitting(key, self._algorithms),
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise UnauthenticatedError(f"the token is not valid: {_why(error)}") from error
        return _principal(claims.get("sub"), claims.get("roles", [])), float(claims["exp"])


def _kid(token: str) -> object:
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None  # Verifying it says what is wrong.


def _fitting(key: Any, algorithms: tuple[str, ...]) -> list[str]:
    """Give the allowed algorithms that this kind of key is for."""
    for kind, prefixes in _KEY_TYPES:
        if isinstance(key, kind):
            return [name for name in algorithms if name.startswith(prefixes)]
    return []


def _why(error: Exception) -> str:
    """Name what is wrong in our own words: a library's text may quote the token."""
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (jwt.ExpiredSignatureError, "expired"),
        (jwt.ImmatureSignatureError, "not yet valid"),
        (jwt.InvalidAudienceError, "another audience"),
        (jwt.InvalidIssuerError, "another issuer"),
        (jwt.MissingRequiredClaimError, "a claim is missing"),
        (jwt.InvalidAlgorithmError, "its algorithm does not fit the key"),
        (jwt.InvalidSignatureError, "its signature is wrong"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), "it cannot be read")


def _principal(subject: object, roles: object) -> Principal:
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS:
        raise UnauthenticatedError(f"a subject has 1-{MAX_SUBJECT_CHARACTERS} characters")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise UnauthenticatedError("roles are a list of texts")
    return Principal(subject, tuple(sorted(ROLES.intersection(roles))))


class _ApiKeyEntry(msgspec.Struct, frozen=True):
    subject: str
    roles: list[str] = []


def load_api_keys(path: str) -> dict[str, Principal]:
    """Read NEXUS_API_KEYS_FILE: JSON of the keys' SHA-256 in hex to {subject, roles}."""
    try:
        entries = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, _ApiKeyEntry])
        return {digest.lower(): _principal(entry.subject, entry.roles) for digest, entry in entries.items()}
    except (OSError, msgspec.MsgspecError, UnauthenticatedError) as error:
        raise AuthConfigError("NEXUS_API_KEYS_FILE: expected JSON of SHA-256 to subject and roles") from error


class Authenticator:
    """Tells the caller of a call. `hash_subject`: how a subject appears behind the gateway.

    `test_jwts`: checks the tokens with key id `helm-test`; without it they are refused, whatever signed them.
    """

    def __init__(
        self,
        hash_subject: Callable[[str], str],
        *,
        jwts: JwtVerifier | None = None,
        test_jwts: JwtVerifier | None = None,
        api_keys: Mapping[str, Principal] | None = None,
        is_insecure: bool = False,
    ) -> None:
        if jwts is None and not api_keys and not is_insecure:
            raise AuthConfigError(
                "no sign-in is configured: set NEXUS_AUTH_PUBLIC_KEY, NEXUS_AUTH_JWKS_URL or NEXUS_API_KEYS_FILE "
                "(or, on a laptop, NEXUS_INSECURE_DEV=true to take callers at their word)"
            )
        self._hash_subject = hash_subject
        self._jwts = jwts
        self._test_jwts = test_jwts
        self._api_keys = dict(api_keys or {})
        self._is_insecure = is_insecure
        self._remembered: dict[bytes, tuple[Caller, float]] = {}

    async def caller(self, sent: Credentials) -> Caller:
        """Give the caller, an anonymous one where nothing was sent. Raises UnauthenticatedError."""
        if not sent.authorization and not sent.api_key:
            return self._on_trust(sent)
        if len(sent.authorization) + len(sent.api_key) > 1:
            raise UnauthenticatedError("credentials must be given once")
        if sent.api_key:
            return self._by_api_key(sent.api_key[0])
        scheme, _, token = sent.authorization[0].partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("authorization must be `Bearer <token>`")
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise UnauthenticatedError(f"a token has at most {MAX_TOKEN_BYTES} ASCII characters")
        return self._by_api_key(token) if token.startswith(API_KEY_PREFIX) else await self._by_jwt(token)

    def _on_trust(self, sent: Credentials) -> Caller:
        if not self._is_insecure or not sent.subject:
            return Caller()
        roles = [role.strip() for text in sent.roles for role in text.split(",")]
        return self._hashed(_principal(",".join(sent.subject), roles))

    def _by_api_key(self, key: str) -> Caller:
        found = self._api_keys.get(hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest())
        if found is None:
            raise UnauthenticatedError("the API key is not known")
        return self._hashed(found)

    async def _by_jwt(self, token: str) -> Caller:
        now = time.time()
        digest = hashlib.sha256(token.encode()).digest()
        caller, until = self._remembered.get(digest, (None, 0.0))
        if caller is not None and now < until:
            return caller
        caller, expires = await self._verified(token)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (caller, min(expires, now + REMEMBER_SECONDS))
        return caller

    async def _verified(self, token: str) -> tuple[Caller, float]:
        # The key id alone decides whose key checks the token, and never both are tried: the test's key signs
        # nobody else's tokens, and no other key the test's.
        if _kid(token) == TEST_KID:
            if self._test_jwts is None:
                raise UnauthenticatedError("tokens of the installation test are not accepted here")
            principal, expires = await self._test_jwts.verify(token)
            return self._limited(principal), expires
        if self._jwts is None:
            raise UnauthenticatedError("tokens are not accepted here")
        principal, expires = await self._jwts.verify(token)
        return self._hashed(principal), expires

    def _limited(self, principal: Principal) -> Caller:
        if not principal.subject.startswith(TEST_PREFIX):
            raise PermissionDeniedError(
                f"a token of the installation test is for subjects that begin with {TEST_PREFIX}"
            )
        # Never admin: that role reaches orders, which name no event.
        roles = [role for role in principal.roles if role != ROLE_ADMIN]
        return LimitedCaller(self._hash_subject(principal.subject), roles)

    def _hashed(self, principal: Principal) -> Caller:
        return Caller(self._hash_subject(principal.subject), list(principal.roles))
