"""Who may call what: every RPC of both components against every kind of caller, in one table."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import grpc.aio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import json_format
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.cli.local import LocalStack, answers
from services.gateway.gen.nexus.v1 import ops_pb2
from services.gateway.routes import CONTRACT, Route, load_routes
from tests.integration.bad_input import BUYING
from tests.integration.behind import free_port
from tests.integration.booking import Hall, until
from tests.integration.client import Client, new_event, sign
from tests.integration.doors import Outcome, http_form, http_outcome
from tests.integration.forged import claims
from tests.integration.good_requests import HOLD, ORDER
from tests.integration.modes import normal_mode_only
from tests.integration.world import event_body

pytestmark = normal_mode_only("who may call what")

GATEWAY = {name.removeprefix("/nexus.v1."): route for name, route in load_routes(CONTRACT).items()}
OPS = {name.removeprefix("/nexus.v1."): route for name, route in load_routes([ops_pb2.DESCRIPTOR]).items()}
ROUTES: dict[str, Route] = GATEWAY | OPS

CALLERS = ("anonymous", "buyer", "other", "organizer", "rival", "admin", "expired", "test")
"""`other`: another buyer; `rival`: another organizer; `test`: a token of the installation's own test (helm-test)."""

OK, WHO, NO = "OK", "UNAUTHENTICATED", "PERMISSION_DENIED"
NO_EVENT, NO_HOLD, NO_ORDER = "EVENT_NOT_FOUND", "HOLD_NOT_FOUND", "ORDER_NOT_FOUND"
LATE = "INVALID_TRANSITION"

SEATS = {"event_id": "$event", "seat_ids": ["$seat"]}
EVENT = {"event_id": "$event"}


class Row(NamedTuple):
    """An RPC's request, and the answer to each of CALLERS: OK, or the reason of the refusal."""

    rpc: str
    request: dict[str, Any]
    answers: tuple[str, ...]


def public(rpc: str, request: dict[str, Any], test: str = NO) -> Row:
    """Anybody may; a bad token is refused all the same, and the test's reaches its own events only."""
    return Row(rpc, request, (OK, OK, OK, OK, OK, OK, WHO, test))


def organizers(rpc: str, **more: Any) -> Row:
    """The event's organizer and admins may; to another organizer there is no such event."""
    return Row(f"EventService/{rpc}", EVENT | more, (WHO, NO, NO, OK, NO_EVENT, OK, WHO, NO))


def admins(rpc: str, request: dict[str, Any], admin: str = OK) -> Row:
    """Admins may, and a token of the installation's test is nothing at all here."""
    return Row(f"OpsService/{rpc}", request, (WHO, NO, NO, NO, NO, admin, WHO, WHO))


#                                                     anonymous buyer other organizer rival admin expired test
TABLE = [
    public("EventService/GetEvent", EVENT),
    public("EventService/ListEvents", {}, test=OK),
    public("SeatMapService/GetSeatMap", EVENT),
    public("SeatMapService/WatchSeatMap", EVENT),
    public("TicketService/GetTicket", EVENT | {"seat_id": "A-2-1"}),
    Row("EventService/CreateEvent", {"event": event_body()}, (WHO, NO, NO, OK, OK, OK, WHO, NO)),
    Row("EventService/UpdateEvent", {"event": EVENT | {"title": "T"}}, (WHO, NO, NO, OK, NO_EVENT, OK, WHO, NO)),
    organizers("PublishEvent"),
    organizers("PauseSales"),
    organizers("ResumeSales"),
    organizers("CloseSales"),
    organizers("BlockSeats", seat_ids=["$seat"]),
    organizers("UnblockSeats", seat_ids=["$seat"]),
    organizers("RebuildSeatMap"),
    organizers("ListAuditEntries"),
    Row("TicketService/HoldSeats", SEATS, (WHO, OK, OK, OK, OK, OK, WHO, NO)),
    # What one buyer holds is nobody else's, not even an admin's: the object's key has the caller in it.
    Row("TicketService/GetHold", HOLD, (WHO, OK, NO_HOLD, NO_HOLD, NO_HOLD, NO_HOLD, WHO, NO)),
    Row("TicketService/ExtendHold", HOLD, (WHO, OK, NO_HOLD, NO_HOLD, NO_HOLD, NO_HOLD, WHO, NO)),
    Row("TicketService/ReleaseHold", HOLD, (WHO, OK, NO_HOLD, NO_HOLD, NO_HOLD, NO_HOLD, WHO, NO)),
    Row(
        "CheckoutService/Checkout",
        BUYING | {"hold_id": "$hold"},
        (WHO, OK, NO_HOLD, NO_HOLD, NO_HOLD, NO_HOLD, WHO, NO),
    ),
    # An order is shown to its buyer and to admins, who have to look after those that are stuck.
    Row("CheckoutService/GetOrder", ORDER, (WHO, OK, NO_ORDER, NO_ORDER, NO_ORDER, OK, WHO, NO_ORDER)),
    Row("CheckoutService/WatchOrder", ORDER, (WHO, OK, NO_ORDER, NO_ORDER, NO_ORDER, OK, WHO, NO_ORDER)),
    # It is confirmed, and so the two that may cancel it are told that it is too late.
    Row("CheckoutService/CancelOrder", ORDER, (WHO, LATE, NO_ORDER, NO_ORDER, NO_ORDER, LATE, WHO, NO_ORDER)),
    Row("CheckoutService/ListOrders", EVENT, (WHO, OK, OK, OK, OK, OK, WHO, NO)),
    admins("VerifyEvent", EVENT | {"settle_seconds": 1}),
    admins("ListUnfinished", {}),
    admins("RetryOrder", ORDER),
    admins("ResumeInvocation", {"invocation_id": "inv_1abcdefghijklmnopqrstuvwxyz"}, admin="INVALID_REQUEST"),
    admins("GetOrderTimeline", ORDER),
    admins("EraseBuyer", {"subject": "$new"}),
]


