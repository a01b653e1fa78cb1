"""A gateway is ready once it has reached everything, and stays so while its calls wait for Restate."""

from __future__ import annotations

import pytest

from services.gateway.pages import READY_SECONDS, counts


@pytest.mark.parametrize(
    ("away_seconds", "wait_seconds", "expected"),
    [
        (None, 20, True),
        (None, 0, True),
        (0.0, 20, False),
        (20 + READY_SECONDS, 20, False),
        (20.1 + READY_SECONDS, 20, True),
        (0.0, 0, True),
    ],
)
def test_what_is_missing_counts_after_the_wait(away_seconds: float | None, wait_seconds: float, expected: bool) -> None:
    """Never reached: at once. Reached before: only after calls would have given up. Without waiting: at once."""
    assert counts(away_seconds, wait_seconds) is expected
