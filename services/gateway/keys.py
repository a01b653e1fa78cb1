"""What the gateway derives with its secret key: hashed subjects, fingerprints, made ids, ingress keys.

Without the key none of these can be computed, so a journal or an object key tells nobody who bought.
"""

from __future__ import annotations

import hashlib
import secrets

from google.protobuf.message import Message

from services.common.ids import keyed_hash
from services.common.messages import Caller
from services.gateway.routes import Route

MIN_KEY_BYTES = 32


class RequestKeys:
    """Keyed hashes over requests. `key`: the secret of NEXUS_SUBJECT_KEY, at least 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"needs at least {MIN_KEY_BYTES} bytes")
        self._key = key

    def subject(self, subject: str) -> str:
        """Hash a subject as it appears in object keys; the empty one stays empty."""
        return keyed_hash(self._key, ["subject", subject]) if subject else ""

    def fingerprint(self, route: Route, request: Message) -> str:
        """Hash what makes a request the same request: all but the fields that a repeat may change."""
        if route.not_in_fingerprint:
            copy = type(request)()
            copy.CopyFrom(request)
            request = copy
            for path in route.not_in_fingerprint:
                path.owner(request).ClearField(path.name)
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        return keyed_hash(self._key, ["fingerprint", route.name, digest])

    def made_id(self, route: Route, caller: Caller, request_id: str) -> str:
        """Make the id that the client left out: the same one for the same request_id, else at random."""
        name = route.made_id.name if route.made_id else ""
        if request_id:
            tail = keyed_hash(self._key, ["made id", route.name, caller.subject, request_id])
        else:
            tail = secrets.token_hex(16)
        return f"{name.removesuffix('_id')}-{tail}"

    def idempotency_key(self, route: Route, caller: Caller, key: str, request_id: str) -> str:
        """Hash (caller, RPC, object, request_id) to the Idempotency-Key that the ingress is sent."""
        return keyed_hash(self._key, ["idempotency", route.name, caller.subject, key, request_id])
