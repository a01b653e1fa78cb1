"""What README.md tells to paste is pasted into one bash, line by line, against a stack; each answer is judged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from services.cli.demo import ensure_demo
from services.cli.local import LocalStack
from services.cli.ports import Ports
from tests.integration.command import moved
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text()
BIN = Path(sys.executable).parent
SECTIONS = ("Two commands", "A walk with grpcurl")
CLUSTER_SECTION = "On Kubernetes"
"""Run by tests/e2e/test_readme.py, where there is a cluster."""

IS_MAKE = re.compile(r"make (up|test)\b")
"""The stack fixture does what `make up` does; `make test` is what runs here."""

HAS_GRPCURL = shutil.which("grpcurl", path=f"{BIN}{os.pathsep}{os.environ['PATH']}") is not None
GRPC_REFUSED = 64 + 9
"""grpcurl's exit code of FAILED_PRECONDITION."""

TIMED_OUT = 124
SECONDS = 180.0


class Expected(NamedTuple):
    """What a command is to do. `again`: it shows something that follows by itself, within some tenths of a second."""

    part: str
    code: int = 0
    shows: tuple[str, ...] = ()
    again: bool = False


EXPECTED = [
    Expected("export PATH="),
    Expected("as() {"),
    Expected("rpc() {"),
    Expected("50051 list", shows=("nexus.v1.TicketService", "grpc.health.v1.Health")),
    Expected("CreateEvent", shows=("EVENT_STATE_DRAFT",)),
    Expected("PublishEvent", shows=("EVENT_STATE_ON_SALE",)),
    Expected("GetSeatMap", shows=('"A-1-1"', "SEAT_STATUS_AVAILABLE"), again=True),
    Expected("hold=$(", shows=("HOLD_STATE_OPEN", '"A-1-2"')),
    Expected('Checkout \'{"order_id"', shows=("ORDER_STATE_CONFIRMED", "my-order-1", "PAYMENT_STATE_CAPTURED")),
    Expected("GetOrder", shows=("ORDER_STATE_CONFIRMED", "captured")),
    Expected("nexus order my-order-1", shows=("CONFIRMED", "captured")),
    Expected(":8902/messages", shows=("ada@example.org", "A-1-2"), again=True),
    Expected('HoldSeats \'{"event_id": "gala", "seat_ids": ["A-1-2"', GRPC_REFUSED, ("SEAT_UNAVAILABLE", "SOLD")),
    Expected("card_decline", GRPC_REFUSED, ("PAYMENT_DECLINED",)),
    Expected("rpc TicketService/GetTicket", shows=("SEAT_STATUS_AVAILABLE",)),
    Expected("/v1/events/gala/holds", shows=("HOLD_STATE_OPEN",)),
    Expected("seatmap:watch", TIMED_OUT, ("id:", "data:", "SEAT_STATUS_SOLD")),
    Expected("nexus map demo", shows=("Premium", "sold")),
    Expected("nexus hold demo", shows=("held", "A-2-1")),
    Expected("nexus buy demo", shows=("CONFIRMED", "CAPTURED")),
    Expected("nexus orders demo", shows=("CONFIRMED", "A-2-3")),
    Expected("nexus call GetTicket", shows=("SEAT_STATUS_SOLD",)),
    Expected("nexus events create", shows=("town-hall",)),
    Expected("nexus events show", shows=("Carnival Concert",)),
]


def blocks(text: str) -> dict[str, list[str]]:
    """Give the `sh` blocks of each section."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        found[title] = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    return {title: inside for title, inside in found.items() if inside}


def commands(block: str) -> list[str]:
    """Split a block where bash would: a command ends with the line at which nothing is open any more."""
    found: list[str] = []
    pending = ""
    for line in block.splitlines():
        pending += f"{line}\n"
        if line.endswith("\\") or subprocess.run(["bash", "-nc", pending], capture_output=True, check=False).stderr:
            continue
        if pending.strip():
            found.append(pending.strip())
        pending = ""
    assert not pending, f"this is no whole command: {pending}"
    return found


def needs_grpcurl(command: str) -> bool:
    """Tell whether a command belongs to the walk with grpcurl, or shows what it has made."""
    return not re.match(r"export |\w+\(\) |nexus (?!order my-order-1)", command)


def expected_of(command: str) -> Expected:
    """Find what a command of the README is to do: exactly one line of the table."""
    [found] = [line for line in EXPECTED if line.part in command]
    return found


WALK = [
    command
    for title in SECTIONS
    for block in blocks(README)[title]
    for command in commands(block)
    if not IS_MAKE.match(command)
]


class Ran(NamedTuple):
    """What a command did."""

    code: int
    output: str


def here(command: str, ports: Ports) -> str:
    """Write a command for a stack with other ports and another virtual environment."""
    text = command.replace("$PWD/.nexus/venv/bin", str(BIN))
    for field in ports.__struct_fields__:
        text = text.replace(f"127.0.0.1:{getattr(Ports(), field)}", f"127.0.0.1:{getattr(ports, field)}")
    # Live, until Ctrl-C: here that comes after three seconds.
    return text.replace("curl -sN", "timeout 3 curl -sN")


def script(walk: list[str], ports: Ports) -> str:
    """Write the session: after each command a line with its exit code."""
    lines = []
    for command in walk:
        expected = expected_of(command)
        text = here(command, ports)
        if expected.again:
            waits = " || ".join(f"[[ $shown != *{shown!r}* ]]" for shown in expected.shows)
            lines += [
                "for try in {1..100}; do",
                f"shown=$({text}\n)",
                f"if {waits}; then sleep 0.1; else break; fi",
                "done",
            ]
            lines += ['echo "$shown"', "true"]
        else:
            lines.append(text)
        lines.append(r"printf '\n@@ %s\n' $?")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def session(stack: LocalStack) -> dict[str, Ran]:
    ensure_demo(stack)
    walk = [command for command in WALK if HAS_GRPCURL or not needs_grpcurl(command)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    done = subprocess.run(
        ["bash", "--norc"],
        input=script(walk, stack.ports),
        env=own | moved(stack.ports) | {"NEXUS_HOME": str(stack.home)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    parts = re.split(r"\n@@ (\d+)\n", done.stdout)
    ran = [Ran(int(code), output) for output, code in zip(parts[::2], parts[1::2], strict=False)]
    assert len(ran) == len(walk), done.stdout
    return dict(zip(walk, ran, strict=True))


@pytest.mark.parametrize("command", WALK, ids=lambda command: " ".join(command.split())[:50])
def test_a_command_of_the_readme_does_what_it_says(session: dict[str, Ran], command: str) -> None:
    """Its exit code, and what a reader looks for in its answer."""
    if command not in session:
        pytest.skip("grpcurl cannot be had here")
    expected, ran = expected_of(command), session[command]
    assert ran.code == expected.code, ran.output
    for text in expected.shows:
        assert text in ran.output, ran.output


def test_every_command_is_expected_and_every_expectation_is_met_with() -> None:
    """A command that is added to the README fails here until somebody says what it does."""
    assert [expected_of(command).part for command in WALK] == [line.part for line in EXPECTED]


def test_no_other_section_has_commands() -> None:
    """A block elsewhere would be run by nobody."""
    assert list(blocks(README)) == [*SECTIONS, CLUSTER_SECTION]


def test_the_two_commands_are_there() -> None:
    """`make up` and `make test`, which are not run here, are targets of the Makefile."""
    [block] = blocks(README)["Two commands"]
    named = [command.split()[1] for command in commands(block)]
    assert named == ["up", "test"]
    makefile = (PROJECT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in named)
