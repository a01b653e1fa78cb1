"""A crowd of buyers on the real stack: its history is that of a shop that keeps every rule."""

from __future__ import annotations

import os
from random import SystemRandom

from tests.faults.history.audit import check, outcomes, trivial
from tests.faults.quiet import settle
from tests.faults.workload import new_workload
from tests.integration.client import Client


async def test_a_crowd_of_buyers_writes_a_history_without_contradiction(client: Client) -> None:
    """I1-I9 hold of what twelve buyers were told in fifteen seconds; NEXUS_SEED repeats a run's choices."""
    seed = int(os.environ.get("NEXUS_SEED") or SystemRandom().randrange(10**6))
    work = await new_workload(client, seed)
    await work.run(buyers=12, seconds=15)
    end, _ = await settle(work)
    assert check(work.history, end) == [], f"NEXUS_SEED={seed}"
    counts = outcomes(work.history, end)
    assert trivial(counts) == [], f"NEXUS_SEED={seed}: {counts}"
