"""How much of large answers may wait for clients that do not read."""

from __future__ import annotations

import pytest

from services.common.errors import RateLimitedError
from services.gateway.outbox import LARGE_BYTES, MAX_WAITING_BYTES, MEMORY_FACTOR, Outbox

MB = 1024 * 1024


def test_what_waits_is_bounded() -> None:
    """Beyond the bound large answers are refused, to come again later; what is taken makes room."""
    outbox = Outbox(3 * MB * MEMORY_FACTOR)
    first = outbox.put(2 * MB)
    with pytest.raises(RateLimitedError) as refused:
        outbox.put(2 * MB)
    assert refused.value.is_retryable
    outbox.taken(first)
    outbox.taken(outbox.put(2 * MB))
    assert outbox.waiting_bytes == 0


def test_small_answers_are_never_refused() -> None:
    """A buyer gets a seat while others hoard maps."""
    outbox = Outbox(MB)
    outbox.put(MB)
    assert outbox.put(LARGE_BYTES) == 0
    assert outbox.waiting_bytes == MB * MEMORY_FACTOR


def test_one_answer_always_may_wait() -> None:
    """However large: else nobody could ever have it."""
    outbox = Outbox(MB)
    assert outbox.put(4 * MB) == 4 * MB * MEMORY_FACTOR
    assert MAX_WAITING_BYTES > 2 * 4 * MB * MEMORY_FACTOR
