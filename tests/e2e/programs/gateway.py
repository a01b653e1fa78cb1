"""A buyer's connection to the gateway: gRPC with client-side balancing, outcomes instead of exceptions."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf import json_format, message_factory
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.cli import token as tokens
from services.cli.call import find

BALANCED = '{"loadBalancingConfig": [{"round_robin": {}}]}'
FINAL_REFUSALS = frozenset(
    {
        "SEAT_UNAVAILABLE",
        "BUYER_LIMIT",
        "PAYMENT_DECLINED",
        "HOLD_EXPIRED",
        "ORDER_CANCELLED",
        "SALES_NOT_OPEN",
        "SALES_CLOSED",
    }
)
"""Reasons that decide a request; every other failure leaves its outcome unknown to the client."""


class Outcome(NamedTuple):
    """How a call ended: `ok` with its answer, `refused` with a reason, or `unknown` with what was seen."""

    state: str
    answer: dict[str, Any]
    reason: str


class Buyers:
    """Calls for many subjects over one channel. `address`: of the headless Service; `key`: signs their tokens."""

    def __init__(self, address: str, key: str, folder: Path) -> None:
        self._key = folder / "sign-in.pem"
        self._key.write_text(key)
        options = [
            ("grpc.service_config", BALANCED),
            # A pod that is gone is noticed within seconds, and its name is asked for again at once.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.min_time_between_resolutions_ms", 500),
            ("grpc.dns_min_time_between_resolutions_ms", 500),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 3000),
        ]
        self._channel = grpc.aio.insecure_channel(f"dns:///{address}", options)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()

    async def call(
        self, subject: str, name: str, request: dict[str, Any], seconds: float, role: str | None = None
    ) -> Outcome:
        """Call an RPC as the subject."""
        path, method = _found(name)
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        stub = self._channel.unary_unary(
            f"/{path}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        bearer = tokens.sign(self._key, subject, [role] if role else [], 1)
        message = json_format.ParseDict(request, request_type())
        try:
            answer = await stub(message, metadata=(("authorization", f"Bearer {bearer}"),), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            reason = reason_of(error)
            if reason in FINAL_REFUSALS:
                return Outcome("refused", {}, reason)
            return Outcome("unknown", {}, f"{error.code().name} {reason} {error.details() or ''}"[:200])
        return Outcome("ok", json_format.MessageToDict(answer, preserving_proto_field_name=True), "")


@functools.cache
def _found(name: str) -> Any:
    """Keep what `find` finds: it looks through every module."""
    return find(name)


def reason_of(error: Any) -> str:
    """Give the ErrorInfo's reason; empty where another than our gateway has answered."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return ""
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return info.reason
    return ""
