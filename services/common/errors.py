"""The one table of refusals: each class with its reason, HTTP status and gRPC code.

Pure: the domain raises these, `services.common.handlers` turns them into Restate's TerminalError,
and the gateway turns the reason back into a status for both doors. Branch on `reason`, never on text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

RETRY_AFTER: Final = "retry_after_seconds"
"""Detail of a refusal: after how long a repeat may succeed, in seconds, as in `1.25`."""

DEFAULT_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 366 * 86_400.0


class NexusError(Exception):
    """A refusal that a caller can act on.

    `details` maps names to short texts; they travel to the client, so nothing secret goes in.
    """

    reason: ClassVar[str]
    http_status: ClassVar[int]
    grpc_code: ClassVar[str]
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, str] = dict(details or {})

    @property
    def retry_seconds(self) -> float | None:
        """After how long a repeat may succeed, None where it never does."""
        if not self.is_retryable:
            return None
        try:
            seconds = float(self.details.get(RETRY_AFTER, DEFAULT_RETRY_SECONDS))
        except ValueError:
            return DEFAULT_RETRY_SECONDS
        return min(seconds, LONGEST_RETRY_SECONDS) if seconds >= 0 else DEFAULT_RETRY_SECONDS

    @classmethod
    def rebuild(cls, message: str, details: Mapping[str, str]) -> NexusError:
        """Make the error again on the other side of a call, from its text and details."""
        error = cls.__new__(cls)
        NexusError.__init__(error, message, details)
        return error


class InvalidRequestError(NexusError):
    """A field of the request is out of bounds. `violations` maps a field's path to what was expected."""

    reason, http_status, grpc_code = "INVALID_REQUEST", 400, "INVALID_ARGUMENT"

    def __init__(self, violations: Mapping[str, str]) -> None:
        text = "; ".join(f"{field}: {expected}" for field, expected in violations.items())
        super().__init__(text, {f"field.{field}": expected for field, expected in violations.items()})
        self.violations = dict(violations)


class UnauthenticatedError(NexusError):
    """No caller, or credentials that prove nothing."""

    reason, http_status, grpc_code = "UNAUTHENTICATED", 401, "UNAUTHENTICATED"


class PermissionDeniedError(NexusError):
    """The caller lacks the role that the RPC asks for."""

    reason, http_status, grpc_code = "PERMISSION_DENIED", 403, "PERMISSION_DENIED"


class PaymentDeclinedError(NexusError):
    """The provider declined the payment for good."""

    reason, http_status, grpc_code = "PAYMENT_DECLINED", 402, "FAILED_PRECONDITION"


class NotFoundError(NexusError):
    """What was named does not exist, or is somebody else's."""

    reason, http_status, grpc_code = "NOT_FOUND", 404, "NOT_FOUND"


class EventNotFoundError(NotFoundError):
    """No such event, or a draft of another organizer."""

    reason = "EVENT_NOT_FOUND"


class SeatNotFoundError(NotFoundError):
    """The event's layout has no such seat or section."""

    reason = "SEAT_NOT_FOUND"


class HoldNotFoundError(NotFoundError):
    """The caller has no such hold."""

    reason = "HOLD_NOT_FOUND"


class OrderNotFoundError(NotFoundError):
    """The caller has no such order."""

    reason = "ORDER_NOT_FOUND"


class SeatUnavailableError(NexusError):
    """Seats are not AVAILABLE. `conflicts` maps seat ids to their status (HELD, SOLD, BLOCKED)."""

    # FAILED_PRECONDITION and not ABORTED: ABORTED asks clients to repeat, which would not help.
    reason, http_status, grpc_code = "SEAT_UNAVAILABLE", 409, "FAILED_PRECONDITION"

    def __init__(self, conflicts: Mapping[str, str]) -> None:
        listed = ",".join(f"{seat_id}={status}" for seat_id, status in sorted(conflicts.items()))
        super().__init__(f"not available: {listed}", {"conflicts": listed})
        self.conflicts = dict(conflicts)


