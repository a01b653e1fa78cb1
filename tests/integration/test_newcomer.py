"""A machine on which something is missing or in the way: `make up` and `nexus preflight` name it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.local import LocalStack
from services.cli.ports import Ports
from tests.integration.client import PROJECT
from tests.integration.command import SECONDS, nexus
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")

SHELL_TOOLS = ("bash", "env", "uname", "ls", "head", "grep", "mkdir", "touch", "rm")
MAKE = shutil.which("make")


def executable(path: Path, text: str) -> str:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


class Machine:
    """A folder with what `make up` looks at first, and a PATH with the shell's tools and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.project, self.bin = folder / "project", folder / "bin"
        (self.project / "services" / "cli").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("Makefile", "pyproject.toml", "services/__init__.py", "services/cli/__init__.py"):
            shutil.copy(PROJECT / name, self.project / name)
        shutil.copy(PROJECT / "services/cli/tools.py", self.project / "services/cli/tools.py")
        for tool in SHELL_TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)

    def add_python(self) -> None:
        """Put the Python on the PATH that the virtual environment of this test was made from."""
        executable(self.bin / "python3", f'exec "{Path(sys._base_executable).resolve()}" "$@"')

    def make(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        assert MAKE is not None
        return subprocess.run(
            [MAKE, "-C", str(self.project), *arguments],
            env={"PATH": str(self.bin)} | environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if MAKE is None:
        pytest.skip("make cannot be had here")
    return Machine(tmp_path)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Check that make stopped; give what was said before make's own line."""
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said
    assert all(line.startswith("NEXUS: ") for line in said), said
    return "\n".join(said)


def test_a_machine_without_python_is_told_so(machine: Machine) -> None:
    """By make itself, since nothing else can."""
    assert "python3 is missing: install Python 3.11" in refusal(machine.make("up"))


def test_a_machine_without_npm_is_told_so_before_anything_is_made(machine: Machine) -> None:
    """No minute of installing first; a second try without a change says the same."""
    machine.add_python()
    for _ in range(2):
        assert "npm: missing: install it" in refusal(machine.make("up"))
    assert not (machine.project / ".nexus" / "venv").exists()


def test_a_python_without_venv_is_told_so_with_all_else_that_is_missing(machine: Machine, tmp_path: Path) -> None:
    """As on a Debian without python3-venv."""
    machine.add_python()
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    said = refusal(machine.make("up", PYTHONPATH=str(tmp_path)))
    assert "venv: the venv module is missing" in said
    assert "npm: missing" in said


def test_an_older_python_is_told_so(machine: Machine) -> None:
    """The file that looks at tools is read by any Python 3; this one says that it is 3.9."""
    machine.add_python()
    executable(
        machine.bin / "python3",
        f'''exec "{Path(sys._base_executable).resolve()}" -c "
import sys
sys.version_info = (3, 9, 2)
sys.argv = ['tools', '--needed']
import runpy
runpy.run_module('services.cli.tools', run_name='__main__')"''',
    )
    assert "python: 3.9.2 is older than 3.11" in refusal(machine.make("up"))


@pytest.mark.parametrize(
    ("version", "is_fine"),
    [("1.7.3", False), ("1.7.4", True), ("1.7.12", True), ("1.8.0", False), ("1.10.0", False), ("2.0.0", False)],
)
def test_a_restate_of_another_version_is_refused(machine: Machine, version: str, is_fine: bool) -> None:
    """1.7.4 or a later 1.7."""
    machine.add_python()
    binary = executable(machine.bin / "restate-server", f"echo restate-server {version}")
    done = machine.make("preflight", RESTATE_SERVER=binary)
    assert (done.returncode == 0) == is_fine, done.stdout
    assert f"{'ok' if is_fine else 'stop':7} restate-server    {version}" in done.stdout
    assert "names /nowhere, which is not" in machine.make("preflight", RESTATE_SERVER="/nowhere").stdout


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, str]]]:
    """Read what preflight found, by name."""
    found: dict[str, list[dict[str, str]]] = {}
    for check in json.loads(done.stdout)["checks"]:
        found.setdefault(check["name"], []).append(check)
    return found


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Listen on a port as another program would."""
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        yield


def test_preflight_names_a_taken_port_and_what_moves_it(tmp_path: Path) -> None:
    """Exit code 1 while it is taken, 0 before; nothing is started or stored."""
    ports = Ports.free()
    before = nexus(tmp_path / "home", ports, "preflight", "--json")
    assert before.returncode == 0, before.stdout
    assert {check["state"] for check in checks(before)["ports"]} == {"ok"}
    with taken(ports.seatmap_port):
        done = nexus(tmp_path / "home", ports, "preflight", "--json")
    assert done.returncode == 1
    [stop] = [check for check in checks(done)["ports"] if check["state"] == "stop"]
    assert stop["text"] == (f"{ports.seatmap_port} of seatmap is taken by another program: NEXUS_SEATMAP_PORT moves it")
    assert not (tmp_path / "home").exists()


def test_preflight_names_a_port_that_is_asked_for_twice(tmp_path: Path) -> None:
    """Both settings are named."""
    ports = Ports.free()
    done = nexus(tmp_path, ports, "preflight", NEXUS_MAIL_PORT=str(ports.http_port))
    assert done.returncode == 1
    assert "is asked for twice: by NEXUS_MAIL_PORT and by NEXUS_HTTP_PORT" in done.stdout


def test_preflight_of_a_stack_that_runs(stack: LocalStack) -> None:
    """Its own ports are no obstacle, and each of its parts answers."""
    done = nexus(stack.home, stack.ports, "preflight", "--json")
    assert done.returncode == 0, done.stdout
    found = checks(done)
    assert all("taken by our own" in check["text"] for check in found["ports"])
    for component in ("restate", "ticket", "seatmap", "checkout", "payment-simulator", "mail-sink"):
        assert found[component] == [{"name": component, "state": "ok", "text": "answers"}]
    assert found["gateway"][1]["text"] == "reaches every service through Restate"
    assert "runs at" in found["restate-server"][1]["text"]


def test_a_restate_that_does_not_come_up_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    """And what was said up to then."""
    broken = executable(tmp_path / "restate-server", "echo the disk is full >&2; exit 1")
    ports = Ports.free()
    try:
        done = nexus(tmp_path / "home", ports, "up", RESTATE_SERVER=broken)
        assert done.returncode == 1
        assert "starting restate, payment-simulator" in done.stderr
        assert "nexus: restate ended right away; the end of its log:\nthe disk is full\n" in done.stderr
        assert str(tmp_path / "home" / "log" / "restate.log") in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        nexus(tmp_path / "home", ports, "down")
