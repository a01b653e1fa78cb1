"""Processes that outlive the command that started them: each in its own group, with a log and a record.

The record holds the process's start time beside its id, so that a recycled id is never signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

POLL_SECONDS: Final = 0.05
_STATE_FIELD, _GROUP_FIELD, _START_FIELD = 0, 2, 19
"""Places in /proc/<pid>/stat after the command's closing bracket. Source: proc(5)."""


class Record(msgspec.Struct, frozen=True):
    """A process that was started. `settings`: hash of all it was started with; `ports`: where it listens."""

    pid: int
    born: str
    settings: str
    started_at: float
    ports: tuple[int, ...] | None = None


class Processes:
    """The processes of one home: records in `run/`, logs in `log/`."""

    def __init__(self, home: Path) -> None:
        self.run = home / "run"
        self.log = home / "log"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def record(self, name: str) -> Record | None:
        """Give the record of a process that lives; None where it does not."""
        try:
            record = msgspec.json.decode(self._file(name).read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        self._reap(name)
        return record if birth(record.pid) == record.born else None

    def start(
        self,
        name: str,
        argv: Sequence[str],
        environ: Mapping[str, str],
        settings: str = "",
        ports: tuple[int, ...] = (),
    ) -> Record:
        """Start a process in a session of its own, its output appended to its log."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.log.mkdir(parents=True, exist_ok=True)
        with self.log_file(name).open("ab") as output:
            child = subprocess.Popen(
                argv, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._children[name] = child
        record = Record(
            child.pid, birth(child.pid) or "", settings, time.time(), None if ports is None else tuple(ports)
        )
        self._file(name).write_bytes(msgspec.json.encode(record))
        return record

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Signal the whole group of a process that lives; False where it does not."""
        record = self.record(name)
        if record is None:
            return False
        try:
            os.killpg(record.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_gone(self, name: str, seconds: float) -> bool:
        """Wait until no process of the group lives; False where one still does at the end."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap(name)
            if not self._group_lives(name):
                # It may have become a zombie of this very process just now.
                self._reap(name)
                self._file(name).unlink(missing_ok=True)
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)

    def stop(self, names: Sequence[str], seconds: float) -> list[str]:
        """SIGTERM the groups once and side by side, SIGKILL what is left after `seconds`; give what was stopped.

        Once: granian's parent can lock up when a second signal comes while it handles the first.
        """
        stopped = [name for name in names if self.signal(name, signal.SIGTERM)]
        deadline = time.monotonic() + seconds
        for name in names:
            if not self.wait_gone(name, max(0.0, deadline - time.monotonic())):
                self.kill(name)
        return stopped

    def kill(self, name: str) -> None:
        """SIGKILL the group and wait until it is gone."""
        self.signal(name, signal.SIGKILL)
        self.wait_gone(name, 10)

    def tail(self, name: str, lines: int = 20) -> str:
        """Give the last lines of a process's log."""
        try:
            return "\n".join(self.log_file(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def log_file(self, name: str) -> Path:
        """Name the log of a process."""
        return self.log / f"{name}.log"

    def _file(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def _reap(self, name: str) -> None:
        """Let a child of this very process go, which else would stay as a zombie."""
        child = self._children.get(name)
        if child is not None and (child.poll() is not None or birth(child.pid) is None):
            child.wait()
            del self._children[name]

    def _group_lives(self, name: str) -> bool:
        try:
            record = msgspec.json.decode(self._file(name).read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        leader = birth(record.pid)
        # The leader may have gone before its workers; as long as one lives, the id is not given again.
        return leader == record.born or (leader is None and group_lives(record.pid))


def birth(pid: int) -> str | None:
    """Tell when a process was started, in a form that only the same process repeats; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return _birth_by_ps(pid) if not Path("/proc").is_dir() else None
    except ProcessLookupError:
        return None
    # The command in brackets may hold anything, so fields count from its end.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[_STATE_FIELD] in "ZX" else fields[_START_FIELD]


def group_lives(group: int) -> bool:
    """Tell whether a process of the group lives; a zombie, which nobody may ever collect, does not."""
    if not Path("/proc").is_dir():
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[_GROUP_FIELD] == str(group) and fields[_STATE_FIELD] not in "ZX":
            return True
    return False


def _birth_by_ps(pid: int) -> str | None:
    """Ask ps, where there is no /proc (macOS)."""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip() or None
