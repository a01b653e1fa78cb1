"""What /openapi.json says is what is served: requests from it by schemathesis, valid and not, at both components."""

from __future__ import annotations

import asyncio

import pytest

from tests.hostile.openapi import attack
from tests.hostile.target import CASES, SEED, SHORT_CASES, Target
from tests.integration.client import sign
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("both doors")

EXAMPLES = max(1, 2 * CASES // SHORT_CASES)
PHASES = "examples,coverage,fuzzing" if CASES > SHORT_CASES else "examples,fuzzing"
"""The phase `coverage` makes some 1,500 requests, whatever it is told."""

SECONDS = 60 + CASES / 5


@pytest.mark.parametrize("who", ["organizer", "buyer", "ops-admin"])
async def test_the_document_holds(target: Target, who: str) -> None:
    """No 5xx, no undocumented status, no answer against its schema, nothing taken that the schema forbids."""
    component = "ops" if who == "ops-admin" else "gateway"
    url = target.stack.ops_url if component == "ops" else target.stack.gateway_url
    role = {"ops-admin": "admin", "organizer": "organizer"}.get(who)
    token = sign(target.stack, f"{who}-{SEED}", role)
    with target.unharmed(component):
        run = await asyncio.to_thread(attack, url, token, seed=SEED, examples=EXAMPLES, phases=PHASES, seconds=SECONDS)
    print(f"\nschemathesis as {who}: {run.cases} cases, seed {SEED}")
    assert run.code == 0, run.report[-8000:]
    assert run.cases > 10, run.report


async def test_nobody_changes_anything(target: Target) -> None:
    """Without a token, whatever the document suggests, everything that is kept stays as it was."""
    await target.rest()
    before = await target.whole_state()
    with target.unharmed():
        run = await asyncio.to_thread(
            attack, target.stack.gateway_url, None, seed=SEED, examples=EXAMPLES, phases=PHASES, seconds=SECONDS
        )
    print(f"\nschemathesis as nobody: {run.cases} cases, seed {SEED}")
    assert run.code == 0, run.report[-8000:]
    await target.rest()
    assert await target.whole_state() == before