class AlreadyExistsError(NexusError):
    """The id is taken; nothing is told of what has it."""

    reason, http_status, grpc_code = "ALREADY_EXISTS", 409, "ALREADY_EXISTS"


class RequestReusedError(NexusError):
    """An id that stands for another request was used again."""

    reason, http_status, grpc_code = "REQUEST_REUSED", 409, "ALREADY_EXISTS"


class InvalidTransitionError(NexusError):
    """The object is in a state from which this cannot be done."""

    reason, http_status, grpc_code = "INVALID_TRANSITION", 409, "FAILED_PRECONDITION"


class SalesNotOpenError(InvalidTransitionError):
    """The sale has not begun."""

    reason = "SALES_NOT_OPEN"


class SalesPausedError(InvalidTransitionError):
    """The organizer has paused the sale."""

    reason = "SALES_PAUSED"


class SalesClosedError(InvalidTransitionError):
    """The sale is over."""

    reason = "SALES_CLOSED"


class HoldInPaymentError(InvalidTransitionError):
    """The hold is being paid by an order."""

    reason = "HOLD_IN_PAYMENT"


class OrderCancelledError(InvalidTransitionError):
    """The order was given up by its buyer."""

    reason = "ORDER_CANCELLED"


class PaymentUnavailableError(NexusError):
    """The provider could not be asked in time. The order is final: repeating it does not help."""

    reason, http_status, grpc_code = "PAYMENT_UNAVAILABLE", 503, "UNAVAILABLE"


class HoldExpiredError(NexusError):
    """The hold's time has run out."""

    reason, http_status, grpc_code = "HOLD_EXPIRED", 410, "FAILED_PRECONDITION"


class BuyerLimitError(NexusError):
    """The buyer would have more seats of the event than its limit allows."""

    reason, http_status, grpc_code = "BUYER_LIMIT", 429, "RESOURCE_EXHAUSTED"


class RateLimitedError(NexusError):
    """Too many requests; repeat later."""

    reason, http_status, grpc_code, is_retryable = "RATE_LIMITED", 429, "RESOURCE_EXHAUSTED", True

    def __init__(self, message: str, *, retry_seconds: float = DEFAULT_RETRY_SECONDS) -> None:
        # Rounded up: a client that waits exactly as long as it was told is not refused again.
        super().__init__(message, {RETRY_AFTER: f"{math.ceil(retry_seconds * 1000) / 1000:.3f}"})


class BuyerCoolingDownError(RateLimitedError):
    """The buyer let one hold after another expire unpaid; hold again later, with a new request_id."""

    reason = "BUYER_COOLING_DOWN"


class CallCancelledError(NexusError):
    """The client gave its own call up."""

    reason, http_status, grpc_code = "CANCELLED", 499, "CANCELLED"


class UnavailableError(NexusError):
    """Restate, or the service asked, cannot be reached now; repeat later."""

    reason, http_status, grpc_code, is_retryable = "UNAVAILABLE", 503, "UNAVAILABLE", True


class DeadlineExceededError(NexusError):
    """The deadline passed and the outcome is unknown; repeat with the same order_id or request_id."""

    reason, http_status, grpc_code = "DEADLINE_EXCEEDED", 504, "DEADLINE_EXCEEDED"


class InternalError(NexusError):
    """A fault of ours. Its text never leaves the process."""

    reason, http_status, grpc_code = "INTERNAL", 500, "INTERNAL"


def all_errors() -> Iterator[type[NexusError]]:
    """Yield every error class once, parents before children, in the order they are written."""
    queue: list[type[NexusError]] = [NexusError]
    while queue:
        parent = queue.pop(0)
        for child in parent.__subclasses__():
            yield child
            queue.append(child)


def by_reason() -> dict[str, type[NexusError]]:
    """Map each reason to its class."""
    return {error.reason: error for error in all_errors()}