@dataclasses.dataclass
class Doors:
    """The doors of a gateway that knows the test's key, and those of ops; and a token for each of CALLERS."""

    client: Client
    gateway: tuple[str, grpc.aio.Channel]
    ops: tuple[str, grpc.aio.Channel]
    session: aiohttp.ClientSession
    tokens: dict[str, str | None]

    def of(self, rpc: str) -> tuple[str, grpc.aio.Channel]:
        """Give the doors behind which an RPC is."""
        return self.ops if rpc in OPS else self.gateway

    async def grpc(self, rpc: str, request: dict[str, Any], token: str | None) -> str:
        """Call over gRPC; give OK or the reason. Of a stream the first message counts."""
        route, channel = ROUTES[rpc], self.of(rpc)[1]
        open_call: Any = channel.unary_stream if route.is_stream else channel.unary_unary
        method = open_call(route.name, response_deserializer=route.response_class.FromString)
        data = json_format.ParseDict(request, route.request_class()).SerializeToString()
        call = method(data, metadata=[("authorization", f"Bearer {token}")] if token else [], timeout=20)
        try:
            await (call.read() if route.is_stream else call)
        except grpc.aio.AioRpcError as error:
            return _reason(error)
        finally:
            call.cancel()
        return OK

    async def http(self, rpc: str, request: dict[str, Any], token: str | None) -> Outcome:
        """Call over HTTP."""
        method, path, body = http_form(ROUTES[rpc], request)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(method, self.of(rpc)[0] + path, json=body, headers=headers) as answer:
            return http_outcome(answer.status, "{}" if answer.status < 400 else await answer.text())


def _reason(error: grpc.aio.AioRpcError) -> str:
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info = error_details_pb2.ErrorInfo()
    details = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode()).details
    found = next((info.reason for detail in details if detail.Unpack(info)), "")
    return found or error.code().name


@pytest.fixture(scope="module")
async def doors(stack: LocalStack, client: Client) -> AsyncIterator[Doors]:
    key = ed25519.Ed25519PrivateKey.generate()
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    of_test = claims(sub="helm-test-1", roles=["organizer", "admin"])
    tokens: dict[str, str | None] = {
        "anonymous": None,
        "buyer": sign(stack, f"buyer-{uuid.uuid4().hex}"),
        "other": sign(stack, f"buyer-{uuid.uuid4().hex}"),
        "rival": sign(stack, f"organizer-{uuid.uuid4().hex}", "organizer"),
        "admin": sign(stack, "root", "admin"),
        "expired": sign(stack, "root", "admin", hours=-1),
        "test": jwt.encode(of_test, key, algorithm="EdDSA", headers={"kid": "helm-test"}),
    }
    http_port, grpc_port = free_port(), free_port()
    settings = {
        "NEXUS_HTTP_PORT": str(http_port),
        "NEXUS_GRPC_PORT": str(grpc_port),
        "NEXUS_METRICS_PORT": "0",
        "NEXUS_AUTH_TEST_PUBLIC_KEY": public_key,
    }
    argv, name = [sys.executable, "-m", "services.cli", "run", "gateway"], "gateway-with-test-key"
    stack.processes.start(name, argv, stack.environ("gateway") | settings)
    try:

        async def is_ready() -> bool:
            return await asyncio.to_thread(answers, f"http://127.0.0.1:{http_port}/readyz")

        await until(is_ready, "a gateway that knows the test's key", 30)
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as own,
            grpc.aio.insecure_channel(stack.ops_address) as ops,
            aiohttp.ClientSession() as session,
        ):
            yield Doors(client, (f"http://127.0.0.1:{http_port}", own), (stack.ops_url, ops), session, tokens)
    finally:
        stack.processes.stop([name], 25)


