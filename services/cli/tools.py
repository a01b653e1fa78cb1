"""The tools that Nexus needs on a machine, and which of them are here.

Runs before anything is installed, as `python3 -m services.cli.tools`: standard library only, and no syntax that an
older Python could not read, so that it can say what is missing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OK, NOTE, STOP = "ok", "note", "stop"
"""Fine; not fine or not there, but nothing waits for it; `make up` cannot do without."""

PYTHON_NEEDED = (3, 11)
RESTATE_NEEDED, RESTATE_TOO_NEW = (1, 7, 4), (1, 8)
"""Source: FACTS.md, Getting the parts: 1.7.4 names the source of an error, 1.8 schedules otherwise."""

ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Check:
    """One line of the answer: what was looked at, `ok`, `note` or `stop`, and why."""

    name: str
    state: str
    text: str


def check_tools(project: Path, home: Path) -> list[Check]:
    """Look for everything that `make up` runs; what is missing says what to install."""
    return [
        check_python(sys.version_info[:3]),
        check_venv(),
        check_make(),
        *check_restate(project, home),
        check_grpcurl(),
    ]


def check_python(version: tuple) -> Check:  # type: ignore[type-arg]
    """Judge a Python's version."""
    text = ".".join(map(str, version))
    if version[: len(PYTHON_NEEDED)] < PYTHON_NEEDED:
        return Check("python", STOP, f"{text} is older than 3.11: install Python 3.11 or later (PYTHON=... names it)")
    return Check("python", OK, text)


def check_venv() -> Check:
    """Look for the modules that make a virtual environment; Debian packs them apart."""
    if sys.prefix != sys.base_prefix:
        return Check("venv", OK, sys.prefix)
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        return Check("venv", STOP, "the venv module is missing: install your system's python3-venv package")
    return Check("venv", OK, "can be made")


def check_make() -> Check:
    """Look for make; without it `nexus` still does everything."""
    found = _first_line(["make", "--version"]) if shutil.which("make") else None
    if found is None:
        return Check("make", NOTE, "not found: the nexus command does everything but the set-up")
    return Check("make", OK, found)


def check_restate(project: Path, home: Path) -> list[Check]:
    """Find restate-server as `nexus up` does and judge its version; or npm, which brings it."""
    named = os.environ.get("RESTATE_SERVER", "")
    if named:
        found = shutil.which(named)
        if found is None:
            return [Check("restate-server", STOP, f"RESTATE_SERVER names {named}, which is not an executable file")]
        return [_judge_restate(found)]
    for folder in (home, project / ".nexus"):
        for binary in folder.glob("restate/node_modules/@restatedev/restate-server-*/bin/restate-server"):
            return [_judge_restate(str(binary)), _npm(STOP) if shutil.which("npm") else _npm(NOTE)]
    if shutil.which("npm"):
        return [Check("restate-server", OK, "not installed yet: npm brings it"), _npm(STOP)]
    found = shutil.which("restate-server")
    if found:
        return [_judge_restate(found), _npm(NOTE)]
    return [_npm(STOP)]


def _npm(without: str) -> Check:
    if not shutil.which("npm"):
        more = (
            "missing: install it (it comes with Node.js), or let RESTATE_SERVER name a restate-server binary"
            if without == STOP
            else "not found, and not needed any more"
        )
        return Check("npm", without, more)
    node = _first_line(["node", "--version"]) if shutil.which("node") else None
    if node is None:
        return Check("npm", without, "needs node, which does not run: install Node.js")
    return Check("npm", OK, f"with node {node}")


def _judge_restate(binary: str) -> Check:
    said = _first_line([binary, "--version"])
    if said is None:
        return Check("restate-server", STOP, f"{binary} does not run")
    return judge_restate_version(said.split()[-1], binary)


def judge_restate_version(text: str, where: str) -> Check:
    """Judge a Restate's version, of a binary or of a server that runs."""
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    if not RESTATE_NEEDED <= version < RESTATE_TOO_NEW:
        return Check("restate-server", STOP, f"{text} is not 1.7.4 or a later 1.7: {where}")
    return Check("restate-server", OK, f"{text}, {where}")


def check_grpcurl() -> Check:
    """Look for grpcurl, on the PATH or beside the nexus command."""
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=os.path.dirname(sys.executable))  # noqa: PTH120
    if found is None:
        return Check("grpcurl", NOTE, "not found: `nexus call` does the same")
    return Check("grpcurl", OK, found)


def _first_line(argv: list) -> str | None:  # type: ignore[type-arg]
    """Run a tool; give the first line that it prints, None where it does not run."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout.splitlines() or [""])[0].strip()


def main(arguments: list) -> None:  # type: ignore[type-arg]
    """Print every check, or with `--needed` only what stops `make up`; end with code 1 where there is such a thing."""
    project = Path(__file__).resolve().parents[2]
    checks = check_tools(project, project / ".nexus")
    missing = [check for check in checks if check.state == STOP]
    if "--needed" in arguments:
        for check in missing:
            print(f"NEXUS: {check.name}: {check.text}", file=sys.stderr)
    else:
        print("\n".join(f"{check.state:7} {check.name:17} {check.text}" for check in checks))
    raise SystemExit(1 if missing else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
