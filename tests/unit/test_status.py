"""How refusals look: the same words at both doors, and nothing of a fault of ours."""

from __future__ import annotations

from typing import Any

import grpc
import msgspec
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.common.errors import (
    InternalError,
    InvalidRequestError,
    NexusError,
    SeatUnavailableError,
    UnavailableError,
    all_errors,
)
from services.gateway.asgi import refusal_answer
from services.gateway.ingress import _refusal
from services.gateway.status import grpc_code, grpc_details, http_body, message_of, opaque

KINDS = {
    "ErrorInfo": error_details_pb2.ErrorInfo,
    "BadRequest": error_details_pb2.BadRequest,
    "RetryInfo": error_details_pb2.RetryInfo,
}


def details(error: NexusError) -> dict[str, Any]:
    status = status_pb2.Status.FromString(grpc_details(error))
    found = {}
    for packed in status.details:
        kind = packed.type_url.rpartition(".")[2]
        found[kind] = KINDS[kind].FromString(packed.value)
    return found


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_every_refusal_has_the_same_reason_at_both_doors(kind: type[NexusError]) -> None:
    """gRPC and HTTP say the same reason, metadata and text, and RetryInfo only where repeating helps."""
    error = kind.rebuild("no", {"order_id": "o1", "fingerprint": "abc"})
    packed = details(error)
    body = http_body(error)["error"]
    assert packed["ErrorInfo"].reason == body["details"][0]["reason"] == kind.reason
    assert dict(packed["ErrorInfo"].metadata) == body["details"][0]["metadata"] == {"order_id": "o1"}
    assert packed["ErrorInfo"].domain == "nexus.v1"
    assert (body["code"], body["status"]) == (kind.http_status, grpc_code(error).name)
    assert ("RetryInfo" in packed) == kind.is_retryable == ("retry-after" in refusal_answer(error).headers)


def test_field_violations_are_a_bad_request() -> None:
    """Violations come as google.rpc.BadRequest, also where a handler found them."""
    for error in (
        InvalidRequestError({"event.title": "too long"}),
        InvalidRequestError.rebuild("event.title: too long", {"field.event.title": "too long"}),
    ):
        (violation,) = details(error)["BadRequest"].field_violations
        assert (violation.field, violation.description) == ("event.title", "too long")
        listed = http_body(error)["error"]["details"][1]["field_violations"]
        assert listed == [{"field": "event.title", "description": "too long"}]


@pytest.mark.parametrize("fault", [InternalError("secret text"), ValueError("secret text"), KeyError("secret text")])
def test_a_fault_of_ours_tells_nothing(fault: Exception) -> None:
    """An internal error shows a reference to the log and none of its text."""
    shown = opaque(fault)
    assert isinstance(shown, InternalError)
    text = msgspec.json.encode(http_body(shown)).decode() + grpc_details(shown).decode("latin-1")
    assert "secret" not in text
    assert shown.details["reference"] in text


def test_long_conflicts_fit_into_trailers() -> None:
    """The refusal of fifty seats with the longest ids stays below the 8 kB of metadata that clients accept."""
    error = SeatUnavailableError({f"{number:064}": "BLOCKED" for number in range(50)})
    encoded = len(grpc_details(error)) * 4 / 3 + len(message_of(error))
    assert encoded < 7500
    assert details(error)["ErrorInfo"].metadata["conflicts"].count("=BLOCKED") == 50


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (409, {"source": "invocation", "message": "m", "metadata": {"reason": "SEAT_UNAVAILABLE"}}, "SEAT_UNAVAILABLE"),
        (200 + 209, {"source": "invocation", "message": "cancelled"}, "INTERNAL"),
        (404, {"source": "invocation", "message": "m", "metadata": {"reason": "HOLD_NOT_FOUND"}}, "HOLD_NOT_FOUND"),
        (404, {"source": "ingress", "message": "no such service"}, "UNAVAILABLE"),
        (503, {"source": "ingress"}, "UNAVAILABLE"),
        (500, {"source": "invocation", "message": "secret", "metadata": {"reason": "MADE_UP"}}, "INTERNAL"),
        (500, {"source": "ingress", "metadata": {"reason": "SEAT_UNAVAILABLE"}}, "UNAVAILABLE"),
        (503, b"<html>", "UNAVAILABLE"),
        (500, b"", "INTERNAL"),
    ],
)
def test_answers_are_read_by_source_and_reason(status: int, body: Any, reason: str) -> None:
    """Only a reason from an invocation is a refusal; status and text decide nothing about it."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert _refusal(status, content, "Ticket", "get").reason == reason


def test_every_grpc_code_exists() -> None:
    """Each row of the table names a code that gRPC has."""
    assert all(hasattr(grpc.StatusCode, kind.grpc_code) for kind in all_errors())


def test_unavailable_is_not_opaque() -> None:
    """A refusal passes as it is."""
    error = UnavailableError("later")
    assert opaque(error) is error
