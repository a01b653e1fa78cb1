"""Large answers that wait for their clients: how many bytes of them may wait, and how long.

A client that asks again and again and never reads (an HTTP/2 window of zero) would else let the process hold
one answer after another until it is killed for its memory. Small answers are not counted: the calls in flight are.
"""

from __future__ import annotations

from typing import Final

from services.common.errors import RateLimitedError

LARGE_BYTES: Final = 64 * 1024
"""Answers up to this size are neither counted nor refused."""

MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
"""Memory of all large answers that wait: a tenth of what the chart gives a gateway."""

MEMORY_FACTOR: Final = 5
"""Memory that an answer takes for each byte of its protobuf form: as JSON it is five times as long."""

TAKE_SECONDS: Final = 20.0
"""A client that has not taken a large answer by then does not get the rest: 4 MB at 1.6 Mbit/s."""


class Outbox:
    """Counts what waits. One per process, for both doors."""

    def __init__(self, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._max_bytes = max_bytes
        self.waiting_bytes = 0

    def put(self, size: int) -> int:
        """Count an answer of `size` bytes before it is printed; give what `taken` is to be told.

        Raises RateLimitedError where too much waits already; one answer always may.
        """
        if size <= LARGE_BYTES:
            return 0
        counted = size * MEMORY_FACTOR
        if self.waiting_bytes and self.waiting_bytes + counted > self._max_bytes:
            raise RateLimitedError("too many large answers wait to be taken")
        self.waiting_bytes += counted
        return counted

    def taken(self, counted: int) -> None:
        """Forget an answer that was taken, or given up."""
        self.waiting_bytes -= counted
