"""What every call passes before it goes anywhere: ids filled in, caller allowed, fields within bounds."""

from __future__ import annotations

import functools

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.common.errors import InvalidRequestError, PermissionDeniedError, UnauthenticatedError
from services.common.ids import is_id
from services.common.messages import ROLE_ADMIN, ROLE_ORGANIZER, Caller
from services.common.tracing import TRACEPARENT
from services.gateway.auth import TEST_PREFIX, LimitedCaller
from services.gateway.calls import Call
from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.keys import RequestKeys
from services.gateway.ratelimit_guard import Guard
from services.gateway.routes import FieldPath, KeyTemplate, Route, text_fields
from services.gateway.validate import violations_of

IDEMPOTENCY_KEY = "idempotency-key"
"""Header and metadata that fill request_id."""

EVENT_ID = "event_id"
"""Field that names an event, in whatever message it stands."""

_KEY_WORDS = "1-255 visible ASCII characters"


class Admission:
    """Makes calls of parsed requests."""

    def __init__(self, keys: RequestKeys, guard: Guard | None = None) -> None:
        """Take the guard that both doors share; without one there are no limits."""
        self._keys = keys
        self.guard = guard or Guard()

    def open(
        self,
        route: Route,
        request: Message,
        caller: Caller,
        *,
        idempotency_keys: list[str],
        deadline: float | None,
        traceparent: str,
    ) -> Call:
        """Fill request_id and the made id and give the call, which is not yet checked.

        `idempotency_keys`: every value of the header that the client sent.
        """
        call = Call(route, request, caller, deadline=deadline)
        if TRACEPARENT.fullmatch(traceparent):
            call.traceparent = traceparent
        if route.request_id is not None:
            _fill_request_id(call, route.request_id, idempotency_keys)
        if route.made_id is not None and caller.subject:
            self._fill_made_id(call, route.made_id)
        return call

    def check(self, call: Call) -> None:
        """Refuse what may not go on; then the call has its fingerprint.

        Raises UnauthenticatedError, PermissionDeniedError, InvalidRequestError with every violation.
        """
        _check_access(call.route, call.caller)
        if isinstance(call.caller, LimitedCaller):
            _check_test_events(call)
        violations = {**call.violations, **violations_of(call.request)}
        if not violations and call.route.kind != options_pb2.ROUTE_KIND_COMPOSED:
            violations = _empty_ids(call.route.key, call.request)
        if violations:
            raise InvalidRequestError(violations)
        # Fields that this version does not know are accepted, and go nowhere.
        call.request.DiscardUnknownFields()
        call.fingerprint = self._keys.fingerprint(call.route, call.request)

    def _fill_made_id(self, call: Call, path: FieldPath) -> None:
        message = call.request
        for parent in path.parents:
            if not message.HasField(parent):
                return  # The message that holds the id is missing, which the rules refuse.
            message = getattr(message, parent)
        given = path.get(call.request)
        if given:
            call.is_repeatable = True
            call.made_id = given if is_id(given) else ""
            return
        call.made_id = self._keys.made_id(call.route, call.caller, call.request_id)
        path.set(call.request, call.made_id)


def _fill_request_id(call: Call, path: FieldPath, headers: list[str]) -> None:
    given = path.get(call.request)
    if len(headers) > 1:
        call.violations[path.text] = f"{IDEMPOTENCY_KEY} must be given once"
    elif headers:
        if not headers[0]:
            call.violations[path.text] = f"must be {_KEY_WORDS}"
        elif given and given != headers[0]:
            call.violations[path.text] = f"must equal {IDEMPOTENCY_KEY} where both are given"
        else:
            given = headers[0]
            path.set(call.request, given)
    call.request_id = given
    call.is_repeatable = bool(given)


def _check_access(route: Route, caller: Caller) -> None:
    if route.is_public:
        return
    if not caller.subject:
        raise UnauthenticatedError("sign in to call this")
    if route.access == options_pb2.ACCESS_SIGNED_IN:
        return
    wanted = {ROLE_ADMIN, ROLE_ORGANIZER} if route.access == options_pb2.ACCESS_ORGANIZER else {ROLE_ADMIN}
    if wanted.isdisjoint(caller.roles):
        raise PermissionDeniedError(f"needs the role {' or '.join(sorted(wanted, reverse=True))}")


def _check_test_events(call: Call) -> None:
    """Let the installation's own test name its own events only; an event that it leaves out is not one of them."""
    for path in event_ids(call.route.request_class.DESCRIPTOR):
        if not path.get(call.request).startswith(TEST_PREFIX):
            raise PermissionDeniedError(
                f"{path.text}: the installation test may name events that begin with {TEST_PREFIX}"
            )


@functools.cache
def event_ids(message: Descriptor) -> tuple[FieldPath, ...]:
    """Give the fields of a request that name an event, wherever in it."""
    return tuple(path for path in text_fields(message) if path.name == EVENT_ID)


def _empty_ids(key: KeyTemplate, request: Message) -> dict[str, str]:
    """Name the ids that the object key needs and the request lacks."""
    paths = [part for part in key.parts if isinstance(part, FieldPath)]
    return {path.text: "must be set" for path in paths if not path.get(request)}
