"""Explore every interleaving: `python -m tests.faults.explorer [--long]`; ends with 1 where an invariant breaks."""

from __future__ import annotations

import sys

from tests.faults.explorer.plans import LONG, SHORT
from tests.faults.explorer.search import explore

MOST_STATES = 5_000_000


def main(arguments: list[str]) -> int:
    """Explore the plans, print the counts, and the way to what is wrong."""
    total = 0
    for plan in LONG if "--long" in arguments else SHORT:
        found = explore(plan, most_states=MOST_STATES)
        total += found.states
        print(found, flush=True)
        if found.counterexample:
            print(found.counterexample)
            return 1
    print(f"{total:,} distinct states; I1-I4 hold in each")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
