"""Lets invocations that wait suspend when the process is told to stop.

The SDK 1.3.0 ends its input on SIGTERM only once a handler has returned: one that waits for a timer, a
call or an awakeable keeps the process until that comes. Here it is told that no more input comes, as
over HTTP/1.1, so it suspends at once, and a step in flight ends first.
"""

from __future__ import annotations

from typing import Any

from restate import server
from restate.server_types import ReceiveChannel


class SuspendingChannel(ReceiveChannel):
    """The input of one invocation attempt, which ends on shutdown."""

    has_ended = False

    def notify_shutdown(self) -> None:
        """End the input."""
        if not self.has_ended:
            self.has_ended = True
            self._queue.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        super().notify_shutdown()

    async def __call__(self) -> Any:
        """Give the next message; after the end of the input, none that would continue it."""
        while True:
            event = await super().__call__()
            # What comes after the end is in Restate's journal too, and the next attempt reads it there.
            if not (self.has_ended and event.get("type") == "http.request" and event.get("body")):
                return event


def suspend_on_shutdown() -> None:
    """Make every endpoint of this process use the channel above."""
    # A name of the SDK's module, as it has no setting for this; tests/integration/test_endpoint_drain.py fails
    # where a later SDK no longer reads it.
    server.ReceiveChannel = SuspendingChannel  # type: ignore[attr-defined]
