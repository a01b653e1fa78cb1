"""Do the tests bite? Changes each rule of the domains a little, and runs the unit tests that touch it.

    python -m tests.faults.mutation                     every domain*.py and saga.py
    python -m tests.faults.mutation ticket/domain.py    some of them
    python -m tests.faults.mutation --every 10          each tenth mutant: minutes instead of an hour

A mutant is killed where a test fails or takes much longer. Ends with 1 where fewer than 90 % are killed, or where
a survivor is not in `survivors.toml`, in which each has its reason. Each mutant has a process of its own, a fork
of one that has loaded the libraries already: the files are never touched.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

from tests.faults.mutation.mutants import Mutant, mutants

PROJECT = Path(__file__).resolve().parents[3]
REASONS = Path(__file__).with_name("survivors.toml")
ENOUGH = 0.9
KILLED, SURVIVED, BROKEN = 0, 1, 2


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other code than its file's."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Know the one module."""
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        """Run the other code."""
        exec(self._code, module.__dict__)


def modules() -> list[Path]:
    """List the modules that decide something."""
    services = PROJECT / "services"
    return sorted([*services.glob("*/domain*.py"), *services.glob("*/saga.py")])


def tests_of(name: str) -> list[str]:
    """List the unit test files that import a module, quick ones first."""
    parent, _, leaf = name.rpartition(".")
    found = []
    for path in sorted((PROJECT / "tests" / "unit").glob("test_*.py")):
        imports = {
            f"{node.module}.{alias.name}" if node.module == parent else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if {name, f"{parent}.{leaf}"} & imports:
            found.append(path)
    # Tests of every interleaving would kill much that a domain's own tests ought to see.
    kept = [path for path in found if "explorer" not in path.name]
    return [str(path) for path in sorted(kept, key=lambda path: (_is_slow(path), path.name))]


def _is_slow(path: Path) -> bool:
    return any(word in path.name for word in ("machine", "world"))


def run_tests(tests: Sequence[str]) -> int:
    """Run tests in this process; gives KILLED where one fails."""
    import hypothesis
    import pytest

    # A failing example is enough; looking for a smaller one takes longer than all the rest.
    phases = [phase for phase in hypothesis.Phase if phase not in (hypothesis.Phase.shrink, hypothesis.Phase.explain)]
    hypothesis.settings.register_profile(
        "mutation",
        phases=phases,
        database=None,
        # A busy machine must not kill mutants.
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=20261121"]
    # Loaded before pytest could look at it, on purpose.
    options += ["-W", "ignore:Module already imported"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ended = pytest.main([*options, *tests])
    return (
        SURVIVED if ended == pytest.ExitCode.OK else KILLED if ended != pytest.ExitCode.NO_TESTS_COLLECTED else BROKEN
    )


def in_child(name: str, path: Path, code: CodeType | None, tests: Sequence[str], seconds: float) -> int:
    """Run tests against other code in a fork; one that takes too long is killed."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with contextlib.suppress(Exception), tempfile.TemporaryDirectory() as folder:
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
            if code is not None:
                sys.meta_path.insert(0, Mutated(name, path, code))
            ended = run_tests(tests)
            os._exit(ended)
        os._exit(KILLED)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else KILLED
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return KILLED


def survivors_of(path: Path, every: int) -> tuple[int, list[Mutant]]:
    """Try each `every`-th mutant of a module; gives their number and those that no test noticed."""
    name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    tests, source = tests_of(name), path.read_text()
    if not tests:
        print(f"{name}: no unit test imports it")
        return 1, [Mutant(0, "all of it", "not tested", ast.parse(source))]
    begun = time.monotonic()
    if in_child(name, path, None, tests, 600) != SURVIVED:
        raise SystemExit(f"{name}: its tests fail without any mutant: {' '.join(tests)}")
    limit = 20 + 6 * (time.monotonic() - begun)
    made = list(mutants(source))[::every]
    alive = []
    for mutant in made:
        if in_child(name, path, compile(mutant.tree, str(path), "exec"), tests, limit) == SURVIVED:
            alive.append(mutant)
            print(f"  survived: {mutant}", flush=True)
    return len(made), alive


def main(arguments: Sequence[str]) -> int:
    """Try the modules that are named, or all."""
    parser = argparse.ArgumentParser(description="Do the tests bite?")
    parser.add_argument("names", nargs="*", help="modules, by the end of their path; else all")
    parser.add_argument("--every", type=int, default=1, help="try only each so many-th mutant")
    given = parser.parse_args(arguments)
    import hypothesis  # noqa: F401  loaded once, for all forks
    import msgspec  # noqa: F401
    import pytest  # noqa: F401
    import restate  # noqa: F401

    chosen = [path for path in modules() if not given.names or any(str(path).endswith(name) for name in given.names)]
    reasons = tomllib.loads(REASONS.read_text()) if REASONS.exists() else {}
    total, killed, unexplained, rows = 0, 0, 0, []
    for path in chosen:
        name = str(path.relative_to(PROJECT / "services"))
        begun = time.monotonic()
        count, alive = survivors_of(path, given.every)
        known = reasons.get(name, {})
        unexplained += sum(mutant.name not in known for mutant in alive)
        total, killed = total + count, killed + count - len(alive)
        took, dead = time.monotonic() - begun, count - len(alive)
        print(f"{name}: {dead} of {count} killed ({dead / count:.1%}), {took:.0f} s", flush=True)
        rows.append(
            {
                "module": name,
                "mutants": count,
                "survivors": [[m.line, m.name, known.get(m.name, "")] for m in alive],
            }
        )
    print(f"all: {killed} of {total} killed ({killed / total:.1%}); {unexplained} survivors without a reason")
    if report := os.environ.get("NEXUS_MUTATION_REPORT"):
        Path(report).write_text(json.dumps(rows, indent=1))
    return 0 if killed >= ENOUGH * total and not unexplained else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
