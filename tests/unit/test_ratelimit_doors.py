"""Rate limits at both doors: one count for both, exact words on when to come again, room for so many calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.gateway.gen.nexus.v1 import checkout_pb2, ticket_pb2
from services.gateway.ratelimit import CallClass, Limit, Limits, Proxies, parse_networks
from services.gateway.ratelimit_guard import Guard
from services.gateway.ratelimit_store import LocalBuckets
from tests.unit.test_doors import Doors, opened, reason_of

HOLD = "/nexus.v1.TicketService/HoldSeats"
WATCH = "/nexus.v1.CheckoutService/WatchOrder"
SEATS = {"seat_ids": ["A-1-1"]}
HOUR = 3600.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.01)


def per_caller(burst: int, per_second: float = 1 / HOUR) -> Limits:
    return Limits({CallClass.HOLDS: Limit(per_second, burst)})


async def hold_by_http(doors: Doors, **headers: str) -> tuple[int, Any, Any]:
    return await doors.post("/v1/events/gala/holds", SEATS, **headers)


async def hold_by_grpc(doors: Doors, *metadata: tuple[str, str]) -> grpc.aio.AioRpcError | None:
    """Hold over gRPC and give the refusal, None where there is none."""
    route = doors.routes[HOLD]
    method = doors.channel.unary_unary(
        HOLD,
        request_serializer=ticket_pb2.HoldSeatsRequest.SerializeToString,
        response_deserializer=route.response_class.FromString,
    )
    request = ticket_pb2.HoldSeatsRequest(event_id="gala", seat_ids=["A-1-1"])
    try:
        await method(request, metadata=(("x-nexus-subject", "ann"), *metadata), timeout=10)
    except grpc.aio.AioRpcError as refused:
        return refused
    return None


def retry_delay(refused: grpc.aio.AioRpcError) -> float:
    metadata = dict(refused.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    (info,) = (detail for detail in status.details if detail.type_url.endswith("RetryInfo"))
    delay = error_details_pb2.RetryInfo.FromString(info.value).retry_delay
    return float(delay.ToMicroseconds() / 1e6)


async def test_both_doors_count_together_and_say_exactly_when(tmp_path: Path) -> None:
    """Two holds over HTTP leave none over gRPC; RetryInfo and Retry-After are the time until the next one passes."""
    clock = Clock()
    guard = Guard(caller=per_caller(2, per_second=0.4), buckets=LocalBuckets(clock=clock))
    async with opened(tmp_path, guard) as doors:
        doors.restate.ok("Buyer/hold", {"hold_id": "h1"})
        assert [(await hold_by_http(doors))[0] for _ in range(2)] == [200, 200]
        clock.now += 1.25
        status, body, headers = await hold_by_http(doors)
        assert (status, reason_of(body), headers["retry-after"]) == (429, "RATE_LIMITED", "2")
        (retry,) = (detail for detail in body["error"]["details"] if detail["@type"].endswith("RetryInfo"))
        assert retry["retry_delay"] == "1.25s"
        refused = await hold_by_grpc(doors)
        assert refused is not None
        assert (refused.code(), retry_delay(refused)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.25)
        assert (await hold_by_http(doors, x_nexus_subject="bob"))[0] == 200
        assert len(doors.restate.seen) == 3
        clock.now += 1.24
        assert await hold_by_grpc(doors) is not None
        clock.now += 0.01
        assert await hold_by_grpc(doors) is None


async def test_an_address_has_one_count_for_all_its_callers(tmp_path: Path) -> None:
    """Many callers behind one address share its limit, at both doors; a trusted proxy's word tells them apart."""
    guard = Guard(address=per_caller(2), proxies=Proxies.parse(["127.0.0.0/8"]))
    async with opened(tmp_path, guard) as doors:
        doors.restate.ok("Buyer/hold", {"hold_id": "h1"})
        bots = "2001:db8:1:2::{}".format
        assert (await hold_by_http(doors, x_nexus_subject="b1", x_forwarded_for=bots(1)))[0] == 200
        assert await hold_by_grpc(doors, ("x-forwarded-for", bots(2))) is None
        assert (await hold_by_http(doors, x_nexus_subject="b3", x_forwarded_for=bots(3)))[0] == 429
        assert (await hold_by_http(doors, x_nexus_subject="b4", x_forwarded_for=f"10.0.0.1, {bots(4)}"))[0] == 429
        assert await hold_by_grpc(doors, ("x-forwarded-for", bots(5))) is not None
        assert (await hold_by_http(doors, x_nexus_subject="ada", x_forwarded_for="2001:db8:1:3::1"))[0] == 200


