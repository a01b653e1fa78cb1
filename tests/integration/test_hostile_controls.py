"""That the checks of hostile input bite: planted damage of each kind is seen."""

from __future__ import annotations

import uuid

import pytest

from tests.hostile.attack import fault_of, send_all
from tests.hostile.strategies import Case
from tests.hostile.target import Counts, Target
from tests.integration.booking import until
from tests.integration.doors import Outcome
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("both doors")

BAD = Case("TicketService/GetHold", "buyer", {"event_id": "a/b", "hold_id": "x"}, ())


async def test_a_refused_request_that_changes_state_is_seen(target: Target) -> None:
    """One value of one object, written while a request is refused, fails the batch."""

    async def refused_and_writes(case: Case, token: str | None) -> Outcome:
        key = f"planted-{uuid.uuid4().hex}"
        await target.behind.write_state("Ticket", key, {"ticket": b'{"status":"SOLD"}'})
        await target.rest()

        async def is_there() -> bool:
            return bool(await target.behind.state("Ticket", key))

        await until(is_there, "the planted state")
        return await target.world.grpc.call(case.rpc, case.content, token)

    with pytest.raises(AssertionError, match="state has changed"):
        await send_all(target, refused_and_writes, [BAD], Counts())


async def test_a_traceback_in_any_log_is_seen(target: Target) -> None:
    """Of an endpoint as well as of the gateway; an error line counts where strangers reach."""
    for component, line in (
        ("ticket", '{"exception":"Traceback (most recent call last)"}'),
        ("gateway", "Traceback (most recent call last)"),
        ("ops", '{"level":"error"}'),
    ):
        sizes = target.log_sizes()
        with target.stack.processes.log_file(component).open("a") as log:
            log.write(f"{line}\n")
        with pytest.raises(AssertionError, match=component):
            target.check_logs(sizes)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome("INTERNAL"), "no answer to bad input"),
        (Outcome("UNKNOWN"), "no answer to bad input"),
        (Outcome("DEADLINE_EXCEEDED"), "no answer to bad input"),
        (Outcome("NOT_FOUND", http_status=500), "HTTP 500"),
        (Outcome("INVALID_ARGUMENT", text="at json_format.py"), "tells of the inside"),
        (Outcome("INVALID_ARGUMENT", seconds=60), "took"),
        (Outcome("INVALID_ARGUMENT", http_status=400), ""),
        (Outcome("OK", text="Traceback"), ""),
    ],
)
def test_faults_are_told_from_refusals(outcome: Outcome, said: str) -> None:
    """What is no refusal of the contract, tells of the inside or takes long is a fault."""
    assert (said in fault_of(outcome)) if said else not fault_of(outcome)
