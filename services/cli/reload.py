"""`nexus up --reload`: restarts and registers what runs older code than the files hold, until the stack is stopped.

Files are looked at once a second: a few hundred times are read in milliseconds, which a dependency would not better.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Final

from services.cli.errors import StackError
from services.cli.local import PROJECT, START_ORDER, LocalStack
from services.cli.up import alone, start_and_register
from services.registrar.errors import RegistrationError

LOOK_SECONDS: Final = 1.0
WATCHED: Final = (PROJECT / "services", PROJECT / "simulators")


def watch(stack: LocalStack, say: Callable[[str], None]) -> None:
    """Follow the code until nothing of the stack runs any more."""
    for changed in changes(lambda: is_running(stack)):
        take_over(stack, changed, say)
    say("the stack was stopped")


def take_over(stack: LocalStack, changed: Sequence[Path], say: Callable[[str], None]) -> None:
    """Restart and register what runs older code; say nothing where nothing does, as after a mere `touch`."""
    if all(stack.is_current(component) for component in START_ORDER):
        return
    names = ", ".join(str(path.relative_to(PROJECT)) for path in changed[:5])
    say(f"changed: {names}{f' and {len(changed) - 5} more' if len(changed) > 5 else ''}")  # noqa: PLR2004
    problem = first_mistake(changed)
    if problem:
        say(f"not restarted: {problem}")
        return
    try:
        with alone(stack.home):
            started, registered = start_and_register(stack, say)
    except (StackError, RegistrationError) as error:
        say(f"{error}\nwaiting for the next change")
        return
    notes = [f"restarted {', '.join(started)}"]
    if registered:
        notes.append(f"registered {', '.join(registered)}")
    say("; ".join(notes))


def changes(
    goes_on: Callable[[], bool], folders: Sequence[Path] = WATCHED, seconds: float = LOOK_SECONDS
) -> Iterator[list[Path]]:
    """Give the files that have changed, each time that some have, once `seconds` passed without another change."""
    known = look(folders)
    pending: set[Path] = set()
    while goes_on():
        time.sleep(seconds)
        seen = look(folders)
        changed = {path for path in seen.keys() | known.keys() if seen.get(path) != known.get(path)}
        known = seen
        pending |= changed
        # An editor or git writes several files: the last one first.
        if pending and not changed:
            yield sorted(pending)
            pending = set()


def look(folders: Sequence[Path]) -> Mapping[Path, tuple[int, int]]:
    """Give time and size of every file that a process may read."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            # Hidden: an editor's own.
            if "__pycache__" in path.parts or path.name.startswith("."):
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            # A folder's time changes with caches that are written into it.
            if S_ISREG(stat.st_mode):
                found[path] = (stat.st_mtime_ns, stat.st_size)
    return found


def first_mistake(files: Sequence[Path]) -> str:
    """Give the first syntax error in the files, with its line; empty where there is none."""
    for path in files:
        if path.suffix != ".py" or not path.exists():
            continue
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return str(error)
    return ""


def is_running(stack: LocalStack) -> bool:
    """Tell whether anything of the stack runs."""
    return any(stack.processes.record(component) is not None for component in START_ORDER)