async def test_exempt_addresses_keep_their_callers_limits(tmp_path: Path) -> None:
    """A box office behind one address may do more than an address may, but no caller more than a caller."""
    exempt = parse_networks(["127.0.0.0/8"])
    async with opened(tmp_path, Guard(address=per_caller(1), caller=per_caller(2), exempt=exempt)) as doors:
        doors.restate.ok("Buyer/hold", {"hold_id": "h1"})
        got = [(await hold_by_http(doors, x_nexus_subject=f"clerk-{number}"))[0] for number in (1, 2, 3, 3, 3)]
        assert got == [200, 200, 200, 200, 429]


async def test_bad_credentials_count_for_their_address(tmp_path: Path) -> None:
    """One who guesses tokens is refused before long, whatever they stand for."""
    async with opened(tmp_path, Guard(address=per_caller(2))) as doors:
        wrong = {"authorization": "Bearer nonsense", "x_nexus_subject": ""}
        got = [(await hold_by_http(doors, **wrong))[0] for _ in range(3)]
        assert got == [401, 401, 429]
        assert doors.restate.seen == []


async def test_calls_beyond_the_room_are_shed_and_those_within_are_served(tmp_path: Path) -> None:
    """Of ten times as many calls as fit, the rest is refused at once at both doors; then there is room again."""
    async with opened(tmp_path, Guard(max_calls=5)) as doors:
        release = asyncio.Event()

        async def slow(body: dict[str, Any]) -> tuple[int, Any]:
            await release.wait()
            return 200, {"response": {"hold_id": "h1"}, "fingerprint": body["fingerprint"]}

        doors.restate.handlers["Buyer/hold"] = slow
        begun = [asyncio.create_task(hold_by_http(doors)) for _ in range(25)]
        begun += [asyncio.create_task(hold_by_grpc(doors)) for _ in range(25)]  # type: ignore[arg-type]
        await until(lambda: sum(task.done() for task in begun) == 45)
        shed: list[Any] = [task.result() for task in begun if task.done()]
        for answer in shed:
            if isinstance(answer, grpc.aio.AioRpcError):
                assert (answer.code(), retry_delay(answer)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
            else:
                assert (answer[0], reason_of(answer[1]), answer[2]["retry-after"]) == (429, "RATE_LIMITED", "1")
        assert len(doors.restate.seen) == 5
        release.set()
        await asyncio.gather(*begun)
        assert (await hold_by_http(doors))[0] == 200
        assert await hold_by_grpc(doors) is None


@pytest.mark.parametrize("guard", [Guard(address=Limits({}, watches=2)), Guard(max_watches=2)], ids=["address", "room"])
async def test_streams_are_counted_while_they_are_open(tmp_path: Path, guard: Guard) -> None:
    """Two watches fit, a third does not, at either door; when one has ended there is room for another."""
    async with opened(tmp_path, guard) as doors:
        doors.restate.ok("Checkout/get", {"order_id": "o1", "state": "ORDER_STATE_PENDING"})
        url, ann = "/v1/orders/o1:watch", {"x-nexus-subject": "ann"}

        async def watch_by_grpc() -> grpc.StatusCode:
            watch = doors.channel.unary_stream(
                WATCH, request_serializer=checkout_pb2.WatchOrderRequest.SerializeToString
            )
            call = watch(checkout_pb2.WatchOrderRequest(order_id="o1"), metadata=(*ann.items(),), timeout=10)
            return await call.code()

        first = asyncio.create_task(doors.http.get(url, headers=ann))
        second = asyncio.create_task(doors.http.get(url, headers=ann))
        await until(lambda: guard._open[True] == 2)
        async with doors.http.get(url, headers=ann) as third:
            assert (third.status, reason_of(json.loads(await third.read()))) == (429, "RATE_LIMITED")
        assert await watch_by_grpc() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for task in (first, second):
            if task.done():
                task.result().close()
            task.cancel()
        await until(lambda: guard._open[True] == 0)
        assert not guard._watches
