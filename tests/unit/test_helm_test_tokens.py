"""Tokens of an installation's own test: another key, and only subjects and events that begin with `helm-test-`."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from services.common.errors import InvalidRequestError, NexusError, PermissionDeniedError, UnauthenticatedError
from services.common.messages import Caller
from services.gateway.admission import Admission, event_ids
from services.gateway.auth import TEST_KID, Authenticator, JwtVerifier, LimitedCaller, OneKey
from services.gateway.calls import Call
from services.gateway.gen.nexus.v1 import event_pb2
from services.gateway.keys import RequestKeys
from services.gateway.routes import Route, load_routes
from tests.unit.test_auth import ALGORITHMS, KEY, bearer, pem, token

TEST_KEY = ed25519.Ed25519PrivateKey.generate()
BY_TEST_KEY = {"kid": TEST_KID}
SUBJECT = "helm-test-1"
ROUTES = load_routes()
ADMISSION = Admission(RequestKeys(b"k" * 32))
ANYBODY = LimitedCaller("hash", ["organizer"])


def verifier(key: ed25519.Ed25519PrivateKey) -> JwtVerifier:
    return JwtVerifier(OneKey(pem(key)), ALGORITHMS, "nexus", "nexus")


def authenticator(*, has_test_key: bool = True) -> Authenticator:
    return Authenticator(
        lambda subject: f"#{subject}", jwts=verifier(KEY), test_jwts=verifier(TEST_KEY) if has_test_key else None
    )


async def test_a_test_token_gives_a_limited_caller() -> None:
    """It stands for its subject, may organize, and is never admin, also when it is seen again."""
    sent = bearer(token(TEST_KEY, headers=BY_TEST_KEY, sub=SUBJECT, roles=["organizer", "admin"]))
    asked = authenticator()
    for _ in range(2):
        assert await asked.caller(sent) == LimitedCaller(f"#{SUBJECT}", ["organizer"])


@pytest.mark.parametrize("subject", ["ann", "helm-test", "Helm-test-1", "xhelm-test-1"])
async def test_a_test_token_stands_for_nobody_else(subject: str) -> None:
    """Whose subject does not begin with the prefix is refused, though the signature is good."""
    with pytest.raises(PermissionDeniedError):
        await authenticator().caller(bearer(token(TEST_KEY, headers=BY_TEST_KEY, sub=subject)))


async def test_keys_are_never_confused() -> None:
    """The key id alone chooses the key: neither signs for the other, and without the setting nothing is accepted."""
    with pytest.raises(UnauthenticatedError):
        await authenticator().caller(bearer(token(KEY, headers=BY_TEST_KEY, sub=SUBJECT)))
    for headers in (None, {"kid": "other"}):
        with pytest.raises(UnauthenticatedError):
            await authenticator().caller(bearer(token(TEST_KEY, headers=headers, sub=SUBJECT)))
    for key in (KEY, TEST_KEY):
        with pytest.raises(UnauthenticatedError, match="installation test"):
            await authenticator(has_test_key=False).caller(bearer(token(key, headers=BY_TEST_KEY, sub=SUBJECT)))
    ordinary = await authenticator().caller(bearer(token(KEY, sub=SUBJECT)))
    assert type(ordinary) is Caller


def refusal(route: Route, event_id: str, caller: Caller) -> NexusError | None:
    """Put an event into a request wherever one can be named, and give what admission says."""
    request = route.request_class()
    for path in event_ids(route.request_class.DESCRIPTOR):
        path.set(request, event_id)
    call = ADMISSION.open(route, request, caller, idempotency_keys=[], deadline=None, traceparent="")
    try:
        ADMISSION.check(call)
    except NexusError as error:
        return error
    return None


WITH_EVENT = sorted(name for name, route in ROUTES.items() if event_ids(route.request_class.DESCRIPTOR))


def test_routes_with_events_are_found() -> None:
    """Events are found in requests and in messages inside them; only these RPCs name none."""
    without = {name.rpartition("/")[2] for name in set(ROUTES) - set(WITH_EVENT)}
    assert without <= {"ListEvents", "GetOrder", "CancelOrder", "WatchOrder"}


@pytest.mark.parametrize("name", WITH_EVENT)
def test_a_test_token_names_its_own_events_only(name: str) -> None:
    """Every RPC that names an event, also those that anybody may call, refuses another one, and an empty one."""
    route = ROUTES[name]
    for event_id in ("gala", "helm-test", ""):
        assert isinstance(refusal(route, event_id, ANYBODY), PermissionDeniedError), event_id
    own = refusal(route, "helm-test-gala", ANYBODY)
    assert own is None or isinstance(own, InvalidRequestError), own
    other = refusal(route, "gala", Caller("hash", ["organizer"]))
    assert other is None or isinstance(other, InvalidRequestError), other


def test_an_event_of_the_test_may_not_be_named_by_us() -> None:
    """CreateEvent without an id, which the gateway would make up, is refused: the id would not be the test's."""
    route = ROUTES["/nexus.v1.EventService/CreateEvent"]
    request = event_pb2.CreateEventRequest(event=event_pb2.Event(title="Gala"))
    call: Call = ADMISSION.open(route, request, ANYBODY, idempotency_keys=[], deadline=None, traceparent="")
    assert call.made_id
    with pytest.raises(PermissionDeniedError, match="helm-test-"):
        ADMISSION.check(call)
