"""What a client breaks is a line in the log, without what the client sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.gateway.process import note_broken_connection

SECRET = "Bearer eyJ-a-token"


async def test_a_broken_connection_is_a_line_without_its_bytes() -> None:
    """The kinds of its errors are named; neither their texts, which hold what was sent, nor a traceback."""
    inner = ExceptionGroup("inner", [KeyError(SECRET), ValueError(SECRET)])
    error = ExceptionGroup("outer", [inner, KeyError("x")])
    context: dict[str, Any] = {"message": "Unhandled exception in client_connected_cb", "exception": error}
    with capture_logs() as lines:
        note_broken_connection(asyncio.get_running_loop(), context)
    assert lines == [{"event": "connection broken", "errors": ["KeyError", "ValueError"], "log_level": "info"}]


@pytest.mark.parametrize(
    "context",
    [
        {"message": "Task exception was never retrieved", "exception": KeyError("x")},
        {"message": "Unhandled exception in client_connected_cb"},
    ],
)
async def test_what_else_goes_wrong_is_not_hidden(context: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours reaches the log as ever."""
    with caplog.at_level(logging.ERROR, "asyncio"):
        note_broken_connection(asyncio.get_running_loop(), context)
    assert context["message"] in caplog.text
