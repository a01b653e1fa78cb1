"""`nexus smoke`: the README's walk against an installation, and that it sees what is wrong there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.client import Gateway
from services.cli.local import LocalStack
from services.cli.ports import Ports
from services.cli.smoke import Cards, Walk, exit_code
from tests.integration.client import Client, Token
from tests.integration.command import nexus
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")


def smoke(stack: LocalStack, *arguments: str, **environ: str) -> tuple[int, Any]:
    done = nexus(stack.home, stack.ports, "smoke", "--json", *arguments, **environ)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


async def state_of(client: Client, event_id: str) -> str:
    return str((await client.call("GET", f"/v1/events/{event_id}")).json["state"])


async def test_smoke_sells_seats_and_closes_its_event(stack: LocalStack, client: Client) -> None:
    """Every step is fine, and nothing stays on sale."""
    code, told = smoke(stack)
    assert code == 0, told
    assert told["ok"] is True
    assert {step["state"] for step in told["steps"]} == {"ok"}
    assert [step["text"] for step in told["steps"] if step["step"].startswith("be ")] == [
        "SEAT_UNAVAILABLE",
        "PAYMENT_DECLINED",
    ]
    assert await state_of(client, told["event_id"]) == "EVENT_STATE_CLOSED"


async def test_smoke_fails_where_an_answer_is_wrong_and_cleans_up(stack: LocalStack, client: Client) -> None:
    """A card that does not pay: that step fails, the later ones are skipped, the event is closed all the same."""
    code, told = smoke(stack, "--card", "card_decline")
    assert code == 1
    assert told["ok"] is False
    states = {step["step"]: step["state"] for step in told["steps"]}
    assert states["hold two seats"] == "ok"
    assert states["pay for the hold"] == "failed"
    assert states["read the order"] == "skipped"
    assert states["close the event"] == "ok"
    assert await state_of(client, told["event_id"]) == "EVENT_STATE_CLOSED"
    code, told = smoke(stack, "--declined-card", "card_success")
    assert code == 1
    assert "expected PAYMENT_DECLINED, but it was done" in str(told)


def test_smoke_with_tokens_of_ones_own(stack: LocalStack, token: Token, tmp_path: Path) -> None:
    """As `make smoke GATEWAY= TOKEN= ORGANIZER_TOKEN=` calls it, on a machine without our keys."""
    address = stack.grpc_address
    buyer, organizer = token("smoke-ada"), token("smoke-grace", "organizer")
    environ = {"NEXUS_GATEWAY": address, "NEXUS_TOKEN": buyer, "NEXUS_HOME": str(tmp_path)}
    code, told = smoke(stack, NEXUS_ORGANIZER_TOKEN=organizer, **environ)
    assert code == 0, told
    assert told["gateway"] == address
    code, told = smoke(stack, **environ)
    assert (code, told["steps"][1]["state"]) == (1, "failed")
    assert "PERMISSION_DENIED" in told["steps"][1]["text"]
    code, told = smoke(stack, **environ | {"NEXUS_TOKEN": token("smoke-ada", hours=-1)})
    assert code == 4, told


def test_smoke_against_a_gateway_that_is_away(stack: LocalStack) -> None:
    """Exit code 3, in one step."""
    code, told = smoke(stack, "--gateway", f"127.0.0.1:{Ports.free().grpc_port}")
    assert code == 3
    assert "cannot reach the gateway" in told["steps"][0]["text"]
    assert {step["state"] for step in told["steps"][1:]} == {"skipped"}


class Lying(Gateway):
    """A connection to the real gateway that changes one answer, as a wrong installation would."""

    def __init__(self, address: str, token: str, rpc: str, lie: dict[str, Any]) -> None:
        super().__init__(address, token)
        self._rpc, self._lie = rpc, lie

    def call(self, name: str, request: Any, seconds: float | None = None) -> dict[str, Any]:
        answer = super().call(name, request, seconds)
        return answer | self._lie if name == self._rpc else answer


@pytest.mark.parametrize(
    ("rpc", "lie", "step"),
    [
        ("CreateEvent", {"state": "EVENT_STATE_ON_SALE"}, "create an event"),
        ("PublishEvent", {"state": "EVENT_STATE_DRAFT"}, "publish it, twice"),
        ("HoldSeats", {"total": {"amount_minor": "199"}}, "hold two seats"),
        ("GetTicket", {"status": "SEAT_STATUS_HELD"}, "be refused a held seat"),
        ("Checkout", {"state": "ORDER_STATE_PENDING"}, "pay for the hold"),
        ("GetOrder", {"payment": {"state": "PAYMENT_STATE_AUTHORIZED"}}, "read the order"),
        ("CloseSales", {"state": "EVENT_STATE_ON_SALE"}, "close the event"),
    ],
)
def test_smoke_sees_a_wrong_answer(stack: LocalStack, token: Token, rpc: str, lie: dict[str, Any], step: str) -> None:
    """Where no error says so: each step looks at what was answered."""
    buyer = Lying(stack.grpc_address, token("smoke-ada"), rpc, lie)
    organizer = Lying(stack.grpc_address, token("smoke-grace", "organizer"), rpc, lie)
    with buyer, organizer:
        steps = list(Walk(buyer, organizer, Cards(), "ada@example.org").run())
    assert [taken.name for taken in steps if taken.state == "failed"] == [step]
    assert "expected" in next(taken.text for taken in steps if taken.name == step)
    assert exit_code(steps) == 1
