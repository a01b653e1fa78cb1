"""`nexus verify --on-sale`, as the chart's Job runs it: which events it audits, and how it calls gateway and ops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import opscommands
from services.cli.connection import Connection

EVENTS = {"gala": "ON_SALE", "pause": "PAUSED", "over": "CLOSED", "draft": "DRAFT"}
AS_IN_THE_CHART = ("verify", "--on-sale", "--gateway", "g:50051", "--ops", "o:50052", "--as", "verify", "--json")


class Doors:
    """A gateway and an ops that note how they are called."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, bool]] = []
        self.audited: list[str] = []
        self.states = dict(EVENTS)
        self.verdicts: dict[str, str] = {}

    @contextmanager
    def connected(self, to: Connection, **_more: Any) -> Iterator[Doors]:
        self.opened.append((to.address, to.tls))
        yield self

    def pages(self, *_request: object) -> Iterator[dict[str, str]]:
        for event_id, state in self.states.items():
            yield {"event_id": event_id, "state": f"EVENT_STATE_{state}"}

    def call(self, _rpc: str, request: dict[str, Any]) -> dict[str, Any]:
        event_id = request["event_id"]
        self.audited.append(event_id)
        return {"report": {"event_id": event_id, "verdict": self.verdicts.get(event_id, "VERDICT_PASSED")}}


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    made = Doors()
    monkeypatch.setattr(opscommands, "connected", made.connected)
    return made


def test_what_is_on_sale_or_paused_is_audited(doors: Doors) -> None:
    """A draft has sold nothing, and a sale that is closed sells nothing more; `--all` takes both."""
    done = CliRunner().invoke(opscommands.app, AS_IN_THE_CHART)
    assert done.exit_code == 0, done.output
    assert doors.audited == ["gala", "pause"]
    assert [report["event_id"] for report in json.loads(done.stdout)] == ["gala", "pause"]
    assert doors.opened == [("g:50051", False), ("o:50052", False)]


@pytest.mark.parametrize(("verdict", "code"), [("VERDICT_FAILED", 6), ("VERDICT_INCOMPLETE", 3)])
def test_one_event_that_is_not_whole_decides_the_exit_code(doors: Doors, verdict: str, code: int) -> None:
    """So that a Job fails."""
    doors.verdicts = {"pause": verdict}
    assert CliRunner().invoke(opscommands.app, AS_IN_THE_CHART).exit_code == code


def test_a_gateway_with_tls_and_an_ops_without_are_called_as_they_are(doors: Doors) -> None:
    """As in the chart, where ops is reached inside the cluster alone."""
    CliRunner().invoke(opscommands.app, [*AS_IN_THE_CHART, "--tls", "--ops-plain"])
    assert doors.opened == [("g:50051", True), ("o:50052", False)]


def test_nothing_on_sale_is_said_and_is_no_failure(doors: Doors) -> None:
    """A quiet week must not wake anybody."""
    doors.states = {"over": "CLOSED"}
    done = CliRunner().invoke(opscommands.app, AS_IN_THE_CHART)
    assert done.exit_code == 0
    assert "there is no event to audit" in done.stderr
