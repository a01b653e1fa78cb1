"""The small worlds that are explored: who wants what, and how much may go wrong on one path.

Each is explored to its end: every state that can be reached with at most so many troubles is seen.
"""

from __future__ import annotations

from tests.faults.explorer.state import NOTHING, Plan

HOLD_AND_ONE_STEP = (False, True)
OVERLAPPING = ((0, 1), (1,))
SAME_SEAT = ((0,), (0,))

CRASHES = Plan(
    "a crash and a fault: one holds two seats and pays, the other buys one of them in one step",
    OVERLAPPING,
    HOLD_AND_ONE_STEP,
    left=NOTHING._replace(crashes=1, faults=1),
)
CLIENTS = Plan(
    "a duplicate, a cancel and an extension: the same two",
    OVERLAPPING,
    HOLD_AND_ONE_STEP,
    left=NOTHING._replace(duplicates=1, cancels=1, extends=1),
)
TWO_ORDERS = Plan(
    "a delay: two orders for one hold, and a rival for its seat",
    SAME_SEAT,
    HOLD_AND_ONE_STEP,
    (0, 0, 1),
    NOTHING._replace(delays=1),
)
SHORT = (CRASHES, CLIENTS, TWO_ORDERS)
"""Part of `make test`."""

LONG = (
    *SHORT,
    Plan(
        "a delay and a crash: the same two",
        OVERLAPPING,
        HOLD_AND_ONE_STEP,
        left=NOTHING._replace(delays=1, crashes=1),
    ),
    Plan(
        "a crash: two orders for one hold, and a rival for its seat",
        SAME_SEAT,
        HOLD_AND_ONE_STEP,
        (0, 0, 1),
        NOTHING._replace(crashes=1),
    ),
    Plan(
        "two crashes and a fault: both want one seat in one step",
        SAME_SEAT,
        (True, True),
        left=NOTHING._replace(crashes=2, faults=1),
    ),
    Plan(
        "two faults and a delay: both want one seat in one step",
        SAME_SEAT,
        (True, True),
        left=NOTHING._replace(delays=1, faults=2),
    ),
    Plan(
        "four delays: both want one seat",
        SAME_SEAT,
        HOLD_AND_ONE_STEP,
        left=NOTHING._replace(delays=4),
    ),
)