@dataclasses.dataclass
class Scene:
    """What one row is tried on: an event of its own, in it a hold on A-1-1 and an order of A-1-2 by `buyer`."""

    names: dict[str, str]
    organizer: str

    def fill(self, value: Any, seat: str) -> Any:
        """Put the scene's names into a request."""
        if isinstance(value, dict):
            return {name: self.fill(inner, seat) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, seat) for inner in value]
        known = self.names | {"seat": seat, "new": f"new-{uuid.uuid4().hex}"}
        return known.get(value[1:], value) if isinstance(value, str) and value.startswith("$") else value


async def scene(doors: Doors, rpc: str, request: dict[str, Any]) -> Scene:
    """Make what a row's request names."""
    event_id, organizer = await new_event(doors.client, rows=3)
    hall, names, buyer = Hall(doors.client, event_id, organizer), {"event": event_id}, str(doors.tokens["buyer"])
    if "$hold" in request.values():
        names["hold"] = (await hall.held(buyer, "A-1-1"))["hold_id"]
    if "$order" in request.values():
        names["order"] = (await hall.buy(buyer, "A-1-2")).json["order_id"]
    if rpc == "EventService/UnblockSeats":
        seats = [f"A-2-{number + 1}" for number in range(len(CALLERS))]
        assert (await hall.do("/seats:block", {"seat_ids": seats})).status == 200
    return Scene(names, organizer)


def test_every_rpc_has_a_row() -> None:
    """Whoever adds an RPC, to the gateway or to ops, says here who may call it."""
    assert sorted(row.rpc for row in TABLE) == sorted(ROUTES)
    assert all(len(row.answers) == len(CALLERS) for row in TABLE)


@pytest.mark.parametrize("component", ["gateway", "ops"])
async def test_nothing_else_is_served(doors: Doors, component: str) -> None:
    """A component serves the services of its own rows, health and reflection: none that no row is about."""
    channel = getattr(doors, component)[1]
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
    served = {one.name async for answer in answers for one in answer.list_services_response.service}
    rows = {f"nexus.v1.{rpc.split('/')[0]}" for rpc in (GATEWAY if component == "gateway" else OPS)}
    assert served == rows | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    other = "OpsService/ListUnfinished" if component == "gateway" else "EventService/ListEvents"
    call = channel.unary_unary(f"/nexus.v1.{other}")(
        b"", metadata=[("authorization", f"Bearer {doors.tokens['admin']}")]
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.rpc)
async def test_who_may_call(doors: Doors, row: Row) -> None:
    """Each caller gets the table's answer over gRPC; those who are refused get the same over HTTP."""
    seen = await scene(doors, row.rpc, row.request)
    tokens = doors.tokens | {"organizer": seen.organizer}
    # Those who may come last: what they do must not be the reason why others may not.
    order = sorted(range(len(CALLERS)), key=lambda number: row.answers[number] == OK)
    found, over_http = {}, {}
    for number in order:
        caller = CALLERS[number]
        request = seen.fill(row.request, f"A-2-{number + 1}")
        found[caller] = await doors.grpc(row.rpc, request, tokens[caller])
        if row.answers[number] != OK:
            outcome = await doors.http(row.rpc, request, tokens[caller])
            over_http[caller] = outcome.reason
            assert 400 <= outcome.http_status < 500, outcome
    expected = dict(zip(CALLERS, row.answers, strict=True))
    assert found == expected
    assert over_http == {caller: answer for caller, answer in expected.items() if answer != OK}


@pytest.mark.parametrize("rpc", [row.rpc for row in TABLE if row.answers[0] == WHO])
async def test_a_refusal_does_not_depend_on_the_request(doors: Doors, rpc: str) -> None:
    """Whoever may not call learns nothing from how a request is wrong: it is not looked at."""
    assert await doors.grpc(rpc, {}, None) == WHO
    assert await doors.grpc(rpc, {}, doors.tokens["expired"]) == WHO
