"""`nexus up`, `down`, `status`, `call`, `token`: the newcomer's way, on ports of the test's own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.ports import Ports, variable
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")


class Nexus:
    """The command with a home and ports of its own."""

    def __init__(self, home: Path) -> None:
        self.ports = Ports.free()
        numbers = {variable(name): str(getattr(self.ports, name)) for name in self.ports.__struct_fields__}
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(home), "NEXUS_HOME": str(home)} | numbers

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "services.cli", *arguments]
        return subprocess.run(
            argv, env=self.environ | environ, capture_output=True, text=True, timeout=120, check=False
        )

    def pids(self) -> dict[str, int | None]:
        return {row["component"]: row["pid"] for row in json.loads(self("status", "--json").stdout)}


@pytest.fixture(scope="module")
def nexus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nexus]:
    made = Nexus(tmp_path_factory.mktemp("cli"))
    try:
        done = made("up")
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        made("down")


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a refusal is one line on stderr."""
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("nexus: ")
    return line


def test_a_second_up_changes_nothing(nexus: Nexus) -> None:
    """No process is started again, and nothing is registered anew."""
    before = nexus.pids()
    done = nexus("up")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("everything was running.\n")
    assert "registered" not in done.stdout
    assert nexus.pids() == before


def test_what_up_prints_sells_a_seat(nexus: Nexus) -> None:
    """A token of `nexus token` and the event `demo` are all that it takes."""
    token = nexus("token", "ada").stdout.strip()
    buy = {"event_id": "demo", "seat_ids": ["B-1-8"], "payment_method": "card_success", "email": "ada@example.org"}
    done = nexus("call", "Checkout", json.dumps(buy), "--token", token)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "ORDER_STATE_CONFIRMED"
    refused = nexus("call", "HoldSeats", '{"event_id": "demo", "seat_ids": ["B-1-8"]}', "--as", "bob")
    assert refused.returncode == 1
    assert "SEAT_UNAVAILABLE" in one_line(refused)


def test_a_killed_process_is_started_again_by_up(nexus: Nexus) -> None:
    """Only that one."""
    before = nexus.pids()
    killed = before["ticket"]
    assert killed is not None
    os.killpg(killed, 9)
    assert nexus("status").returncode == 1
    done = nexus("up")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("started ticket")
    after = nexus.pids()
    assert after.pop("ticket") != before.pop("ticket")
    assert after == before
    assert nexus("status").returncode == 0


def test_a_stack_stays_on_the_ports_that_were_chosen(nexus: Nexus) -> None:
    """Commands that are not told find it; a port that is taken stops nothing and is not kept."""
    before = nexus.pids()
    plain = {variable(name): "" for name in nexus.ports.__struct_fields__}
    assert nexus("status", **plain).returncode == 0
    assert nexus("up", **plain).stdout.startswith("everything was running.\n")
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        refused = nexus("up", **plain | {"NEXUS_RESTATE_INGRESS_PORT": str(squatter.getsockname()[1])})
    assert refused.returncode == 1
    assert "NEXUS_RESTATE_INGRESS_PORT" in one_line(refused)
    assert nexus("status", **plain).returncode == 0
    assert nexus.pids() == before


def test_the_version_is_told() -> None:
    """The one of pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "--version"], capture_output=True, text=True, check=True
    )
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    assert done.stdout == f"nexus {tomllib.loads(project.read_text())['project']['version']}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("call", "NoSuch"), 1, "there is no RPC NoSuch"),
        (("call", "HoldSeats", "{"), 1, "the JSON does not fit"),
        (("call", "HoldSeats", '{"event_id": "demo", "seat_ids": ["A-1-1"]}'), 4, "not signed in"),
        (("logs", "nothing"), 1, "there is no component nothing"),
        (("run", "nothing"), 2, "there is no component nothing"),
    ],
)
def test_a_mistake_is_answered_in_one_line(nexus: Nexus, arguments: tuple[str, ...], code: int, text: str) -> None:
    """No traceback, and an exit code that tells."""
    done = nexus(*arguments)
    assert done.returncode == code
    assert text in one_line(done)


def test_a_setting_that_is_wrong_is_named(nexus: Nexus) -> None:
    """Exit code 2, the variable, and what was expected."""
    done = nexus("status", NEXUS_HTTP_PORT="http")
    assert done.returncode == 2
    assert "NEXUS_HTTP_PORT: expected a whole number" in one_line(done)


def test_down_stops_everything_and_keeps_the_data(tmp_path: Path) -> None:
    """The demo event is there again after the next up; `--wipe` removes it."""
    nexus = Nexus(tmp_path)
    try:
        assert nexus("up").returncode == 0
        hold = '{"event_id": "demo", "seat_ids": ["A-1-1"]}'
        assert nexus("call", "HoldSeats", hold, "--as", "ada").returncode == 0

        begun = time.monotonic()
        assert nexus("down").returncode == 0
        # Nothing is in flight, so nothing waits for the 20 s that a drain may take.
        assert time.monotonic() - begun < 15
        assert set(nexus.pids().values()) == {None}
        assert nexus("down").stdout.startswith("nothing was running")

        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", nexus.ports.http_port))
            squatter.listen()
            refused = nexus("up")
        assert refused.returncode == 1
        assert f"port {nexus.ports.http_port} is taken" in one_line(refused)
        assert "NEXUS_HTTP_PORT" in refused.stderr
        assert set(nexus.pids().values()) == {None}

        assert nexus("up").returncode == 0
        held = nexus("call", "GetTicket", '{"event_id": "demo", "seat_id": "A-1-1"}')
        assert json.loads(held.stdout)["status"] == "SEAT_STATUS_HELD"

        assert nexus("down", "--wipe").returncode == 0
        assert not (tmp_path / "data").exists()
    finally:
        nexus("down")
