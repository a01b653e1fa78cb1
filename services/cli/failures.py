"""What a call's failure means to the person at the terminal: one line, and the exit code of the command."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from services.cli.errors import NOT_SIGNED_IN, REFUSED, UNKNOWN_OUTCOME, UNREACHABLE, GatewayError

MAX_LINE: Final = 600
TLS_TROUBLE: Final = ("handshake", "certificate", "ssl", "tls")
"""What gRPC's text has where TLS is what fails. A hint for the reader hangs on it, nothing else."""


def failure(error: Any, address: str, told_id: str = "") -> GatewayError:
    """Make the error of a command from gRPC's. `told_id`: the order that the gateway named before it waited."""
    code, text = error.code(), " ".join((error.details() or "").split())[:MAX_LINE]
    reason, details = _info(error)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return GatewayError(f"not signed in: {text}", NOT_SIGNED_IN, reason)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        ask = f"; ask with: nexus order {told_id}" if told_id else ""
        return GatewayError(f"no answer in time, the outcome is not known{ask}", UNKNOWN_OUTCOME, reason, details)
    if code is grpc.StatusCode.UNAVAILABLE and not reason:
        # gRPC's own text is long and names its internals; it stands for a refused or broken connection.
        hint = "is it up? (nexus up)"
        if any(it in text.lower() for it in TLS_TROUBLE):
            hint = "TLS fails: does it speak TLS, does --ca sign its certificate, does it want --cert and --key?"
        return GatewayError(f"cannot reach the gateway at {address}; {hint}", UNREACHABLE)
    exit_code = UNREACHABLE if reason == "UNAVAILABLE" else REFUSED
    shown = ", ".join(f"{name} {value}" for name, value in sorted(details.items()) if value and value not in text)
    line = f"{reason or code.name}: {text}" + (f" ({shown})" if shown else "")
    return GatewayError(line, exit_code, reason, details)


def _info(error: Any) -> tuple[str, dict[str, str]]:
    """Give reason and metadata of the ErrorInfo; empty where another than our gateway has answered."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return "", {}
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return info.reason, dict(info.metadata)
    return "", {}
