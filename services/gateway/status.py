"""How a refusal looks at each door: google.rpc.Status for gRPC, `{"error": ...}` for HTTP, same words."""

from __future__ import annotations

import math
import secrets
from typing import Any, Final

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from services.common.errors import InternalError, NexusError
from services.gateway.ingress import FINGERPRINT

DOMAIN: Final = "nexus.v1"
STATUS_DETAILS: Final = "grpc-status-details-bin"
MAX_MESSAGE: Final = 512
"""Characters of a message; the trailers of an answer must stay below the 8 kB that clients accept."""

FAULTS: Final = (
    NexusError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Refusals, and what a fault of ours may raise; a cancellation is none of them."""

_FIELD = "field."
_CODES: Final = {code.name: code for code in grpc.StatusCode}

log = structlog.get_logger(__name__)


def opaque(error: BaseException) -> NexusError:
    """Give what a client may see of an error: a refusal as it is, a fault of ours as a reference to the log."""
    if isinstance(error, NexusError) and not isinstance(error, InternalError):
        return error
    reference = secrets.token_hex(8)
    log.error("internal error", reference=reference, exc_info=error)
    return InternalError(f"internal error, reference {reference}", {"reference": reference})


def grpc_code(error: NexusError) -> grpc.StatusCode:
    """Give the gRPC code of a refusal."""
    return _CODES[error.grpc_code]


def message_of(error: NexusError) -> str:
    """Give the text for people, of bounded length."""
    return error.message if len(error.message) <= MAX_MESSAGE else error.message[: MAX_MESSAGE - 3] + "..."


def grpc_details(error: NexusError) -> bytes:
    """Give the google.rpc.Status that travels as `grpc-status-details-bin`."""
    status = status_pb2.Status(code=grpc_code(error).value[0], message=message_of(error))
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_metadata(error))
    ]
    violations = _violations(error)
    if violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=name, description=words)
                    for name, words in violations.items()
                ]
            )
        )
    if (seconds := error.retry_seconds) is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(round(seconds * 1e6))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    packed_status: bytes = status.SerializeToString()
    return packed_status


def http_body(error: NexusError, status: int | None = None) -> dict[str, Any]:
    """Give the JSON body. `status`: another HTTP status than the error's own, where the transport names it."""
    details: list[dict[str, Any]] = [
        {"@type": _type_url("ErrorInfo"), "reason": error.reason, "domain": DOMAIN, "metadata": _metadata(error)}
    ]
    violations = _violations(error)
    if violations:
        listed = [{"field": name, "description": words} for name, words in violations.items()]
        details.append({"@type": _type_url("BadRequest"), "field_violations": listed})
    if (seconds := error.retry_seconds) is not None:
        details.append({"@type": _type_url("RetryInfo"), "retry_delay": _duration(seconds)})
    code = error.http_status if status is None else status
    return {"error": {"code": code, "status": error.grpc_code, "message": message_of(error), "details": details}}


def retry_after(error: NexusError) -> dict[str, str]:
    """Give the header Retry-After, in whole seconds, where repeating helps. Source: RFC 9110, section 10.2.3."""
    seconds = error.retry_seconds
    return {} if seconds is None else {"retry-after": str(math.ceil(seconds))}


def _duration(seconds: float) -> str:
    """Write a duration as proto3 JSON does."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _type_url(name: str) -> str:
    return f"type.googleapis.com/google.rpc.{name}"


def _metadata(error: NexusError) -> dict[str, str]:
    return {name: value for name, value in error.details.items() if name != FINGERPRINT and not name.startswith(_FIELD)}


def _violations(error: NexusError) -> dict[str, str]:
    return {name.removeprefix(_FIELD): value for name, value in error.details.items() if name.startswith(_FIELD)}
