"""`nexus up --reload` in a copy of the project: what is edited is restarted and registered."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.local import LocalStack, restate_server
from services.cli.ports import Ports
from services.cli.reload import changes
from tests.integration.client import PROJECT
from tests.integration.command import moved
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("the command line")

SECONDS = 90.0
LOOK_ONCE = """
import os
from services.cli.home import home
from services.cli.local import PROJECT, LocalStack
from services.cli.ports import Ports
from services.cli.reload import take_over
take_over(LocalStack(home(), Ports.chosen(home(), os.environ)), [PROJECT / "services/ticket/domain.py"], print)
"""
"""What `up --reload` does once it has seen a file's time change."""


class Project:
    """A copy of the project that runs a stack of its own and follows its code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "copy"
        for name in ("services", "simulators", "examples"):
            shutil.copytree(PROJECT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", self.folder)
        ports = Ports.free()
        self.stack = LocalStack(folder / "home", ports)
        own = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        restate = {"RESTATE_SERVER": restate_server(PROJECT / ".nexus")}
        self.environ = own | moved(ports) | restate | {"NEXUS_HOME": str(folder / "home")}
        self.output = folder / "output"
        self.process = self.follow()

    def follow(self) -> subprocess.Popen[bytes]:
        """Start the command; what runs already is taken as it is."""
        # Tests that a shell has started in the background ignore Ctrl-C, and so would all that they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "services.cli", "up", "--reload"],
                env=self.environ,
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )

    def wait(self, text: str, times: int = 1) -> str:
        """Wait until the command has said something; give all that it said."""
        deadline = time.monotonic() + SECONDS
        while (said := self.output.read_text()).count(text) < times:
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return said

    def look_once(self) -> str:
        """Give what is said to a file that was only touched."""
        argv = [sys.executable, "-c", LOOK_ONCE]
        return subprocess.run(
            argv, env=self.environ, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=True
        ).stdout

    def end(self) -> None:
        """Kill the command; the stack stays."""
        self.process.kill()
        self.process.wait()

    def down(self) -> None:
        argv = [sys.executable, "-m", "services.cli", "down"]
        subprocess.run(argv, env=self.environ, cwd=self.folder, capture_output=True, timeout=SECONDS, check=True)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One copy and one stack for all tests, since to start it takes longer than they do."""
    made = Project(tmp_path_factory.mktemp("reload"))
    try:
        yield made
    finally:
        made.end()
        made.down()


@pytest.fixture
def project(copied: Project) -> Iterator[Project]:
    if copied.process.poll() is not None:
        copied.process = copied.follow()
    yield copied
    copied.end()


def test_a_change_restarts_what_it_touches(project: Project) -> None:
    """A mistake does not: the running process stays, and the next change mends it. `down` ends the command."""
    project.wait("following the code")
    ticket = project.folder / "services" / "ticket" / "domain.py"
    before = {name: project.stack.processes.record(name) for name in ("ticket", "checkout", "gateway")}
    good = ticket.read_text()
    ticket.touch()
    assert project.look_once() == ""
    ticket.write_text(f"{good}\ndef half(\n")
    said = project.wait("not restarted: ")
    assert "domain.py, line" in said
    assert said.count("changed: ") == 1
    assert project.stack.processes.record("ticket") == before["ticket"]

    ticket.write_text(f"{good}\n# another line\n")
    said = project.wait("restarted ticket; registered ticket\n")
    assert project.stack.processes.record("ticket") not in (None, before["ticket"])
    assert {name: project.stack.processes.record(name) for name in ("checkout", "gateway")} == {
        name: before[name] for name in ("checkout", "gateway")
    }

    ticket.write_text(f"{good}\nimport nothing_there\n")
    assert "No module named 'nothing_there'" in project.wait("waiting for the next change")
    ticket.write_text(good)
    project.wait("restarted ticket", times=2)

    project.down()
    assert project.process.wait(SECONDS) == 0
    assert project.output.read_text().endswith("the stack was stopped\n")


def test_control_c_ends_the_command_and_not_the_stack(project: Project) -> None:
    """As it says."""
    project.wait("following the code")
    project.process.send_signal(signal.SIGINT)
    assert project.process.wait(SECONDS) == 0
    assert "Traceback" not in project.output.read_text()
    assert project.stack.processes.record("gateway") is not None


def test_files_that_change_together_are_given_together(tmp_path: Path) -> None:
    """Also one that is gone; caches and an editor's hidden files are nobody's code."""
    (tmp_path / "gone.py").write_text("1")
    (tmp_path / "kept.py").write_text("1")
    looks = 0

    def edit() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            (tmp_path / "new.py").write_text("1")
            (tmp_path / ".new.py.swp").write_text("1")
            (tmp_path / "__pycache__").mkdir()
            (tmp_path / "__pycache__" / "new.pyc").write_text("1")
        if looks == 2:
            (tmp_path / "gone.py").unlink()
        return looks < 6

    assert list(changes(edit, [tmp_path], seconds=0.05)) == [[tmp_path / "gone.py", tmp_path / "new.py"]]
