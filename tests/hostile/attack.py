"""Sends generated requests in small batches, and compares what Restate keeps before and after each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.hostile.strategies import Case
from tests.hostile.target import Counts, Target
from tests.integration.doors import ROUTES, Outcome
from tests.integration.world import REFUSALS

BATCH: Final = 10
SECONDS: Final = 20.0
"""For an answer: ten at once on a busy machine, each of which answers in milliseconds when it is idle."""

INSIDE: Final = ("Traceback", 'File "', "restate", "aiohttp", "json_format", "google.protobuf.", "InvocationId")
BEFORE_HANDLERS: Final = {"INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED"}
"""Such a refusal has touched nothing: no handler that writes was called, or none got as far."""

Send = Callable[[Case, str | None], Awaitable[Outcome]]


def fault_of(outcome: Outcome) -> str:
    """Say what is wrong with an answer to hostile input; empty where it is as it should be."""
    if outcome.code != "OK" and outcome.code not in REFUSALS:
        return f"{outcome.code} is no answer to bad input"
    if outcome.http_status >= 500:
        return f"HTTP {outcome.http_status}"
    if outcome.seconds > SECONDS:
        return f"took {outcome.seconds:.1f} s"
    told = next((text for text in INSIDE if outcome.code != "OK" and text in outcome.text), "")
    return f"tells of the inside: {told}" if told else ""


def changes(rpc: str, outcome: Outcome) -> bool:
    """Tell whether a call may have changed something."""
    return outcome.code == "OK" and ROUTES[rpc].http_method != "GET"


async def send_all(target: Target, send: Send, cases: Sequence[Case], counts: Counts) -> None:
    """Send a batch at once. Fails where an answer is a fault, or a refused batch has left anything behind."""
    await target.rest()
    whole, verdicts = await target.whole_state(), await target.verdicts()
    outcomes = await asyncio.gather(*(send(case, target.world.token(case.who)) for case in cases))
    for case, outcome in zip(cases, outcomes, strict=True):
        counts.add(outcome.code)
        assert not fault_of(outcome), (fault_of(outcome), case, outcome)
    if any(changes(case.rpc, outcome) for case, outcome in zip(cases, outcomes, strict=True)):
        return
    counts.compared += 1
    if all(outcome.code in {"OK", *BEFORE_HANDLERS} for outcome in outcomes):
        assert await target.whole_state() == whole, ("refused, and state has changed", cases, outcomes)
    else:
        await target.rest()
        assert await target.verdicts() == verdicts, ("refused, and somebody's seat or money has changed", cases)
